//! The daily call budgets of quota groups: what this process knows of them, and the calls it takes. The decisions are those
//! of [`crate::plan::budget`]; what was reserved is kept in the status of the app that calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::context::Context;
use super::{app, upstream};
use crate::adapters::kube::ClusterError;
use crate::api::condition::{ConditionType, is_condition_true};
use crate::api::v1alpha1::{SpotifyAccount, SpotifyApp, SpotifyAppStatus};
use crate::domain::name::ObjectName;
use crate::plan::budget::{self, Allowance, Hours, Member, Portion, Reservation, Shares, Shortfall, Take};
use crate::plan::pace::Bounds;
use crate::plan::{Lookup, gap, open};

/// Shares are looked at again after this, and with the clock hour.
const LOOK: SignedDuration = SignedDuration::from_mins(10);
/// How often a block is tried to be reserved against newer versions of the app.
const TRIES: usize = 8;
/// How soon a call is tried again whose reservation the API server did not take.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);
const HOUR_SECONDS: i64 = 3600;

/// One quota group.
#[derive(Default)]
struct Group {
    hours: Hours,
    shares: Shares,
    /// When its shares were looked at last.
    looked: Option<Timestamp>,
    /// So little was used by then that nobody is held back.
    fresh: bool,
}

/// What this process knows of the budgets of all quota groups.
#[derive(Default)]
pub struct Budgets {
    groups: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Group>>>>,
    /// What the accounts of groups with a limit may read, and whether that is less than they wish, by uid.
    portions: Mutex<HashMap<String, Portion>>,
    /// What cannot be had, by the uid of the app.
    shortfalls: Mutex<HashMap<String, Shortfall>>,
}

impl Budgets {
    /// What an account may read.
    pub(super) fn portion(&self, account_uid: &str) -> Portion {
        lock(&self.portions).get(account_uid).copied().unwrap_or_default()
    }

    /// What the budget of an app cannot give.
    pub(super) fn shortfall(&self, app: &SpotifyApp) -> Option<Shortfall> {
        lock(&self.shortfalls).get(uid(app)).cloned()
    }

    fn group(&self, key: &str) -> Arc<tokio::sync::Mutex<Group>> {
        Arc::clone(lock(&self.groups).entry(key.to_owned()).or_default())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn uid(app: &SpotifyApp) -> &str {
    app.metadata.uid.as_deref().unwrap_or_default()
}

/// Names a quota group: apps of one namespace that say so, or one app.
fn key(app: &SpotifyApp) -> String {
    let namespace = app.metadata.namespace.as_deref().unwrap_or_default();
    app.spec.quota.group.as_ref().map_or_else(|| uid(app).to_owned(), |group| format!("{namespace}/{group}"))
}

/// The limit of a quota group.
pub(super) fn limit(apps: &[Arc<SpotifyApp>]) -> Option<i64> {
    budget::limit(apps.iter().map(|app| app.spec.quota.daily_calls))
}

/// Shares the calls of an app's group anew where that is due: at first, with each clock hour, and after a while.
pub(super) async fn look(ctx: &Context, app: &SpotifyApp) {
    let now = ctx.clock.now();
    let apps = upstream::group(ctx, app);
    let limit = limit(&apps);
    if limit.is_none() && lock(&ctx.budgets.groups).get(&key(app)).is_none() {
        return;
    }
    let group = ctx.budgets.group(&key(app));
    let mut group = group.lock().await;
    let hour = |time: Timestamp| time.as_second().div_euclid(HOUR_SECONDS);
    let is_known = |looked: Timestamp| hour(looked) == hour(now) && now.duration_since(looked) < LOOK;
    observe(&mut group, &apps);
    let by_age = group.hours.by_age(now);
    let is_fresh = limit.is_some_and(|limit| budget::is_fresh(limit, &by_age));
    if group.looked.is_some_and(is_known) && group.fresh == is_fresh {
        return;
    }
    group.looked = Some(now);
    group.fresh = is_fresh;
    let listeners = listeners(ctx, &apps);
    let members: Vec<Member> = listeners.iter().map(|listener| listener.member(ctx)).collect();
    let allowance = limit.filter(|_| !is_fresh).map(|limit| Allowance::new(limit, &by_age));
    group.shares.update(&members, allowance.as_ref(), now);
    let mut portions = lock(&ctx.budgets.portions);
    for member in &members {
        portions.insert(member.uid.to_owned(), group.shares.portion(member.uid));
    }
    drop(portions);
    let mut shortfalls = lock(&ctx.budgets.shortfalls);
    for app in &apps {
        let before = shortfalls.get(uid(app)).cloned();
        let after = group.shares.shortfall().cloned();
        if before.as_ref().map(Shortfall::message) != after.as_ref().map(Shortfall::message) {
            // The app's own pass tells it.
            ctx.clients.tell_limit(app);
        }
        match after {
            Some(after) => drop(shortfalls.insert(uid(app).to_owned(), after)),
            None => drop(shortfalls.remove(uid(app))),
        }
    }
}

/// Takes one call to the Web API from the budget of an app's group.
///
/// # Errors
/// When there may be one: the budget is used up until then, or the API server did not take the reservation.
pub(super) async fn take(ctx: &Context, app: &SpotifyApp) -> Result<(), Timestamp> {
    let apps = upstream::group(ctx, app);
    let Some(limit) = limit(&apps) else { return Ok(()) };
    let group = ctx.budgets.group(&key(app));
    let mut group = group.lock().await;
    let mut current = apps
        .iter()
        .find(|found| found.metadata.uid == app.metadata.uid)
        .map_or_else(|| app.clone(), |found| found.as_ref().clone());
    observe(&mut group, &apps);
    for _ in 0..TRIES {
        let now = ctx.clock.now();
        let due = if group.hours.is_open(uid(app), now) { 1 } else { due(ctx, app, &group.shares, now) };
        match group.hours.take(uid(app), limit, due, now) {
            Take::Granted => return Ok(()),
            Take::Spent { until } => return Err(until),
            Take::Reserve(block) => match reserve(ctx, &current, &block).await {
                Ok(()) => group.hours.reserved(uid(app), &block),
                Err(Some(newer)) => {
                    group.hours.observe(uid(app), hours(&newer));
                    current = newer;
                }
                Err(None) => return Err(now + AGAIN),
            },
        }
    }
    Err(ctx.clock.now() + AGAIN)
}

/// Writes a block to an app's status. The error is the app as somebody else has written it; none where nothing is known.
async fn reserve(ctx: &Context, app: &SpotifyApp, block: &Reservation) -> Result<(), Option<SpotifyApp>> {
    if ctx.ensure_on_duty().is_err() {
        return Err(None);
    }
    let mut status: SpotifyAppStatus = app.status.clone().unwrap_or_default();
    let quota = status.quota.get_or_insert_default();
    quota.hours.clone_from(&block.hours);
    quota.window_start_time = Some(block.window_start_time.clone());
    let name: ObjectName = app::name(app);
    let version = app.metadata.resource_version.clone().unwrap_or_default();
    match ctx.cluster.change_status::<SpotifyApp, _>(&name, &version, app.status.as_ref(), &status).await {
        Ok(_) => Ok(()),
        Err(ClusterError::Conflict { .. }) => Err(ctx.cluster.read_again::<SpotifyApp>(&name).await.ok().flatten()),
        Err(_) => Err(None),
    }
}

fn hours(app: &SpotifyApp) -> &[crate::api::v1alpha1::QuotaHour] {
    app.status.as_ref().and_then(|status| status.quota.as_ref()).map_or(&[], |quota| &quota.hours)
}

fn observe(group: &mut Group, apps: &[Arc<SpotifyApp>]) {
    for app in apps {
        group.hours.observe(uid(app), hours(app));
    }
}

/// How many calls of an app fall due in the rest of the clock hour.
fn due(ctx: &Context, app: &SpotifyApp, shares: &Shares, now: Timestamp) -> i64 {
    let only = [Arc::new(app.clone())];
    let listeners = listeners(ctx, &only);
    let members: Vec<Member> = listeners.iter().map(|listener| listener.member(ctx)).collect();
    shares.due(&members, now)
}

/// An account with what its reads depend on.
struct Listener {
    account: Arc<SpotifyAccount>,
    plays: Vec<i64>,
}

fn listeners(ctx: &Context, apps: &[Arc<SpotifyApp>]) -> Vec<Listener> {
    let names: Vec<ObjectName> = apps.iter().map(|app| app::name(app)).collect();
    let refers = |account: &SpotifyAccount| {
        names.contains(&account.spec.app_ref.object(account.metadata.namespace.as_deref().unwrap_or_default()))
    };
    let mut accounts = ctx.catalogue.accounts(&refers);
    accounts.sort_by(|one, other| one.metadata.uid.cmp(&other.metadata.uid));
    let listener = |account: Arc<SpotifyAccount>| {
        let ledger = account.status.as_ref().map(open::ledger).unwrap_or_default();
        Listener { plays: ledger.rows.iter().map(|row| row.played_ms).collect(), account }
    };
    accounts.into_iter().map(listener).collect()
}

impl Listener {
    fn member(&self, ctx: &Context) -> Member<'_> {
        let status = self.account.status.as_ref();
        let plan = status.and_then(|status| status.membership.as_ref()?.plan.as_deref());
        let plan = plan.or(self.account.spec.plan.as_deref()).map(|plan| ctx.catalogue.plan(plan));
        let plan = match plan {
            Some(Lookup::Found(plan)) => plan.spec.min_interval.duration(),
            _ => SignedDuration::ZERO,
        };
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        let stalled = is_condition_true(conditions, ConditionType::Stalled)
            && !is_condition_true(conditions, ConditionType::Synced);
        Member {
            uid: self.account.metadata.uid.as_deref().unwrap_or_default(),
            bounds: Bounds::within(&self.account, ctx.settings.minimum_interval, plan),
            plays: &self.plays,
            hurried_until: status.and_then(|status| gap::told_until(status.sync.as_ref()?)),
            reads: !self.account.spec.suspend && !stalled,
        }
    }
}
