//! EXPLAIN: what a plan was estimated to cost, and what it came to.

use std::fmt;

use blocknet_engine::{PlaceRange, RangeCounts};
use serde::Serialize;

use crate::plan::Plan;

/// A plan laid open. Members are only ever added to a version.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explain {
    /// Version of this structure.
    pub version: u32,
    /// The plan's name.
    pub plan: &'static str,
    /// Microseconds estimated.
    pub cost_estimated: f64,
    /// The ranges in the order they are read.
    pub ranges: Vec<ExplainRange>,
    /// Ranges allowed.
    pub budget: usize,
    /// Ranges used; more than the budget only where each level needs one.
    pub budget_used: usize,
    /// Seeks estimated.
    pub seeks_estimated: f64,
    /// Seeks made; `None` unless analysed, as for all that follow here.
    pub seeks: Option<u64>,
    /// Rows estimated to be read.
    pub rows_estimated: f64,
    /// Rows read.
    pub rows_read: Option<u64>,
    /// Records returned.
    pub rows_returned: Option<u64>,
    /// Bytes of the rows read.
    pub bytes: Option<u64>,
    /// Microseconds taken.
    pub micros: Option<u64>,
    /// Share of the rows read that were not returned, 0 to 1.
    pub waste: Option<f64>,
    /// The plans not taken.
    pub rejected: Vec<ExplainRejected>,
}

/// A range of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExplainRange {
    /// Lowest place in hexadecimal: level, then the stored code.
    pub from: String,
    /// Highest place, included.
    pub to: String,
    /// Whether every place in it lies inside the area.
    pub contained: bool,
    /// Stretches of it that are read; the rest is passed over.
    pub stretches: usize,
    /// Rows estimated to be read.
    pub rows_estimated: f64,
    /// Rows read; `None` unless analysed, as for all that follow.
    pub rows_read: Option<u64>,
    /// Records returned.
    pub rows_returned: Option<u64>,
    /// Seeks made.
    pub seeks: Option<u64>,
    /// Bytes of the rows read.
    pub bytes: Option<u64>,
    /// Microseconds from opening to closing it.
    pub micros: Option<u64>,
}

/// A plan that was not taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExplainRejected {
    /// The plan's name.
    pub plan: &'static str,
    /// Microseconds estimated; `None` where it cannot answer.
    pub cost_estimated: Option<f64>,
    /// Why it was not taken.
    pub why: String,
}

/// What running a plan came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Actual {
    /// By range.
    pub(crate) counts: Vec<RangeCounts>,
    /// Records returned, by range.
    pub(crate) returned: Vec<u64>,
    /// Records returned in all.
    pub(crate) records: u64,
}

impl Explain {
    pub(crate) const VERSION: u32 = 1;

    pub(crate) fn new(plan: &Plan, actual: Option<&Actual>) -> Self {
        let of = |index: usize| {
            let counts = actual?.counts.get(index)?;
            let returned = actual?.returned.get(index)?;
            Some((*counts, *returned))
        };
        let ranges: Vec<ExplainRange> = plan
            .ranges
            .iter()
            .enumerate()
            .map(|(index, planned)| {
                let counts = of(index);
                let (from, to) = ends(&planned.range.places);
                ExplainRange {
                    from,
                    to,
                    contained: planned.range.contained,
                    stretches: planned.range.stretches.len().max(1),
                    rows_estimated: rounded(planned.rows),
                    rows_read: counts.map(|(counts, _)| counts.rows_read),
                    rows_returned: counts.map(|(_, returned)| returned),
                    seeks: counts.map(|(counts, _)| counts.seeks),
                    bytes: counts.map(|(counts, _)| counts.bytes),
                    micros: counts.map(|(counts, _)| counts.micros),
                }
            })
            .collect();
        let sum = |member: fn(&RangeCounts) -> u64| {
            actual.map(|actual| actual.counts.iter().map(member).sum::<u64>())
        };
        let rows_read = sum(|counts| counts.rows_read);
        let rows_returned = actual.map(|actual| actual.records);
        Self {
            version: Self::VERSION,
            plan: plan.kind.name(),
            cost_estimated: rounded(plan.cost),
            budget: plan.budget,
            budget_used: ranges.len(),
            ranges,
            seeks_estimated: rounded(plan.seeks()),
            seeks: sum(|counts| counts.seeks),
            rows_estimated: rounded(plan.rows()),
            rows_read,
            rows_returned,
            bytes: sum(|counts| counts.bytes),
            micros: sum(|counts| counts.micros),
            waste: rows_read
                .zip(rows_returned)
                .map(|(read, returned)| waste(read, returned)),
            rejected: plan
                .rejected
                .iter()
                .map(|rejected| ExplainRejected {
                    plan: rejected.plan.name(),
                    cost_estimated: rejected.cost.map(rounded),
                    why: rejected.why.clone(),
                })
                .collect(),
        }
    }
}

/// To hundredths: an estimate has no more to say.
fn rounded(number: f64) -> f64 {
    // Adding zero turns -0.0 into 0.0.
    (number * 100.0).round() / 100.0 + 0.0
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn waste(read: u64, returned: u64) -> f64 {
    if read == 0 {
        return 0.0;
    }
    (1.0 - returned as f64 / read as f64).max(0.0)
}

/// The ends of a range as level and code in hexadecimal.
fn ends(places: &PlaceRange) -> (String, String) {
    use fmt::Write as _;
    let text = |code: &[u8]| {
        let mut text = format!("{:02x}", places.level);
        for byte in code {
            write!(text, "{byte:02x}").expect("a string takes all");
        }
        text
    };
    (text(places.low.as_ref()), text(places.high.as_ref()))
}

impl fmt::Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "plan {}: {} us estimated, {} of {} ranges",
            self.plan,
            short(self.cost_estimated),
            self.budget_used,
            self.budget
        )?;
        write!(
            f,
            "rows {} estimated, seeks {} estimated",
            short(self.rows_estimated),
            short(self.seeks_estimated)
        )?;
        if let (Some(read), Some(returned), Some(seeks), Some(bytes), Some(micros), Some(waste)) = (
            self.rows_read,
            self.rows_returned,
            self.seeks,
            self.bytes,
            self.micros,
            self.waste,
        ) {
            write!(
                f,
                "\nread {read} rows, returned {returned} ({:.0} % wasted), {seeks} seeks, {bytes} bytes, {micros} us",
                100.0 * waste
            )?;
        }
        writeln!(f)?;
        for range in &self.ranges {
            write!(
                f,
                "  {}..{} {}",
                range.from,
                range.to,
                if range.contained { "inside" } else { "border" }
            )?;
            if range.stretches > 1 {
                write!(f, ", {} stretches", range.stretches)?;
            }
            write!(f, ": rows {} estimated", short(range.rows_estimated))?;
            if let (Some(read), Some(returned), Some(seeks), Some(micros)) = (
                range.rows_read,
                range.rows_returned,
                range.seeks,
                range.micros,
            ) {
                write!(
                    f,
                    ", {read} read, {returned} returned, {seeks} seeks, {micros} us"
                )?;
            }
            writeln!(f)?;
        }
        for rejected in &self.rejected {
            match rejected.cost_estimated {
                Some(cost) => writeln!(
                    f,
                    "not {}: {} us estimated, {}",
                    rejected.plan,
                    short(cost),
                    rejected.why
                )?,
                None => writeln!(f, "not {}: {}", rejected.plan, rejected.why)?,
            }
        }
        Ok(())
    }
}

fn short(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}

/// Microseconds on a clock that only runs forward: what EXPLAIN measures with.
#[expect(
    clippy::disallowed_methods,
    reason = "EXPLAIN reports how long reading took"
)]
pub(crate) fn micros() -> u64 {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
