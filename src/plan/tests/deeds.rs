//! The steps of a pass, taken in a world without a cluster.

use std::sync::Arc;

use super::world::{Deed, Exchange, Script, World};
use crate::api::v1alpha1::BreakerLimits;
use crate::domain::answer::{ApiAnswer, Delivery};
use crate::domain::token::Flow;
use crate::plan::client::{self, ClientVersion, Evidence, Standing};
use crate::plan::observed::JournalView;
use crate::plan::step::{Batch, Credentials, RefreshOutcome, SecretTrouble};
use crate::plan::{Lookup, Progress, Step, TokenView, delivery};

impl World {
    pub(super) fn act(&mut self, step: Step, progress: &mut Progress) {
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
