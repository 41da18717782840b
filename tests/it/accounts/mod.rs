//! Accounts, end to end: the operator as a process under the chart's ServiceAccount, on the real API server.

mod cost;
mod bad_input;
mod main_path;
mod mistakes;
