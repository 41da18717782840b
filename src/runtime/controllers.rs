//! Controllers: one for each kind.

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};
use futures::{FutureExt as _, Stream, StreamExt as _};
use kube::runtime::controller::{Config, Controller as Driver, Error as ControllerError};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tokio_util::sync::CancellationToken;

use super::listing::Listed;
use super::members::Members;
use super::stores::{Scope, StoreCatalogue, Stores};
use super::triggers::{Change, Changes};
use super::watches::{Guarded, NoPause, Watch, name_of, no_status_change, watch, watch_namespaces};
use crate::api::v1alpha1::{ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyApp};
use crate::domain::name::ObjectName;
use crate::reconcile::clients::News;
use crate::reconcile::context::Context;
use crate::reconcile::metrics::words::Controller;
use crate::reconcile::standings;
use crate::reconcile::{
    Action, Error, after_error, reconcile_account, reconcile_app, reconcile_plan, reconcile_target,
};

/// So many passes over objects of one kind, other than accounts, run at a time in each watched namespace.
const SIDE_BY_SIDE: u16 = 4;

/// Fills the catalogue and runs all controllers until `stop`; the passes that run then are finished.
pub async fn run(
    client: Client,
    namespaces: Vec<String>,
    ctx: Arc<Context>,
    catalogue: Arc<StoreCatalogue>,
    changes: Changes,
    stop: CancellationToken,
) {
    let mut running: Vec<BoxFuture<'static, ()>> = Vec::new();
    let mut scopes = Vec::new();
    let namespaces: Vec<Option<String>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.into_iter().map(Some).collect() };
    for controller in [Controller::SpotifyApp, Controller::ScrobbleTarget] {
        ctx.metrics.passes.bound(controller, usize::from(SIDE_BY_SIDE) * namespaces.len());
    }
    ctx.metrics.passes.bound(Controller::ScrobblePlan, usize::from(SIDE_BY_SIDE));
    let listed = Listed::default();
    for namespace in namespaces {
        let namespace = namespace.as_deref();
        let accounts = watch::<SpotifyAccount>(
            api(&client, namespace),
            &listed,
            &changes,
            |object| object.0.as_ref().ok().map(Change::of_account),
            no_status_change,
        );
        let apps = watch::<SpotifyApp>(
            api(&client, namespace),
            &listed,
            &changes,
            |object| Some(Change::App(name_of(object))),
            no_status_change,
        );
        let targets = watch::<ScrobbleTarget>(
            api(&client, namespace),
            &listed,
            &changes,
            |object| Some(Change::Target(name_of(object))),
            no_status_change,
        );
        scopes.push(Scope {
            accounts: accounts.store.clone(),
            apps: apps.store.clone(),
            targets: targets.store.clone(),
        });
        running.push(run_accounts(accounts, &ctx, &changes, &stop));
        running.push(run_apps(apps, &ctx, &changes, &stop));
        running.push(run_targets(targets, &ctx, &changes, &stop));
    }
    let mut members = Members::default();
    let plans = watch::<ScrobblePlan>(
        Api::all(client.clone()),
        &listed,
        &changes,
        |object| Some(Change::Plan(name_of(object).name)),
        move |object| members.notice(object.0.as_ref().ok()?),
    );
    let (namespaces, namespace_watch) = watch_namespaces(&client, &listed, &changes, &stop);
    catalogue.fill(Stores { scopes, plans: plans.store.clone(), namespaces, listed });
    running.push(run_plans(plans, &ctx, &changes, &stop));
    let told = changes.clone();
    let news = ctx.clients.news().take_until(stop.clone().cancelled_owned());
    running.push(
        news.for_each(move |news| {
            told.tell(match news {
                Some(News::Client(app)) => Change::Client(app),
                Some(News::Limit(app)) => Change::Limit(app),
                None => Change::Everything,
            });
            std::future::ready(())
        })
        .boxed(),
    );
    let told = changes.clone();
    let news = ctx.standings.news().take_until(stop.clone().cancelled_owned());
    running.push(
        news.for_each(move |news| {
            let standing = |news: standings::News| Change::Standing { target: news.target, awaited: news.awaited };
            told.tell(news.map_or(Change::Everything, standing));
            std::future::ready(())
        })
        .boxed(),
    );
    running.push(namespace_watch);
    let (turns, stopped) = (ctx.turns.clone(), stop.clone().cancelled_owned());
    running.push(stopped.map(move |()| turns.close()).boxed());
    // A watch that is stopped before it has listed everything never will, and a controller waits for its watch. No
    // account was worked on then.
    let cut_short = async {
        stop.cancelled().await;
        if catalogue.is_listed() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        _ = join_all(running) => {}
        () = cut_short => {}
    }
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    namespace.map_or_else(|| Api::all(client.clone()), |namespace| Api::namespaced(client.clone(), namespace))
}

fn run_accounts(
    watch: Watch<SpotifyAccount>,
    ctx: &Arc<Context>,
    changes: &Changes,
    stop: &CancellationToken,
) -> BoxFuture<'static, ()> {
    let store = watch.store.clone();
    let concerned = changes.listen().flat_map(move |change| {
        let accounts = store.state().into_iter();
        let found: Vec<_> = accounts
            .filter(|guarded| guarded.0.as_ref().is_ok_and(|account| change.concerns(account)))
            .map(|guarded| ObjectRef::from_obj(&*guarded))
            .collect();
        futures::stream::iter(found)
    });
    let live = Arc::clone(ctx);
    let passes = Driver::for_stream(watch.stream, watch.store)
        .trigger_backoff(NoPause)
        // Passes take turns by themselves, fairly between apps.
        .with_config(Config::default())
        .reconcile_on(concerned)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(once_listed(ctx, reconcile_account), after_error, Arc::clone(ctx));
    drain(passes, "SpotifyAccount", move |gone| {
        if let Some(uid) = gone {
            live.live.forget(&uid);
        }
    })
}

/// A pass that waits until every store has been listed: an app that is not listed yet is not an app that does not
/// exist, and accounts are not counted before they are known.
fn once_listed<K, F>(
    ctx: &Arc<Context>,
    pass: fn(Arc<K>, Arc<Context>) -> F,
) -> impl FnMut(Arc<K>, Arc<Context>) -> BoxFuture<'static, Result<Action, Error>> + use<K, F>
where
    K: Send + Sync + 'static,
    F: Future<Output = Result<Action, Error>> + Send + 'static,
{
    let ctx = Arc::clone(ctx);
    let listed = async move { ctx.catalogue.wait_until_listed().await }.boxed().shared();
    move |object, ctx| {
        let listed = listed.clone();
        async move {
            listed.await;
            pass(object, ctx).await
        }
        .boxed()
    }
}

fn run_apps(
    watch: Watch<SpotifyApp>,
    ctx: &Arc<Context>,
    changes: &Changes,
    stop: &CancellationToken,
) -> BoxFuture<'static, ()> {
    let concerned = changes.listen().filter_map(|change| async move {
        match change {
            Change::Account { app, .. } | Change::Client(app) | Change::Limit(app) => {
                Some(ObjectRef::<Guarded<SpotifyApp>>::new(&app.name).within(&app.namespace))
            }
            _ => None,
        }
    });
    let passes = Driver::for_stream(watch.stream, watch.store)
        .trigger_backoff(NoPause)
        .with_config(Config::default().concurrency(SIDE_BY_SIDE))
        .reconcile_on(concerned)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(once_listed(ctx, reconcile_app), after_error, Arc::clone(ctx));
    let known = Arc::clone(ctx);
    drain(passes, "SpotifyApp", move |gone| {
        if let Some(uid) = gone {
            known.clients.forget(&uid);
        }
    })
}

fn run_targets(
    watch: Watch<ScrobbleTarget>,
    ctx: &Arc<Context>,
    changes: &Changes,
    stop: &CancellationToken,
) -> BoxFuture<'static, ()> {
    let concerned = changes.listen().flat_map(|change| {
        let targets = match change {
            Change::Account { targets, .. } => targets,
            Change::Standing { target, .. } => vec![target],
            _ => Vec::new(),
        };
        let reference =
            |name: ObjectName| ObjectRef::<Guarded<ScrobbleTarget>>::new(&name.name).within(&name.namespace);
        futures::stream::iter(targets.into_iter().map(reference))
    });
    let passes = Driver::for_stream(watch.stream, watch.store)
        .trigger_backoff(NoPause)
        .with_config(Config::default().concurrency(SIDE_BY_SIDE))
        .reconcile_on(concerned)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(once_listed(ctx, reconcile_target), after_error, Arc::clone(ctx));
    let known = Arc::clone(ctx);
    drain(passes, "ScrobbleTarget", move |gone| {
        if let Some(uid) = gone {
            known.standings.forget(&uid);
        }
    })
}

fn run_plans(
    watch: Watch<ScrobblePlan>,
    ctx: &Arc<Context>,
    changes: &Changes,
    stop: &CancellationToken,
) -> BoxFuture<'static, ()> {
    let store = watch.store.clone();
    let concerned = changes.listen().flat_map(move |change| {
        let plans = match &change {
            // Another plan may name this one as its fallback.
            Change::Plan(_) | Change::Everything => store.state(),
            Change::Members { plan, .. } => store.get(&ObjectRef::new(plan)).into_iter().collect(),
            _ => Vec::new(),
        };
        futures::stream::iter(plans.into_iter().map(|plan| ObjectRef::from_obj(&*plan)))
    });
    let passes = Driver::for_stream(watch.stream, watch.store)
        .trigger_backoff(NoPause)
        .with_config(Config::default().concurrency(SIDE_BY_SIDE))
        .reconcile_on(concerned)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(once_listed(ctx, reconcile_plan), after_error, Arc::clone(ctx));
    drain(passes, "ScrobblePlan", |_| ())
}

/// Runs a controller to its end and logs what it could not do; what a pass could not do, it has logged itself.
fn drain<K>(
    passes: impl Stream<
        Item = Result<(ObjectRef<K>, kube::runtime::controller::Action), ControllerError<Error, watcher::Error>>,
    > + Send
    + 'static,
    kind: &'static str,
    gone: impl Fn(Option<String>) + Send + 'static,
) -> BoxFuture<'static, ()>
where
    K: Resource<DynamicType = ()> + 'static,
{
    passes
        .for_each(move |ended| {
            match ended {
                // A pass that failed has said so itself, with its id.
                Ok(_) | Err(ControllerError::ReconcilerFailed(..)) => {}
                Err(ControllerError::ObjectNotFound(reference)) => gone(reference.extra.uid),
                Err(error) => tracing::warn!(kind, error = &error as &dyn std::error::Error, "the watch failed"),
            }
            std::future::ready(())
        })
        .boxed()
}
