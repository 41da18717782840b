//! docs/lastfm.md is held against what is sent and understood, and its way of signing in is walked.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use scrobble_simulator::api::{LastfmApp, LastfmUser};
use scrobble_simulator::{Options, Simulator};

use super::*;
use crate::adapters::targets::testing::open_client;

/// Whether a delivery is what a row of a table says.
type Test = fn(&Delivery) -> bool;

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lastfm.md")).unwrap()
}

/// The blocks of a language, in order.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    page.split(&format!("```{language}\n")).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// The first cells of a table's rows.
fn first_cells<'a>(page: &'a str, head: &str) -> Vec<&'a str> {
    let table = page.split(head).nth(1).unwrap().split("\n\n").next().unwrap();
    table.lines().skip(2).filter_map(|row| row.strip_prefix("| ")?.split(" | ").next()).collect()
}

#[test]
fn the_example_and_the_table_of_parameters_are_what_is_sent() {
    let page = page();
    let example = scrobble(full_play());
    let sent: Vec<String> =
        batch(std::slice::from_ref(&example)).iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(blocks(&page, "text")[0].lines().collect::<Vec<_>>(), sent);
    let other = Play { album_artists: vec!["Tricky".to_owned()], ..full_play() };
    let names: Vec<String> = fields(&scrobble(other)).iter().map(|(name, _)| format!("`{name}`")).collect();
    assert_eq!(first_cells(&page, "| parameter | what it is |"), names);
}

#[test]
fn the_tables_of_codes_and_errors_are_true() {
    let page = page();
    let codes = first_cells(&page, "| code | meaning |");
    assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "any other"]);
    let is_meant: [(&str, Test); 6] = [
        ("4, 9, 14, 15", |delivery| *delivery == Delivery::CredentialsRefused),
        ("10, 13, 26", |delivery| matches!(delivery, Delivery::ClientRefused { .. })),
        ("6, 7", |delivery| matches!(delivery, Delivery::NotNow { trouble: Trouble::Code(6 | 7), .. })),
        ("8", |delivery| matches!(delivery, Delivery::NotNow { trouble: Trouble::OperationFailed, .. })),
        ("29", |delivery| matches!(delivery, Delivery::NotNow { trouble: Trouble::RateLimited, .. })),
        ("2, 3, 5, 11, 16, 17", |delivery| matches!(delivery, Delivery::NotNow { trouble: Trouble::Code(_), .. })),
    ];
    let rows = first_cells(&page, "| error | meaning |");
    assert_eq!(rows[..6], is_meant.map(|(row, _)| row));
    for (row, is_meant) in is_meant {
        for code in row.split(", ") {
            let answer = Answer { status: StatusCode::OK, headers: http::HeaderMap::new(), body: Vec::new() };
            let delivery = failure(&answer, &json!({"error": code})).unwrap();
            assert!(is_meant(&delivery), "{code}: {delivery:?}");
        }
    }
}

/// What a script prints; none where the shell, curl or openssl is not installed, which a build with `CI=true` does not
/// leave it at.
#[expect(clippy::print_stderr, reason = "a recipe that was not run is not passed over in silence")]
fn printed(script: &str, environment: &[(&str, &str)]) -> Option<String> {
    for (program, argument) in [("curl", "--version"), ("openssl", "version")] {
        let found = Command::new(program).arg(argument).stdout(Stdio::null()).status();
        if found.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            assert_ne!(option_env!("CI"), Some("true"), "{program} has to be installed");
            eprintln!("{program} is not installed: the sign-in of docs/lastfm.md was not walked");
            return None;
        }
    }
    let mut shell = Command::new("sh");
    shell.args(["-euc", script]).env("NO_PROXY", "*").envs(environment.iter().copied());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_leads_to_a_session() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (api_key, shared_secret) = (API_KEY.to_owned(), SHARED_SECRET.to_owned());
    let app = LastfmApp { api_key, shared_secret, suspended: false, errors_with_200: false };
    simulator.put_lastfm_app(&app).await.unwrap();
    simulator.put_lastfm_user(&LastfmUser::new("alice", "another")).await.unwrap();
    let page = page().replace("https://ws.audioscrobbler.com/2.0/", &simulator.lastfm_url());
    let [tools, token, session, _] = blocks(&page, "sh")[..] else { panic!("four blocks") };
    let keys = [("API_KEY", API_KEY), ("SHARED_SECRET", SHARED_SECRET)];
    let Some(address) = printed(&format!("{tools}{token}"), &keys) else { return };
    let prefix = format!("https://www.last.fm/api/auth/?api_key={API_KEY}&token=");
    let token = address.strip_prefix(&prefix).unwrap();
    simulator.authorize_lastfm(token, "alice").await.unwrap();
    let script = format!("{tools}{session}printf '%s' \"$SESSION_KEY\"");
    let session_key = printed(&script, &[keys[0], keys[1], ("TOKEN", token)]).unwrap();
    let service = Service::LastFm {
        url: simulator.lastfm_url().parse().unwrap(),
        api_key: API_KEY.to_owned().into(),
        shared_secret: SHARED_SECRET.to_owned().into(),
        session_key: session_key.into(),
    };
    assert_eq!(service.check_credentials(&open_client()).await, Some(Delivery::Accepted));
}
