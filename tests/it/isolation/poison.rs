//! Everything that may be bad about one account, each kind on an account of its own.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use kube::api::{Patch, PatchParams};
use kube::{Resource as _, ResourceExt as _};
use scrobble_harness::{wait_for_object, wait_until};
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use scrobble_simulator::api::{BodyForm, Effect, Endpoint, NewAccount, NewFault};
use serde_json::{Value, json};

use crate::world::{CLIENT_ID, DEADLINE, World, ready};

/// A kind of badness.
pub struct Poison {
    pub name: &'static str,
    what: What,
    told: Told,
}

enum What {
    /// The token Secret's data, `label` being its use.
    Secret { label: &'static str, data: BTreeMap<&'static str, ByteString> },
    /// What Spotify or a service answers, every time.
    Answer(Endpoint, Effect),
    /// What somebody wrote into the status.
    Status(Value),
    /// What stands in the journal Secret, which is the operator's own or only looks like it.
    Journal { own: bool, bytes: Vec<u8> },
    /// Annotations.
    Annotations(Value),
    /// The operator's own fault, every time.
    Panic,
}

/// What becomes of the account.
enum Told {
    /// `Ready` is `False` for this reason.
    Stopped(&'static str),
    /// It is taken for what it is worth: the account goes on.
    Well,
    /// Whatever it is worth, it was seen.
    Seen,
}

/// A page with one item, which is this one.
fn page(item: &Value) -> Effect {
    let page = json!({"href": null, "limit": 50, "next": null, "cursors": null, "items": [item]});
    text(&page.to_string())
}

fn text(text: &str) -> Effect {
    Effect::Status { status: 200, body: BodyForm::Json, text: Some(text.to_owned()), retry_after_seconds: None }
}

/// An item of Spotify's page, as it should be.
fn item(title: &str, played_at: &Value) -> Value {
    json!({
        "context": null, "played_at": played_at,
        "track": {
            "type": "track", "id": "4uLU6hMCjMI75M1A2tKUQC", "uri": "spotify:track:4uLU6hMCjMI75M1A2tKUQC",
            "name": title, "duration_ms": 200_000, "explicit": false, "is_local": false, "track_number": 1,
            "disc_number": 1, "external_ids": {}, "external_urls": {},
            "artists": [{"type": "artist", "id": "1", "name": "The Simulated"}],
            "album": {"type": "album", "id": "1", "name": "An Album", "artists": [], "images": []},
        },
    })
}

/// All of them.
pub fn poisons() -> Vec<Poison> {
    const UPSTREAM: Told = Told::Stopped("UpstreamUnavailable");
    let time = |time: &str| page(&item("Out of time", &json!(time)));
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let mut poisons = secrets();
    let mut answer = |name, endpoint, effect, told| {
        poisons.push(Poison { name, what: What::Answer(endpoint, effect), told });
    };
    let read = Endpoint::RecentlyPlayed;
    answer("page-html", read, Effect::HtmlBody, UPSTREAM);
    answer("page-cut", read, Effect::TruncatedBody, Told::Stopped("NetworkError"));
    answer("page-huge", read, Effect::OversizedBody { bytes: 0 }, UPSTREAM);
    answer("page-retyped", read, Effect::WrongJsonType, UPSTREAM);
    answer("page-empty", read, text(""), UPSTREAM);
    answer("page-deep", read, text(&nested(100_000)), UPSTREAM);
    let deep = json!({"items": []}).to_string().replace("[]", &format!("[{{\"track\": {}}}]", nested(1_000)));
    answer("page-deep-item", read, text(&deep), UPSTREAM);
    answer("page-null", read, text(r#"{"items": null}"#), UPSTREAM);
    answer("page-nulls", read, text(r#"{"items": [null, {"track": null, "played_at": null}, 7, []]}"#), Told::Seen);
    let halves = page(&item("HALF", &json!("2026-01-01T00:00:00.000Z")));
    let Effect::Status { text: Some(halves), .. } = halves else { unreachable!("a page is a text") };
    answer("page-half-character", read, text(&halves.replace("HALF", r"\ud834 and \udd1e")), Told::Well);
    answer("page-long-title", read, page(&item(&"é".repeat(200_000), &json!("2026-01-01T00:00:00.000Z"))), Told::Seen);
    answer("page-control", read, page(&item("a\u{0}b\u{1b}[31m\n", &json!("2026-01-01T00:00:00.000Z"))), Told::Seen);
    answer("page-future", read, time("9999-12-31T23:59:59.999Z"), Told::Seen);
    answer("page-far-future", read, time("+99999-12-31T23:59:59.999Z"), Told::Seen);
    answer("page-past", read, time("0001-01-01T00:00:00.000Z"), Told::Seen);
    answer("page-no-time", read, time("yesterday"), Told::Seen);
    answer("page-numeric-time", read, page(&item("Out of time", &json!(1e300))), Told::Seen);
    answer("token-html", Endpoint::Token, Effect::HtmlBody, UPSTREAM);
    answer("token-cut", Endpoint::Token, Effect::TruncatedBody, Told::Stopped("NetworkError"));
    answer("token-huge", Endpoint::Token, Effect::OversizedBody { bytes: 0 }, UPSTREAM);
    answer("token-retyped", Endpoint::Token, Effect::WrongJsonType, UPSTREAM);
    let endless = r#"{"access_token": "x", "token_type": "Bearer", "expires_in": 18446744073709551615}"#;
    answer("token-endless", Endpoint::Token, text(endless), Told::Seen);
    answer("listens-html", Endpoint::ListenbrainzSubmit, Effect::HtmlBody, Told::Seen);
    answer("listens-cut", Endpoint::ListenbrainzSubmit, Effect::TruncatedBody, Told::Seen);
    answer("listens-huge", Endpoint::ListenbrainzSubmit, Effect::OversizedBody { bytes: 0 }, Told::Seen);
    answer("listens-retyped", Endpoint::ListenbrainzSubmit, Effect::WrongJsonType, Told::Seen);
    answer("listens-deep", Endpoint::ListenbrainzSubmit, text(&nested(10_000)), Told::Seen);
    poisons.extend([
        Poison { name: "ledger", what: What::Status(json!({"ledger": "\u{1F4A3}".repeat(1000)})), told: Told::Well },
        Poison { name: "ledger-base64", what: What::Status(json!({"ledger": "AAAA".repeat(1000)})), told: Told::Well },
        Poison {
            name: "journal",
            what: What::Journal { own: true, bytes: vec![0xff; 100_000] },
            told: Told::Stopped("JournalUnreadable"),
        },
        Poison {
            name: "journal-planted",
            what: What::Journal { own: false, bytes: vec![0xff; 100_000] },
            told: Told::Stopped("SecretInvalid"),
        },
        Poison {
            name: "annotations",
            what: What::Annotations(json!({
                "scrobble-operator.io/reconcile-requested-at": "é".repeat(60_000),
                "scrobble-operator.io/retry-quarantined-at": "é".repeat(60_000),
            })),
            told: Told::Well,
        },
        Poison { name: "panics", what: What::Panic, told: Told::Stopped("InternalError") },
    ]);
    poisons
}

fn secrets() -> Vec<Poison> {
    let bytes = |bytes: &[u8]| BTreeMap::from([("refresh-token", ByteString(bytes.to_vec()))]);
    let secret =
        |name, label, data, reason| Poison { name, what: What::Secret { label, data }, told: Told::Stopped(reason) };
    let own = |name, key, value: &[u8], reason| {
        let mut data = bytes(b"a-token");
        data.insert(key, ByteString(value.to_vec()));
        secret(name, "token", data, reason)
    };
    vec![
        secret("secret-binary", "token", bytes(&[0xff, 0xfe, 0x00, 0x9f]), "SecretInvalid"),
        secret("secret-long", "token", bytes(&[b'x'; 500_000]), "SecretInvalid"),
        secret("secret-empty", "token", bytes(b""), "SecretInvalid"),
        secret("secret-keyless", "token", BTreeMap::new(), "SecretKeyMissing"),
        secret("secret-mislabelled", "target", bytes(b"a-token"), "SecretNotLabelled"),
        own("secret-flow", "flow", &[0xff; 10_000], "SecretInvalid"),
        own("secret-time", "expires-at", b"9999999999999999999999", "SecretInvalid"),
    ]
}

impl Poison {
    /// What makes the operator itself fail, for all of them.
    pub fn failpoints() -> String {
        let panics: Vec<String> = (1..=50).map(|passing| format!("panic:begun@panics#{passing}")).collect();
        panics.join(",")
    }

    /// An account that is bad in this way, before the operator sees it.
    pub async fn set_up(&self, world: &World, spec: &Value) {
        let name = self.name;
        let tokens = world.script.add_account(&NewAccount::new(name, CLIENT_ID)).await.unwrap();
        world.play(name, 1, 60).await;
        let token = BTreeMap::from([("refresh-token", ByteString(tokens.refresh_token.into_bytes()))]);
        let (label, data) = match &self.what {
            What::Secret { label, data } => (*label, data),
            _ => ("token", &token),
        };
        let metadata = json!({"name": format!("{name}-spotify"), "labels": {"scrobble-operator.io/use": label}});
        world.put_secret(&json!({"metadata": metadata, "data": data})).await;
        let mut spec = spec.clone();
        if let What::Answer(endpoint, effect) = &self.what {
            if *endpoint == Endpoint::ListenbrainzSubmit {
                world.listenbrainz(name).await;
                spec["targets"] = world.spec(name, "1s")["targets"].clone();
            }
            world.script.add_fault(&NewFault::new(effect.clone()).at(*endpoint).of(name)).await.unwrap();
        }
        let account = world.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
        match &self.what {
            What::Status(status) => {
                let patch = Patch::Merge(json!({"status": status}));
                let accounts = world.api::<SpotifyAccount>();
                accounts.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
            }
            What::Journal { own, bytes } => {
                let name = format!("scrobble-operator-journal-{}", account.uid().unwrap());
                let mut metadata = json!({"name": name, "labels": {"scrobble-operator.io/use": "state"}});
                if *own {
                    metadata["ownerReferences"] = json!([account.controller_owner_ref(&())]);
                }
                let data = json!({"journal": ByteString(bytes.clone())});
                world.put_secret(&json!({"metadata": metadata, "data": data})).await;
            }
            What::Annotations(annotations) => {
                world.patch::<SpotifyAccount>(name, json!({"metadata": {"annotations": annotations}})).await;
            }
            What::Secret { .. } | What::Answer(..) | What::Panic => {}
        }
    }

    /// Waits until it has had its effect, and until that is told where it stops the account.
    ///
    /// # Errors
    /// What did not happen.
    pub async fn is_told(&self, world: &World) -> Result<(), String> {
        let name = self.name;
        if matches!(self.what, What::Answer(..)) {
            let struck = async || {
                let faults = world.script.faults().await.map_err(|error| error.to_string())?;
                let rule = faults.iter().find(|fault| fault.rule.account.as_deref() == Some(name));
                rule.filter(|rule| rule.applied > 0).map(drop).ok_or_else(|| "not asked for".to_owned())
            };
            let what = format!("the poison of {name}");
            wait_until(&what, DEADLINE, struck).await.map_err(|error| error.to_string())?;
        }
        let told = |account: &SpotifyAccount| account.status.as_ref().is_some_and(|status| self.shows(status));
        let told = wait_for_object(&world.api::<SpotifyAccount>(), name, "what was told", DEADLINE, told).await;
        told.map(drop).map_err(|error| format!("{name}: {error}"))
    }

    fn shows(&self, status: &SpotifyAccountStatus) -> bool {
        match self.told {
            Told::Stopped(reason) => {
                let open = ready(status) == ("False", "CircuitOpen");
                let failures = status.failures.as_ref().and_then(|failures| failures.last_reason.as_deref());
                ready(status) == ("False", reason) || (open && failures == Some(reason))
            }
            Told::Well => ready(status) == ("True", "Succeeded"),
            Told::Seen => {
                status.failures.is_some() || status.sync.as_ref().is_some_and(|sync| sync.last_sync_time.is_some())
            }
        }
    }
}
