//! `ScrobblePlan`: what an account is entitled to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{duration::GoDuration, namespaces::PlanNamespaces, schema};

/// What an account is entitled to: how often it is read, how many accounts there may be, and their numbers.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "scrobble-operator.io",
    version = "v1alpha1",
    kind = "ScrobblePlan",
    doc = "What an account is entitled to: its shortest interval, a seat, and a number.",
    status = "ScrobblePlanStatus",
    derive = "PartialEq",
    shortname = "splan",
    category = "scrobble",
    validation = Rule::new("!has(self.spec.fallback) || self.spec.fallback != self.metadata.name")
        .message("spec.fallback must name another plan than this one, or be removed"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether accounts can use the plan",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        description = "The reason of Ready",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(
        name = "Min Interval",
        type_ = "string",
        description = "The shortest time between two reads",
        json_path = ".spec.minInterval"
    ),
    printcolumn(
        name = "Seats",
        type_ = "integer",
        description = "How many accounts are admitted; empty: unlimited",
        json_path = ".spec.seats"
    ),
    printcolumn(
        name = "Taken",
        type_ = "integer",
        description = "How many seats are taken",
        json_path = ".status.seatsTaken"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        description = "How long ago the object was created",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Fallback",
        type_ = "string",
        description = "The plan of accounts that find no seat",
        json_path = ".spec.fallback",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        description = "The message of Ready",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase", default)]
pub struct ScrobblePlanSpec {
    /// The shortest time between two reads of an account, 1s to 24h. The operator's `--minimum-interval` raises a
    /// shorter one.
    pub min_interval: GoDuration,

    /// How many accounts are admitted, 1 to 2000, first come first served. Absent: unlimited, or 2000 where `numbered` is
    /// true, for members are counted then. Lowered below the number of members, it takes no seat away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2000))]
    pub seats: Option<i32>,

    /// True gives each member a number that is never used twice and never changes. Set later, it gives those who are
    /// members by then their numbers in the order of their seats.
    pub numbered: bool,

    /// Name of the plan that an account gets when no seat is left. Absent: none, and the account is not read. A fallback
    /// may be full and have a fallback itself: at most 8 plans are tried, each once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub fallback: Option<String>,

    /// Which namespaces' accounts may use the plan.
    pub allowed_namespaces: PlanNamespaces,
}

impl Default for ScrobblePlanSpec {
    fn default() -> Self {
        Self {
            min_interval: GoDuration::from_mins(5),
            seats: None,
            numbered: false,
            fallback: None,
            allowed_namespaces: PlanNamespaces::default(),
        }
    }
}

/// What the operator knows about the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ScrobblePlanStatus {
    /// The `metadata.generation` that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,

    /// Ready; Reconciling and Stalled only while True.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// How many seats are taken.
    #[schemars(range(min = 0))]
    pub seats_taken: i32,

    /// The number that the next member gets; it only grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub next_number: Option<i64>,

    /// Who holds a seat. A seat belongs to namespace and name for good; an administrator frees one by removing its
    /// entry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 2000),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["namespace", "name"])
    )]
    pub members: Vec<PlanMember>,
}

/// An account that holds a seat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanMember {
    /// Namespace of the account.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,

    /// Name of the account.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Uid of the account when it was last seen; a re-created account gets its own seat again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,

    /// The member's number; absent unless the plan is numbered, or was when the seat was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub number: Option<i64>,

    /// When the seat was granted.
    pub granted_time: Time,
}
