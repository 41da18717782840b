//! The spans of a pass. Those at level info tell in every log line whom it is about; those at level debug are for traces
//! alone (docs/tracing.md). They hold names, counts and words of closed sets: nothing that anybody upstream has said.

use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::Error;
use crate::adapters::http::span::failed;
use crate::adapters::http::trace_context::{Origin, trace_id};
use crate::api::condition::{ConditionType, find_condition};
use crate::api::v1alpha1::{ScrobbleTarget, SpotifyAccountStatus};
use crate::domain::answer::{ApiAnswer, Delivery, Submission};
use crate::domain::digest::hexadecimal;
use crate::domain::name::ObjectName;
use crate::domain::notice::Notice;
use crate::domain::play::Page;
use crate::plan::step::{Batch, RefreshOutcome, TargetProgress};

/// Tells a pass from every other one in logs and traces.
pub(super) fn new_id() -> String {
    hexadecimal(&rand::random::<[u8; 4]>())
}

/// A pass over an account.
pub(super) fn pass_over_account(name: &ObjectName, id: &str) -> Span {
    named(tracing::info_span!(
        "reconcile",
        account = %name,
        reconcile_id = id,
        trace_id = Empty,
        ready = Empty,
        reason = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    ))
}

/// A look at an account, for somebody who has asked.
pub(super) fn look(name: &ObjectName) -> Span {
    named(tracing::info_span!("diagnose", account = %name, reconcile_id = new_id(), trace_id = Empty))
}

/// A pass over an object of another kind.
pub(super) fn pass_over(kind: &'static str, name: &ObjectName) -> Span {
    named(tracing::info_span!(
        "reconcile",
        kind,
        object = %name,
        reconcile_id = new_id(),
        trace_id = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    ))
}

/// Runs a pass in its span, and says, once, where it failed.
pub(super) async fn told<T>(
    kind: &'static str,
    name: &ObjectName,
    span: Span,
    pass: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let told = async {
        let ended = pass.await;
        if let Err(error) = &ended {
            let reason = error.metric_label();
            failed(&Span::current(), reason);
            let error = error as &dyn std::error::Error;
            tracing::error!(kind, object = %name, reason, error, "a pass failed");
        }
        ended
    };
    told.instrument(span).await
}

/// What the account says when a pass over it has ended.
pub(super) fn settled(status: &SpotifyAccountStatus) {
    if let Some(ready) = find_condition(&status.conditions, ConditionType::Ready) {
        let span = Span::current();
        span.record("ready", ready.status.as_str());
        span.record("reason", ready.reason.as_str());
    }
}

/// Claim, exchange and commit of a token.
pub(super) fn refresh() -> Span {
    tracing::debug_span!("refresh", outcome = Empty, "error.type" = Empty, "otel.status_code" = Empty)
}

/// Notes how a refresh ended.
pub(super) fn refreshed(span: &Span, outcome: &RefreshOutcome) {
    let (word, fails) = match outcome {
        RefreshOutcome::Refreshed { rotated: false, .. } => ("refreshed", false),
        RefreshOutcome::Refreshed { rotated: true, .. } => ("rotated", false),
        RefreshOutcome::TokenSecret(_) => ("token_secret", true),
        RefreshOutcome::ClientSecret(_) => ("client_secret", true),
        RefreshOutcome::FlowMismatch { .. } => ("flow_mismatch", true),
        RefreshOutcome::ClientAsked => ("client_asked", false),
        RefreshOutcome::Claimed { .. } => ("claimed", false),
        RefreshOutcome::Conflict => ("conflict", false),
        RefreshOutcome::Refused { .. } => ("refused", true),
        RefreshOutcome::RateLimited { .. } => ("rate_limited", true),
        RefreshOutcome::Failed(trouble) => (trouble.word(), true),
        RefreshOutcome::Ambiguous(_) => ("ambiguous", true),
        RefreshOutcome::CommitPending => ("commit_pending", true),
        RefreshOutcome::Superseded => ("superseded", false),
    };
    ended(span, word, fails);
}

/// A look at the recently-played page, with its tries.
pub(super) fn read() -> Span {
    tracing::debug_span!("read", outcome = Empty, plays = Empty, "error.type" = Empty, "otel.status_code" = Empty)
}

/// Notes what a look has shown.
pub(super) fn has_read(span: &Span, answer: &ApiAnswer<Page>) {
    match answer {
        ApiAnswer::Found(page) => {
            span.record("plays", counted(page.entries.len()));
            ended(span, "found", false);
        }
        ApiAnswer::Unauthorized => ended(span, "unauthorized", true),
        ApiAnswer::Forbidden(_) => ended(span, "forbidden", true),
        ApiAnswer::RateLimited { quota: false, .. } => ended(span, "rate_limited", true),
        ApiAnswer::RateLimited { quota: true, .. } => ended(span, "quota_exceeded", true),
        ApiAnswer::Failed(trouble) => ended(span, trouble.word(), true),
    }
}

/// Plays on their way to one target.
pub(super) fn deliver(entry: &str, target: &ScrobbleTarget, batches: &[Batch]) -> Span {
    let name = ObjectName::new(
        target.metadata.namespace.clone().unwrap_or_default(),
        target.metadata.name.clone().unwrap_or_default(),
    );
    tracing::debug_span!(
        "deliver",
        entry,
        target = %name,
        "type" = target.spec.target_type.as_str(),
        plays = counted(batches.iter().map(|batch| batch.plays.len()).sum()),
        accepted = Empty,
        outcome = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    )
}

/// Notes what became of plays.
pub(super) fn delivered(span: &Span, done: &TargetProgress) {
    let (mut accepted, mut trouble) = (0, None);
    for (_, submission) in &done.submissions {
        let Submission::Each(deliveries) = submission else {
            trouble = Some("batch_refused");
            continue;
        };
        for delivery in deliveries {
            match delivery {
                Delivery::Accepted | Delivery::AlreadyThere => accepted += 1,
                Delivery::Never { .. } => trouble = trouble.or(Some("never")),
                Delivery::NotNow { trouble: why, .. } | Delivery::Unknown(why) => trouble = Some(why.word()),
                Delivery::CredentialsRefused => trouble = Some("credentials_refused"),
                Delivery::ClientRefused { .. } => trouble = Some("client_refused"),
                Delivery::Suspended => trouble = Some("suspended"),
            }
        }
    }
    span.record("accepted", counted(accepted));
    match (trouble, done.submissions.is_empty()) {
        (Some(word), _) => ended(span, word, true),
        (None, true) => ended(span, "held", false),
        (None, false) => ended(span, "delivered", false),
    }
}

/// A notice on its way, after the pass that has counted it.
pub(super) fn notify(notice: &Notice, reconcile_id: &str, origin: &Origin) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "notify",
        account = %notice.account,
        app = %notice.app,
        number = notice.number,
        reason = notice.reason,
        reconcile_id,
        trace_id = Empty,
    );
    origin.adopt(&span);
    named(span)
}

/// With the trace's id for its lines.
fn named(span: Span) -> Span {
    if let Some(id) = trace_id(&span) {
        span.record("trace_id", id.as_str());
    }
    span
}

fn ended(span: &Span, outcome: &str, fails: bool) {
    span.record("outcome", outcome);
    if fails {
        failed(span, outcome);
    }
}

/// OpenTelemetry has signed integers only.
fn counted(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
