//! `make seats`: two operators that do not wait for each other grant the seats of many plans at the same time, and are
//! killed while they do. What they wrote is told by the API server's audit log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use kube::api::ListParams;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use scrobble_harness::audit::Marker;
use scrobble_harness::{OperatorProcess, wait_for_object, wait_until};
use scrobble_operator::api::v1alpha1::{
    MembershipStatus, PlanMember, ScrobblePlan, ScrobblePlanStatus, SpotifyAccount, SpotifyAccountStatus,
};
use serde_json::json;

use super::Plans;
use crate::chaos::seed;
use crate::world::{World, ready};

/// How many accounts are created at the same time.
const CREATIONS: usize = 16;
/// The longest wait, for a long run on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_mins(15);

/// How much is done.
#[derive(Clone, Copy, Debug)]
struct Scale {
    plans: usize,
    /// Accounts that race for the seats of each plan.
    accounts: usize,
    seats: usize,
    /// How often an operator, or both, are killed from outside; as often a third one dies just after a seat was granted.
    kills: usize,
}

impl Scale {
    /// The short run, which is part of all tests.
    const SHORT: Self = Self { plans: 3, accounts: 24, seats: 12, kills: 2 };
    /// The long run.
    const FULL: Self = Self { plans: 20, accounts: 100, seats: 50, kills: 8 };

    /// As `SCROBBLE_OPERATOR_SEATS` says: `full`, or nothing for the short run.
    fn chosen() -> Self {
        match std::env::var("SCROBBLE_OPERATOR_SEATS").ok().as_deref() {
            Some("full") => Self::FULL,
            None | Some("" | "short") => Self::SHORT,
            Some(other) => panic!("SCROBBLE_OPERATOR_SEATS is {other}: it can be `short` or `full`"),
        }
    }

    fn plan_names(self) -> impl Iterator<Item = String> {
        (0..self.plans).map(|plan| format!("plan-{plan:02}"))
    }

    /// The accounts of a plan.
    fn accounts_of(self, plan: &str) -> impl Iterator<Item = String> {
        (0..self.accounts).map(move |account| format!("{plan}-{account:03}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_operators_and_kills_grant_every_seat_once_and_not_one_more() {
    let (scale, seed) = (Scale::chosen(), seed());
    println!("seed {seed}: repeat with SCROBBLE_TEST_SEED={seed}");
    let world = World::new("race").await;
    let plans = Plans::of(&world);
    let mark = world.mark().await;
    for plan in scale.plan_names() {
        plans.create(&plan, json!({"seats": scale.seats, "numbered": true})).await;
    }
    let everybody = scale.plan_names().flat_map(|plan| {
        let accounts: Vec<String> = scale.accounts_of(&plan).collect();
        accounts.into_iter().map(move |account| (plan.clone(), account))
    });
    let create = async |(plan, account): (String, String)| plans.applicant(&account, &plan).await;
    stream::iter(everybody).map(create).buffer_unordered(CREATIONS).collect::<()>().await;

    let mut operators = [world.start().await, world.start().await];
    let deaths = kill_again_and_again(&plans, &mut operators, scale, &mut StdRng::seed_from_u64(seed)).await;
    let (mut admitted, mut refused) = (0, 0);
    for plan in scale.plan_names() {
        let status = plans.wait(&plan, "to be full", |status| status.members.len() >= scale.seats).await;
        assert_counted(&status, scale.seats);
        for account in scale.accounts_of(&plan) {
            if settled(&plans, &plan, &account, &status).await {
                admitted += 1;
            } else {
                refused += 1;
            }
        }
        let after = plans.wait(&plan, "its status", |_| true).await;
        assert_eq!(after.members, status.members, "{plan}: nobody came or went");
    }
    let (writes, conflicts) = assert_history(&plans, scale, mark).await;
    println!(
        "{} plans of {} seats, {} accounts, 2 operators, {deaths} kills: {admitted} admitted, {refused} NoSeatLeft; \
         {writes} writes of plans, each within its seats; {conflicts} refused, having been decided on an older version",
        scale.plans,
        scale.seats,
        scale.plans * scale.accounts,
    );
    assert_eq!(admitted, scale.plans * scale.seats);
    assert_eq!(refused, scale.plans * (scale.accounts - scale.seats));
    if scale.plans == Scale::FULL.plans {
        assert!(conflicts > 0, "the operators race");
    }
}

/// Kills operators while seats are granted, and starts them again. Answers how many died.
async fn kill_again_and_again(
    plans: &Plans<'_>,
    operators: &mut [OperatorProcess; 2],
    scale: Scale,
    random: &mut StdRng,
) -> usize {
    let (all, mut deaths) = (scale.plans * scale.seats, 0);
    for kill in 0..scale.kills {
        let wanted = all * (kill + 1) / (scale.kills + 2);
        wait_until(&format!("{wanted} seats to be taken"), PATIENCE, async || {
            let taken = taken(plans).await;
            if taken >= wanted { Ok(taken) } else { Err(format!("{taken}")) }
        })
        .await
        .unwrap();
        let which = random.random_range(0..3_usize);
        for (number, operator) in operators.iter_mut().enumerate() {
            if which == number || which == 2 {
                operator.kill().unwrap();
                deaths += 1;
            }
        }
        println!("kill {kill} of {} at {} of {all} seats", ["one", "the other", "both"][which], taken(plans).await);
        // The third one races along, and dies just after it has found a place.
        let point = format!("abort:seated#{}", random.random_range(1..=scale.seats));
        let dying = plans.world.operator().environment("SCROBBLE_OPERATOR_FAILPOINT", &point);
        let mut dying = dying.start_unready().unwrap();
        for operator in operators.iter_mut() {
            if operator.exit_status().unwrap().is_some() {
                *operator = plans.world.operator().start_unready().unwrap();
            }
        }
        dying.wait(PATIENCE).await.unwrap();
        deaths += 1;
    }
    for operator in operators.iter_mut() {
        operator.wait_until_ready(PATIENCE).await.unwrap();
    }
    deaths
}

/// How many seats are taken in all plans of the test.
async fn taken(plans: &Plans<'_>) -> usize {
    let listed = plans.api.list(&ListParams::default()).await.unwrap();
    let ours =
        |plan: &&ScrobblePlan| plan.metadata.name.as_deref().is_some_and(|name| name.starts_with(&plans.name("")));
    let members = |plan: &ScrobblePlan| plan.status.as_ref().map_or(0, |status| status.members.len());
    listed.items.iter().filter(ours).map(members).sum()
}

/// Every seat is taken, and the numbers are those from one to the number of seats.
fn assert_counted(status: &ScrobblePlanStatus, seats: usize) {
    let numbers: BTreeSet<i64> = status.members.iter().filter_map(|member| member.number).collect();
    assert_eq!(status.members.len(), seats, "every seat is taken");
    assert_eq!(numbers, (1..=seats as i64).collect());
    assert_eq!((status.seats_taken, status.next_number), (seats as i32, Some(seats as i64 + 1)));
}

/// Waits until an account shows what its plan says of it. Answers whether it has a seat.
async fn settled(plans: &Plans<'_>, plan: &str, account: &str, status: &ScrobblePlanStatus) -> bool {
    let member = status.members.iter().find(|member| member.name == account);
    let seat = member.map(|member| MembershipStatus {
        plan: Some(plans.name(plan)),
        number: member.number,
        granted_time: Some(member.granted_time.clone()),
    });
    let reason = if seat.is_some() { "AppNotFound" } else { "NoSeatLeft" };
    let wanted = |shown: &SpotifyAccountStatus| shown.membership == seat && ready(shown) == ("False", reason);
    let wanted = |account: &SpotifyAccount| account.status.as_ref().is_some_and(wanted);
    let what = format!("{reason}, {seat:?}");
    wait_for_object(&plans.world.api::<SpotifyAccount>(), account, &what, PATIENCE, wanted).await.unwrap();
    seat.is_some()
}

/// The audit log: no version of a plan had more members than seats, nobody lost a seat, and no number ever belonged to
/// two. Answers how many writes there were, and how many were refused.
async fn assert_history(plans: &Plans<'_>, scale: Scale, mark: Marker) -> (usize, usize) {
    let audit = plans.world.plane.audit();
    audit.settle(&plans.world.client).await.unwrap();
    let mut owners: BTreeMap<(String, i64), String> = BTreeMap::new();
    let mut members: BTreeMap<String, Vec<PlanMember>> = BTreeMap::new();
    let (mut writes, mut conflicts) = (0, 0);
    let mut versions: Vec<(u64, ScrobblePlan)> = Vec::new();
    for entry in audit.entries_since(mark).unwrap() {
        let ours = entry.name.as_deref().is_some_and(|name| name.starts_with(&plans.name("")));
        if !ours || !entry.is_about("scrobbleplans/status") || entry.verb != "patch" {
            continue;
        }
        if !entry.is_write() {
            conflicts += usize::from(entry.code == 409);
            continue;
        }
        let plan: ScrobblePlan = serde_json::from_value(entry.response.unwrap()).unwrap();
        versions.push((plan.metadata.resource_version.clone().unwrap().parse().unwrap(), plan));
    }
    // Answers may be logged in another order than writes took place.
    versions.sort_by_key(|(version, _)| *version);
    for (_, plan) in versions {
        writes += 1;
        let (name, status) = (plan.metadata.name.unwrap(), plan.status.unwrap());
        assert!(status.members.len() <= scale.seats, "{name} never has more members than seats");
        // An answer that met nobody any more is not logged as one, so that a version may be missing here.
        let before = members.insert(name.clone(), status.members.clone()).unwrap_or_default();
        assert!(status.members.starts_with(&before), "{name}: nobody loses a seat or a number");
        for member in status.members {
            let owner = owners.entry((name.clone(), member.number.unwrap())).or_insert_with(|| member.name.clone());
            assert_eq!(*owner, member.name, "{name}: a number belongs to one account");
        }
    }
    (writes, conflicts)
}
