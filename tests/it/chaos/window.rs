//! The window in which a kill loses a token: measured and printed, never asserted.

use std::fmt;

/// Milliseconds from an answer to the first write of its commit, of each commit that the operator has logged.
pub fn told(log: &str) -> impl Iterator<Item = f64> {
    const FIELD: &str = "\"window_milliseconds\":";
    let fields = log.lines().filter_map(|line| line.split_once(FIELD)).map(|(_, rest)| rest);
    fields.filter_map(|rest| rest.split([',', '}']).next()?.parse().ok())
}

/// Median, 99th percentile and maximum.
pub struct Spread(Vec<f64>);

impl Spread {
    /// Of these milliseconds.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    fn at(&self, hundredth: usize) -> f64 {
        let place = (self.0.len() * hundredth / 100).min(self.0.len().saturating_sub(1));
        self.0.get(place).copied().unwrap_or_default()
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(values) = self;
        write!(
            formatter,
            "n {}, median {:.3} ms, 99th percentile {:.3} ms, maximum {:.3} ms",
            values.len(),
            self.at(50),
            self.at(99),
            values.last().copied().unwrap_or_default()
        )
    }
}

#[test]
fn the_window_is_read_from_the_log() {
    let log = "{\"a\":1}\n{\"window_milliseconds\":0.25,\"b\":2}\n{\"b\":2,\"window_milliseconds\":4}\n";
    assert_eq!(told(log).collect::<Vec<_>>(), [0.25, 4.0]);
    let spread = Spread::of([3.0, 1.0, 2.0]).to_string();
    assert_eq!(spread, "n 3, median 2.000 ms, 99th percentile 3.000 ms, maximum 3.000 ms");
}
