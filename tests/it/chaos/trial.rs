//! Many accounts under one rotation policy, whose operator is killed again and again.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::ListParams;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use scrobble_operator::api::condition::ConditionType;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_operator::domain::token_secret::key;
use scrobble_simulator::api::{NewApp, Rotation};
use scrobble_simulator::sha256;
use serde_json::json;

use super::Scale;
use super::lives::Lives;
use super::moment::Moment;
use super::records::{Answer, Reader};
use super::verdict::{Verdict, judge};
use super::window::Spread;
use crate::accounts::tokens::{put, report};
use crate::world::{CLIENT_ID, CLIENT_SECRET, World, condition, ready};

/// Longer than lease, start, claim deadline and exchange timeout together, several times.
pub const GRACE_SECONDS: i64 = 120;
/// How long accounts may take until everything is as it should be again: a claim's deadline and the exchange's are 15 s
/// of it.
const SETTLE: Duration = Duration::from_secs(90);
/// Between two looks at all accounts.
const LOOK: Duration = Duration::from_millis(500);

/// What one policy came to.
pub struct Outcome {
    pub policy: &'static str,
    pub kills: usize,
    pub verdict: Verdict,
    /// From the answer to the commit leaving, as the operator tells.
    pub windows: Vec<f64>,
    /// From the rotation at the server to the commit's arrival at the API server, as both tell.
    pub distances: Vec<f64>,
}

/// Runs one policy.
pub async fn run(policy: &'static str, rotation: Rotation, scale: &Scale, seed: u64) -> Outcome {
    let app = NewApp {
        rotation,
        grace_seconds: GRACE_SECONDS,
        access_token_seconds: scale.access_token_seconds,
        ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET)
    };
    let world = World::with_app(&format!("chaos-{policy}"), app).await;
    world.webhook().await;
    let mut newest = HashMap::new();
    for number in 0..scale.accounts {
        let name = format!("listener-{number:02}");
        world.listener(&name).await;
        newest.insert(name.clone(), report(&world, &name).await.current.unwrap());
        let spec = json!({
            "appRef": {"name": "main"}, "tokenSecretRef": {"name": format!("{name}-spotify")},
            "sync": {"interval": "1s"}, "targets": [{"name": "hook", "targetRef": {"name": "hook"}}],
        });
        world.create::<SpotifyAccount>("SpotifyAccount", &name, &spec).await;
    }
    let mut trial = Trial {
        world: &world,
        lives: Lives::new(&world),
        reader: Reader::new(&world).await,
        newest,
        given: HashMap::new(),
        followed: 0,
        unexplained: Vec::new(),
    };
    // A world that does not become as it should be again is not killed any further: its records tell enough.
    if trial.kill(rotation, scale, StdRng::seed_from_u64(seed)).await && trial.refresh_once_more().await {
        trial.settle().await;
    }
    trial.lives.terminate().await;
    trial.reader.read().await;
    trial.look_at_the_end().await;

    trial.reader.records.resolve();
    let mut verdict = judge(rotation, &trial.reader.records, &trial.lives.ended);
    verdict.unexplained.append(&mut trial.unexplained);
    Outcome {
        policy,
        kills: trial.lives.kills(),
        verdict,
        distances: trial.reader.records.distances(),
        windows: std::mem::take(&mut trial.lives.windows),
    }
}

impl Outcome {
    /// The line that tells it.
    pub fn line(&self) -> String {
        let Self { policy, kills, verdict: Verdict { refreshes, lost, unexplained }, .. } = self;
        let unexplained = unexplained.len();
        format!(
            "policy {policy}: kills {kills}, refreshes {refreshes}, accounts lost {lost}, unexplained {unexplained}"
        )
    }

    /// Whether it is as promised: nothing unexplained, and nothing lost where the server gives a token time to be replaced.
    pub fn is_as_promised(&self) -> bool {
        self.verdict.unexplained.is_empty()
            && (self.verdict.lost == 0 || matches!(self.policy, "single-use" | "strict"))
    }
}

/// The window in which a kill loses a token, over all policies.
pub fn window_lines(outcomes: &[Outcome]) -> [String; 2] {
    let windows = Spread::of(outcomes.iter().flat_map(|outcome| outcome.windows.iter().copied()));
    let distances = Spread::of(outcomes.iter().flat_map(|outcome| outcome.distances.iter().copied()));
    [
        format!("window from the answer to the commit request leaving: {windows}"),
        format!("from the server's rotation to the commit arriving at the API server: {distances}"),
    ]
}

struct Trial<'a> {
    world: &'a World,
    lives: Lives<'a>,
    reader: Reader<'a>,
    /// The newest refresh token that was issued, by account (hash).
    newest: HashMap<String, String>,
    /// The last token that a human has put into the Secret (hash).
    given: HashMap<String, String>,
    /// How many exchanges `newest` has followed.
    followed: usize,
    unexplained: Vec<String>,
}

/// What a look at an account shows.
enum Look {
    /// Ready, and the newest token is stored.
    Settled,
    /// Its authorization is gone, and a human has to act.
    Lost,
    /// Neither yet.
    Waits(String),
}

impl Trial<'_> {
    /// Kills in batches; in between, everything has to become as it should be. Answers whether it did.
    async fn kill(&mut self, rotation: Rotation, scale: &Scale, mut random: StdRng) -> bool {
        let mut moments = Vec::new();
        self.lives.begin(None);
        self.lives.wait_on_duty().await;
        if !self.settle().await {
            return false;
        }
        for batch in 1..=scale.batches {
            Moment::signal(&mut random).kill(self.world, &mut self.lives, scale.accounts, &mut random).await;
            while self.lives.kills() < batch * scale.kills {
                if moments.is_empty() {
                    moments = Moment::shuffled(rotation, &mut random);
                }
                let moment = moments.pop().unwrap_or(Moment::AnyTime);
                moment.kill(self.world, &mut self.lives, scale.accounts, &mut random).await;
            }
            self.lives.begin(None);
            self.lives.wait_on_duty().await;
            if !self.settle().await {
                return false;
            }
            self.reader.read().await;
        }
        true
    }

    /// Waits until every account is Ready with its newest token stored; gives those a new token that have lost theirs.
    /// Answers whether that came about.
    async fn settle(&mut self) -> bool {
        let end = Instant::now() + SETTLE;
        let mut waiting: BTreeMap<String, String> =
            self.newest.keys().map(|name| (name.clone(), String::new())).collect();
        loop {
            self.lives.begin_anew_if_it_ended();
            for (name, look) in self.look().await {
                match look {
                    Look::Settled => drop(waiting.remove(&name)),
                    Look::Lost => self.authorize_anew(&name).await,
                    Look::Waits(what) => {
                        waiting.entry(name).and_modify(|seen| *seen = what);
                    }
                }
            }
            if waiting.is_empty() {
                return true;
            }
            if Instant::now() >= end {
                self.unexplained.extend(waiting.into_iter().map(|(name, what)| format!("{name}: not settled: {what}")));
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look(&mut self) -> Vec<(String, Look)> {
        self.follow().await;
        let secrets = self.world.secrets().list(&ListParams::default()).await.unwrap();
        let secrets: HashMap<String, Secret> = secrets.into_iter().map(|secret| (secret.name_any(), secret)).collect();
        let accounts = self.world.api::<SpotifyAccount>().list(&ListParams::default()).await.unwrap();
        accounts.iter().map(|account| (account.name_any(), self.look_at(account, &secrets))).collect()
    }

    fn look_at(&self, account: &SpotifyAccount, secrets: &HashMap<String, Secret>) -> Look {
        let name = account.name_any();
        let status = account.status.clone().unwrap_or_default();
        let value = |key: &str| {
            let data = secrets.get(&format!("{name}-spotify"))?.data.as_ref()?;
            data.get(key).map(|value| value.0.clone())
        };
        let held = value(key::REFRESH_TOKEN).map(sha256);
        let claimed = value(key::CLAIM).is_some();
        let given = self.given.get(&name).filter(|given| held.as_ref() == Some(given));
        let is_taken_up =
            given.is_none_or(|given| self.reader.records.exchanges.iter().any(|exchange| exchange.sent == *given));
        let ready = ready(&status);
        let newest = self.newest.get(&name) == held.as_ref();
        if condition(&status, ConditionType::Authorized).0 == "False" && is_taken_up && !newest {
            return Look::Lost;
        }
        if ready == ("True", "Succeeded") && newest && !claimed && is_taken_up {
            return Look::Settled;
        }
        Look::Waits(format!("Ready={ready:?}, newest stored: {newest}, claimed: {claimed}, taken up: {is_taken_up}"))
    }

    /// Follows what the simulator has issued.
    async fn follow(&mut self) {
        self.reader.read_simulator().await;
        for exchange in &self.reader.records.exchanges[self.followed..] {
            if let Answer::Granted { rotated: Some(token), .. } = &exchange.answer {
                self.newest.insert(exchange.account.clone(), token.clone());
            }
        }
        self.followed = self.reader.records.exchanges.len();
    }

    /// What a human does about an account that has lost its authorization.
    async fn authorize_anew(&mut self, name: &str) {
        let minted = self.world.script.mint_tokens(name).await.unwrap();
        self.newest.insert(name.to_owned(), minted.refresh_token_sha256.clone());
        self.given.insert(name.to_owned(), minted.refresh_token_sha256.clone());
        put(self.world, name, json!({"refresh-token": minted.refresh_token})).await;
        self.world.request(name, &minted.refresh_token_sha256).await;
    }

    /// What is stored at the end still works: every account is refreshed once more. Answers whether it was.
    async fn refresh_once_more(&mut self) -> bool {
        self.follow().await;
        let before = self.followed;
        let end = Instant::now() + SETTLE;
        loop {
            self.follow().await;
            let granted = self.reader.records.exchanges[before..]
                .iter()
                .filter(|exchange| matches!(exchange.answer, Answer::Granted { .. }));
            let granted: Vec<&str> = granted.map(|exchange| exchange.account.as_str()).collect();
            let missing: Vec<&String> = self.newest.keys().filter(|name| !granted.contains(&name.as_str())).collect();
            if missing.is_empty() {
                return true;
            }
            if Instant::now() >= end {
                self.unexplained.push(format!("not refreshed once more: {missing:?}"));
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The operator has ended: the newest token that works is in the Secrets.
    async fn look_at_the_end(&mut self) {
        let secrets = self.world.secrets().list(&ListParams::default()).await.unwrap();
        let held: HashMap<String, String> = secrets
            .into_iter()
            .filter_map(|secret| {
                let token = secret.data.as_ref()?.get(key::REFRESH_TOKEN)?.0.clone();
                Some((secret.name_any(), sha256(token)))
            })
            .collect();
        for account in self.world.api::<SpotifyAccount>().list(&ListParams::default()).await.unwrap() {
            let name = account.name_any();
            let state = held.get(&format!("scrobble-operator-state-{}", account.uid().unwrap()));
            let token = held.get(&format!("{name}-spotify"));
            let current = report(self.world, &name).await.current;
            if current.is_none() || token != current.as_ref() || state.is_some_and(|state| Some(state) != token) {
                self.unexplained.push(format!("{name}: the newest token is not stored in the end"));
            }
        }
    }
}
