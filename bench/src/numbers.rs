//! The arithmetic of the table.

#![allow(clippy::cast_precision_loss, reason = "counts and bytes of a benchmark fit a double")]

use jiff::SignedDuration;

/// The value below which this share (0 to 1) of the values lies, by the nearest rank; none of no values.
pub fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank is between 0 and the length")]
    let rank = (share.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// What one more costs, by two points (count, cost); none where the counts are equal.
pub fn slope(few: (u64, f64), many: (u64, f64)) -> Option<f64> {
    (few.0 != many.0).then(|| (many.1 - few.1) / (many.0 as f64 - few.0 as f64))
}

/// How many times one of the others; none where there is nothing to compare with.
pub fn ratio(one: f64, other: f64) -> Option<f64> {
    (other > 0.0).then(|| one / other)
}

/// A total for each of so many; none for none.
pub fn each(total: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| total / count as f64)
}

/// What a sync with news costs, where `total` was spent on `syncs` of which `fresh` had news and the others cost `idle`
/// each; none without news.
pub fn with_news(total: f64, syncs: u64, fresh: u64, idle: f64) -> Option<f64> {
    each(total - syncs.saturating_sub(fresh) as f64 * idle, fresh)
}

/// What a sync costs on average where this share (0 to 1) of them has news.
pub fn mixed(idle: f64, fresh: f64, share: f64) -> f64 {
    idle + (fresh - idle) * share
}

/// Seconds, also of a time that runs backwards.
pub fn seconds(duration: SignedDuration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_there() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), Some(50.0));
        assert_eq!(percentile(&values, 0.99), Some(99.0));
        assert_eq!(percentile(&values, 1.0), Some(100.0));
        assert_eq!(percentile(&values, 0.0), Some(1.0));
        assert_eq!(percentile(&[7.0], 0.99), Some(7.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn a_slope_needs_two_different_counts() {
        assert_eq!(slope((1_000, 5_000.0), (10_000, 23_000.0)), Some(2.0));
        assert_eq!(slope((1_000, 5_000.0), (1_000, 5_000.0)), None);
        assert_eq!(slope((0, 10.0), (10, 5.0)), Some(-0.5), "a fall is told as one");
    }

    #[test]
    fn there_is_no_ratio_to_nothing() {
        assert_eq!(ratio(9.0, 3.0), Some(3.0));
        assert_eq!(ratio(9.0, 0.0), None);
        assert_eq!(ratio(0.0, 3.0), Some(0.0));
        assert_eq!(each(9.0, 0), None);
    }

    #[test]
    fn news_cost_what_the_others_do_not() {
        // 100 syncs, 20 of them with news: 80 of 0.5 and 20 of 2.
        assert_eq!(with_news(80.0 * 0.5 + 20.0 * 2.0, 100, 20, 0.5), Some(2.0));
        assert_eq!(with_news(50.0, 100, 0, 0.5), None);
        // A play may be delivered by a pass that began before the window.
        assert_eq!(with_news(20.0, 10, 20, 1.0), Some(1.0));
        assert!((mixed(0.5, 2.5, 0.08) - 0.66).abs() < 1e-9);
    }
}
