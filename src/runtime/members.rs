//! Notices what becomes of the members of plans. That is in their status, which the filter of a watch passes over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::triggers::Change;
use crate::api::v1alpha1::ScrobblePlan;
use crate::domain::name::ObjectName;
use crate::plan::seat::{self, Room};

/// The members of plans as they were seen last.
#[derive(Debug, Default)]
pub struct Members(HashMap<String, Seen>);

/// What was seen of one plan.
#[derive(Debug)]
struct Seen {
    members: BTreeMap<ObjectName, (Option<i64>, Timestamp)>,
    room: Room,
}

impl Members {
    /// What is to be told of a plan that was seen again. A seat that was given tells nobody: whoever took it knows, and
    /// who waits still waits.
    pub fn notice(&mut self, plan: &ScrobblePlan) -> Option<Change> {
        let entries = seat::members(plan)
            .iter()
            .map(|member| (ObjectName::new(&member.namespace, &member.name), (member.number, member.granted_time.0)));
        let seen = Seen { members: entries.collect(), room: seat::room(plan) };
        let miscounted = plan
            .status
            .as_ref()
            .is_some_and(|status| usize::try_from(status.seats_taken).is_ok_and(|taken| taken != status.members.len()));
        let name = plan.name_any();
        let change = self.0.get(&name).and_then(|before| {
            let is_touched =
                |(name, held): &(&ObjectName, &(Option<i64>, Timestamp))| seen.members.get(name) != Some(held);
            let touched: BTreeSet<_> = before.members.iter().filter(is_touched).map(|(name, _)| name.clone()).collect();
            let freed = before.room != Room::Left && seen.room == Room::Left;
            let told = miscounted || !touched.is_empty() || before.room != seen.room;
            told.then(|| Change::Members {
                plan: name.clone(),
                touched: Arc::new(touched),
                seated: freed.then(|| Arc::new(seen.members.keys().cloned().collect())),
            })
        });
        self.0.insert(name, seen);
        change
    }
}

#[cfg(test)]
mod tests;
