//! What the witnesses' records come to: which accounts were lost, and what no kill explains.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use scrobble_operator::adapters::spotify::EXCHANGE_DEADLINE;
use scrobble_operator::domain::token_secret::Claim;
use scrobble_simulator::api::Rotation;

use super::lives::Life;
use super::records::{Answer, ClaimChange, Exchange, Landed, Records, SecretKind, SecretWrite, StatusWrite, Use};

/// A server may act on a request so long after its sender is gone.
const ON_THE_WIRE: SignedDuration = SignedDuration::from_secs(3);
/// A process that lives so long after an answer has stored it, however slow the machine.
const LONGEST_COMMIT: SignedDuration = SignedDuration::from_secs(30);

/// What became of the accounts of one world.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Access tokens that the server issued for refresh tokens.
    pub refreshes: usize,
    /// How often an account lost its authorization, as its status tells.
    pub lost: usize,
    /// What differs from what the kills explain.
    pub unexplained: Vec<String>,
}

/// Compares what the server replaced, what was stored, what the status tells, and when the operator was killed. The
/// records are resolved.
pub fn judge(rotation: Rotation, records: &Records, lives: &[Life]) -> Verdict {
    let mut verdict = Verdict::default();
    let names: BTreeSet<&str> = records.exchanges.iter().map(|exchange| exchange.account.as_str()).collect();
    let silent = records.statuses.iter().filter(|status| !names.contains(status.account.as_str()));
    verdict.unexplained.extend(
        silent
            .filter(|status| status.authorized == "False")
            .map(|status| format!("{}: {} although nothing was ever exchanged", status.account, status.reason)),
    );
    for name in names {
        let mut account = Account::new(name, rotation, records, lives);
        account.judge_exchanges();
        account.judge_uses();
        account.judge_losses();
        verdict.refreshes += account.refreshes;
        verdict.lost += account.lost;
        verdict.unexplained.extend(account.unexplained.into_iter().map(|what| format!("{name}: {what}")));
    }
    verdict
}

struct Account<'a> {
    rotation: Rotation,
    lives: &'a [Life],
    exchanges: Vec<&'a Exchange>,
    uses: Vec<&'a Use>,
    writes: Vec<&'a SecretWrite>,
    statuses: Vec<&'a StatusWrite>,
    /// Refresh tokens that the server replaced by one that was never stored, and when.
    cut_off: Vec<(&'a str, Timestamp)>,
    refreshes: usize,
    lost: usize,
    unexplained: Vec<String>,
}

impl<'a> Account<'a> {
    fn new(name: &str, rotation: Rotation, records: &'a Records, lives: &'a [Life]) -> Self {
        let mut account = Self {
            rotation,
            lives,
            exchanges: records.exchanges.iter().filter(|exchange| exchange.account == name).collect(),
            uses: records.uses.iter().filter(|used| used.account == name).collect(),
            writes: records.writes.iter().filter(|write| write.account == name).collect(),
            statuses: records.statuses.iter().filter(|status| status.account == name).collect(),
            cut_off: Vec::new(),
            refreshes: 0,
            lost: 0,
            unexplained: Vec::new(),
        };
        account.writes.sort_by_key(|write| write.time);
        account.statuses.sort_by_key(|status| status.time);
        account
    }

    fn is_dead_at_once(&self) -> bool {
        matches!(self.rotation, Rotation::SingleUse | Rotation::Strict)
    }

    fn wrong(&mut self, what: String) {
        self.unexplained.push(what);
    }

    fn judge_exchanges(&mut self) {
        let mut before = Timestamp::MIN;
        for exchange in self.exchanges.clone() {
            self.judge_claim(exchange, before);
            before = exchange.time;
            self.judge_reuse(exchange);
            if let Answer::Granted { access, rotated } = &exchange.answer {
                self.refreshes += 1;
                self.judge_commit(exchange, access, rotated.as_deref());
            }
        }
    }

    /// Nothing is sent without a claim, and nothing while somebody else may still be at the same token.
    fn judge_claim(&mut self, exchange: &Exchange, before: Timestamp) {
        let at = exchange.time;
        let mut open: HashMap<SecretKind, &Claim> = HashMap::new();
        let mut newest: Option<(&Claim, Timestamp, Option<Timestamp>)> = None;
        for write in self.writes.iter().filter(|write| write.time < at && write.landed == Landed::Yes) {
            match &write.claim {
                ClaimChange::Kept => {}
                ClaimChange::Removed => drop(open.remove(&write.secret)),
                ClaimChange::Set(claim) => {
                    let foreign =
                        open.values().filter(|other| other.holder != claim.holder && other.token == claim.token);
                    let fence = foreign.map(|other| fence(other)).max();
                    let fence = fence.max(newest.filter(|(known, ..)| *known == claim).and_then(|(.., fence)| fence));
                    newest = Some((claim, write.time, fence));
                    open.insert(write.secret, claim);
                }
            }
        }
        match newest {
            Some((_, claimed, _)) if claimed <= before => self.wrong(format!("exchanged at {at} without a claim")),
            None => self.wrong(format!("exchanged at {at} without a claim")),
            Some((_, _, Some(fence))) if at < fence => {
                self.wrong(format!("exchanged at {at} although another process might have until {fence}"));
            }
            Some(_) => {}
        }
    }

    /// A token that was replaced is presented again only where its successor was never stored; and only such a one is
    /// refused.
    fn judge_reuse(&mut self, exchange: &Exchange) {
        let cut_off = self.cut_off.iter().any(|(token, _)| *token == exchange.sent);
        let replaced = self.exchanges.iter().take_while(|earlier| earlier.time < exchange.time).any(|earlier| {
            earlier.sent == exchange.sent && matches!(&earlier.answer, Answer::Granted { rotated: Some(_), .. })
        });
        let at = exchange.time;
        if replaced && !cut_off {
            self.wrong(format!("presented a token at {at} whose successor was stored"));
        }
        if let Answer::Refused(error) = &exchange.answer
            && !(cut_off && self.is_dead_at_once() && error == "invalid_grant")
        {
            self.wrong(format!("was answered {error} at {at}, and no kill explains it"));
        }
    }

    /// What the server issued is stored, a rotated token first in the state Secret; or a kill came in between.
    fn judge_commit(&mut self, exchange: &'a Exchange, access: &str, rotated: Option<&str>) {
        let stored = self.writes.iter().filter(|write| write.landed == Landed::Yes).find(|write| match rotated {
            Some(token) => write.refresh.as_deref() == Some(token),
            None => write.access.as_deref() == Some(access),
        });
        let at = exchange.time;
        match stored {
            Some(write) if rotated.is_some() && write.secret != SecretKind::State => {
                self.wrong(format!("what was issued at {at} was stored in the token Secret before the state Secret"));
            }
            Some(_) => {}
            None => {
                if let Some(what) = self.went_on(at) {
                    self.wrong(format!("what was issued at {at} was never stored: {what}"));
                }
                if rotated.is_some() {
                    self.cut_off.push((&exchange.sent, at));
                }
            }
        }
    }

    /// What shows that the process that got an answer was not killed over it; nothing where a kill came at once.
    fn went_on(&self, at: Timestamp) -> Option<String> {
        let life = self.lives.iter().rev().find(|life| life.begun <= at)?;
        if at > life.ended + ON_THE_WIRE {
            return Some("nobody lived who could have asked".to_owned());
        }
        if !life.killed {
            return Some(format!("the operator ended by itself ({})", life.how));
        }
        if at + LONGEST_COMMIT < life.ended {
            return Some(format!("the operator lived on until {}", life.ended));
        }
        let after = |time: Timestamp| time > at && time <= life.ended;
        let used = self.uses.iter().any(|used| after(used.time));
        let exchanged = self.exchanges.iter().any(|exchange| after(exchange.time));
        let wrote = self.writes.iter().any(|write| after(write.time) && write.landed == Landed::Yes);
        (used || exchanged || wrote).then(|| "the operator went on with the account".to_owned())
    }

    /// An access token is used only once it is stored.
    fn judge_uses(&mut self) {
        for used in self.uses.clone() {
            let stored = self.writes.iter().any(|write| {
                write.access.as_ref() == Some(&used.access) && write.landed == Landed::Yes && write.time < used.time
            });
            if !stored {
                self.wrong(format!("used an access token at {} that was not stored", used.time));
            }
        }
    }

    /// An account is lost where a kill fell between the server's rotation and the commit, and its status says so at the
    /// first try of the old token. Nowhere else.
    fn judge_losses(&mut self) {
        let mut losses = self.losses().into_iter().peekable();
        let cut_off = if self.is_dead_at_once() { std::mem::take(&mut self.cut_off) } else { Vec::new() };
        for (number, (_, at)) in cut_off.iter().enumerate() {
            let next = cut_off.get(number + 1).map_or(Timestamp::MAX, |(_, next)| *next);
            while let Some(early) = losses.next_if(|loss| loss.time < *at) {
                self.lost_for_no_reason(early);
            }
            match losses.next_if(|loss| loss.time < next) {
                Some(loss) if loss.reason == "RefreshInterrupted" => {
                    self.lost += 1;
                    self.judge_tries(*at, loss.time);
                }
                Some(loss) => self.lost_for_no_reason(loss),
                None => self.wrong(format!("lost at {at}, and its status never said so")),
            }
        }
        for loss in losses {
            self.lost_for_no_reason(loss);
        }
    }

    /// The moments at which `Authorized` became false, or false for another reason.
    fn losses(&self) -> Vec<&'a StatusWrite> {
        let mut before: Option<&StatusWrite> = None;
        let mut losses = Vec::new();
        for status in self.statuses.iter().copied() {
            let same = before.is_some_and(|before| before.authorized == "False" && before.reason == status.reason);
            if status.authorized == "False" && !same {
                losses.push(status);
            }
            before = Some(status);
        }
        losses
    }

    fn lost_for_no_reason(&mut self, loss: &StatusWrite) {
        self.lost += 1;
        self.wrong(format!("{} at {}, and no kill explains it", loss.reason, loss.time));
    }

    /// One try of the dead token shows the loss, unless a kill came before that was written.
    fn judge_tries(&mut self, lost: Timestamp, told: Timestamp) {
        let tries = self.exchanges.iter().filter(|exchange| exchange.time > lost && exchange.time < told);
        let tries: Vec<Timestamp> = tries.map(|exchange| exchange.time).collect();
        let killed = |from: Timestamp, to: Timestamp| {
            self.lives.iter().any(|life| life.killed && life.ended >= from && life.begun <= to && life.ended <= to)
        };
        if tries.windows(2).any(|pair| !killed(pair[0] - ON_THE_WIRE, pair[1])) {
            self.wrong(format!("lost at {lost}, tried {} times before its status said so", tries.len()));
        }
    }
}

/// Until when the holder of a claim may be at it.
fn fence(claim: &Claim) -> Timestamp {
    claim.deadline_time + SignedDuration::try_from(EXCHANGE_DEADLINE).unwrap()
}
