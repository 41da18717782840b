//! A driver without a cluster: it takes the steps that decisions name, answers from a script and keeps what a process
//! would keep. Hours pass in no time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::accounts::{LISTENER, seconds, start};
use super::observations::{around, token};
use super::plays::page;
use crate::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use crate::domain::answer::{ApiAnswer, Delivery, Submission};
use crate::domain::journal::Journal;
use crate::domain::listener::Listener;
use crate::domain::notice::Notice;
use crate::domain::play::{Page, Play};
use crate::plan::observed::{Duty, JournalView};
use crate::plan::schedule::{self, Due};
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Announcement, Observed, Progress, Settled, Step, TokenView, next_steps, settle};

/// Something that a pass did.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Deed {
    LoadedToken,
    Refreshed { forced: bool },
    Identified,
    Read,
    Prepared(String),
    Sent { entry: String, plays: Vec<Arc<Play>> },
    Verified(String),
    Surveyed(String),
}

/// What each step is answered: the next of its script, and the last word for ever.
#[derive(Debug)]
pub(super) struct Script<T> {
    pub(super) next: VecDeque<T>,
    pub(super) then: T,
}

impl<T: Clone> Script<T> {
    pub(super) fn of(then: T) -> Self {
        Self { next: VecDeque::new(), then }
    }

    pub(super) fn answer(&mut self) -> T {
        self.next.pop_front().unwrap_or_else(|| self.then.clone())
    }
}

/// When a process ends in the middle of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Targets were sent plays; nothing is stored.
    Delivered,
    /// The journal is stored, the status is not.
    Journaled,
    /// The status is stored, what targets have is still in the journal.
    Recorded,
}

/// How a refresh goes; the times of one that succeeds are filled in.
#[derive(Clone, Debug)]
pub(super) enum Exchange {
    Succeeds { life: SignedDuration },
    Ends(RefreshOutcome),
}

type Answers = Box<dyn FnMut(&str, &[Arc<Play>]) -> Submission>;

/// One account, its surroundings, and a process that looks after it.
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) account: SpotifyAccount,
    pub(super) surroundings: Observed,
    pub(super) secret: Script<Result<TokenView, SecretTrouble>>,
    pub(super) exchanges: Script<Exchange>,
    pub(super) listeners: Script<ApiAnswer<Listener>>,
    pub(super) pages: Script<ApiAnswer<Arc<Page>>>,
    /// The value in each entry's Secret.
    pub(super) keys: BTreeMap<String, Script<Result<u32, SecretTrouble>>>,
    pub(super) targets: Answers,
    pub(super) stopping: bool,
    /// The journal Secret.
    pub(super) journal: Arc<Journal>,
    /// What looking for the journal Secret comes to.
    pub(super) journal_reads: Script<Result<(), SecretTrouble>>,
    /// What services say of credentials, and whether they show somebody else's plays.
    pub(super) checks: BTreeMap<String, Script<Delivery>>,
    pub(super) surveys: BTreeMap<String, Script<Result<bool, Delivery>>>,
    /// The process ends at this point of the next pass.
    pub(super) dies_at: Option<Moment>,
    /// How long an exchange takes.
    pub(super) exchange_takes: SignedDuration,
    pub(super) held: BTreeMap<String, u32>,
    /// The access token that Spotify refused last, by what tells it from others here.
    pub(super) refused: Option<(String, Option<Timestamp>)>,
    /// What was done, pass by pass.
    pub(super) passes: Vec<Vec<Deed>>,
    /// Refreshes that ended before anything was sent.
    pub(super) unsent: usize,
    pub(super) writes: usize,
    pub(super) journal_writes: usize,
    pub(super) said: Vec<Announcement>,
    /// What the app's notification webhook is told, and when.
    pub(super) notices: Vec<(Timestamp, Notice)>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut script = formatter.debug_struct("World");
        script.field("secret", &self.secret).field("exchanges", &self.exchanges);
        script.field("listeners", &self.listeners).field("keys", &self.keys).field("passes", &self.passes);
        script.field("status", &self.account.status).finish_non_exhaustive()
    }
}

impl World {
    /// Everything works, and there is nothing to read.
    pub(super) fn of(account: SpotifyAccount) -> Self {
        let surroundings = around(&account);
        let far = start() + seconds(3600);
        Self {
            now: start(),
            account,
            surroundings,
            secret: Script::of(Ok(token(far))),
            exchanges: Script::of(Exchange::Succeeds { life: seconds(3600) }),
            listeners: Script::of(ApiAnswer::Found(Listener { account_id: LISTENER.to_owned() })),
            pages: Script::of(ApiAnswer::Found(Arc::new(Page::default()))),
            keys: BTreeMap::new(),
            targets: Box::new(|_, plays| Submission::all(plays.len(), &Delivery::Accepted)),
            stopping: false,
            journal: Arc::default(),
            journal_reads: Script::of(Ok(())),
            checks: BTreeMap::new(),
            surveys: BTreeMap::new(),
            dies_at: None,
            exchange_takes: SignedDuration::ZERO,
            held: BTreeMap::new(),
            refused: None,
            passes: Vec::new(),
            unsent: 0,
            writes: 0,
            journal_writes: 0,
            said: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Spotify shows these plays from now on.
    pub(super) fn shows(&mut self, plays: impl IntoIterator<Item = Play>) {
        self.pages.then = ApiAnswer::Found(Arc::new(page(plays)));
    }

    pub(super) fn status(&self) -> SpotifyAccountStatus {
        self.account.status.clone().unwrap_or_default()
    }

    /// How often something was done.
    pub(super) fn count(&self, what: impl Fn(&Deed) -> bool) -> usize {
        self.passes.iter().flatten().filter(|deed| what(deed)).count()
    }

    /// How often Spotify was asked for anything.
    pub(super) fn questions(&self) -> usize {
        self.count(|deed| matches!(deed, Deed::Refreshed { .. } | Deed::Identified | Deed::Read)) - self.unsent
    }

    pub(super) fn reads(&self) -> usize {
        self.count(|deed| *deed == Deed::Read)
    }

    /// The plays that a target took, each as often as it was sent.
    pub(super) fn sent(&self, name: &str) -> Vec<Arc<Play>> {
        let all = self.passes.iter().flatten();
        all.filter_map(|deed| match deed {
            Deed::Sent { entry, plays } if entry == name => Some(plays.clone()),
            _ => None,
        })
        .flatten()
        .collect()
    }

    /// Forgets what was done so far.
    pub(super) fn forget(&mut self) {
        self.passes.clear();
        self.unsent = 0;
        self.writes = 0;
        self.journal_writes = 0;
        self.said.clear();
    }

    /// A new process after nobody was on duty for a time: what only memory held is gone.
    pub(super) fn restart_after(&mut self, away: SignedDuration) {
        let before_until = Some(self.now);
        self.now += away;
        self.surroundings.token = None;
        self.surroundings.last_read = None;
        self.surroundings.waiting_page = None;
        self.surroundings.journal = JournalView::default();
        self.surroundings.duty = Duty { since: self.now, before_until };
        self.held.clear();
        self.refused = None;
    }

    /// Passes, each after the wait that the one before asked for, until so much time is over. Answers their number.
    pub(super) fn run_for(&mut self, time: SignedDuration) -> usize {
        let end = self.now + time;
        let before = self.passes.len();
        while self.now < end {
            let wait = self.pass().requeue;
            self.now = (self.now + wait).min(end);
        }
        self.passes.len() - before
    }

    /// One pass.
    pub(super) fn pass(&mut self) -> Settled {
        if let Some(status) = settle::first_visit(&self.account, self.now) {
            self.record(&Settled::plain(status));
        }
        if schedule::requested(&self.account).is_some() {
            self.surroundings.token = None;
            self.held.clear();
        }
        self.passes.push(Vec::new());
        let due = schedule::due(&self.account, &self.observe(), self.now);
        let mut progress = Progress { due: Some(due), ..Progress::default() };
        let mut rounds = 0;
        loop {
            progress.stopping = self.stopping;
            let steps = next_steps(&self.account, &self.observe(), &progress, self.now);
            if steps.is_empty() {
                break;
            }
            rounds += 1;
            assert!(rounds <= 40, "a pass without end: {:?}", self.passes.last());
            let refreshes = steps.iter().any(|step| matches!(step, Step::Refresh { .. }));
            for step in steps {
                self.act(step, &mut progress);
            }
            if refreshes && matches!(progress.refresh, Some(RefreshOutcome::Refreshed { .. })) {
                let settled = settle(&self.account, &self.observe(), &progress, self.now);
                self.record(&settled);
            }
        }
        let delivers = !progress.deliveries.is_empty();
        if self.dies(Moment::Delivered, delivers) {
            return Settled::plain(self.status());
        }
        let observed = self.observe();
        let settled = settle(&self.account, &observed, &progress, self.now);
        if let Some(keeping) = &settled.keeping {
            self.store(&keeping.before);
        }
        if self.dies(Moment::Journaled, delivers) {
            return settled;
        }
        let settled = settle(&self.account, &observed, &progress, self.now);
        self.record(&settled);
        if self.dies(Moment::Recorded, delivers) {
            return settled;
        }
        if let Some(keeping) = &settled.keeping {
            self.store(&keeping.after);
        }
        if let Some(ApiAnswer::Found(page)) = &progress.page {
            self.surroundings.waiting_page = Some(Arc::clone(page));
        }
        if !settled.plays_wait {
            self.surroundings.waiting_page = None;
        }
        assert!(settled.requeue >= SignedDuration::from_millis(200), "no pass follows at once");
        assert!(
            due != Due::Never || self.passes.last().is_none_or(Vec::is_empty),
            "nothing is done when nothing is due"
        );
        settled
    }

    /// The process ends here, if it is to: another one follows five seconds later.
    fn dies(&mut self, moment: Moment, delivers: bool) -> bool {
        let dies = delivers && self.dies_at == Some(moment);
        if dies {
            self.dies_at = None;
            self.restart_after(seconds(5));
        }
        dies
    }

    fn store(&mut self, journal: &Arc<Journal>) {
        let view = &mut self.surroundings.journal;
        if view.trouble.is_none() && view.journal.as_ref() != Some(journal) {
            let bytes = crate::domain::journal_codec::encode(journal).unwrap();
            self.journal = Arc::new(crate::domain::journal_codec::decode(&bytes).unwrap());
            view.journal = Some(Arc::clone(journal));
            self.journal_writes += 1;
        }
    }

    /// A token as this process knows it: with what Spotify said of it.
    pub(super) fn judged(&self, token: TokenView) -> TokenView {
        let refused = self.refused.as_ref() == Some(&(token.authorization_id.clone(), token.expires_at));
        TokenView { refused, ..token }
    }

    pub(super) fn refuse(&mut self) {
        let held = self.surroundings.token.as_ref();
        self.refused = held.map(|token| (token.authorization_id.clone(), token.expires_at));
    }

    fn observe(&self) -> Observed {
        let mut observed = self.surroundings.clone();
        observed.token = observed.token.map(|token| self.judged(token));
        for target in &mut observed.targets {
            target.prepared = self.held.contains_key(&target.entry);
        }
        observed
    }

    fn record(&mut self, settled: &Settled) {
        self.account.status = Some(settled.status.clone());
        if settled.worth_writing {
            self.writes += 1;
            self.said.extend(settled.announcements.clone());
        }
        assert!(settled.worth_writing || settled.notice.is_none(), "a notice is counted before it is sent");
        self.notices.extend(settled.notice.clone().map(|notice| (self.now, notice)));
    }

    pub(super) fn did(&mut self, deed: Deed) {
        self.passes.last_mut().unwrap().push(deed);
    }
}
