//! From `helm install` to delivered plays, by nothing but the commands that README.md and NOTES.txt print.
//!
//! What differs from the printed commands, and nothing else does:
//! - the installation gets the addresses of a simulated Spotify, and the right to deliver to loopback, by values;
//! - the target gets the address of a simulated ListenBrainz;
//! - `THE-CLIENT-ID` of the notes is a client id.
//!
//! The simulator knows the README's own client id, `THE-CLIENT-SECRET` and `THE-USER-TOKEN`.

use std::fs;

use scrobble_harness::{ControlPlane, Options, wait_until};
use scrobble_simulator::Simulator;
use scrobble_simulator::api::{NewAccount, NewApp};

use super::pods::{self, RELEASE, installed, template};
use crate::connect::session::Connect;
use crate::documents::shell;
use crate::world::{CLIENT_ID, DEADLINE, World};

const NAMESPACE: &str = "music";

/// What stands in the place of something printed; it is there once.
fn with(text: &str, printed: &str, instead: &str) -> String {
    assert_eq!(text.matches(printed).count(), 1, "{printed:?} in {text}");
    text.replace(printed, instead)
}

/// The blocks of a section of the README, in their order: language and text.
fn blocks(section: &str) -> Vec<(String, String)> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = page.split("\n## ").find(|found| found.starts_with(section)).unwrap();
    let blocks = section.split("```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').unwrap()).map(|(kind, text)| (kind.to_owned(), text.to_owned())).collect()
}

/// The commands of the notes, each with what it reads.
fn commands(notes: &str) -> Vec<String> {
    let (mut commands, mut lines) = (Vec::new(), notes.lines());
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        if !["kubectl ", "helm "].iter().any(|program| line.starts_with(program)) {
            continue;
        }
        let mut command = format!("{line}\n");
        if line.contains("<<'END'") {
            for read in lines.by_ref() {
                command.extend([read, "\n"]);
                if read == "END" {
                    break;
                }
            }
        }
        commands.push(command);
    }
    commands
}

async fn run(plane: &'static ControlPlane, script: &str) -> String {
    let mut shell = shell(plane, script);
    let output = tokio::task::spawn_blocking(move || shell.output()).await.unwrap().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "{script}\n{stdout}\n{stderr}");
    stdout
}

/// What Spotify and ListenBrainz know.
async fn outside() -> Simulator {
    let simulator = Simulator::start(scrobble_simulator::Options::default()).await.unwrap();
    let script = simulator.client();
    let redirect_uris = vec!["http://127.0.0.1/callback".to_owned()];
    let app = NewApp { redirect_uris, ..NewApp::confidential(CLIENT_ID, "THE-CLIENT-SECRET") };
    script.put_app(&app).await.unwrap();
    script.add_account(&NewAccount::new("alice", CLIENT_ID)).await.unwrap();
    script.put_listenbrainz_user("alice", "THE-USER-TOKEN").await.unwrap();
    simulator
}

/// What the README's and the notes' section about the app come to is the same.
fn assert_same_app(readme: &str, notes: &[String]) {
    let about_the_app = |command: &&String| command.contains("spotify-app");
    let notes: String = notes.iter().filter(about_the_app).map(String::as_str).collect();
    assert_eq!(notes, readme);
}

async fn wait_for_plays(world: &World, mut expected: Vec<String>) {
    expected.sort();
    wait_until("the plays at ListenBrainz", DEADLINE, async || {
        let listens = world.listens("alice").await;
        if listens == expected { Ok(()) } else { Err(format!("{listens:?}")) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_helm_install_to_delivered_plays_by_nothing_but_printed_commands() {
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start(Options::default()).await.unwrap()));
    let simulator = outside().await;
    let script = simulator.client();
    let blocks = blocks("Your first account");
    let kinds: Vec<&str> = blocks.iter().map(|(kind, _)| kind.as_str()).collect();
    // The last one only tells what is true; tests/it/diagnostics runs it.
    assert_eq!(kinds, ["sh", "sh", "sh", "sh", "console", "sh", "console"]);
    let [install, app, target, listener, connect, look] = [0, 1, 2, 3, 4, 5].map(|at| blocks[at].1.as_str());

    let accounts = script.spotify_accounts_url();
    let flags = format!("--spotify-accounts-url={accounts},--spotify-api-url={}", script.spotify_api_url());
    let further = format!("--set 'extraArgs={{{flags}}}' --set 'allowPrivateTargets={{127.0.0.0/8}}'");
    let notes = run(plane, &format!("{} {further}\n", install.trim_end())).await;

    // The kubelet pulls no image here: the pod is a process.
    let _pod = template(&installed(plane, NAMESPACE).await).start().await.unwrap();
    let world = pods::world(plane, NAMESPACE, simulator, script).await;
    pods::tell_available(&world).await;

    let printed = commands(&notes);
    assert!(printed[0].starts_with(&format!("kubectl -n {NAMESPACE} rollout status deployment/{RELEASE}")));
    let printed: Vec<String> = printed.iter().map(|command| command.replace("THE-CLIENT-ID", CLIENT_ID)).collect();
    assert_same_app(app, &printed);
    for command in &printed {
        run(plane, command).await;
    }
    let address = format!("type: ListenBrainz\n  url: {}\n", world.script.listenbrainz_url());
    run(plane, &with(target, "type: ListenBrainz\n", &address)).await;
    run(plane, listener).await;
    world.wait_ready("alice", "False", "SecretNotFound").await;
    let plays = world.play("alice", 3, 60).await;

    let line = connect.trim().strip_prefix("$ ").unwrap();
    let running = Connect::with_kubeconfig(&world, plane.kubeconfig(), line).start();
    let (page, ended) = running.sign_in().await;
    assert_eq!((page.status, ended.code), (200, 0), "{page:?} {ended:?}");
    wait_for_plays(&world, plays).await;
    world.wait_ready("alice", "True", "Succeeded").await;
    let shown = run(plane, look).await;
    assert!(shown.contains("alice") && shown.contains("Succeeded"), "{shown}");
}
