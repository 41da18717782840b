//! From the installation to the upgrade. There is no kubelet: the tests do what it and the Deployment's controller would.
//!
//! | module | what it is |
//! |---|---|
//! | [`pods`] | pods of the Deployment, as processes |
//! | [`duty`] | who was on duty when, as the audit log tells |
//! | [`readiness`] | what the probes say, and that it is over by itself |
//! | [`rolling_update`] | two replicas are replaced one after the other |
//! | [`upgrade`] | `helm upgrade` in the middle of a hundred refreshes |
//! | [`walk`] | from `helm install` to delivered plays by nothing but printed commands |

mod duty;
mod pods;
mod readiness;
mod rolling_update;
mod upgrade;
mod walk;
