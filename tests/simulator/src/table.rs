//! Rows that know which of them changed, so that exactly those are written down before an answer leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A changed row: table, key, and the row or nothing if it was removed.
pub(crate) type Change = (String, String, Option<Value>);

/// Rows of one kind by key.
#[derive(Debug)]
pub(crate) struct Table<T> {
    name: &'static str,
    rows: BTreeMap<String, T>,
    changed: BTreeSet<String>,
}

/// A table as the log sees it.
pub(crate) trait Stored {
    fn name(&self) -> &'static str;
    fn restore(&mut self, key: String, row: Option<Value>) -> Result<(), serde_json::Error>;
    fn mark_all(&mut self);
    fn forget_changes(&mut self);
    fn take_changes(&mut self, changes: &mut Vec<Change>) -> Result<(), serde_json::Error>;
}

impl<T> Table<T> {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, rows: BTreeMap::new(), changed: BTreeSet::new() }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&T> {
        self.rows.get(key)
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.rows.contains_key(key)
    }

    pub(crate) fn edit(&mut self, key: &str) -> Option<&mut T> {
        let row = self.rows.get_mut(key)?;
        self.changed.insert(key.to_owned());
        Some(row)
    }

    pub(crate) fn put(&mut self, key: impl Into<String>, row: T) {
        let key = key.into();
        self.changed.insert(key.clone());
        self.rows.insert(key, row);
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<T> {
        let row = self.rows.remove(key)?;
        self.changed.insert(key.to_owned());
        Some(row)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&String, &T)> {
        self.rows.iter()
    }

    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.values()
    }

    pub(crate) fn edit_where(&mut self, wanted: impl Fn(&T) -> bool, mut change: impl FnMut(&mut T)) {
        for (key, row) in self.rows.iter_mut().filter(|(_, row)| wanted(row)) {
            change(row);
            self.changed.insert(key.clone());
        }
    }

    pub(crate) fn clear(&mut self) {
        self.changed.extend(std::mem::take(&mut self.rows).into_keys());
    }

    /// Rows whose keys start with `owner` and a slash.
    pub(crate) fn of<'a>(&'a self, owner: &str) -> impl DoubleEndedIterator<Item = (&'a String, &'a T)> + use<'a, T> {
        self.rows.range(keys_of(owner))
    }

    /// Rows whose keys come after `key`.
    pub(crate) fn after<'a>(&'a self, key: &str) -> impl DoubleEndedIterator<Item = &'a T> + use<'a, T> {
        self.rows.range((std::ops::Bound::Excluded(key.to_owned()), std::ops::Bound::Unbounded)).map(|(_, row)| row)
    }
}

/// Slash is the byte before `0`: every key `owner/…` lies between the two.
fn keys_of(owner: &str) -> RangeInclusive<String> {
    format!("{owner}/")..=format!("{owner}0")
}

impl<T: Serialize + DeserializeOwned> Stored for Table<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn restore(&mut self, key: String, row: Option<Value>) -> Result<(), serde_json::Error> {
        match row {
            Some(row) => drop(self.rows.insert(key, serde_json::from_value(row)?)),
            None => drop(self.rows.remove(&key)),
        }
        Ok(())
    }

    fn mark_all(&mut self) {
        self.changed = self.rows.keys().cloned().collect();
    }

    fn forget_changes(&mut self) {
        self.changed.clear();
    }

    fn take_changes(&mut self, changes: &mut Vec<Change>) -> Result<(), serde_json::Error> {
        for key in std::mem::take(&mut self.changed) {
            let row = self.rows.get(&key).map(serde_json::to_value).transpose()?;
            changes.push((self.name.to_owned(), key, row));
        }
        Ok(())
    }
}
