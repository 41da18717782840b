//! The command line: flags and subcommands; the only place that reads the environment.

pub mod crds;
