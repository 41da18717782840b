//! Which plays go together in one request.

use std::sync::Arc;

use super::open::OpenPlay;
use super::step::Batch;
use crate::api::v1alpha1::ScrobbleTarget;
use crate::domain::answer::Submission;
use crate::domain::play::Play;

/// A request that the service failed over so often is taken apart.
const FAILURES_OF_A_BATCH: u8 = 3;

/// The requests for plays, oldest first. Plays that the service failed over go alone.
pub(super) fn requests(target: &ScrobbleTarget, plays: &[OpenPlay]) -> Vec<Batch> {
    let suspect = |open: &OpenPlay| open.wait.failures >= FAILURES_OF_A_BATCH;
    let size = target.spec.batch_size();
    let mut batches: Vec<Batch> = Vec::new();
    for run in plays.chunk_by(|one, other| suspect(one) == suspect(other)) {
        if run.first().is_some_and(suspect) {
            batches.extend(run.iter().map(|open| single(&open.play, true)));
        } else {
            let plays: Vec<Arc<Play>> = run.iter().map(|open| Arc::clone(&open.play)).collect();
            batches.extend(plays.chunks(size).map(|plays| Batch { plays: plays.to_vec(), last_try: false }));
        }
    }
    batches
}

/// A play alone.
pub(super) fn single(play: &Arc<Play>, last_try: bool) -> Batch {
    Batch { plays: vec![Arc::clone(play)], last_try }
}

/// A request that was refused because of one of its plays is cut in two, until that play is alone.
pub(super) fn halves(submissions: &[(Vec<Arc<Play>>, Submission)]) -> Vec<Batch> {
    let mut open: Vec<&Vec<Arc<Play>>> = Vec::new();
    for (plays, submission) in submissions {
        // Answers come in the order of the requests: a later one for the same plays settles an earlier refusal.
        open.retain(|refused| !plays.iter().all(|play| refused.contains(play)) || refused.len() == plays.len());
        if *submission == Submission::BatchRefused && plays.len() > 1 {
            open.push(plays);
        }
    }
    open.iter()
        .flat_map(|plays| {
            let (first, second) = plays.split_at(plays.len() / 2);
            [first.to_vec(), second.to_vec()]
        })
        .filter(|half| !submissions.iter().any(|(sent, _)| sent == half))
        .map(|plays| Batch { plays, last_try: false })
        .collect()
}
