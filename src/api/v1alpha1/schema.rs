//! Schemas of strings that several fields share.
//!
//! Each has a `pattern`, which editors and validators outside the cluster understand, and where a pattern alone would
//! leave the reader guessing, a rule whose message names the remedy.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// RFC 1123 subdomain: what the API server accepts as the name of most objects.
const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// RFC 1123 label: what the API server accepts as the name of a namespace.
const LABEL: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// What the API server accepts as a key of a Secret.
const SECRET_KEY: &str = r"^[-._a-zA-Z0-9]+$";

/// RFC 3339, which is also what JSON Schema calls `date-time`.
const TIMESTAMP: &str =
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$";

/// Plain ASCII, an authority without userinfo, no spaces or control characters.
const URL: &str = r"^https?://[A-Za-z0-9.:\[\]_~-]+([/?][!-~]*)?$";

/// Go's duration syntax, without signs, days and units under a millisecond.
const DURATION: &str = r"^([0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$";

/// The name of an object that is not a namespace.
pub fn object_name(_: &mut SchemaGenerator) -> Schema {
    string(253, SUBDOMAIN, "must be the name of an object: lower case letters, digits, '-' and '.', at most 253")
}

/// The name of a namespace, or of an entry of a list.
pub fn label_name(_: &mut SchemaGenerator) -> Schema {
    string(
        63,
        LABEL,
        "must be lower case letters, digits and '-', starting and ending with a letter or digit, at most 63",
    )
}

/// A key of a Secret.
pub fn secret_key(_: &mut SchemaGenerator) -> Schema {
    string(253, SECRET_KEY, "must be a key of a Secret: letters, digits, '-', '_' and '.', at most 253")
}

/// A point in time that a human writes.
pub fn timestamp(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "maxLength": 35, "pattern": TIMESTAMP })
}

/// A URL that credentials are sent to.
pub fn url(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 2048,
        "pattern": URL,
        "x-kubernetes-validations": [
            {
                "rule": "self.matches('^https?://')",
                "message": "url must start with https:// (or http:// for an address that --allow-private-targets names)",
            },
            {
                "rule": "!self.matches('^[a-zA-Z]+://[^/?#]*@')",
                "message": "url must not hold a user name or password: put the credentials into a Secret and refer to it",
            },
            { "rule": "!self.contains('#')", "message": "url must not have a fragment: remove '#' and what follows" },
            {
                "rule": "self.matches('^[!-~]*$')",
                "message": "url must be plain ASCII without spaces: write the host as xn--... and percent-encode the path",
            },
            { "rule": "isURL(self)", "message": "url must be an absolute URL such as https://scrobbles.example.org/api" },
        ],
    })
}

/// A duration between two others, both in Go's syntax.
pub fn duration(shortest: &str, longest: &str) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 2,
        "maxLength": 40,
        "pattern": DURATION,
        "x-kubernetes-validations": [{
            "rule": format!(
                "self.matches('{}') && duration(self) >= duration('{shortest}') && duration(self) <= duration('{longest}')",
                quoted(DURATION),
            ),
            "message": format!("must be a duration from {shortest} to {longest}, such as 90s, 20m or 1h30m"),
        }],
    })
}

/// From 1 s to 24 h: intervals and waits.
pub fn up_to_a_day(_: &mut SchemaGenerator) -> Schema {
    duration("1s", "24h")
}

/// A rule of a circuit breaker. It lets unreadable durations pass: those have a message of their own.
pub fn probe_order() -> String {
    let readable = |field: &str| format!("self.{field}.matches('{}')", quoted(DURATION));
    format!(
        "!({} && {}) || duration(self.maxProbeAfter) >= duration(self.probeAfter)",
        readable("probeAfter"),
        readable("maxProbeAfter"),
    )
}

/// A duration that the operator writes.
pub fn any_duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 40, "pattern": DURATION })
}

/// Conditions as metav1 documents them, bounded.
pub fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": <k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition as schemars::JsonSchema>::json_schema(generator),
    });
    for (field, bound, value) in [
        ("type", "maxLength", json!(316)),
        ("type", "minLength", json!(1)),
        ("status", "enum", json!(["True", "False", "Unknown"])),
        ("reason", "maxLength", json!(1024)),
        ("reason", "minLength", json!(1)),
        ("reason", "pattern", json!("^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")),
        ("message", "maxLength", json!(crate::api::condition::MESSAGE_MAXIMUM)),
        ("observedGeneration", "minimum", json!(0)),
    ] {
        if let Some(property) = schema.pointer_mut(&format!("/items/properties/{field}")).and_then(Value::as_object_mut)
        {
            property.insert(bound.to_owned(), value);
        }
    }
    schema
}

/// A label selector over namespaces, bounded.
pub fn namespace_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that a namespace must carry, each with exactly this value.",
                "type": "object",
                "maxProperties": 16,
                "additionalProperties": {
                    "description": "The value that the label must have.",
                    "type": "string",
                    "maxLength": 63,
                },
            },
            "matchExpressions": {
                "description": "Conditions on labels that a namespace must meet, all of them.",
                "type": "array",
                "maxItems": 16,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "One condition on one label.",
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "The label's key.",
                            "type": "string",
                            "minLength": 1,
                            "maxLength": 317,
                        },
                        "operator": {
                            "description": "How the label relates to `values`: In, NotIn, Exists or DoesNotExist.",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "The values: at least one for In and NotIn, none for Exists and DoesNotExist.",
                            "type": "array",
                            "maxItems": 32,
                            "x-kubernetes-list-type": "atomic",
                            "items": {
                                "description": "One value of the label.",
                                "type": "string",
                                "maxLength": 63,
                            },
                        },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                        "message": "values must name at least one value for In and NotIn, and be absent for Exists and DoesNotExist",
                    }],
                },
            },
        },
    })
}

fn string(longest: usize, pattern: &str, message: &str) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": longest,
        "pattern": pattern,
        "x-kubernetes-validations": [{
            "rule": format!("self.matches('{}')", quoted(pattern)),
            "message": format!("{message} characters"),
        }],
    })
}

/// A regular expression inside a CEL string: backslashes doubled.
fn quoted(pattern: &str) -> String {
    pattern.replace('\\', r"\\")
}
