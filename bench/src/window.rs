//! What happens between two moments: time of processes, requests to the API server, reads.

use std::time::{Duration, Instant};

use scrobble_simulator::api::RecordFilter;

use crate::failure::Failure;
use crate::process;
use crate::reads::Reads;
use crate::requests::Requests;
use crate::stage::Stage;

/// So many records of the simulator are asked for at a time.
pub const PAGE: u64 = 5_000;

/// What was counted when a window was opened.
pub struct Opened {
    at: Instant,
    seq: u64,
    requests: Requests,
    used: Used,
}

/// CPU time used so far.
#[derive(Clone, Copy, Default)]
struct Used {
    subject: Duration,
    servers: Duration,
    simulator: Duration,
    /// The rest of the control plane, and this program.
    besides: Duration,
    machine: Duration,
}

/// What happened while a window was open. CPU times are in seconds.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// How long it was open, in seconds.
    pub length: f64,
    /// The subject's CPU time.
    pub subject: f64,
    /// The CPU time of API server and etcd.
    pub servers: f64,
    /// The simulator's.
    pub simulator: f64,
    /// That of everything else on the machine.
    pub others: f64,
    /// What the API server was asked.
    pub requests: Requests,
    /// What the simulator was asked.
    pub reads: Reads,
}

/// Opens a window. A subject that is not started yet has used nothing.
pub async fn open(stage: &Stage, subject: Option<u32>) -> Result<Opened, Failure> {
    let requests = Requests::parse(&stage.metrics().await?);
    let seq = stage.script().last_seq().await?;
    let used = used(stage, subject).await?;
    Ok(Opened { at: Instant::now(), seq, requests, used })
}

impl Opened {
    /// Closes the window.
    pub async fn close(self, stage: &Stage, subject: Option<u32>) -> Result<Window, Failure> {
        let (length, now) = (self.at.elapsed(), used(stage, subject).await?);
        let requests = Requests::parse(&stage.metrics().await?).since(&self.requests);
        let reads = reads(stage, self.seq).await?;
        let spent = |of: fn(&Used) -> Duration| of(&now).saturating_sub(of(&self.used)).as_secs_f64();
        let (subject, servers, simulator) =
            (spent(|used| used.subject), spent(|used| used.servers), spent(|used| used.simulator));
        let ours = subject + servers + simulator + spent(|used| used.besides);
        Ok(Window {
            length: length.as_secs_f64(),
            subject,
            servers,
            simulator,
            others: (spent(|used| used.machine) - ours).max(0.0),
            requests,
            reads,
        })
    }

    /// The last request to the simulator before the window.
    pub fn seq(&self) -> u64 {
        self.seq
    }
}

/// What the simulator was asked after a request, until now.
pub async fn reads(stage: &Stage, since: u64) -> Result<Reads, Failure> {
    let (mut reads, mut seq) = (Reads::default(), since);
    // What comes while the log is read is not waited for.
    let end = stage.script().last_seq().await?;
    while seq < end {
        seq = take(stage, &mut reads, seq).await?;
    }
    Ok(reads)
}

/// Takes the next records of the simulator after a request; answers the last one taken.
pub async fn take(stage: &Stage, reads: &mut Reads, seq: u64) -> Result<u64, Failure> {
    let filter = RecordFilter { limit: usize::try_from(PAGE).ok(), ..RecordFilter::default().since(seq) };
    let records = stage.script().requests(&filter).await?;
    let newest = records.last().map_or(seq, |record| record.seq);
    reads.extend(records);
    Ok(newest)
}

async fn used(stage: &Stage, subject: Option<u32>) -> Result<Used, Failure> {
    let plane = stage.plane.process_ids().await;
    // etcd and API server come first; what the controller manager does with what it watches is not a controller's doing.
    let (servers, besides) = plane.split_at(plane.len().min(2));
    let sum = |ids: &[u32]| ids.iter().map(|id| process::cpu(*id)).sum::<Result<Duration, Failure>>();
    Ok(Used {
        subject: subject.map_or(Ok(Duration::ZERO), process::cpu)?,
        servers: sum(servers)?,
        simulator: process::cpu(stage.simulator.id())?,
        besides: sum(besides)? + process::cpu(std::process::id())?,
        machine: process::machine()?,
    })
}
