//! Waiting for a condition, with a deadline. Real time: nothing here looks at the operator's test clock.

use std::fmt::{Debug, Display};
use std::time::Duration;

use kube::Api;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::error::Error;

/// The time between two looks.
const INTERVAL: Duration = Duration::from_millis(50);

/// What a look at the condition showed: it is true and gives a value, or it is not yet.
pub trait Observation {
    /// What the condition gives once it is true.
    type Value;

    /// The value, or what was seen instead.
    fn into_result(self) -> Result<Self::Value, String>;
}

impl<T> Observation for Option<T> {
    type Value = T;

    fn into_result(self) -> Result<T, String> {
        self.ok_or_else(|| "not yet".to_owned())
    }
}

impl<T, E: Display> Observation for Result<T, E> {
    type Value = T;

    fn into_result(self) -> Result<T, String> {
        self.map_err(|seen| seen.to_string())
    }
}

impl Observation for bool {
    type Value = ();

    fn into_result(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("not yet".to_owned()) }
    }
}

/// Looks again and again until the condition is true. A probe that returns `Err(text)` says what it saw instead: the last
/// such text is in the error that a missed deadline gives. A probe that hangs is cut off at the deadline.
pub async fn wait_until<O: Observation>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> O,
) -> Result<O::Value, Error> {
    let end = Instant::now() + deadline;
    let mut last = "nothing: the first look did not return".to_owned();
    while let Ok(observation) = tokio::time::timeout_at(end, probe()).await {
        match observation.into_result() {
            Ok(value) => return Ok(value),
            Err(seen) => last = seen,
        }
        if Instant::now() + INTERVAL >= end {
            break;
        }
        tokio::time::sleep(INTERVAL).await;
    }
    Err(Error::Timeout { what: what.to_owned(), waited: deadline, last })
}

/// Reads an object again and again until `is_met` says yes to it, and returns it. The error of a missed deadline shows the
/// object as it was last read.
pub async fn wait_for_object<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    deadline: Duration,
    is_met: impl Fn(&K) -> bool,
) -> Result<K, Error>
where
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    wait_until(&format!("{name}: {what}"), deadline, async || match api.get_opt(name).await {
        Ok(Some(object)) if is_met(&object) => Ok(object),
        Ok(Some(object)) => Err(serde_json::to_string_pretty(&object).unwrap_or_else(|error| error.to_string())),
        Ok(None) => Err("no such object".to_owned()),
        Err(error) => Err(error.to_string()),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_value_of_the_first_true_look_is_returned() {
        let mut looks = 0;
        let value = wait_until("three looks", Duration::from_mins(1), async || {
            looks += 1;
            (looks == 3).then_some(looks)
        })
        .await
        .unwrap();
        assert_eq!(value, 3);
    }

    #[tokio::test]
    async fn a_missed_deadline_names_the_condition_and_the_last_look() {
        let error =
            wait_until("the moon", Duration::from_millis(120), async || Err::<(), _>("a cloud")).await.unwrap_err();
        assert_eq!(error.to_string(), "waited 120ms for the moon; last seen: a cloud");
    }

    #[tokio::test]
    async fn a_probe_that_hangs_is_cut_off() {
        let error = wait_until("an answer", Duration::from_millis(20), async || {
            std::future::pending::<()>().await;
            Some(())
        })
        .await
        .unwrap_err();
        assert!(error.to_string().contains("did not return"), "{error}");
    }
}
