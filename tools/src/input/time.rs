//! Times as registers write them: RFC 3339, a date, or a local date and time.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::excerpt;

/// 0001-01-01T00:00:00Z in microseconds since 1970.
const FIRST: i64 = -62_135_596_800_000_000;
/// 9999-12-31T23:59:59.999999Z in microseconds since 1970.
const LAST: i64 = 253_402_300_799_999_999;
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Which instant a bare date means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayEdge {
    /// The day's first instant: what is valid at a date.
    Start,
    /// The day's last microsecond: what was known as of a date.
    End,
}

/// An instant of the years 0001 to 9999 (UTC), and whether it was given as a bare date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    micros: i64,
    day: bool,
}

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Not one of the three forms.
    #[error("`{text}` is no time: write 2017-03-21, 2017-03-21T10:00:00 or 2017-03-21T10:00:00Z")]
    Syntax {
        /// What was given.
        text: String,
    },
    /// The right form, but no such day or time of day.
    #[error("`{text}` names no day or time of day of the calendar")]
    Calendar {
        /// What was given.
        text: String,
    },
    /// Outside the years 0001 to 9999.
    #[error("`{text}` is outside the years 0001 to 9999 (UTC)")]
    Range {
        /// What was given.
        text: String,
    },
    /// Second 60.
    #[error(
        "`{text}` is a leap second, which microseconds since 1970 do not count: write second 59"
    )]
    LeapSecond {
        /// What was given.
        text: String,
    },
    /// A local time, or a whole day, that the zone's clocks skipped.
    #[error(
        "`{text}` never was in {zone}: the clocks were set forward over it; write it with its offset from UTC"
    )]
    Skipped {
        /// What was given.
        text: String,
        /// The time zone.
        zone: String,
    },
    /// A local time that the zone's clocks showed twice.
    #[error(
        "`{text}` was twice in {zone}: the clocks were set back; write it with its offset from UTC"
    )]
    Repeated {
        /// What was given.
        text: String,
        /// The time zone.
        zone: String,
    },
    /// A zone that the time zone database does not have.
    #[error(
        "`{name}` is no time zone of the IANA database: write for example Europe/Amsterdam or UTC"
    )]
    Zone {
        /// What was given.
        name: String,
    },
}

/// The time zone of an IANA name.
///
/// # Errors
/// [`TimeError::Zone`]: there is none of that name.
pub fn zone(name: &str) -> Result<TimeZone, TimeError> {
    TimeZone::get(name).map_err(|_| TimeError::Zone {
        name: excerpt(name),
    })
}

impl Instant {
    /// An instant from microseconds since 1970; `None` outside the years 0001 to 9999.
    pub fn from_micros(micros: i64, day: bool) -> Option<Self> {
        (FIRST..=LAST)
            .contains(&micros)
            .then_some(Self { micros, day })
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn micros(self) -> i64 {
        self.micros
    }

    /// Whether the instant was given as a bare date.
    pub fn is_day(self) -> bool {
        self.day
    }

    /// Reads a time. Space around it is ignored, and digits after the microsecond are cut off.
    ///
    /// * RFC 3339 (`2017-03-21T10:00:00.5+01:00`); seconds and the colon or minutes of the offset
    ///   may be missing, and a space may stand for the `T`.
    /// * A local date and time, the same without an offset, in `zone`.
    /// * A bare date: the day's first instant or last microsecond in `zone`, cut to the years 0001
    ///   to 9999 UTC. Where midnight was skipped the day starts after the gap; where it was
    ///   repeated, at the first of the two.
    ///
    /// # Errors
    /// See [`TimeError`].
    pub fn parse(text: &str, zone: &TimeZone, edge: DayEdge) -> Result<Self, TimeError> {
        let text = text.trim();
        let given = || excerpt(text);
        let syntax = || TimeError::Syntax { text: given() };
        let (date, rest) = text
            .split_at_checked("2017-03-21".len())
            .ok_or_else(syntax)?;
        let date = parse_date(date, given)?;
        if rest.is_empty() {
            let (start, end) = (day_start(date, zone), day_end(date, zone));
            if start > end {
                return Err(TimeError::Skipped {
                    text: given(),
                    zone: zone_name(zone),
                });
            }
            let micros = match edge {
                DayEdge::Start => start,
                DayEdge::End => end,
            };
            return Ok(Self {
                micros: micros.clamp(FIRST, LAST),
                day: true,
            });
        }
        let rest = rest.strip_prefix(['T', 't', ' ']).ok_or_else(syntax)?;
        let (clock, offset) = split_offset(rest).ok_or_else(syntax)?;
        let at = date.to_datetime(parse_clock(clock, given)?);
        let offset_seconds = match offset {
            Some(seconds) => seconds,
            None => match zone.to_ambiguous_timestamp(at).offset() {
                AmbiguousOffset::Unambiguous { offset } => offset.seconds(),
                AmbiguousOffset::Gap { .. } => {
                    return Err(TimeError::Skipped {
                        text: given(),
                        zone: zone_name(zone),
                    });
                }
                AmbiguousOffset::Fold { .. } => {
                    return Err(TimeError::Repeated {
                        text: given(),
                        zone: zone_name(zone),
                    });
                }
            },
        };
        Self::from_micros(local_micros(at, offset_seconds), false)
            .ok_or_else(|| TimeError::Range { text: given() })
    }

    /// The instant as text: the date in `zone` where it was given as a date, else RFC 3339 in UTC
    /// with no more fraction digits than needed.
    pub fn format(self, zone: &TimeZone) -> String {
        if self.day {
            // The last day has instants that no `Timestamp` reaches; its offset is the one before.
            let near = Timestamp::from_microsecond(self.micros).unwrap_or(Timestamp::MAX);
            let local = i64::from(zone.to_offset(near).seconds()) * 1_000_000 + self.micros;
            if let Ok(local) = EPOCH.checked_add(SignedDuration::from_micros(local)) {
                return local.date().to_string();
            }
        }
        format!(
            "{}Z",
            EPOCH.saturating_add(SignedDuration::from_micros(self.micros))
        )
    }
}

/// Microseconds since 1970 of a local time, given the offset of its clocks.
fn local_micros(at: DateTime, offset_seconds: i32) -> i64 {
    let nanos = at.duration_since(EPOCH).as_nanos();
    let micros = i64::try_from(nanos.div_euclid(1000))
        .expect("jiff's years -9999 to 9999 fit microseconds in 64 bits");
    micros - i64::from(offset_seconds) * 1_000_000
}

/// The first instant of a day: its midnight, or where that was skipped the end of the gap.
fn day_start(date: Date, zone: &TimeZone) -> i64 {
    let midnight = date.at(0, 0, 0, 0);
    match zone.to_ambiguous_timestamp(midnight).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            local_micros(midnight, offset.seconds())
        }
        AmbiguousOffset::Gap { before, .. } => {
            // Read with the offset before the gap, a skipped time lies at the change or after it.
            let after = local_micros(midnight, before.seconds());
            Timestamp::from_microsecond(after + 1)
                .ok()
                .and_then(|after| zone.preceding(after).next())
                .map_or(after, |change| change.timestamp().as_microsecond())
        }
    }
}

/// The last microsecond of a day; before its start when the zone skipped the whole day.
fn day_end(date: Date, zone: &TimeZone) -> i64 {
    date.tomorrow().map_or_else(
        |_| {
            // The calendar ends: no clock is known to change on that evening.
            let offset = zone.to_offset(Timestamp::MAX);
            local_micros(date.at(23, 59, 59, 999_999_000), offset.seconds())
        },
        |tomorrow| day_start(tomorrow, zone) - 1,
    )
}

fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("the given time zone").to_owned()
}

/// `YYYY-MM-DD`.
fn parse_date(text: &str, given: impl Fn() -> String) -> Result<Date, TimeError> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *text.as_bytes() else {
        return Err(TimeError::Syntax { text: given() });
    };
    let digits = [y0, y1, y2, y3, m0, m1, d0, d1];
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(TimeError::Syntax { text: given() });
    }
    let [y0, y1, y2, y3, m0, m1, d0, d1] = digits.map(|digit| i16::from(digit - b'0'));
    let year = y0 * 1000 + y1 * 100 + y2 * 10 + y3;
    if year == 0 {
        return Err(TimeError::Range { text: given() });
    }
    let [month, day] = [m0 * 10 + m1, d0 * 10 + d1]
        .map(|number| i8::try_from(number).expect("two decimal digits fit eight bits"));
    Date::new(year, month, day).map_err(|_| TimeError::Calendar { text: given() })
}

/// `HH:MM[:SS[.fraction]]`.
fn parse_clock(text: &str, given: impl Fn() -> String) -> Result<Time, TimeError> {
    let bytes = text.as_bytes();
    let shaped = bytes.get(2) == Some(&b':')
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
    if !shaped {
        return Err(TimeError::Syntax { text: given() });
    }
    if text.get(5..8) == Some(":60") {
        return Err(TimeError::LeapSecond { text: given() });
    }
    text.parse()
        .map_err(|_| TimeError::Calendar { text: given() })
}

/// Splits `Z` or `+HH[[:]MM]` off the end; the offset is in seconds. `None` where what follows the
/// sign is no offset.
fn split_offset(text: &str) -> Option<(&str, Option<i32>)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, Some(0)));
    }
    let Some(sign) = text.rfind(['+', '-']) else {
        return Some((text, None));
    };
    let (clock, offset) = text.split_at(sign);
    let (h0, h1, m0, m1) = match *offset.as_bytes() {
        [_, h0, h1] => (h0, h1, b'0', b'0'),
        [_, h0, h1, m0, m1] | [_, h0, h1, b':', m0, m1] => (h0, h1, m0, m1),
        _ => return None,
    };
    if ![h0, h1, m0, m1].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |tens: u8, ones: u8| i32::from(tens - b'0') * 10 + i32::from(ones - b'0');
    let (hours, minutes) = (number(h0, h1), number(m0, m1));
    let seconds = hours * 3600 + minutes * 60;
    (hours < 24 && minutes < 60).then_some((
        clock,
        Some(if offset.starts_with('-') {
            -seconds
        } else {
            seconds
        }),
    ))
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
