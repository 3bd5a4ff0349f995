//! Moments and intervals: microseconds since 1970 inside, `jiff` types at the surface.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// A moment: microseconds since 1970-01-01T00:00:00Z. Years 0001 to 9999, and two bounds that no
/// calendar date reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// Before every date.
    pub const MIN: Self = Self(i64::MIN);
    /// After every date: the end of an interval that has none.
    pub const MAX: Self = Self(i64::MAX);
    /// 0001-01-01T00:00:00Z, the earliest date an assertion may name.
    pub const FIRST: Self = Self(-62_135_596_800_000_000);
    /// 9999-12-31T23:59:59.999999Z, the latest date an assertion may name.
    pub const LAST: Self = Self(253_402_300_799_999_999);

    /// A moment from microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The same moment as a `jiff` timestamp; the two bounds and dates outside `jiff`'s range have
    /// none.
    pub fn to_timestamp(self) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.0).ok()
    }

    /// Whether the moment is a date from year 0001 to 9999.
    pub fn is_date(self) -> bool {
        (Self::FIRST..=Self::LAST).contains(&self)
    }
}

impl From<Timestamp> for Moment {
    /// Rounds down to the microsecond.
    fn from(timestamp: Timestamp) -> Self {
        let micros = timestamp.as_nanosecond().div_euclid(1000);
        Self(i64::try_from(micros).expect("jiff's years -9999 to 9999 fit microseconds in i64"))
    }
}

impl fmt::Display for Moment {
    /// RFC 3339 in UTC with no more fraction digits than needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// `jiff`'s timestamps end a day before the last date, so that every zone can show them.
        const TWO_DAYS: i64 = 2 * 86_400_000_000;
        if let Some(timestamp) = self.to_timestamp() {
            return timestamp.fmt(f);
        }
        let earlier = Self(self.0.saturating_sub(TWO_DAYS)).to_timestamp();
        match earlier.filter(|_| self.is_date()) {
            Some(earlier) => {
                let date_time = TimeZone::UTC.to_datetime(earlier).saturating_add(2.days());
                write!(f, "{date_time}Z")
            }
            None if self.0 < 0 => f.write_str("before all dates"),
            None => f.write_str("without end"),
        }
    }
}

/// A half-open interval of valid time, `from` included and `to` excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    /// The first moment inside.
    pub from: Moment,
    /// The first moment after; [`Moment::MAX`] for an interval without end.
    pub to: Moment,
}

impl Interval {
    /// Everything.
    pub const ALL: Self = Self {
        from: Moment::MIN,
        to: Moment::MAX,
    };

    /// Whether the interval holds no moment at all.
    pub fn is_empty(self) -> bool {
        self.from >= self.to
    }

    /// Whether `moment` is inside.
    pub fn contains(self, moment: Moment) -> bool {
        self.from <= moment && moment < self.to
    }

    /// The part shared with `other`, which may be empty.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self {
            from: self.from.max(other.from),
            to: self.to.min(other.to),
        }
    }

    /// Whether the two share a moment.
    pub fn overlaps(self, other: Self) -> bool {
        !self.intersect(other).is_empty()
    }
}

/// Where the engine takes the current time from, so that tests and simulations can give their own.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The current time.
    fn now(&self) -> Moment;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Timestamp::now().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_bounds_are_the_dates_they_say() {
        assert_eq!(Moment::FIRST.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Moment::LAST.to_string(), "9999-12-31T23:59:59.999999Z");
        let last_day = Moment::from_micros(253_402_214_400_000_000);
        assert_eq!(last_day.to_string(), "9999-12-31T00:00:00Z");
        assert!(!Moment::MIN.is_date() && !Moment::MAX.is_date());
        assert_eq!(Moment::MAX.to_string(), "without end");
    }

    #[test]
    fn a_timestamp_before_1970_rounds_down() {
        let timestamp: Timestamp = "1969-12-31T23:59:59.9999999Z".parse().unwrap();
        assert_eq!(Moment::from(timestamp), Moment::from_micros(-1));
    }

    #[test]
    fn intervals_are_half_open() {
        let interval = Interval {
            from: Moment::from_micros(1),
            to: Moment::from_micros(3),
        };
        assert!(interval.contains(interval.from) && !interval.contains(interval.to));
        let next = Interval {
            from: interval.to,
            to: Moment::MAX,
        };
        assert!(!interval.overlaps(next));
        assert!(
            Interval {
                to: interval.from,
                ..interval
            }
            .is_empty()
        );
    }
}
