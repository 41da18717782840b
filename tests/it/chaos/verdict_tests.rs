//! The verdict is right about what is right, and sees everything that can be wrong: each test spoils one thing.

use jiff::{SignedDuration, Timestamp};
use scrobble_operator::domain::token_secret::Claim;
use scrobble_simulator::api::Rotation;

use super::lives::Life;
use super::records::{Answer, ClaimChange, Exchange, Landed, Records, SecretKind, SecretWrite, StatusWrite, Use};
use super::verdict::{Verdict, judge};

/// Seconds after the beginning.
fn at(seconds: f64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs_f64(seconds)
}

/// Records of one account, written one after the other.
#[derive(Default)]
struct Story {
    records: Records,
    lives: Vec<Life>,
}

impl Story {
    fn claim(mut self, seconds: f64, holder: &str) -> Self {
        let claim = Claim {
            holder: holder.to_owned(),
            id: seconds.to_string(),
            claimed_time: at(seconds),
            deadline_time: at(seconds + 5.0),
            token: String::new(),
            account: String::new(),
        };
        self.write(seconds, SecretKind::Token, None, None, ClaimChange::Set(claim));
        self
    }

    fn exchange(mut self, seconds: f64, sent: &str, issued: Option<&str>) -> Self {
        let access = format!("access-{seconds}");
        let answer = Answer::Granted { access, rotated: issued.map(str::to_owned) };
        let account = "alice".to_owned();
        self.records.exchanges.push(Exchange { account, time: at(seconds), sent: sent.to_owned(), answer });
        self
    }

    fn refused(mut self, seconds: f64, sent: &str) -> Self {
        let answer = Answer::Refused("invalid_grant".to_owned());
        let account = "alice".to_owned();
        self.records.exchanges.push(Exchange { account, time: at(seconds), sent: sent.to_owned(), answer });
        self
    }

    /// The state Secret is written, then the token Secret, with the tokens of the exchange at that second.
    fn commit(self, seconds: f64, token: &str, exchanged: f64) -> Self {
        self.state(seconds, token).tokens(seconds + 0.1, token, exchanged)
    }

    fn state(mut self, seconds: f64, token: &str) -> Self {
        self.write(seconds, SecretKind::State, Some(token), None, ClaimChange::Kept);
        self
    }

    fn tokens(mut self, seconds: f64, token: &str, exchanged: f64) -> Self {
        let access = format!("access-{exchanged}");
        self.write(seconds, SecretKind::Token, Some(token), Some(access), ClaimChange::Removed);
        self
    }

    fn write(
        &mut self,
        seconds: f64,
        secret: SecretKind,
        refresh: Option<&str>,
        access: Option<String>,
        claim: ClaimChange,
    ) {
        let (account, refresh) = ("alice".to_owned(), refresh.map(str::to_owned));
        let write = SecretWrite {
            account,
            secret,
            time: at(seconds),
            base: Some(seconds.to_string()),
            landed: Landed::Yes,
            refresh,
            access,
            claim,
        };
        self.records.writes.push(write);
    }

    fn uses(mut self, seconds: f64, exchanged: f64) -> Self {
        let access = format!("access-{exchanged}");
        self.records.uses.push(Use { account: "alice".to_owned(), time: at(seconds), access });
        self
    }

    fn says(mut self, seconds: f64, authorized: &str, reason: &str) -> Self {
        let account = "alice".to_owned();
        let (authorized, reason) = (authorized.to_owned(), reason.to_owned());
        self.records.statuses.push(StatusWrite { account, time: at(seconds), authorized, reason });
        self
    }

    fn lives(mut self, from: f64, to: f64, killed: bool) -> Self {
        self.lives.push(Life { begun: at(from), ended: at(to), killed, how: "told".to_owned() });
        self
    }

    fn judge(&self, rotation: Rotation) -> Verdict {
        judge(rotation, &self.records, &self.lives)
    }

    fn assert_unexplained(&self, rotation: Rotation, expected: &str) {
        let verdict = self.judge(rotation);
        let [what] = verdict.unexplained.as_slice() else { panic!("{expected}: {verdict:?}") };
        assert!(what.contains(expected), "{expected}: {what}");
    }
}

/// Two refreshes, a kill between the second rotation and its commit, and the first try afterwards.
fn killed() -> Story {
    Story::default()
        .lives(0.0, 10.0, true)
        .claim(1.0, "first")
        .exchange(2.0, "a", Some("b"))
        .commit(2.1, "b", 2.0)
        .says(3.0, "True", "Succeeded")
        .uses(4.0, 2.0)
        .claim(9.0, "first")
        .exchange(9.9, "b", Some("c"))
        .lives(11.0, 60.0, false)
        .claim(25.0, "second")
}

fn lost() -> Story {
    killed().refused(26.0, "b").says(27.0, "False", "RefreshInterrupted")
}

#[test]
fn a_kill_between_rotation_and_commit_explains_a_loss() {
    for rotation in [Rotation::SingleUse, Rotation::Strict] {
        let verdict = lost().judge(rotation);
        assert_eq!((verdict.refreshes, verdict.lost), (2, 1));
        assert_eq!(verdict.unexplained, Vec::<String>::new());
    }
    let verdict = killed().exchange(26.0, "b", Some("d")).commit(26.1, "d", 26.0).judge(Rotation::Grace);
    assert_eq!((verdict.refreshes, verdict.lost), (3, 0));
    assert_eq!(verdict.unexplained, Vec::<String>::new());
}

#[test]
fn a_loss_is_counted_where_nothing_can_explain_it() {
    let verdict = lost().judge(Rotation::Grace);
    assert_eq!(verdict.lost, 1);
    assert!(verdict.unexplained.iter().any(|what| what.contains("no kill explains it")), "{verdict:?}");
}

#[test]
fn a_loss_that_nobody_tells_is_seen() {
    killed().assert_unexplained(Rotation::Strict, "its status never said so");
}

#[test]
fn a_loss_that_is_called_something_else_is_seen() {
    let story = killed().refused(26.0, "b").says(27.0, "False", "AuthorizationRevoked");
    story.assert_unexplained(Rotation::Strict, "AuthorizationRevoked");
}

#[test]
fn a_loss_that_is_told_only_at_the_second_try_is_seen() {
    let story = killed().refused(26.0, "b").claim(40.0, "second").refused(41.0, "b");
    story.says(42.0, "False", "RefreshInterrupted").assert_unexplained(Rotation::Strict, "tried 2 times");
}

#[test]
fn a_loss_whose_token_was_stored_is_seen() {
    let story = lost().state(9.95, "c");
    let verdict = story.judge(Rotation::Strict);
    assert!(verdict.unexplained.iter().any(|what| what.contains("whose successor was stored")), "{verdict:?}");
    assert!(verdict.unexplained.iter().any(|what| what.contains("no kill explains it")), "{verdict:?}");
}

#[test]
fn an_operator_that_goes_on_without_storing_is_seen_although_it_is_killed_soon() {
    lost().claim(9.95, "first").assert_unexplained(Rotation::Strict, "went on with the account");
}

#[test]
fn an_operator_that_was_not_killed_stores_everything() {
    let mut story = lost();
    story.lives[0].killed = false;
    story.assert_unexplained(Rotation::Strict, "ended by itself");
    let mut story = lost();
    story.lives[0].ended = at(45.0);
    story.assert_unexplained(Rotation::Strict, "lived on");
}

#[test]
fn the_state_secret_comes_first() {
    let story = Story::default().lives(0.0, 9.0, false).claim(1.0, "first").exchange(2.0, "a", Some("b"));
    story.tokens(2.1, "b", 2.0).assert_unexplained(Rotation::Strict, "before the state Secret");
}

#[test]
fn an_access_token_is_stored_before_it_is_used() {
    let story = Story::default().lives(0.0, 9.0, false).claim(1.0, "first").exchange(2.0, "a", None);
    story.uses(2.05, 2.0).tokens(2.1, "a", 2.0).assert_unexplained(Rotation::Never, "was not stored");
}

#[test]
fn nothing_is_sent_without_a_claim() {
    let story = Story::default().lives(0.0, 9.0, false).exchange(2.0, "a", None).tokens(2.1, "a", 2.0);
    story.assert_unexplained(Rotation::Never, "without a claim");
    let story = story.claim(3.0, "first").exchange(4.0, "a", None).tokens(4.1, "a", 4.0);
    story.assert_unexplained(Rotation::Never, "without a claim");
}

#[test]
fn a_foreign_claim_keeps_everybody_away_until_it_is_over() {
    let story = Story::default()
        .lives(0.0, 2.0, true)
        .claim(1.0, "first")
        .lives(3.0, 60.0, false)
        .claim(10.0, "second")
        .exchange(11.0, "a", None)
        .tokens(11.1, "a", 11.0);
    story.assert_unexplained(Rotation::Never, "another process might");
}

#[test]
fn a_replaced_token_is_not_presented_again() {
    let story = Story::default().lives(0.0, 60.0, false).claim(1.0, "first").exchange(2.0, "a", Some("b"));
    let story = story.commit(2.1, "b", 2.0).claim(3.0, "first").exchange(4.0, "a", Some("c")).commit(4.1, "c", 4.0);
    story.assert_unexplained(Rotation::Grace, "whose successor was stored");
}

#[test]
fn the_next_write_tells_what_became_of_one_that_was_not_answered() {
    let base = |story: &mut Story, number: usize, base: &str| {
        story.records.writes[number].base = Some(base.to_owned());
    };
    for (next, landed) in [("7", Landed::No), ("8", Landed::Yes)] {
        let mut story = Story::default().state(1.0, "b").state(2.0, "c").tokens(3.0, "c", 0.0);
        story.records.writes[0].landed = Landed::Perhaps;
        base(&mut story, 0, "7");
        base(&mut story, 1, next);
        story.records.resolve();
        assert_eq!(story.records.writes[0].landed, landed, "{next}");
    }
}

#[test]
fn a_claim_that_did_not_land_keeps_nobody_away() {
    let mut story = Story::default()
        .lives(0.0, 2.0, true)
        .claim(1.0, "first")
        .lives(3.0, 60.0, false)
        .claim(4.0, "second")
        .exchange(5.0, "a", None)
        .tokens(5.1, "a", 5.0);
    story.records.writes[0].landed = Landed::No;
    assert_eq!(story.judge(Rotation::Never).unexplained, Vec::<String>::new());
}
