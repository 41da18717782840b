//! Notices on their way to the notification webhooks of apps, apart from all passes: whatever a webhook does, no account
//! waits for it. A notice is counted in the account's status before it gets here; what is lost here is not sent again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::context::Context;
use super::metrics::Calls;
use super::{app, secret_access, spans};
use crate::adapters::http::trace_context::Origin;
use crate::adapters::notification;
use crate::api::secret::SecretUse;
use crate::api::v1alpha1::SpotifyApp;
use crate::domain::name::ObjectName;
use crate::domain::notice::{Notice, NoticeAnswer};
use crate::plan::notification::{Outcome, is_current, pause_after, takes_notices};
use crate::plan::step::SecretTrouble;
use crate::plan::{self, Lookup};

/// So many notices may wait to be taken up; more are dropped, and logged.
const WAITING: usize = 10_000;
/// Requests to one app's webhook at the same time: one that hangs keeps nobody else's notices.
const LANES: usize = 4;
/// What was counted before the process was asked to stop still gets this long to arrive.
const LAST_CALL: Duration = Duration::from_secs(2);

/// A notice, and the pass that has counted it.
struct Counted {
    notice: Notice,
    reconcile_id: String,
    origin: Origin,
}

/// Takes notices up.
pub struct Notifications {
    sender: mpsc::Sender<Counted>,
    receiver: Mutex<Option<mpsc::Receiver<Counted>>>,
}

impl Default for Notifications {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self { sender, receiver: Mutex::new(Some(receiver)) }
    }
}

impl Notifications {
    /// Has a notice sent. Never waits.
    pub(super) fn send(&self, notice: Notice, reconcile_id: &str) {
        let counted = Counted { notice, reconcile_id: reconcile_id.to_owned(), origin: Origin::current() };
        if let Err(error) = self.sender.try_send(counted) {
            let notice = error.into_inner().notice;
            let (number, reason) = (notice.number, &notice.reason);
            tracing::warn!(account = %notice.account, number, reason, "too many notices wait: one is dropped");
        }
    }
}

/// Sends notices until the process stops: then each that was never tried is tried once, and none again.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) {
    let receiver = ctx.notifications.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut receiver) = receiver else { return };
    let mut lanes: HashMap<ObjectName, Arc<Semaphore>> = HashMap::new();
    let mut under_way = JoinSet::new();
    let mut begin = |counted: Counted, under_way: &mut JoinSet<()>| {
        let Counted { notice, reconcile_id, origin } = counted;
        let lane = lanes.entry(notice.app.clone()).or_insert_with(|| Arc::new(Semaphore::new(LANES)));
        let span = spans::notify(&notice, &reconcile_id, &origin);
        under_way.spawn(deliver(Arc::clone(&ctx), notice, Arc::clone(lane), stop.clone()).instrument(span));
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(notice) = receiver.recv() => begin(notice, &mut under_way),
            Some(_) = under_way.join_next() => {}
        }
    }
    while let Ok(notice) = receiver.try_recv() {
        begin(notice, &mut under_way);
    }
    let all = async { while under_way.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_CALL, all).await.is_err() {
        tracing::warn!(reason = "stopped", "some notices did not arrive before the end");
    }
}

/// Tries to send a notice, a few times. The pauses are on the operator's clock.
async fn deliver(ctx: Arc<Context>, notice: Notice, lane: Arc<Semaphore>, stop: CancellationToken) {
    for tries in 1.. {
        let outcome = {
            let Ok(_permit) = lane.acquire().await else { return };
            if !ctx.tenure.holds() {
                return;
            }
            let Some((app, outcome)) = attempt(&ctx, &notice).await else { return };
            log(&outcome);
            app::tell_tried(&ctx, &app, &outcome).await;
            outcome
        };
        let Some(pause) = pause_after(tries, &outcome) else { return };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ctx.clock.timer(pause)) => {}
        }
        if !is_still_needed(&ctx, &notice).await {
            return;
        }
    }
}

/// One try; none where the app has no webhook to be told by now.
async fn attempt(ctx: &Context, notice: &Notice) -> Option<(Arc<SpotifyApp>, Outcome)> {
    let Lookup::Found(app) = ctx.catalogue.app(&notice.app) else { return None };
    let webhook = app.spec.notifications.as_ref().filter(|_| takes_notices(&app))?;
    let outcome = match (webhook.url.parse(), key(ctx, &app).await) {
        (_, Err(trouble)) => Outcome::NoKey(trouble),
        (Err(_), _) => Outcome::Answered(plan::notification::unusable_url()),
        (Ok(url), Ok(key)) => {
            let http = ctx.http.witnessed(Arc::<Calls>::clone(&ctx.metrics.notifications));
            Outcome::Answered(notification::send(&http, &url, key.as_ref(), notice).await)
        }
    };
    Some((app, outcome))
}

/// The key that signs an app's notices, if they are to be signed.
pub(super) async fn key(ctx: &Context, app: &SpotifyApp) -> Result<Option<secrecy::SecretString>, SecretTrouble> {
    let reference = app.spec.notifications.as_ref().and_then(|webhook| webhook.signing_key_ref.as_ref());
    let Some(reference) = reference else { return Ok(None) };
    let secret = ObjectName::new(app.metadata.namespace.clone().unwrap_or_default(), &reference.name);
    secret_access::credential(&ctx.cluster, &secret, &reference.key, SecretUse::Client).await.map(Some)
}

/// Whether the account still says what the notice tells; asked of what this process last wrote, which the watch may not
/// show yet.
async fn is_still_needed(ctx: &Context, notice: &Notice) -> bool {
    let Some(live) = ctx.live.known(&notice.account_uid) else { return false };
    let live = live.lock().await;
    let status = live.written.as_ref().and_then(|account| account.status.as_ref());
    status.is_some_and(|status| is_current(status, notice))
}

fn log(outcome: &Outcome) {
    match outcome {
        Outcome::Answered(NoticeAnswer::Taken) => tracing::info!("the notification webhook has taken a notice"),
        Outcome::Answered(NoticeAnswer::Gone) => {
            tracing::warn!(reason = "gone", "the notification webhook wants no more notices");
        }
        Outcome::Answered(NoticeAnswer::Refused(status)) => {
            tracing::warn!(reason = "refused", status, "the notification webhook refuses a notice");
        }
        Outcome::Answered(NoticeAnswer::NotNow { trouble, .. }) => {
            tracing::warn!(reason = trouble.word(), %trouble, "the notification webhook gives no usable answer");
        }
        Outcome::NoKey(_) => tracing::warn!(reason = "no_key", "there is no key to sign a notice with"),
    }
}
