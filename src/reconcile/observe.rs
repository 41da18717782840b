//! The first step of a pass: what is known before anything is decided. Asks nobody.

use std::collections::HashMap;
use std::sync::Arc;

use super::context::Context;
use super::live::Live;
use super::services::server_of;
use crate::api::v1alpha1::{AccountTarget, SpotifyAccount};
use crate::domain::name::ObjectName;
use crate::plan::observed::{ClientView, JournalView, TargetEntry, TargetView};
use crate::plan::{Lookup, Observed, duplicate, reference};

/// Older accounts that come first, found once a pass.
#[derive(Debug, Default)]
pub(super) struct Elders {
    /// The one that holds the account's token Secret.
    token_secret: Option<ObjectName>,
    /// Those that serve the same listener at a target entry.
    targets: HashMap<String, ObjectName>,
}

impl Elders {
    /// Looks for them, as far as the account's Spotify user is known.
    pub(super) fn of(account: &SpotifyAccount, namespace: &str, listener: Option<&str>, ctx: &Context) -> Self {
        let oldest = |others: Vec<Arc<SpotifyAccount>>| {
            let oldest = others.iter().min_by_key(|other| reference::seniority(other))?;
            let namespace = oldest.metadata.namespace.clone().unwrap_or_default();
            Some(ObjectName::new(namespace, oldest.metadata.name.clone().unwrap_or_default()))
        };
        let token_secret = ctx.catalogue.accounts(&|other| reference::is_older_holder(other, account, namespace));
        let is_twin =
            |other: &SpotifyAccount| listener.is_some_and(|user| duplicate::is_older_twin(other, account, user));
        let same = ctx.catalogue.accounts(&is_twin);
        let targets = account.spec.targets.iter().filter_map(|entry| {
            let serving = same.iter().filter(|other| {
                let holds_same = |theirs: &AccountTarget| {
                    let uid = |account: &SpotifyAccount| account.metadata.uid.clone().unwrap_or_default();
                    let same = ctx.services.hold_same((&uid(other), &theirs.name), (&uid(account), &entry.name));
                    // After a restart both have to be read first; until then what was found before holds.
                    same.unwrap_or_else(|| duplicate::is_idle(account, &entry.name))
                };
                duplicate::serves(other, entry, namespace, &holds_same)
            });
            Some((entry.name.clone(), oldest(serving.cloned().collect())?))
        });
        Self { token_secret: oldest(token_secret), targets: targets.collect() }
    }
}

/// The address of the server that a target entry leads to.
pub(super) fn server(entry: &TargetEntry) -> Option<String> {
    match &entry.target {
        Lookup::Found(found) => server_of(found),
        Lookup::Missing | Lookup::Unreadable => None,
    }
}

/// What is known about an account.
pub(super) fn observe(
    account: &SpotifyAccount,
    namespace: &str,
    ctx: &Context,
    live: &Live,
    elders: &Elders,
) -> Observed {
    let app_name = account.spec.app_ref.object(namespace);
    let app = match ctx.catalogue.app(&app_name) {
        Lookup::Found(app) => Lookup::Found(ctx.clients.up_to_date(app)),
        other => other,
    };
    let short_of_calls = match &app {
        Lookup::Found(app) => ctx.budgets.shortfall(app).is_some(),
        Lookup::Missing | Lookup::Unreadable => false,
    };
    let client = match &app {
        Lookup::Found(app) => ctx.clients.view(app, account.metadata.uid.as_deref().unwrap_or_default()),
        Lookup::Missing | Lookup::Unreadable => ClientView::default(),
    };
    let targets = account.spec.targets.iter().map(|target| {
        let target_name = target.target_ref.object(namespace);
        let service = match ctx.catalogue.target(&target_name) {
            Lookup::Found(found) => Lookup::Found(ctx.standings.up_to_date(found, ctx.clock.now())),
            other => other,
        };
        let view = match &service {
            Lookup::Found(found) => ctx.standings.view(found, account.metadata.uid.as_deref().unwrap_or_default()),
            Lookup::Missing | Lookup::Unreadable => TargetView::default(),
        };
        let generation = match &service {
            Lookup::Found(service) => service.metadata.generation,
            Lookup::Missing | Lookup::Unreadable => None,
        };
        let prepared = live.credentials.get(&target.name).is_some_and(|credentials| {
            let outdated =
                matches!(&service, Lookup::Found(it) if ctx.standings.are_refused(it, &credentials.own.version));
            credentials.target_ref == target.target_ref && credentials.target_generation == generation && !outdated
        });
        let entry = TargetEntry {
            entry: target.name.clone(),
            target: service,
            name: target_name,
            prepared,
            credentials_id: live.credentials.get(&target.name).and_then(|credentials| credentials.id.clone()),
            holder: elders.targets.get(&target.name).cloned(),
            moved_on: false,
            view,
        };
        let overtaken = live.overtaken.get(&target.name).zip(server(&entry));
        let moved_on = overtaken.is_some_and(|(before, server)| ctx.services.successes(&server) > *before);
        TargetEntry { moved_on, ..entry }
    });
    Observed {
        namespace: namespace.to_owned(),
        namespace_labels: ctx.catalogue.namespace_labels(namespace),
        app,
        app_name,
        client,
        seating: live.seating.clone(),
        targets: targets.collect(),
        token_secret_holder: elders.token_secret.clone(),
        token: live.token_view(),
        last_read: live.last_read,
        waiting_page: live.waiting_page.clone(),
        journal: JournalView {
            journal: live.journal.journal.clone(),
            trouble: live.journal.trouble.clone(),
            set_aside: live.journal.set_aside,
        },
        duty: ctx.duty(),
        settings: ctx.settings,
        portion: ctx.budgets.portion(account.metadata.uid.as_deref().unwrap_or_default()),
        short_of_calls,
    }
}
