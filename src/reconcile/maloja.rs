//! Plays on their way to a Maloja: each looks for its second first, and only one of all accounts does so at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use super::deliver::{Place, may_call, submit};
use super::services::Sent;
use crate::adapters::targets::Scrobble;
use crate::api::v1alpha1::{AccountTarget, ScrobbleTarget, SpotifyAccount};
use crate::domain::answer::{Delivery, Shown, Submission, Trouble};
use crate::domain::ledger::{Identity, Mark};
use crate::domain::name::ObjectName;
use crate::domain::play::Play;
use crate::plan::maloja::{Choice, WINDOW_SECONDS, choose, is_held_by, marks};
use crate::plan::step::TargetProgress;
use crate::plan::{Lookup, delivery, open, target};

/// A slow server gets no further play in a pass after this.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long is waited for one's turn at the server.
const TURN_PATIENCE: Duration = Duration::from_secs(20);

/// Sends plays one by one. One that is to stand at another second than its own is not sent but noted: the second is
/// written down first.
pub(super) async fn deliver(ctx: &Context, place: &Place<'_>, plays: Vec<Arc<Play>>, done: &mut TargetProgress) {
    let turn = ctx.services.turn(&place.server);
    let started = Instant::now();
    for play in plays {
        // Looking and sending belong together: nobody else of ours may take the second in between.
        let Ok(_turn) = tokio::time::timeout(TURN_PATIENCE, turn.lock()).await else { return };
        if !may_call(ctx, place, done) {
            return;
        }
        let answer = one(ctx, place, &play, done).await;
        if let Some(submission) = answer {
            let goes_on = delivery::goes_on(&submission);
            done.submissions.push((vec![play], submission));
            if !goes_on {
                return;
            }
        }
        if started.elapsed() > PATIENCE {
            return;
        }
    }
}

/// One play; nothing where its second is to be written down first.
async fn one(ctx: &Context, place: &Place<'_>, play: &Arc<Play>, done: &mut TargetProgress) -> Option<Submission> {
    let identity = Identity::of_play(play);
    let own = open::sent_time(place.target, play).as_second();
    let known = place.journal.find(&identity).and_then(|entry| entry.standing(place.attachment));
    let recorded = known.and_then(crate::domain::journal::Standing::wait).and_then(|wait| wait.second);
    let mut shown = match place.service.shown(&ctx.http, own, own + WINDOW_SECONDS - 1).await {
        Some(Ok(shown)) => shown,
        Some(Err(answer)) => return Some(Submission::all(1, &not_sent(answer))),
        None => Vec::new(),
    };
    // Seconds that were chosen in this pass and not sent to yet.
    shown.extend(done.chosen.iter().map(|(_, second)| Shown {
        second: *second,
        title: String::new(),
        artists: Vec::new(),
    }));
    let explained = explained(ctx, place, play, &identity);
    Some(match choose(play, own, recorded, &shown, &explained) {
        Choice::AlreadyThere => Submission::all(1, &Delivery::AlreadyThere),
        Choice::Full => Submission::all(1, &waits()),
        Choice::Send { .. } if is_held(ctx, place, play) => Submission::all(1, &waits()),
        Choice::Send { second } if second != own && recorded != Some(second) => {
            done.chosen.push((Arc::clone(play), second));
            return None;
        }
        Choice::Send { second } => {
            let timestamp = jiff::Timestamp::from_second(second).unwrap_or(play.played_at);
            ctx.services.note(&place.server, sent(place, &identity, second));
            let submission = submit(ctx, place, &[Scrobble { play: play.as_ref().clone(), timestamp }]).await;
            if submission == Submission::all(1, &Delivery::Accepted) {
                ctx.services.succeeded(&place.server);
            } else if submission == Submission::all(1, &waits()) {
                ctx.services.overtake(&place.server, play);
            }
            submission
        }
    })
}

/// The play waits for another one to get through.
fn waits() -> Delivery {
    Delivery::NotNow { retry_after: None, trouble: Trouble::SecondTaken }
}

/// Whether a play must not be sent because of another one whose second was taken, by any account of the server. Until one
/// has got through since this process began, what statuses tell counts, too.
fn is_held(ctx: &Context, place: &Place<'_>, play: &Play) -> bool {
    if ctx.services.overtaken(&place.server).iter().any(|refused| is_held_by(play, refused)) {
        return true;
    }
    if ctx.services.successes(&place.server) > 0 {
        return false;
    }
    let marks = marks(play);
    let told = ctx.catalogue.accounts(&|account| {
        let entries = account.spec.targets.iter().filter(|entry| shared(ctx, place, account, entry).is_some());
        let held = |entry: &AccountTarget| account.status.as_ref()?.target(&entry.name).map(|known| &known.held_back);
        entries.filter_map(held).flatten().any(|mark| marks.contains(mark))
    });
    !told.is_empty()
}

/// The target of an account's entry, if it leads to the same server.
fn shared(
    ctx: &Context,
    place: &Place<'_>,
    account: &SpotifyAccount,
    entry: &AccountTarget,
) -> Option<Arc<ScrobbleTarget>> {
    let namespace = account.metadata.namespace.as_deref().unwrap_or_default();
    let name = ObjectName::new(entry.target_ref.namespace_or(namespace), &entry.target_ref.name);
    match ctx.catalogue.target(&name) {
        Lookup::Found(target) if server(&target).as_deref() == Some(&place.server) => Some(target),
        _ => None,
    }
}

/// An answer to the look: nothing was sent, so nothing is unknown.
fn not_sent(answer: Delivery) -> Delivery {
    match answer {
        Delivery::Unknown(trouble) => Delivery::NotNow { retry_after: None, trouble },
        other => other,
    }
}

fn sent(place: &Place<'_>, identity: &Identity, second: i64) -> Sent {
    Sent { account: place.account.to_owned(), title: identity.title, played_ms: identity.played_ms, second }
}

/// Seconds at which the same track stands because of another play that we know of: of this account, whose chosen seconds
/// the journal remembers; of others that scrobble to the same server; and what this process has sent there.
fn explained(ctx: &Context, place: &Place<'_>, play: &Play, identity: &Identity) -> Vec<i64> {
    let other = |title: u32, played_ms: i64| title == identity.title && played_ms != identity.played_ms;
    let placed = place.journal.placed.iter().filter(|placed| placed.attachment == place.attachment);
    let placed = placed.filter(|placed| other(placed.title, placed.played_ms)).map(|placed| placed.second);
    let remembered = ctx.services.sent(&place.server, identity.title).into_iter();
    let remembered = remembered
        .filter(|sent| sent.account != place.account || other(sent.title, sent.played_ms))
        .map(|sent| sent.second);
    placed.chain(remembered).chain(of_others(ctx, place, play, identity)).collect()
}

/// Where other accounts' plays of the same track stand, as their ledgers tell.
fn of_others(ctx: &Context, place: &Place<'_>, play: &Play, identity: &Identity) -> Vec<i64> {
    let others = ctx.catalogue.accounts(&|account| {
        account.metadata.uid.as_deref() != Some(place.account)
            && account.spec.targets.iter().any(|entry| shared(ctx, place, account, entry).is_some())
    });
    let mut seconds = Vec::new();
    for account in others {
        let namespace = account.metadata.namespace.as_deref().unwrap_or_default();
        let ledger = account.status.as_ref().map(open::ledger).unwrap_or_default();
        for entry in &account.spec.targets {
            let Some(target) = shared(ctx, place, &account, entry) else { continue };
            let Some(position) = ledger.position(open::attachment_id(entry, namespace)) else { continue };
            let there = ledger.rows.iter().filter(|row| row.title == identity.title);
            for row in there.filter(|row| row.marks.get(position) == Some(&Mark::Delivered)) {
                let played_at = jiff::Timestamp::from_millisecond(row.played_ms).unwrap_or(play.played_at);
                let theirs = Play { played_at, ..play.clone() };
                seconds.push(open::sent_time(&target, &theirs).as_second());
            }
        }
    }
    seconds
}

fn server(scrobble_target: &ScrobbleTarget) -> Option<String> {
    target::url(scrobble_target).map(|url| super::services::server_key(&url))
}

/// Whether a submission says that its second was taken in the meantime.
pub(super) fn is_overtaken(done: &TargetProgress) -> bool {
    let taken = |delivery: &Delivery| matches!(delivery, Delivery::NotNow { trouble: Trouble::SecondTaken, .. });
    done.submissions.iter().any(|(_, submission)| match submission {
        Submission::Each(deliveries) => deliveries.iter().any(taken),
        Submission::BatchRefused => false,
    })
}
