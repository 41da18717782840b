//! What is wrong with one account, or with the service of one app, is nobody else's trouble.

mod hanging;
mod neighbours;
mod panics;
mod poison;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use scrobble_harness::wait_until;
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyApp};
use scrobble_simulator::api::{Endpoint, NewAccount, RecordFilter};
use serde_json::{Value, json};

use crate::world::World;

/// So many objects are created at a time.
const AT_ONCE: usize = 16;

/// Listeners of the app with this client id, each with an account of its own that reads every `interval`.
async fn crowd(world: &World, client_id: &str, names: &[String], spec: impl Fn(&str) -> Value) {
    let one = |name: String| {
        let spec = spec(&name);
        async move {
            world.listener_as(NewAccount::new(name.clone(), client_id)).await;
            world.create::<SpotifyAccount>("SpotifyAccount", &name, &spec).await;
        }
    };
    stream::iter(names.iter().cloned()).map(one).buffer_unordered(AT_ONCE).collect::<()>().await;
}

/// The spec of an account that delivers to the targets of these names, without credentials.
fn spec(app: &str, listener: &str, interval: Duration, targets: &[&str]) -> Value {
    let targets: Vec<Value> = targets.iter().map(|name| json!({"name": name, "targetRef": {"name": name}})).collect();
    json!({
        "appRef": {"name": app},
        "tokenSecretRef": {"name": format!("{listener}-spotify")},
        "sync": {"interval": format!("{}s", interval.as_secs())},
        "targets": targets,
    })
}

/// Calls are not counted for the app.
async fn without_budget(world: &World, app: &str) {
    world.patch::<SpotifyApp>(app, json!({"spec": {"quota": {"dailyCalls": 0}}})).await;
}

/// When each listener's plays were read since a request, oldest first.
async fn reads(world: &World, since: u64) -> Result<BTreeMap<String, Vec<Timestamp>>, String> {
    let filter = RecordFilter::at(Endpoint::RecentlyPlayed).since(since);
    let records = world.script.requests(&filter).await.map_err(|error| error.to_string())?;
    let mut reads: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    for record in records.into_iter().filter(|record| record.status == Some(200)) {
        reads.entry(record.account.unwrap_or_default()).or_default().push(record.real_time);
    }
    Ok(reads)
}

/// Waits until each of these listeners was read so often since a request. Answers when.
async fn wait_for_reads(
    world: &World,
    names: &[String],
    since: u64,
    count: usize,
    interval: Duration,
) -> BTreeMap<String, Vec<Timestamp>> {
    let deadline = interval * u32::try_from(3 * count).unwrap() + Duration::from_mins(1);
    let what = format!("{count} reads of each");
    let reads = wait_until(&what, deadline, async || {
        let reads = reads(world, since).await?;
        let done = |name: &&String| reads.get(*name).is_some_and(|reads| reads.len() >= count);
        let waiting: Vec<&String> = names.iter().filter(|name| !done(name)).collect();
        if waiting.is_empty() { Ok(reads) } else { Err(format!("{} wait: {:?}", waiting.len(), &waiting[..1])) }
    });
    reads.await.unwrap()
}

/// Waits until each of these listeners was read so often since a request. No interval passed without a read: two reads
/// in a row are never two intervals apart.
async fn assert_on_time(world: &World, names: &[String], since: u64, count: usize, interval: Duration) {
    let reads = wait_for_reads(world, names, since, count, interval).await;
    let twice = SignedDuration::try_from(interval * 2).unwrap();
    for name in names {
        let late = reads[name].windows(2).find(|pair| pair[1].duration_since(pair[0]) >= twice);
        assert_eq!(late, None, "{name} was not read for an interval");
    }
}
