//! Tells the program what it was built from, and with what.

use std::env;
use std::process::Command;

/// The source's revision, given by whoever builds a release.
const REVISION: &str = "SCROBBLE_OPERATOR_REVISION";

#[expect(clippy::disallowed_methods, reason = "a build script has no other arguments")]
fn main() {
    let revision = env::var(REVISION).unwrap_or_else(|_| "unknown".to_owned());
    let rustc = env::var("RUSTC").ok().and_then(|rustc| version(&rustc)).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={REVISION}");
    println!("cargo:rustc-env={REVISION}={revision}");
    println!("cargo:rustc-env=SCROBBLE_OPERATOR_RUSTC={rustc}");
}

/// `1.92.0` of `rustc 1.92.0 (…)`.
fn version(rustc: &str) -> Option<String> {
    let output = Command::new(rustc).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(1).map(str::to_owned)
}
