//! One subject with so many accounts, from an empty cluster to the first interval after a restart.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::numbers::ratio;
use crate::process::{self, Memory};
use crate::progress::say;
use crate::reads::Reads;
use crate::stage::Stage;
use crate::subject::{Kind, Subject};
use crate::window::{self, Window};

/// How long the API server is left alone before its own needs are measured.
const CALM: Duration = Duration::from_secs(10);
/// For how long they are measured.
const BASE: Duration = Duration::from_secs(20);
/// What is under way when the last account was read may still be written.
const SETTLE: Duration = Duration::from_secs(5);
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(30);
/// The time between two looks at the simulator's log, which cost it time.
const LOOK: Duration = Duration::from_millis(500);
/// A read that is due at the end of the first interval may come a little later.
const GRACE: Duration = Duration::from_secs(2);

/// What is measured.
pub struct Plan {
    /// Which program.
    pub kind: Kind,
    /// How many accounts.
    pub accounts: u32,
    /// The time between two reads of one.
    pub interval: Duration,
    /// Whether its memory with one account is measured first.
    pub alone: bool,
    /// The programs.
    pub program: PathBuf,
    /// The simulator.
    pub simulator: PathBuf,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// How many accounts.
    pub accounts: u64,
    /// Memory with one account.
    pub alone: Option<Memory>,
    /// Memory when every account was read and had news.
    pub memory: Memory,
    /// The control plane by itself.
    pub base: Window,
    /// From the start until every account was read once.
    pub cold: Window,
    /// An interval without news.
    pub idle: Window,
    /// Until a play of each account was delivered.
    pub news: Window,
    /// The 50th and the 99th percentile of how far two reads were from being an interval apart, in seconds.
    pub deviation: [Option<f64>; 2],
    /// Seconds to receive all accounts from a streaming list.
    pub drained: f64,
    /// Seconds from a restart until all accounts were listed.
    pub listed: f64,
    /// The first interval after a restart.
    pub restart: Window,
    /// Reads in it.
    pub restart_reads: u64,
    /// Most reads of a second in it, by the mean.
    pub restart_peak: f64,
    /// Accounts that were not read in it.
    pub unread: u64,
    /// Accounts that say that they are Ready at the end.
    pub ready: u64,
    /// Warnings and errors that it logged.
    pub complaints: usize,
}

/// Measures.
pub async fn run(plan: &Plan) -> Result<Figures, Failure> {
    let who = format!("{} with {} accounts", plan.kind, plan.accounts);
    say(&format!("{who}: a control plane is started"));
    let stage = Stage::start(&plan.simulator).await?;
    let mut figures = Figures { accounts: u64::from(plan.accounts), ..Figures::default() };
    if plan.alone {
        say(&format!("{who}: one account first"));
        figures.alone = Some(alone(plan, &stage).await?);
    }
    say(&format!("{who}: accounts are created"));
    let names = stage.accounts("listener", plan.accounts, plan.interval).await?;
    tokio::time::sleep(CALM).await;
    let opened = window::open(&stage, None).await?;
    tokio::time::sleep(BASE).await;
    figures.base = opened.close(&stage, None).await?;

    say(&format!("{who}: cold start"));
    let opened = window::open(&stage, None).await?;
    let seq = opened.seq();
    let subject = start(plan, &stage).await?;
    wait(&stage, seq, "every account to be read", |reads| reads.accounts() >= figures.accounts).await?;
    figures.cold = opened.close(&stage, Some(subject.id())).await?;
    tokio::time::sleep(SETTLE).await;

    say(&format!("{who}: {} s without news", plan.interval.as_secs()));
    let opened = window::open(&stage, Some(subject.id())).await?;
    let steady = opened.seq();
    tokio::time::sleep(plan.interval).await;
    figures.idle = opened.close(&stage, Some(subject.id())).await?;

    say(&format!("{who}: a play for each account"));
    let opened = window::open(&stage, Some(subject.id())).await?;
    let seq = opened.seq();
    stage.play(&names).await?;
    wait(&stage, seq, "every play to be delivered", |reads| reads.delivered >= figures.accounts).await?;
    figures.news = opened.close(&stage, Some(subject.id())).await?;
    figures.memory = process::memory(subject.id())?;
    let reads = window::reads(&stage, steady).await?;
    figures.deviation = [0.5, 0.99].map(|share| reads.deviation(plan.interval, share));

    say(&format!("{who}: restart, and {} s after it", plan.interval.as_secs()));
    figures.complaints = complaints(&subject);
    subject.stop().await?;
    figures.drained = stage.drain().await?.as_secs_f64();
    restart(plan, &stage, &names, &mut figures).await?;
    figures.ready = stage.ready().await?;
    Ok(figures)
}

/// The memory of a subject that has one account, which was read.
async fn alone(plan: &Plan, stage: &Stage) -> Result<Memory, Failure> {
    let names = stage.accounts("alone", 1, plan.interval).await?;
    let seq = stage.script().last_seq().await?;
    let subject = start(plan, stage).await?;
    wait(stage, seq, "the account to be read", |reads| reads.accounts() >= 1).await?;
    tokio::time::sleep(SETTLE).await;
    let memory = process::memory(subject.id())?;
    subject.stop().await?;
    for name in &names {
        stage.remove(name).await?;
    }
    Ok(memory)
}

async fn restart(plan: &Plan, stage: &Stage, names: &BTreeSet<String>, figures: &mut Figures) -> Result<(), Failure> {
    let opened = window::open(stage, None).await?;
    let (begin, began) = (stage.script().now().await?, Instant::now());
    let subject = start(plan, stage).await?;
    figures.listed = subject.listed.as_secs_f64();
    tokio::time::sleep((plan.interval + GRACE).saturating_sub(began.elapsed())).await;
    figures.restart = opened.close(stage, Some(subject.id())).await?;
    let first = figures.restart.reads.within(begin, plan.interval);
    let (peak, mean) = first.peak_and_mean(begin, plan.interval);
    figures.restart_reads = first.count();
    #[expect(clippy::cast_precision_loss, reason = "reads of a second")]
    let peak = peak as f64;
    figures.restart_peak = ratio(peak, mean).unwrap_or(0.0);
    figures.unread = figures.restart.reads.within(begin, plan.interval + GRACE).missing(names);
    figures.complaints += complaints(&subject);
    subject.stop().await
}

async fn start(plan: &Plan, stage: &Stage) -> Result<Subject, Failure> {
    Subject::start(plan.kind, plan.program.clone(), stage, plan.interval).await
}

fn complaints(subject: &Subject) -> usize {
    let (count, last) = subject.complaints();
    if let Some(last) = last {
        say(&format!("it has logged {count} warnings or errors, the last one: {last}"));
    }
    count
}

/// Reads the simulator's log until the condition is true.
async fn wait(stage: &Stage, since: u64, what: &str, is_met: impl Fn(&Reads) -> bool) -> Result<(), Failure> {
    let (mut reads, mut seq, begin) = (Reads::default(), since, Instant::now());
    loop {
        let before = seq;
        seq = window::take(stage, &mut reads, seq).await?;
        if is_met(&reads) {
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            let seen = format!("{} accounts read, {} plays delivered", reads.accounts(), reads.delivered);
            return Err(Failure::Broken(format!("waited {PATIENCE:?} for {what}: {seen}")));
        }
        if seq - before < window::PAGE {
            tokio::time::sleep(LOOK).await;
        }
    }
}
