//! Accounts of every rotation policy, each held at one step of its refresh.

use std::path::PathBuf;

use futures::StreamExt as _;
use scrobble_harness::{Operator, OperatorProcess, wait_until};
use scrobble_operator::api::v1alpha1::{ScrobbleTarget, SpotifyAccount, SpotifyApp};
use scrobble_simulator::api::{Effect, Endpoint, NewAccount, NewFault, Rotation};
use serde_json::json;

use super::tokens::{assert_stored, assert_used_once, report, text, wait_until_settled};
use crate::world::{CLIENT_ID, DEADLINE, World};

/// Every policy with the word that names its accounts.
pub const POLICIES: [(&str, Rotation); 4] = [
    ("never", Rotation::Never),
    ("grace", Rotation::Grace),
    ("single-use", Rotation::SingleUse),
    ("strict", Rotation::Strict),
];

/// The request is on the wire, and Spotify has not acted on it yet.
pub const OUT_BEFORE: &str = "out-before";
/// Spotify has acted, and its answer is on the wire.
pub const OUT_AFTER: &str = "out-after";
/// How long such a request stays on the wire: less than the exchange's own deadline, and longer than it takes to start.
const ON_THE_WIRE: u64 = 8_000;

/// One account.
#[derive(Clone, Debug)]
pub struct Member {
    /// `<step>-<policy>`.
    pub name: String,
    /// A failpoint of the operator, or [`OUT_BEFORE`], or [`OUT_AFTER`].
    pub step: &'static str,
    /// How its tokens are replaced.
    pub policy: Rotation,
}

impl Member {
    /// Whether it is held at one of these steps.
    pub fn is_at(&self, steps: &[&str]) -> bool {
        steps.contains(&self.step)
    }

    fn is_on_the_wire(&self) -> bool {
        self.is_at(&[OUT_BEFORE, OUT_AFTER])
    }
}

/// Creates an account that is read once an hour, with an app of its own: as long as nobody knows whether Spotify accepts
/// an app's credentials, its accounts wait for one another.
pub async fn account(world: &World, listener: NewAccount) {
    let name = listener.name.clone();
    world.listener_as(listener).await;
    world.listenbrainz(&name).await;
    if world.api::<ScrobbleTarget>().get_opt("hook").await.unwrap().is_none() {
        world.webhook().await;
    }
    let secret = json!({"name": "main-client", "key": "client-secret"});
    let app = json!({"clientId": CLIENT_ID, "clientSecretRef": secret});
    world.create::<SpotifyApp>("SpotifyApp", &name, &app).await;
    let mut spec = world.spec(&name, "1h");
    spec["appRef"]["name"] = json!(name);
    world.create::<SpotifyAccount>("SpotifyAccount", &name, &spec).await;
}

/// Accounts of every policy at each of some steps, which nobody has refreshed yet.
pub struct Stages {
    /// The accounts.
    pub members: Vec<Member>,
    gate: PathBuf,
}

impl Stages {
    /// Creates the accounts. They are read once an hour, so that nothing else happens to them.
    pub async fn create(world: &World, steps: &[&'static str], access_token_seconds: i64) -> Self {
        let mut members = Vec::new();
        for step in steps {
            for (word, policy) in POLICIES {
                // Without a rotation there is no state Secret.
                if policy != Rotation::Never || *step != "state-stored" {
                    members.push(Member { name: format!("{step}-{word}"), step, policy });
                }
            }
        }
        world.listenbrainz_target().await;
        if world.api::<ScrobbleTarget>().get_opt("hook").await.unwrap().is_none() {
            world.webhook().await;
        }
        let created = members.iter().map(async |member| {
            let listener = NewAccount {
                rotation: Some(member.policy),
                access_token_seconds: Some(access_token_seconds),
                ..NewAccount::new(&member.name, CLIENT_ID)
            };
            account(world, listener).await;
        });
        futures::stream::iter(created).buffer_unordered(8).collect::<Vec<()>>().await;
        let gate = world.plane.folder().join(format!("{}.gate", world.namespace));
        Self { members, gate }
    }

    /// An operator that stops each account at its step; the rest of the process goes on. `further` failpoints strike
    /// elsewhere.
    pub async fn hold(&self, world: &World, operator: Operator, further: &[&str]) -> Operator {
        for member in self.members.iter().filter(|member| member.is_on_the_wire()) {
            let effect = if member.step == OUT_BEFORE {
                Effect::DelayBefore { milliseconds: ON_THE_WIRE }
            } else {
                Effect::DelayAfter { milliseconds: ON_THE_WIRE }
            };
            let fault = NewFault::new(effect).at(Endpoint::Token).of(&member.name).times(1);
            world.script.add_fault(&fault).await.unwrap();
        }
        let held = self.members.iter().filter(|member| !member.is_on_the_wire());
        let failpoints = held.map(|member| format!("hold:{}@{}", member.step, member.name));
        let failpoints: Vec<String> = failpoints.chain(further.iter().map(|text| (*text).to_owned())).collect();
        operator
            .flag("concurrency", "100")
            .environment("SCROBBLE_OPERATOR_FAILPOINT", &failpoints.join(","))
            .environment("SCROBBLE_OPERATOR_FAILPOINT_GATE", &self.gate.display().to_string())
    }

    /// Waits until every account is at its step.
    pub async fn wait(&self, world: &World, operator: &OperatorProcess) {
        wait_until("every account to be at its step", DEADLINE, async || {
            let log = operator.log();
            let faults = world.script.faults().await.map_err(|error| error.to_string())?;
            let is_there = |member: &Member| {
                if member.is_on_the_wire() {
                    let of = |name: &Option<String>| name.as_ref() == Some(&member.name);
                    return faults.iter().any(|fault| of(&fault.rule.account) && fault.matched > 0);
                }
                let name = format!("\"{}\"", member.name);
                log.lines().any(|line| line.contains("held at a failpoint") && line.contains(&name))
            };
            let missing: Vec<&str> = self.members.iter().filter(|member| !is_there(member)).map(Member::name).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("not there yet: {missing:?}")) }
        })
        .await
        .unwrap();
    }

    /// Every newest token is where it belongs, no claim is open, and no token was sent twice.
    pub async fn assert_nothing_lost(&self, world: &World) {
        for Member { name, .. } in &self.members {
            assert_stored(world, name).await;
            assert_eq!(text(world, &format!("{name}-spotify"), "scrobble-operator.claim").await, None, "{name}");
            let tokens = report(world, name).await;
            assert_used_once(&tokens);
        }
    }

    /// Every account is well, and nothing is left to be said about it.
    pub async fn assert_all_well(&self, world: &World) {
        for Member { name, .. } in &self.members {
            let account = world.wait_ready(name, "True", "Succeeded").await;
            let status = account.status.unwrap();
            assert_eq!(status.failures, None, "{name}");
            let kinds: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
            assert_eq!(kinds, ["Ready", "Authorized", "Synced"], "{name}");
            wait_until_settled(world, name).await;
        }
        self.assert_nothing_lost(world).await;
    }

    /// Lets all go on that are held, and holds nobody any more.
    pub fn open(&self) {
        std::fs::write(&self.gate, "open").unwrap();
    }
}

impl Member {
    fn name(&self) -> &str {
        &self.name
    }
}
