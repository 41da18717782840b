//! Sources that break a rule, and sources that only look as if they did.

use super::rules::violations;
use std::fmt::Write as _;

/// A source, and what must be said about it.
const REFUSED: &[(&str, &str, &str)] = &[
    // Who may import whom.
    ("src/api/condition.rs", "use crate::plan::Step;", "api may not use plan"),
    ("src/domain/play.rs", "use crate::adapters::http::Body;", "domain may not use adapters"),
    ("src/plan/token.rs", "use crate::runtime::clock::Clock;", "plan may not use runtime"),
    ("src/plan/mod.rs", "use crate::{api::v1alpha1, adapters::{self, kube}};", "plan may not use adapters"),
    ("src/plan/mod.rs", "fn go() { crate::adapters::spotify::read(); }", "plan may not use adapters"),
    ("src/plan/mod.rs", "fn go(x: Vec<crate::reconcile::Context>) {}", "plan may not use reconcile"),
    ("src/plan/token.rs", "use super::super::adapters::kube;", "plan may not use adapters"),
    ("src/plan/token.rs", "use self::super::super::cli;", "plan may not use cli"),
    ("src/plan/token.rs", "mod tests { use super::super::super::runtime::x; }", "plan may not use runtime"),
    ("src/plan/token.rs", "use scrobble_operator::adapters;", "plan may not use adapters"),
    ("src/plan/token.rs", "macro_rules! x { () => { $crate::adapters::y } }", "plan may not use adapters"),
    ("src/plan/token.rs", "pub use crate::runtime as machinery;", "plan may not use runtime"),
    ("src/plan/token.rs", "use crate::api as v; fn f() { v::super::x(); crate::runtime::y() }", "may not use runtime"),
    ("src/plan/token.rs", "use super::super::*;", "hides the layer"),
    ("src/plan/mod.rs", "use super::*;", "hides the layer"),
    ("src/plan/mod.rs", "use crate as everything;", "hides the layer"),
    ("src/plan/mod.rs", "use crate::Shared;", "plan may not use Shared"),
    ("src/adapters/kube/status.rs", "use crate::plan::Settled;", "adapters may not use plan"),
    ("src/adapters/kube/status.rs", "use crate::{domain::Play, reconcile::Error};", "adapters may not use reconcile"),
    ("src/adapters/kube/status.rs", "use crate::runtime::Clock;", "adapters may not use runtime"),
    ("src/adapters/kube/status.rs", "use crate::adapters::spotify::Page;", "an adapter may not use another"),
    ("src/adapters/kube/status.rs", "use super::super::spotify::Page;", "an adapter may not use another"),
    ("src/adapters/kube/mod.rs", "use super::{http::Body, targets};", "an adapter may not use another"),
    ("src/adapters/http/mod.rs", "use super::kube::status;", "an adapter may not use another"),
    (
        "src/adapters/spotify/mod.rs",
        "use crate::api::{condition::Reason, secret};",
        "may not use crate::api::condition",
    ),
    ("src/adapters/spotify/mod.rs", "use crate::api::*;", "may not use crate::api::condition"),
    (
        "src/reconcile/act.rs",
        "use crate::adapters::spotify::model::Item;",
        "may not use crate::adapters::spotify::model",
    ),
    ("src/adapters/kube/mod.rs", "use super::*;", "an adapter may not use another"),
    ("src/adapters/kube/mod.rs", "use crate::adapters as all; fn f() { all::spotify::x() }", "may not use another"),
    ("src/reconcile/act.rs", "use crate::runtime::metrics;", "reconcile may not use runtime"),
    ("src/reconcile/act.rs", "use crate::cli::Flags;", "reconcile may not use cli"),
    ("src/reconcile/act.rs", "use crate::connect::begin;", "reconcile may not use connect"),
    ("src/plan/sign_in/mod.rs", "use crate::connect::begin;", "plan may not use connect"),
    ("src/connect/mod.rs", "use crate::runtime::clock;", "connect may not use runtime"),
    ("src/connect/mod.rs", "use crate::cli::Flags;", "connect may not use cli"),
    ("src/connect/mod.rs", "use reqwest::Client;", "connect may not use reqwest"),
    ("src/plan/mod.rs", "use opentelemetry::Context;", "plan may not use opentelemetry"),
    ("src/reconcile/spans.rs", "use tracing_opentelemetry::layer;", "reconcile may not use tracing_opentelemetry"),
    ("src/connect/mod.rs", "use std::env;", "only cli/ may read the environment"),
    ("src/main.rs", "use scrobble_operator::adapters::http;", "main may not use adapters"),
    ("src/bin/kubectl-scrobble.rs", "fn main() { scrobble_operator::plan::go() }", "main may not use plan"),
    ("src/other/mod.rs", "", "`other` is no layer"),
    ("src/plan/mod.rs", "#[path = \"../adapters/kube/mod.rs\"] mod kube;", "hides the layer"),
    ("src/plan/mod.rs", "include!(\"../adapters/kube/mod.rs\");", "hides the layer"),
    // What a decision may not contain.
    ("src/api/v1alpha1/account.rs", "use kube::Client;", "api may not use kube::Client"),
    ("src/api/v1alpha1/account.rs", "use kube::{Api, Client as C};", "api may not use kube::Client"),
    ("src/api/v1alpha1/account.rs", "use kube as k; fn f(c: k::Client) {}", "api may not use kube::Client"),
    ("src/api/v1alpha1/account.rs", "use kube::*;", "api may not use kube::Client"),
    ("src/domain/token.rs", "fn f() { tracing::info!(\"x\"); }", "domain may not use tracing"),
    ("src/domain/token.rs", "use std::time::{Duration, SystemTime};", "domain may not use std::time::SystemTime"),
    ("src/domain/token.rs", "fn f() -> Timestamp { jiff::Timestamp::now() }", "domain may not read the clock"),
    ("src/api/mod.rs", "pub async fn f() {}", "api may not wait"),
    ("src/plan/mod.rs", "async fn f() {}", "plan may not wait"),
    ("src/plan/mod.rs", "fn f() { let x = async move { 1 }; }", "plan may not wait"),
    ("src/plan/mod.rs", "fn f() { g().await; }", "plan may not wait"),
    ("src/plan/mod.rs", "fn f() { tokio::spawn(g()); }", "plan may not use tokio"),
    ("src/plan/mod.rs", "fn f() { ::tokio::spawn(g()); }", "plan may not use tokio"),
    ("src/plan/mod.rs", "use tokio as t;", "plan may not use tokio"),
    ("src/plan/mod.rs", "extern crate tokio;", "plan may not use tokio"),
    ("src/plan/mod.rs", "use reqwest::StatusCode;", "plan may not use reqwest"),
    ("src/plan/mod.rs", "use {jiff::Timestamp, reqwest::Url};", "plan may not use reqwest"),
    ("src/plan/mod.rs", "use tracing::{debug, info};", "plan may not use tracing"),
    ("src/plan/mod.rs", "#[tracing::instrument] fn f() {}", "plan may not use tracing"),
    ("src/plan/mod.rs", "use kube::runtime::controller::Action;", "plan may not use kube::runtime"),
    ("src/plan/mod.rs", "use rand::Rng;", "plan may not use rand"),
    ("src/plan/mod.rs", "fn f() { let now = jiff::Timestamp::now(); }", "plan may not read the clock"),
    ("src/plan/mod.rs", "fn f() { x.unwrap_or_else(Timestamp::now) }", "plan may not read the clock"),
    ("src/plan/mod.rs", "fn f() { <Timestamp>::now() }", "plan may not read the clock"),
    ("src/plan/mod.rs", "fn f(clock: &dyn Clock) { clock.now() }", "plan may not read the clock"),
    ("src/reconcile/act.rs", "use reqwest::StatusCode;", "reconcile may not use reqwest"),
    ("src/reconcile/act.rs", "fn f(e: ::reqwest::Error) {}", "reconcile may not use reqwest"),
    // What drives reconciles.
    ("src/reconcile/act.rs", "use kube::runtime::controller::Action;", "what drives reconciles"),
    ("src/reconcile/app.rs", "use kube::runtime::{events::Recorder, Controller};", "what drives reconciles"),
    ("src/adapters/kube/mod.rs", "use kube::runtime; type S = runtime::reflector::Store<X>;", "what drives reconciles"),
    ("src/cli/run.rs", "fn f() { kube::runtime::watcher(a, b); }", "what drives reconciles"),
    ("src/cli/run.rs", "use kube::runtime::*;", "what drives reconciles"),
    // The environment.
    ("src/runtime/mod.rs", "fn f() { std::env::var(\"X\"); }", "only cli/ may read the environment"),
    ("src/adapters/http/mod.rs", "use std::{env, fs};", "only cli/ may read the environment"),
    ("src/main.rs", "use std::env::args;", "only cli/ may read the environment"),
    // Shape.
    ("src/plan/utils.rs", "", "`utils` does not say what it holds"),
    ("src/adapters/common/mod.rs", "", "`common` does not say what it holds"),
    ("tests/it/helpers.rs", "", "`helpers` does not say what it holds"),
    ("tests/harness/src/manager.rs", "", "`manager` does not say what it holds"),
    // Unfinished work.
    ("src/plan/mod.rs", "fn f() { todo!() }", "`todo!` is unfinished work"),
    ("src/plan/mod.rs", "fn f() { unimplemented!(\"x\") }", "`unimplemented!` is unfinished work"),
    ("src/runtime/mod.rs", "fn f() { dbg!(1); }", "`dbg!` is unfinished work"),
    ("tests/it/tokens.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", "tests/it/tokens.rs:2: `#[ignore]`"),
    ("tests/it/tokens.rs", "#[ignore] fn f() {}", "`#[ignore]`"),
    ("tests/it/tokens.rs", "#[test] #[ignore] fn helper_that_nobody_starts() {}", "`#[ignore]`"),
    ("tests/it/tokens.rs", "#[ignore] fn slow() {} fn f() { start(\"slow\") }", "`#[ignore]`"),
];

const ACCEPTED: &[(&str, &str)] = &[
    ("src/lib.rs", "pub mod adapters; pub mod plan;"),
    ("src/api/condition.rs", "use crate::domain::Play; use k8s_openapi::jiff::Timestamp; use kube::CustomResource;"),
    ("src/api/v1alpha1/app.rs", "/// Not `Client::new`, see crate::plan.\npub enum SecretUse { Client, Token }"),
    ("src/domain/play.rs", "use std::time::Duration; use std::net::IpAddr; fn f() { super::token::g() }"),
    ("src/plan/token.rs", "use super::{schedule, super::api::condition::Reason}; use crate::domain::{self, Play};"),
    ("src/plan/token.rs", "fn f(now: Timestamp) { observed.now; let now = now.checked_add(x); now::g }"),
    (
        "src/plan/token.rs",
        "// use crate::adapters;\n/* tokio /* reqwest::x */ .await */ const X: &str = \"crate::adapters\";",
    ),
    (
        "src/plan/token.rs",
        "const X: &str = r#\"\"crate::adapters::x\" async\"#; const Y: char = '\"'; fn f<'async_>() {}",
    ),
    ("src/plan/token.rs", "const X: &[u8] = b\"tokio::spawn\"; const Y: u8 = b'\\''; const Z: &CStr = c\"a::b\";"),
    ("src/plan/token.rs", "mod tests { use super::*; use super::super::schedule::due; }"),
    ("src/plan/token.rs", "fn f() -> impl Iterator + use<'_> { x.runtime.iter() }"),
    ("src/adapters/mod.rs", "pub mod http; pub mod kube; pub mod spotify;"),
    ("src/adapters/kube/mod.rs", "mod secrets; use secrets::x; use kube::{Api, Client}; use super::http::Body;"),
    ("src/adapters/kube/secrets.rs", "use super::status; use crate::adapters::{http, kube::lease}; use reqwest::Url;"),
    ("src/adapters/kube/events.rs", "use kube::runtime::events::Recorder; async fn f() { g().await }"),
    ("src/reconcile/mod.rs", "use kube::runtime::controller::Action; use crate::{adapters::kube, plan::{self, Step}};"),
    ("src/reconcile/act.rs", "use crate::adapters::{http::Outcome, targets}; use super::Context;"),
    ("src/runtime/mod.rs", "use kube::runtime::{Controller, reflector, watcher}; use crate::reconcile;"),
    ("src/runtime/clock.rs", "fn f() { jiff::Timestamp::now() } const V: &str = env!(\"CARGO_PKG_VERSION\");"),
    ("src/cli/mod.rs", "fn f() { std::env::var(\"POD_NAMESPACE\"); crate::runtime::run() }"),
    ("src/connect/mod.rs", "use crate::reconcile::context::Clock; use crate::{plan::sign_in, adapters::spotify};"),
    ("src/cli/connect.rs", "use crate::connect::begin;"),
    ("src/main.rs", "use scrobble_operator::{cli, runtime}; fn main() { rustls::crypto::ring::default_provider(); }"),
    (
        "tests/it/tokens.rs",
        "/// Not `#[ignore]`, not todo!().\n#[test]\nfn f() { let ignore = [1]; std::env::var(\"X\"); }",
    ),
    ("tests/it/tokens.rs", "#[test] #[ignore = \"x\"] fn helper_x() {}\n#[test] fn f() { start(\"helper_x\") }"),
];

#[test]
fn what_breaks_a_rule_is_refused() {
    let mut wrong = String::new();
    for (file, source, expected) in REFUSED {
        let found = violations(file, source);
        if !found.iter().any(|sentence| sentence.contains(expected)) {
            let _ = writeln!(wrong, "{file}: {source}\n  wanted: {expected}\n  found: {found:?}");
        }
    }
    assert!(wrong.is_empty(), "not refused:\n{wrong}");
}

#[test]
fn what_only_looks_like_it_is_accepted() {
    let wrong: Vec<String> = ACCEPTED.iter().flat_map(|(file, source)| violations(file, source)).collect();
    assert!(wrong.is_empty(), "refused: {wrong:#?}");
}

#[test]
fn long_files_are_refused() {
    assert!(violations("src/plan/token.rs", &"//\n".repeat(400)).is_empty());
    assert_eq!(violations("src/plan/token.rs", &"//\n".repeat(401)).len(), 1);
    assert_eq!(violations("tests/it/tokens.rs", &"//\n".repeat(401)).len(), 1);
    assert_eq!(violations("src/main.rs", &"//\n".repeat(41)).len(), 1);
}

#[test]
fn lines_are_told() {
    let source = "//! A page.\n\n/* two\nlines */\nconst TEXT: &str = \"a\nb\";\nuse crate::runtime;\n";
    assert_eq!(
        violations("src/plan/token.rs", source),
        ["src/plan/token.rs:7: plan may not use runtime (`crate::runtime`)"]
    );
}
