//! A driver without a cluster: it takes the steps that decisions name, answers from a script and keeps what a process
//! would keep. Hours pass in no time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::accounts::{LISTENER, seconds, start};
use super::observations::{around, token};
use super::plays::page;
use crate::api::v1alpha1::{BreakerLimits, SpotifyAccount, SpotifyAccountStatus};
use crate::domain::answer::{ApiAnswer, Delivery, Submission};
use crate::domain::journal::Journal;
use crate::domain::listener::Listener;
use crate::domain::play::{Page, Play};
use crate::domain::token::Flow;
use crate::plan::client::{self, ClientVersion, Evidence, Standing};
use crate::plan::observed::{Duty, JournalView};
use crate::plan::schedule::{self, Due};
use crate::plan::step::{Batch, Credentials, RefreshOutcome, SecretTrouble};
use crate::plan::{Announcement, Lookup, Observed, Progress, Settled, Step, TokenView, delivery, next_steps, settle};

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

    fn answer(&mut self) -> T {
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
    held: BTreeMap<String, u32>,
    /// The access token that Spotify refused last, by what tells it from others here.
    refused: Option<(String, Option<Timestamp>)>,
    /// What was done, pass by pass.
    pub(super) passes: Vec<Vec<Deed>>,
    /// Refreshes that ended before anything was sent.
    unsent: usize,
    pub(super) writes: usize,
    pub(super) journal_writes: usize,
    pub(super) said: Vec<Announcement>,
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
    fn judged(&self, token: TokenView) -> TokenView {
        let refused = self.refused.as_ref() == Some(&(token.authorization_id.clone(), token.expires_at));
        TokenView { refused, ..token }
    }

    fn refuse(&mut self) {
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
    }

    fn did(&mut self, deed: Deed) {
        self.passes.last_mut().unwrap().push(deed);
    }

    fn act(&mut self, step: Step, progress: &mut Progress) {
        match step {
            Step::LoadToken => {
                self.did(Deed::LoadedToken);
                let found = self.secret.answer().map(|token| self.judged(token));
                self.surroundings.token = found.as_ref().ok().cloned();
                progress.token = Some(found);
            }
            Step::Refresh { forced } => self.refresh(forced, progress),
            Step::Identify => {
                self.did(Deed::Identified);
                let answer = self.listeners.answer();
                if answer == ApiAnswer::Unauthorized {
                    self.refuse();
                }
                progress.listener = Some(answer);
            }
            Step::Read => {
                self.did(Deed::Read);
                let answer = self.pages.answer();
                if matches!(answer, ApiAnswer::Found(_)) {
                    self.surroundings.last_read = Some(self.now);
                    progress.read_time = Some(self.now);
                }
                if answer == ApiAnswer::Unauthorized {
                    self.refuse();
                }
                progress.page = Some(answer);
            }
            Step::Prepare { entry } => {
                self.did(Deed::Prepared(entry.clone()));
                let found = self.keys.get_mut(&entry).map_or(Ok(1), Script::answer);
                let result = match found {
                    Ok(key) => {
                        let before = self.held.insert(entry.clone(), key);
                        Ok(Credentials { renewed: before.is_some_and(|before| before != key) })
                    }
                    Err(trouble) => {
                        self.held.remove(&entry);
                        Err(trouble)
                    }
                };
                progress.credentials.insert(entry, result);
            }
            Step::LoadJournal => {
                let found = self.journal_reads.answer();
                let journal = found.is_ok().then(|| Arc::clone(&self.journal));
                let trouble = found.as_ref().err().filter(|trouble| **trouble != SecretTrouble::Cluster).cloned();
                self.surroundings.journal = JournalView { journal, trouble, set_aside: false };
                progress.journal = Some(found);
            }
            Step::Verify { entry } => {
                self.did(Deed::Verified(entry.clone()));
                let answer = self.checks.get_mut(&entry).map_or(Delivery::Accepted, Script::answer);
                progress.checks.insert(entry, answer);
            }
            Step::Survey { entry, .. } => {
                self.did(Deed::Surveyed(entry.clone()));
                let answer = self.surveys.get_mut(&entry).map_or(Ok(false), Script::answer);
                progress.surveys.insert(entry, answer);
            }
            Step::Place { .. } => panic!("no second is chosen here"),
            Step::Deliver { entry, batches } => self.deliver(&entry, batches, progress),
        }
    }

    fn refresh(&mut self, forced: bool, progress: &mut Progress) {
        self.did(Deed::Refreshed { forced });
        if forced {
            assert!(!progress.forced, "a refresh is forced once a pass");
            progress.forced = true;
            progress.page = None;
            progress.listener = None;
        }
        self.now += self.exchange_takes;
        let held = self.surroundings.token.take();
        let flow = held.as_ref().and_then(|held| held.flow);
        let accepted_before = held.as_ref().is_some_and(|held| client::accepted_before(&self.account, held));
        let outcome = match (self.exchanges.answer(), held) {
            (_, None) => RefreshOutcome::Conflict,
            (Exchange::Succeeds { life }, Some(held)) => {
                let token = TokenView { expires_at: Some(self.now + life), interrupted: None, refused: false, ..held };
                // Spotify never grants one access token twice.
                self.refused = None;
                self.surroundings.token = Some(token.clone());
                if let Ok(stored) = &mut self.secret.then {
                    *stored = token.clone();
                }
                RefreshOutcome::Refreshed { token, time: self.now, rotated: false }
            }
            (Exchange::Ends(outcome), Some(_)) => outcome,
        };
        self.note_word(&outcome, flow, accepted_before);
        self.held.clear();
        self.unsent += usize::from(matches!(
            outcome,
            RefreshOutcome::TokenSecret(_)
                | RefreshOutcome::ClientSecret(_)
                | RefreshOutcome::FlowMismatch { .. }
                | RefreshOutcome::Claimed { .. }
                | RefreshOutcome::Conflict
        ));
        progress.refresh = Some(outcome);
    }

    /// What the end of an exchange tells about the app's credentials is kept in the app's status.
    fn note_word(&mut self, outcome: &RefreshOutcome, flow: Option<Flow>, accepted_before: bool) {
        let Lookup::Found(app) = &self.surroundings.app else { return };
        let mut app = app.as_ref().clone();
        let public = app.spec.client_secret_ref.is_none();
        let word = client::word(outcome, Evidence { public, flow, accepted_before, ..Evidence::default() });
        let limits = BreakerLimits::from(&app.spec.circuit_breaker);
        let standing = Standing::of(&app).after(word, &ClientVersion::default(), limits, self.now);
        standing.write_to(app.status.get_or_insert_default());
        self.surroundings.app = Lookup::Found(Arc::new(app));
    }

    fn deliver(&mut self, entry: &str, batches: Vec<Batch>, progress: &mut Progress) {
        for Batch { plays, last_try } in batches {
            assert!(!plays.is_empty(), "no request without a play");
            let submission = delivery::judged((self.targets)(entry, &plays), last_try);
            self.did(Deed::Sent { entry: entry.to_owned(), plays: plays.clone() });
            let goes_on = delivery::goes_on(&submission);
            progress.deliveries.entry(entry.to_owned()).or_default().submissions.push((plays, submission));
            if !goes_on {
                break;
            }
        }
    }
}
