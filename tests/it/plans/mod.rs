//! Seats, numbers and fallbacks of plans, on the real API server.

mod decided;
mod members;
mod race;
mod seats;
mod size;

use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use scrobble_harness::audit::Marker;
use scrobble_harness::wait_for_object;
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{MembershipStatus, ScrobblePlan, ScrobblePlanStatus, SpotifyAccount};
use serde_json::{Value, json};

use crate::world::{DEADLINE, World};

/// Plans have no namespace: these are called after the test's.
struct Plans<'a> {
    world: &'a World,
    api: Api<ScrobblePlan>,
}

impl<'a> Plans<'a> {
    fn of(world: &'a World) -> Self {
        Self { world, api: Api::all(world.client.clone()) }
    }

    /// The whole name of a plan.
    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.world.namespace)
    }

    async fn create(&self, name: &str, spec: Value) {
        let mut spec = spec;
        if let Some(fallback) = spec["fallback"].as_str() {
            spec["fallback"] = json!(self.name(fallback));
        }
        let manifest = json!({
            "apiVersion": "scrobble-operator.io/v1alpha1", "kind": "ScrobblePlan",
            "metadata": {"name": self.name(name)}, "spec": spec,
        });
        self.api.create(&PostParams::default(), &serde_json::from_value(manifest).unwrap()).await.unwrap();
    }

    async fn delete(&self, name: &str) {
        self.api.delete(&self.name(name), &DeleteParams::default()).await.unwrap();
    }

    async fn change(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api.patch(&self.name(name), &PatchParams::default(), &patch).await.unwrap();
    }

    /// An administrator removes a member.
    async fn remove(&self, name: &str, account: &str) {
        let plan = self.api.get_status(&self.name(name)).await.unwrap();
        let members = plan.status.unwrap().members;
        let place = members.iter().position(|member| member.name == account).unwrap();
        let path = format!("/status/members/{place}");
        let patch =
            json!([{"op": "test", "path": format!("{path}/name"), "value": account}, {"op": "remove", "path": path}]);
        let patch = Patch::Json::<()>(serde_json::from_value(patch).unwrap());
        self.api.patch_status(&self.name(name), &PatchParams::default(), &patch).await.unwrap();
    }

    async fn wait(&self, name: &str, what: &str, wanted: impl Fn(&ScrobblePlanStatus) -> bool) -> ScrobblePlanStatus {
        let wanted = |plan: &ScrobblePlan| plan.status.as_ref().is_some_and(&wanted);
        wait_for_object(&self.api, &self.name(name), what, DEADLINE, wanted).await.unwrap().status.unwrap()
    }

    /// An account that nothing is asked for, because its app does not exist: it has its seat all the same.
    async fn applicant(&self, name: &str, plan: &str) {
        // Names of Secrets are no longer than those of accounts.
        let mut spec = self.world.spec(&name[..name.len().min(200)], "24h");
        spec["appRef"] = json!({"name": "nothing"});
        spec["plan"] = json!(self.name(plan));
        self.world.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
    }

    /// Waits until an account shows this plan and number.
    async fn wait_member(&self, account: &str, plan: &str, number: Option<i64>) -> MembershipStatus {
        let name = self.name(plan);
        let is_there = |held: &MembershipStatus| held.plan.as_ref() == Some(&name) && held.number == number;
        let what = format!("{plan}, number {number:?}");
        let wanted = |status: &scrobble_operator::api::v1alpha1::SpotifyAccountStatus| {
            status.membership.as_ref().is_some_and(is_there)
        };
        self.world.wait(account, &what, wanted).await.status.unwrap().membership.unwrap()
    }
}

/// The message of `Ready` of a plan.
fn message(status: &ScrobblePlanStatus) -> &str {
    find_condition(&status.conditions, ConditionType::Ready).map_or("", |ready| &ready.message)
}

/// Names and numbers of members, in the order of their seats.
fn numbers(status: &ScrobblePlanStatus) -> Vec<(&str, Option<i64>)> {
    status.members.iter().map(|member| (member.name.as_str(), member.number)).collect()
}

/// What the operator wrote in the test's namespace since a mark: `patch spotifyaccounts alice`.
async fn written(world: &World, since: Marker) -> Vec<String> {
    let writes = world.writes(since).await;
    writes
        .iter()
        .map(|entry| format!("{} {} {}", entry.verb, entry.resource, entry.name.as_deref().unwrap_or("")))
        .collect()
}
