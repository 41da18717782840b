//! Plays on their way to a Maloja: each looks for its second first, and only one of all accounts does so at a time.

use std::sync::Arc;
use std::time::Instant;

use super::context::Context;
use super::deliver::{DELIVERY_PATIENCE, Place, TURN_PATIENCE, admit, asked_to_wait, submit, word_of_question};
use super::metrics::words::TargetEndpoint;
use super::services::{Sent, server_of};
use super::standings::Calling;
use crate::adapters::targets::Scrobble;
use crate::api::v1alpha1::{AccountTarget, ScrobbleTarget, SpotifyAccount};
use crate::domain::answer::{Delivery, Shown, Submission, Trouble};
use crate::domain::ledger::{Identity, Ledger, Mark};
use crate::domain::play::Play;
use crate::plan::maloja::{Choice, WINDOW_SECONDS, choose, is_held_by, marks};
use crate::plan::step::TargetProgress;
use crate::plan::{Lookup, delivery, open};

/// How many seconds are chosen before they are written down: fewer than the ledger remembers.
const CHOSEN_AT_ONCE: usize = 24;

/// Sends plays one by one. One that is to stand at another second than its own is not sent but noted: the second is
/// written down first.
pub(super) async fn deliver(ctx: &Context, place: &Place<'_>, plays: Vec<Arc<Play>>, done: &mut TargetProgress) {
    let turn = ctx.services.turn(&place.server);
    let started = Instant::now();
    // What other accounts of this process do from now on is told by `Services`.
    let neighbours = neighbours(ctx, place);
    for play in plays {
        // Looking and sending belong together: nobody else of ours may take the second in between.
        let Ok(_turn) = tokio::time::timeout(TURN_PATIENCE, turn.lock()).await else { return };
        let Some(calling) = admit(ctx, place, done) else { return };
        let answer = one(ctx, place, calling, &neighbours, &play, done).await;
        if let Some(submission) = answer {
            let goes_on = delivery::goes_on(&submission);
            done.submissions.push((vec![play], submission));
            if !goes_on {
                return;
            }
        }
        if started.elapsed() > DELIVERY_PATIENCE {
            return;
        }
    }
}

/// One play; nothing where its second is to be written down first.
async fn one(
    ctx: &Context,
    place: &Place<'_>,
    calling: Calling<'_>,
    neighbours: &[Neighbour],
    play: &Arc<Play>,
    done: &mut TargetProgress,
) -> Option<Submission> {
    let identity = Identity::of_play(play);
    let own = open::sent_time(place.target, play).as_second();
    let recorded = place.ledger.placed(place.attachment, &identity);
    let http = place.http(ctx, TargetEndpoint::Look);
    let mut shown = match place.service.shown(&http, own, own + WINDOW_SECONDS - 1).await {
        Some(Ok(shown)) => shown,
        Some(Err(answer)) => {
            calling.ended(word_of_question(place, &answer), asked_to_wait(&answer)).await;
            return Some(Submission::all(1, &not_sent(answer)));
        }
        None => Vec::new(),
    };
    let others = others(ctx, place, neighbours, play, &identity, own);
    // Seconds that somebody of ours is about to send to, or has written down: two plays never have the same one.
    let reserved = others.iter().filter(|other| other.reserves);
    shown.extend(reserved.map(|other| Shown { second: other.second, title: String::new(), artists: Vec::new() }));
    let explained: Vec<i64> = others.iter().filter(|other| other.explains).map(|other| other.second).collect();
    Some(match choose(play, own, recorded, &shown, &explained) {
        Choice::AlreadyThere => Submission::all(1, &Delivery::AlreadyThere),
        Choice::Full => Submission::all(1, &waits()),
        Choice::Send { .. } if is_held(ctx, place, play) => Submission::all(1, &waits()),
        Choice::Send { second } if second != own && recorded != Some(second) => {
            // The rest is chosen once these are written down.
            if done.chosen.len() < CHOSEN_AT_ONCE {
                ctx.services.note(&place.server, sent(place, &identity, second));
                done.chosen.push((Arc::clone(play), second));
            }
            return None;
        }
        Choice::Send { second } => {
            let timestamp = jiff::Timestamp::from_second(second).unwrap_or(play.played_at);
            ctx.services.note(&place.server, sent(place, &identity, second));
            let submission = submit(ctx, place, calling, &[Scrobble { play: play.as_ref().clone(), timestamp }]).await;
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
    let name = entry.target_ref.object(namespace);
    match ctx.catalogue.target(&name) {
        Lookup::Found(target) if server_of(&target).as_deref() == Some(&place.server) => Some(target),
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

/// The second of another play that we know of.
struct Other {
    second: i64,
    /// The same track is found there because of it.
    explains: bool,
    /// It may be sent there at any time.
    reserves: bool,
}

/// What is known of other plays in the minute from a play's own second on: of this account and of others that scrobble to
/// the same server, from their ledgers; and what this process has sent there, or is about to.
fn others(
    ctx: &Context,
    place: &Place<'_>,
    neighbours: &[Neighbour],
    play: &Play,
    identity: &Identity,
    own: i64,
) -> Vec<Other> {
    let window = own..own + WINDOW_SECONDS;
    let mut others: Vec<Other> = Vec::new();
    for sent in ctx.services.sent(&place.server, window.clone()) {
        let is_this =
            sent.account == place.account && sent.title == identity.title && sent.played_ms == identity.played_ms;
        if !is_this {
            others.push(Other { second: sent.second, explains: sent.title == identity.title, reserves: true });
        }
    }
    for placed in place.ledger.placed.iter().filter(|placed| placed.attachment == place.attachment) {
        if (placed.title, placed.played_ms) != (identity.title, identity.played_ms) {
            others.push(Other { second: placed.second, explains: placed.title == identity.title, reserves: true });
        }
    }
    others.extend(neighbours.iter().flat_map(|neighbour| neighbour.others(play, identity)));
    others.retain(|other| window.contains(&other.second));
    others
}

/// Another account's entry that leads to the same server.
struct Neighbour {
    target: Arc<ScrobbleTarget>,
    ledger: Arc<Ledger>,
    attachment: [u8; 6],
    /// Where the ledger has its marks.
    position: usize,
}

fn neighbours(ctx: &Context, place: &Place<'_>) -> Vec<Neighbour> {
    let accounts = ctx.catalogue.accounts(&|account| {
        account.metadata.uid.as_deref() != Some(place.account)
            && account.spec.targets.iter().any(|entry| shared(ctx, place, account, entry).is_some())
    });
    let mut neighbours = Vec::new();
    for account in accounts {
        let namespace = account.metadata.namespace.as_deref().unwrap_or_default();
        let ledger = Arc::new(account.status.as_ref().map(open::ledger).unwrap_or_default());
        for entry in &account.spec.targets {
            let Some(target) = shared(ctx, place, &account, entry) else { continue };
            let attachment = open::attachment_id(entry, namespace);
            let Some(position) = ledger.position(attachment) else { continue };
            neighbours.push(Neighbour { target, ledger: Arc::clone(&ledger), attachment, position });
        }
    }
    neighbours
}

impl Neighbour {
    fn others(&self, play: &Play, identity: &Identity) -> Vec<Other> {
        let placed = self.ledger.placed.iter().filter(|placed| placed.attachment == self.attachment);
        let placed = placed.map(|placed| Other {
            second: placed.second,
            explains: placed.title == identity.title,
            reserves: true,
        });
        let has = |marks: &[Mark]| marks.get(self.position) == Some(&Mark::Delivered);
        let there = self.ledger.rows.iter().filter(|row| row.title == identity.title && has(&row.marks));
        let there = there.map(|row| {
            let played_at = jiff::Timestamp::from_millisecond(row.played_ms).unwrap_or(play.played_at);
            let second = open::sent_time(&self.target, &Play { played_at, ..play.clone() }).as_second();
            Other { second, explains: true, reserves: false }
        });
        placed.chain(there).collect()
    }
}

/// Whether a submission says that its second was taken in the meantime.
pub(super) fn is_overtaken(done: &TargetProgress) -> bool {
    let taken = |delivery: &Delivery| matches!(delivery, Delivery::NotNow { trouble: Trouble::SecondTaken, .. });
    done.submissions.iter().any(|(_, submission)| match submission {
        Submission::Each(deliveries) => deliveries.iter().any(taken),
        Submission::BatchRefused => false,
    })
}
