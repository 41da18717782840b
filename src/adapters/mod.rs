//! Outside systems, one folder each. They translate; they decide nothing.

pub mod http;
pub mod kube;
pub mod notification;
pub mod spotify;
pub mod targets;
