//! One valid spec of each kind with every field, and one with only what must be given.

use serde_json::{Value, json};

pub const KINDS: [&str; 4] = ["ScrobblePlan", "ScrobbleTarget", "SpotifyAccount", "SpotifyApp"];

/// Specs that together set every field of the kind.
pub fn full(kind: &str) -> Vec<Value> {
    let selector = json!({
        "from": "Selector",
        "selector": {
            "matchLabels": { "example.org/music": "allowed" },
            "matchExpressions": [{ "key": "example.org/team", "operator": "In", "values": ["a", "b"] }],
        },
    });
    let breaker = json!({ "failureThreshold": 3, "probeAfter": "1.5m", "maxProbeAfter": "1h30m" });
    let target = |kind: &str, field: &str, block: Value| {
        json!({
            "type": kind,
            "url": "https://scrobbles.example.org:8443/api",
            "timestamp": "EstimatedStart",
            field: block,
            "allowedNamespaces": selector,
            "circuitBreaker": breaker,
        })
    };
    match kind {
        "SpotifyApp" => vec![json!({
            "clientId": "0123456789abcdef0123456789abcdef",
            "clientSecretRef": { "name": "spotify-app", "key": "client-secret" },
            "quota": { "group": "acme-dev", "dailyCalls": 0 },
            "allowedNamespaces": selector,
            "notifications": {
                "url": "https://hooks.example.org/x?y=z",
                "signingKeyRef": { "name": "hooks", "key": "hmac" },
            },
            "circuitBreaker": breaker,
        })],
        "SpotifyAccount" => vec![json!({
            "appRef": { "name": "main", "namespace": "music" },
            "tokenSecretRef": { "name": "alice-spotify" },
            "sync": { "interval": "1h30m", "startTime": "2026-11-01T00:00:00Z" },
            "targets": [{
                "name": "lastfm",
                "targetRef": { "name": "lastfm", "namespace": "music" },
                "credentialsRef": { "name": "alice-lastfm", "key": "session-key" },
                "startTime": "2026-11-02T01:00:00+01:00",
            }],
            "plan": "free",
            "suspend": true,
        })],
        "ScrobbleTarget" => vec![
            target(
                "LastFm",
                "lastFm",
                json!({
                    "apiKeyRef": { "name": "lastfm-app", "key": "api-key" },
                    "sharedSecretRef": { "name": "lastfm-app", "key": "shared-secret" },
                    "onForeignScrobbler": "Send",
                }),
            ),
            target("ListenBrainz", "listenBrainz", json!({ "batchSize": 50 })),
            target("Maloja", "maloja", json!({})),
            target("Webhook", "webhook", json!({ "signingKeyRef": { "name": "hook", "key": "hmac" } })),
        ],
        "ScrobblePlan" => vec![json!({
            "minInterval": "5m",
            "seats": 100,
            "numbered": true,
            "fallback": "free",
            "allowedNamespaces": selector,
        })],
        _ => panic!("{kind} is no kind of the API"),
    }
}

/// What must be given, and what is stored then.
pub fn minimal() -> Vec<(&'static str, Value, Value)> {
    let webhook = json!({ "signingKeyRef": { "name": "hook", "key": "hmac" } });
    let target_breaker = json!({ "failureThreshold": 5, "probeAfter": "15m", "maxProbeAfter": "1h" });
    vec![
        (
            "SpotifyApp",
            json!({ "clientId": "0123456789abcdef0123456789abcdef" }),
            json!({
                "clientId": "0123456789abcdef0123456789abcdef",
                "quota": { "dailyCalls": 400 },
                "allowedNamespaces": { "from": "Same" },
                "circuitBreaker": { "failureThreshold": 5, "probeAfter": "15m", "maxProbeAfter": "24h" },
            }),
        ),
        (
            "SpotifyAccount",
            json!({
                "appRef": { "name": "main" },
                "tokenSecretRef": { "name": "alice" },
                "targets": [{ "name": "hook", "targetRef": { "name": "hook" } }],
            }),
            json!({
                "appRef": { "name": "main" },
                "tokenSecretRef": { "name": "alice" },
                "sync": { "interval": "20m" },
                "targets": [{ "name": "hook", "targetRef": { "name": "hook" } }],
                "suspend": false,
            }),
        ),
        (
            "ScrobbleTarget",
            json!({ "type": "Webhook", "url": "https://plays.example.org", "webhook": webhook }),
            json!({
                "type": "Webhook",
                "url": "https://plays.example.org",
                "webhook": webhook,
                "timestamp": "PlayedAt",
                "allowedNamespaces": { "from": "Same" },
                "circuitBreaker": target_breaker,
            }),
        ),
        (
            "ScrobbleTarget",
            json!({ "type": "ListenBrainz", "listenBrainz": {} }),
            json!({
                "type": "ListenBrainz",
                "listenBrainz": { "batchSize": 100 },
                "timestamp": "PlayedAt",
                "allowedNamespaces": { "from": "Same" },
                "circuitBreaker": target_breaker,
            }),
        ),
        (
            "ScrobbleTarget",
            json!({ "type": "ListenBrainz" }),
            json!({
                "type": "ListenBrainz",
                "timestamp": "PlayedAt",
                "allowedNamespaces": { "from": "Same" },
                "circuitBreaker": target_breaker,
            }),
        ),
        (
            "ScrobblePlan",
            json!({}),
            json!({ "minInterval": "5m", "numbered": false, "allowedNamespaces": { "from": "All" } }),
        ),
    ]
}
