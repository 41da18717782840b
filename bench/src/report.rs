//! The table.

use std::fmt::Write as _;

use crate::machine::Machine;
use crate::numbers::{mixed, ratio, slope};
use crate::trial::Figures;

const MIB: f64 = 1_048_576.0;
/// The share of syncs that find something new, of somebody who is read every five minutes and listens for a while a day.
const SHARE_WITH_NEWS: f64 = 0.08;

/// Both subjects with one number of accounts.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Seconds between two reads of an account.
    pub interval: u64,
    /// The operator's.
    pub operator: Figures,
    /// The naive controller's.
    pub naive: Figures,
}

/// What a figure is to be.
#[derive(Clone, Copy, Debug, Default)]
struct Goal {
    /// At most this.
    most: Option<f64>,
    /// At most one part in so many of the naive controller's.
    times: Option<f64>,
}

impl Goal {
    const NONE: Self = Self { most: None, times: None };

    const fn most(most: f64) -> Self {
        Self { most: Some(most), times: None }
    }

    const fn and_times(self, times: f64) -> Self {
        Self { times: Some(times), ..self }
    }

    fn text(self, digits: usize) -> String {
        let most = self.most.map(|most| format!("≤ {}", number(most, digits)));
        let times = self.times.map(|times| format!("≥ {}×", number(times, 0)));
        let parts: Vec<String> = most.into_iter().chain(times).collect();
        parts.join(", ")
    }

    /// Whether it is met; none where there is none, or where nothing was measured.
    fn is_met(self, operator: Option<f64>, times: Option<f64>) -> Option<bool> {
        let most = self.most.map(|most| operator.map(|found| found <= most));
        // Less than nothing cannot be asked for: where there is no ratio, the operator needs none of it.
        let times = self.times.map(|least| operator.map(|_| times.is_none_or(|found| found >= least)));
        most.into_iter().chain(times).reduce(|one, other| Some(one? && other?)).flatten()
    }
}

/// A line of the table.
struct Row {
    what: &'static str,
    goal: Goal,
    digits: usize,
    operator: Option<f64>,
    naive: Option<f64>,
}

/// The whole report, in Markdown.
pub fn report(machine: &Machine, command: &str, pairs: &[Pair]) -> String {
    let mut text = String::new();
    let missed = pairs.iter().flat_map(rows).chain(memory_rows(pairs)).filter(|row| met(row) == Some(false)).count();
    let _ = writeln!(text, "`{command}`, on {}.\n", machine.text());
    section(&mut text, "Memory", &memory_rows(pairs));
    for pair in pairs {
        let title = format!("{} accounts, each read every {} s", grouped(pair.operator.accounts), pair.interval);
        section(&mut text, &title, &rows(pair));
    }
    let _ = writeln!(
        text,
        "{}\n",
        if missed == 0 { "No goal is missed." } else { "Goals that are **missed** are not met yet." }
    );
    conditions(&mut text, pairs);
    text
}

fn section(text: &mut String, title: &str, rows: &[Row]) {
    let _ = writeln!(text, "| {title} | goal | operator | naive | naive ÷ operator | |");
    let _ = writeln!(text, "|---|---|---:|---:|---:|---|");
    for row in rows {
        let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| number(value, row.digits));
        let times = times(row).map_or_else(|| "–".to_owned(), |times| number(times, 1));
        let verdict = match met(row) {
            None => "",
            Some(true) => "met",
            Some(false) => "**missed**",
        };
        let (operator, naive) = (shown(row.operator), shown(row.naive));
        let goal = row.goal.text(row.digits);
        let _ = writeln!(text, "| {} | {goal} | {operator} | {naive} | {times} | {verdict} |", row.what);
    }
    text.push('\n');
}

fn times(row: &Row) -> Option<f64> {
    row.operator.zip(row.naive).and_then(|(operator, naive)| ratio(naive, operator))
}

fn met(row: &Row) -> Option<bool> {
    row.goal.is_met(row.operator, times(row))
}

fn memory_rows(pairs: &[Pair]) -> Vec<Row> {
    let both = |of: &dyn Fn(&[&Figures]) -> Option<f64>| {
        let operator: Vec<&Figures> = pairs.iter().map(|pair| &pair.operator).collect();
        let naive: Vec<&Figures> = pairs.iter().map(|pair| &pair.naive).collect();
        (of(&operator), of(&naive))
    };
    let row = |what, goal, digits, (operator, naive)| Row { what, goal, digits, operator, naive };
    let alone = both(&|runs| runs.iter().find_map(|run| run.alone).map(|memory| bytes(memory.now) / MIB));
    let account = both(&account_bytes);
    let peak = both(&|runs| runs.last().and_then(|run| ratio(bytes(run.memory.peak), bytes(run.memory.now))));
    vec![
        row("with one account, MiB (G2)", Goal::most(16.0), 1, alone),
        row("for each account more, bytes (G1)", Goal::most(700.0).and_times(8.0), 0, account),
        row("peak by steady (G3)", Goal::most(1.1), 2, peak),
    ]
}

/// What one account more costs: between the fewest and the most accounts, or between one and those of the only run.
fn account_bytes(runs: &[&Figures]) -> Option<f64> {
    let point = |run: &&Figures| (run.accounts, bytes(run.memory.now));
    let few = runs.iter().min_by_key(|run| run.accounts)?;
    let many = runs.iter().max_by_key(|run| run.accounts)?;
    slope(point(few), point(many)).or_else(|| slope((1, bytes(few.alone?.now)), point(many)))
}

fn rows(pair: &Pair) -> Vec<Row> {
    let row = |what, goal, digits, of: &dyn Fn(&Figures) -> Option<f64>| Row {
        what,
        goal,
        digits,
        operator: of(&pair.operator),
        naive: of(&pair.naive),
    };
    let servers = |run: &Figures| Some(mixed(run.servers_idle()?, run.servers_news()?, SHARE_WITH_NEWS));
    let requests = |run: &Figures| Some(mixed(run.requests_idle()?, run.requests_news()?, SHARE_WITH_NEWS));
    // A request of the watches or of an app's own pass may fall into the window; it is not a sync's.
    let nothing = Goal::most(0.005);
    vec![
        row("resident memory, MiB", Goal::NONE, 1, &|run| Some(bytes(run.memory.now) / MIB)),
        row("CPU of a sync without news, ms (G4)", Goal::most(0.3), 2, &Figures::cpu_idle),
        row("CPU of a sync with a play for two targets, ms (G5)", Goal::most(1.2), 2, &Figures::cpu_news),
        row("API requests of a sync without news (G7)", nothing, 3, &Figures::requests_idle),
        row("API requests of a sync with news (G7)", Goal::most(1.005), 3, &Figures::requests_news),
        row("API requests of a sync, 8 % with news (G7)", Goal::most(0.12).and_times(15.0), 3, &requests),
        row("API writes of a sync without news", nothing, 3, &Figures::writes_idle),
        row("API writes of a sync with news", Goal::most(1.005), 3, &Figures::writes_news),
        row("CPU of API server and etcd, sync without news, ms", Goal::NONE, 2, &Figures::servers_idle),
        row("CPU of API server and etcd, sync with news, ms", Goal::NONE, 2, &Figures::servers_news),
        row("CPU of API server and etcd, 8 % with news, ms (G8)", Goal::most(0.9).and_times(10.0), 2, &servers),
        row("lateness, 50th percentile, ms", Goal::NONE, 0, &|run| run.deviation[0].map(|late| late * 1_000.0)),
        row("lateness, 99th percentile, ms (G12)", Goal::most(1_500.0), 0, &|run| {
            run.deviation[1].map(|late| late * 1_000.0)
        }),
        row("cold start until every account was read once, s", Goal::NONE, 1, &|run| Some(run.cold.length)),
        row("CPU of it for each account, ms", Goal::NONE, 2, &Figures::first_cpu),
        row("API requests of it for each account, token refresh included", Goal::NONE, 2, &Figures::first_requests),
        row("API writes of it for each account", Goal::NONE, 2, &Figures::first_writes),
        row("restart until all accounts are listed, s", Goal::NONE, 2, &|run| Some(run.listed)),
        row("the same by a bare stream of all accounts (G10)", Goal::most(1.15), 2, &|run| {
            ratio(run.listed, run.drained)
        }),
        row(
            "Spotify reads in the first interval after it, by account (G11)",
            Goal::most(1.05),
            2,
            &Figures::restart_reads,
        ),
        row("the busiest second of it by the mean second (G11)", Goal::most(1.5), 2, &|run| Some(run.restart_peak)),
        row("CPU of it beyond its syncs, by account, ms", Goal::NONE, 2, &Figures::restart_cpu),
        row("API requests of it, by account", Goal::NONE, 3, &Figures::restart_requests),
    ]
}

/// What a reader has to know to believe the figures.
fn conditions(text: &mut String, pairs: &[Pair]) {
    for pair in pairs {
        for (who, run) in [("operator", &pair.operator), ("naive", &pair.naive)] {
            let accounts = grouped(run.accounts);
            let percent = |share: f64| number(share * 100.0, 0);
            let failed = run.idle.reads.failed + run.news.reads.failed + run.restart.reads.failed;
            let _ = writeln!(
                text,
                "- {who}, {accounts}: {} Ready at the end, {} not read in the first interval after the restart; {failed} \
                 requests to services failed, {} warnings or errors logged; the simulator used {} % of a processor at most, \
                 other programs of the machine {} %, API server and etcd by themselves {} %.",
                grouped(run.ready),
                grouped(run.unread),
                run.complaints,
                percent(run.simulator_load()),
                percent(run.others_load()),
                percent(ratio(run.base.servers, run.base.length).unwrap_or(0.0)),
            );
            let _ = writeln!(
                text,
                "  The API server was asked: until every account was read once {}; without news {} for {} syncs; with news \
                 {} for {} syncs; after the restart {}.",
                run.cold.requests.text(),
                run.idle.requests.text(),
                grouped(run.idle.reads.count()),
                run.news.requests.text(),
                grouped(run.news.reads.count()),
                run.restart.requests.text(),
            );
        }
    }
}

fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    // A difference of two measurements may be a little below nothing.
    if text.trim_start_matches(['-', '0', '.']).is_empty() { text.trim_start_matches('-').to_owned() } else { text }
}

fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "bytes of a process fit a double")]
fn bytes(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::sample;
    use crate::process::Memory;

    fn pair(accounts: u64, memory: u64, naive_memory: u64) -> Pair {
        let run = |now| Figures { accounts, memory: Memory { now, peak: now }, ..sample() };
        Pair { interval: 30, operator: run(memory), naive: run(naive_memory) }
    }

    fn table(pairs: &[Pair]) -> String {
        let machine = Machine { processors: 2, memory: 24 << 30, model: "a processor".to_owned() };
        report(&machine, "make bench", pairs)
    }

    fn line<'a>(text: &'a str, what: &str) -> Vec<&'a str> {
        let line = text.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what} is not in\n{text}"));
        line.trim_matches('|').split('|').map(str::trim).collect()
    }

    #[test]
    fn a_goal_that_is_missed_is_told_as_missed() {
        let text = table(&[pair(100, 20 << 20, 30 << 20)]);
        assert_eq!(line(&text, "(G4)")[1..], ["≤ 0.30", "1.00", "1.00", "1.0", "**missed**"]);
        assert_eq!(line(&text, "(G12)")[1..], ["≤ 1500", "200", "200", "1.0", "met"]);
        assert_eq!(line(&text, "(G2)")[1..], ["≤ 16.0", "12.0", "12.0", "1.0", "met"]);
        assert!(text.contains("missed** are not met yet"));
    }

    #[test]
    fn an_accounts_memory_is_the_slope_between_two_runs_or_from_one_account() {
        let two = table(&[pair(1_000, 14_000_000, 20_000_000), pair(10_000, 18_500_000, 65_000_000)]);
        assert_eq!(line(&two, "(G1)")[1..], ["≤ 700, ≥ 8×", "500", "5000", "10.0", "met"]);
        let one = table(&[pair(101, (12 << 20) + 50_000, (12 << 20) + 600_000)]);
        assert_eq!(line(&one, "(G1)")[2..4], ["500", "6000"]);
    }

    #[test]
    fn what_the_operator_needs_nothing_of_has_no_ratio() {
        let mut pair = pair(100, 1, 1);
        pair.operator.news.requests = pair.operator.idle.requests.clone();
        let text = table(&[pair]);
        assert_eq!(line(&text, "8 % with news (G7)")[2..], ["0.000", "0.080", "–", "met"]);
        assert_eq!(line(&text, "API requests of a sync without news")[4], "–");
    }

    #[test]
    fn every_line_has_six_cells_and_numbers_in_them() {
        let text = table(&[pair(1_000, 14_000_000, 20_000_000), pair(10_000, 18_500_000, 65_000_000)]);
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('|') && !line.contains("---")).collect();
        assert_eq!(lines.len(), 3 + 3 + 2 * 23);
        for line in lines {
            assert_eq!(line.matches('|').count(), 7, "{line}");
            assert!(!line.contains("NaN") && !line.contains("inf"), "{line}");
        }
        assert!(text.contains("10,000 accounts, each read every 30 s"));
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(number(-0.0001, 2), "0.00");
        assert_eq!(number(-1.25, 1), "-1.2");
        assert_eq!(number(12.345, 2), "12.35");
        assert_eq!([grouped(7), grouped(1_000), grouped(1_234_567)], ["7", "1,000", "1,234,567"]);
    }
}
