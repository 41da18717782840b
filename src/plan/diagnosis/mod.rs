//! What an account is like at this moment: what a look at it asks, and what it answers.
//!
//! A look goes the way of a pass, up to the read, and stops there: nothing is delivered and nothing is recorded. What it
//! shows of conditions and deliveries is what [`super::settle()`] makes of the same answers, so that no rule is told twice.

mod answer;
mod findings;
mod question;
mod table;

pub use answer::{
    AuthorizationDiagnosis, Diagnosis, Finding, GateDiagnosis, NotAsked, PlaySample, PlaysDiagnosis, TargetDiagnosis,
    TokenDiagnosis, TokenState,
};
pub use findings::{Sight, diagnose};
pub use question::{Next, next};
pub use table::table;
