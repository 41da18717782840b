//! The operator's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // kube and reqwest share this provider; a second installation does nothing.
    rustls::crypto::ring::default_provider().install_default().ok();
    scrobble_operator::cli::main()
}
