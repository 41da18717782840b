//! The first step of a pass: what is known before anything is decided. Asks nobody.

use super::context::Context;
use super::live::Live;
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::name::ObjectName;
use crate::plan::observed::{ClientView, TargetEntry};
use crate::plan::{Lookup, Observed, reference};

/// What is known about an account. `holder` is the older account that holds its token Secret, found once a pass.
pub(super) fn observe(
    account: &SpotifyAccount,
    namespace: &str,
    ctx: &Context,
    live: &Live,
    holder: Option<&ObjectName>,
) -> Observed {
    let name = |reference: &crate::api::v1alpha1::NamespacedReference| {
        ObjectName::new(reference.namespace_or(namespace), &reference.name)
    };
    let app_name = name(&account.spec.app_ref);
    let app = match ctx.catalogue.app(&app_name) {
        Lookup::Found(app) => Lookup::Found(ctx.clients.up_to_date(app)),
        other => other,
    };
    let client = match &app {
        Lookup::Found(app) => ctx.clients.view(app, account.metadata.uid.as_deref().unwrap_or_default()),
        Lookup::Missing | Lookup::Unreadable => ClientView::default(),
    };
    let targets = account.spec.targets.iter().map(|target| {
        let target_name = name(&target.target_ref);
        let service = ctx.catalogue.target(&target_name);
        let generation = match &service {
            Lookup::Found(service) => service.metadata.generation,
            Lookup::Missing | Lookup::Unreadable => None,
        };
        let prepared = live.credentials.get(&target.name).is_some_and(|credentials| {
            credentials.target_ref == target.target_ref && credentials.target_generation == generation
        });
        TargetEntry { entry: target.name.clone(), target: service, name: target_name, prepared }
    });
    Observed {
        namespace: namespace.to_owned(),
        namespace_labels: ctx.catalogue.namespace_labels(namespace),
        app,
        app_name,
        client,
        plan: account.spec.plan.as_deref().map(|plan| ctx.catalogue.plan(plan)),
        targets: targets.collect(),
        token_secret_holder: holder.cloned(),
        token: live.token_view(),
        last_read: live.last_read,
        waiting_page: live.waiting_page.clone(),
        duty: ctx.duty(),
        settings: ctx.settings,
    }
}

/// The oldest account that names a token Secret holds it: by creation, then by name.
pub(super) fn older_holder(account: &SpotifyAccount, namespace: &str, ctx: &Context) -> Option<ObjectName> {
    let others = ctx.catalogue.accounts(&|other| reference::is_older_holder(other, account, namespace));
    let oldest = others.iter().min_by_key(|other| reference::age(other))?;
    Some(ObjectName::new(namespace, oldest.metadata.name.clone().unwrap_or_default()))
}
