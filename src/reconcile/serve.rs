//! The targets of an account, each at its own pace: what follows on an answer comes at once, whatever others do.

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use tracing::Instrument as _;

use super::context::Context;
use super::live::Live;
use super::{act, deliver, maloja, spans};
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::answer::Delivery;
use crate::plan::step::TargetProgress;
use crate::plan::{self, Lookup, Observed, Progress, Step};

/// So many answers are followed up in a row: a loop in the decisions ends here.
const MOST_ANSWERS: usize = 1_000;

/// What a target came to in one step.
enum Answer {
    Checked(Option<Delivery>),
    Surveyed(Result<bool, Delivery>),
    Delivered(TargetProgress),
}

/// Takes requests to targets, and those that follow on their answers, until none is left. Seconds that were chosen are
/// left to the next round, for they are written down first.
pub(super) async fn serve(
    ctx: &Context,
    account: &SpotifyAccount,
    observed: &Observed,
    steps: Vec<Step>,
    live: &mut Live,
    progress: &mut Progress,
    goes_on: &(dyn Fn() -> bool + Sync),
) {
    let listener = act::listener(account, progress);
    let mut running = FuturesUnordered::new();
    let mut queue = steps;
    let mut answers = 0;
    loop {
        for step in queue.drain(..) {
            running.extend(begin(ctx, account, observed, live, listener.as_deref(), step));
        }
        let Some((entry, answer)) = running.next().await else { break };
        note(ctx, observed, live, progress, &entry, answer);
        progress.stopping |= !goes_on();
        answers += 1;
        if answers < MOST_ANSWERS {
            queue.extend(following(ctx, account, observed, progress, &entry));
        }
    }
}

/// What is next for one target, now that it has answered.
fn following(
    ctx: &Context,
    account: &SpotifyAccount,
    observed: &Observed,
    progress: &Progress,
    entry: &str,
) -> impl Iterator<Item = Step> {
    let steps = plan::next_steps(account, observed, progress, ctx.clock.now());
    // Chosen seconds are written down first, with the status of the account.
    let waits = |step: &Step| matches!(step, Step::Place { .. });
    steps.into_iter().filter(move |step| step.served() == Some(entry) && !waits(step))
}

/// A request, or several in a row, to one target.
fn begin<'a>(
    ctx: &'a Context,
    account: &'a SpotifyAccount,
    observed: &'a Observed,
    live: &Live,
    listener: Option<&str>,
    step: Step,
) -> Option<BoxFuture<'a, (String, Answer)>> {
    let entry = step.served()?.to_owned();
    let place_entry = entry.clone();
    let place = deliver::place(observed, live, listener, account, &entry);
    let answer = async move {
        match (step, place) {
            (Step::Deliver { batches, .. }, Some(place)) => {
                let span = spans::deliver(&place_entry, place.target, &batches);
                let done = deliver::deliver(ctx, place, batches).instrument(span.clone()).await;
                spans::delivered(&span, &done);
                Answer::Delivered(done)
            }
            (Step::Deliver { batches, .. }, None) => Answer::Delivered(deliver::unmade(batches)),
            (Step::Survey { plays, .. }, Some(place)) => {
                deliver::survey(ctx, &place, &plays).await.map_or(Answer::Checked(None), Answer::Surveyed)
            }
            (_, Some(place)) => Answer::Checked(deliver::verify(ctx, &place).await),
            (_, None) => Answer::Checked(None),
        }
    };
    Some(answer.map(|answer| (entry, answer)).boxed())
}

fn note(ctx: &Context, observed: &Observed, live: &mut Live, progress: &mut Progress, entry: &str, answer: Answer) {
    match answer {
        Answer::Checked(None) => {}
        Answer::Checked(Some(answer)) => drop(progress.checks.insert(entry.to_owned(), answer)),
        Answer::Surveyed(answer) => drop(progress.surveys.insert(entry.to_owned(), answer)),
        Answer::Delivered(done) => {
            count(ctx, observed, entry, &done);
            if maloja::is_overtaken(&done) {
                act::note_overtaken(ctx, observed, live, entry);
            }
            let known = progress.deliveries.entry(entry.to_owned()).or_default();
            let submissions = std::mem::take(&mut known.submissions);
            let placings = known.placings;
            *known = done;
            known.placings = placings;
            known.submissions.splice(0..0, submissions);
        }
    }
}

fn count(ctx: &Context, observed: &Observed, entry: &str, done: &TargetProgress) {
    let found = observed.targets.iter().find(|target| target.entry == entry);
    if let Some(Lookup::Found(target)) = found.map(|found| &found.target) {
        ctx.metrics.delivered(target.spec.target_type, done);
    }
}
