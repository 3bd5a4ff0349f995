//! Arguments that several commands share, and what they mean.

use blocknet_engine::{AsOf, ChangeKind, Commit, Moment, Net, Recorded};
use blocknet_geocode::Position;
use blocknet_query::{Axis, Span};
use clap::ValueEnum;
use jiff::tz::TimeZone;

use super::error::{CliError, Result};
use crate::input::{self, DayEdge, Instant, zone};

/// Who makes a change, why, and from what.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "About the change")]
pub(crate) struct Signature {
    /// Who makes the change [default: $USER, else "unknown"]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Why
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) reason: String,
    /// From what: a document number, data set or digest
    #[arg(long, value_name = "TEXT")]
    pub(crate) source: Option<String>,
}

impl Signature {
    pub(crate) fn author(&self) -> String {
        let user = || std::env::var("USER").ok().filter(|user| !user.is_empty());
        self.author
            .clone()
            .or_else(user)
            .unwrap_or_else(|| "unknown".to_owned())
    }

    /// A commit without assertions yet.
    pub(crate) fn commit(&self, recorded: Recorded) -> Commit {
        Commit {
            author: self.author(),
            reason: self.reason.clone(),
            source: self.source.clone().unwrap_or_default(),
            recorded,
            ..Commit::default()
        }
    }
}

/// What kind of statement a change makes.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[command(next_help_heading = "About the change")]
pub(crate) struct Statement {
    /// It is a correction: the world did not change, we had it wrong
    #[arg(long)]
    correct: bool,
    /// It takes something back that never was
    #[arg(long, conflicts_with = "correct")]
    retract: bool,
}

impl Statement {
    pub(crate) fn kind(self) -> ChangeKind {
        match (self.correct, self.retract) {
            (true, _) => ChangeKind::Correct,
            (_, true) => ChangeKind::Retract,
            _ => ChangeKind::Change,
        }
    }
}

/// How long an assertion without an end holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// Until the entity's next known valid-from, whatever the order of arrival
    #[default]
    Next,
    /// From then on, whatever was known about later times
    Forever,
}

/// What a height property means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum HeightIs {
    /// Metres from floor to top
    #[default]
    AboveFloor,
    /// The altitude of the top
    AbsoluteTop,
}

impl From<HeightIs> for input::HeightIs {
    fn from(height_is: HeightIs) -> Self {
        match height_is {
            HeightIs::AboveFloor => Self::AboveFloor,
            HeightIs::AbsoluteTop => Self::AbsoluteTop,
        }
    }
}

/// The time zone of `--time-zone`, UTC without.
pub(crate) fn time_zone(name: Option<&str>) -> Result<TimeZone> {
    match name {
        None => Ok(TimeZone::UTC),
        Some(name) => zone(name).map_err(|source| CliError::Time {
            flag: "--time-zone",
            source,
        }),
    }
}

/// A time given as an argument; `now` is the net's clock.
pub(crate) fn instant(
    flag: &'static str,
    text: &str,
    zone: &TimeZone,
    edge: DayEdge,
    now: Moment,
) -> Result<Instant> {
    if text == "now" {
        let now = Instant::from_micros(now.as_micros(), false);
        return now.ok_or_else(|| CliError::usage(format!("{flag}: the clock is out of range")));
    }
    Instant::parse(text, zone, edge).map_err(|source| CliError::Time { flag, source })
}

/// At which point of both time axes to look.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Time")]
pub(crate) struct ViewArgs {
    /// What the store knew then: recorded time, a date meaning its end; or commit:N [default: all
    /// it knows]
    #[arg(long, value_name = "TIME")]
    pub(crate) as_of: Option<String>,
    /// What was true then: valid time, a date meaning its start [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) valid_at: Option<String>,
    /// Zone of times and dates without an offset [default: UTC]
    #[arg(long, value_name = "IANA")]
    pub(crate) time_zone: Option<String>,
}

/// What [`ViewArgs`] come to.
#[derive(Clone, Debug)]
pub(crate) struct When {
    pub(crate) as_of: AsOf,
    pub(crate) valid: Moment,
    pub(crate) zone: TimeZone,
}

impl ViewArgs {
    pub(crate) fn resolve(&self, net: &Net) -> Result<When> {
        let zone = time_zone(self.time_zone.as_deref())?;
        let now = net.now();
        let as_of = match self.as_of.as_deref() {
            None => AsOf::Newest,
            Some(text) => {
                if let Some(number) = text.strip_prefix("commit:") {
                    let number: u64 = number.parse().map_err(|_| {
                        CliError::usage(format!("--as-of: `{text}` is no commit: write commit:12"))
                    })?;
                    let newest = net.now_view()?.newest_commit();
                    if number > newest {
                        return Err(CliError::usage(format!(
                            "--as-of: there is no commit {number}; the newest is {newest}"
                        )));
                    }
                    AsOf::Commit(number)
                } else {
                    let known = instant("--as-of", text, &zone, DayEdge::End, now)?;
                    AsOf::Recorded(Moment::from_micros(known.micros()))
                }
            }
        };
        let valid = match self.valid_at.as_deref() {
            None => now,
            Some(text) => {
                let valid = instant("--valid-at", text, &zone, DayEdge::Start, now)?;
                Moment::from_micros(valid.micros())
            }
        };
        Ok(When { as_of, valid, zone })
    }
}

impl When {
    /// The as-of side in words: an instant, a commit, or `newest`.
    pub(crate) fn as_of_text(&self) -> String {
        match self.as_of {
            AsOf::Newest => "newest".to_owned(),
            AsOf::Commit(number) => format!("commit:{number}"),
            AsOf::Recorded(moment) => moment.to_string(),
        }
    }
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "as of {}, valid at {}", self.as_of_text(), self.valid)
    }
}

/// A time axis as an argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AxisArg {
    /// Valid time, as far as the store knew --as-of
    #[default]
    Valid,
    /// Recorded time, about what was true --valid-at
    Recorded,
}

/// The span that `--from`, `--to` and `--axis` name.
pub(crate) fn span(
    (from, to): (&str, &str),
    axis: AxisArg,
    view: &ViewArgs,
    when: &When,
    net: &Net,
) -> Result<Span> {
    let (axis, edge, unused) = match axis {
        AxisArg::Valid => (
            Axis::Valid,
            DayEdge::Start,
            view.valid_at.as_ref().map(|_| "--valid-at"),
        ),
        AxisArg::Recorded => (
            Axis::Recorded,
            DayEdge::End,
            view.as_of.as_ref().map(|_| "--as-of"),
        ),
    };
    if let Some(flag) = unused {
        return Err(CliError::usage(format!(
            "{flag} names a moment on the axis that --from and --to are on: leave it out, or \
             choose the other --axis"
        )));
    }
    let time = |flag, text: &str| -> Result<Moment> {
        let time = instant(flag, text, &when.zone, edge, net.now())?;
        Ok(Moment::from_micros(time.micros()))
    };
    Ok(Span {
        from: time("--from", from)?,
        to: time("--to", to)?,
        axis,
    })
}

/// Numbers between commas.
pub(crate) fn numbers(text: &str) -> Option<Vec<f64>> {
    text.split(',')
        .map(|number| number.trim().parse().ok())
        .collect()
}

/// A place as an argument.
pub(crate) fn position(text: &str) -> Result<Position, String> {
    let (longitude, latitude, altitude) = match numbers(text).as_deref() {
        Some(&[longitude, latitude]) => (longitude, latitude, None),
        Some(&[longitude, latitude, metres]) => (longitude, latitude, Some(metres)),
        _ => {
            return Err(format!(
                "`{text}` is no place: write LON,LAT or LON,LAT,ALT in degrees and metres"
            ));
        }
    };
    Ok(Position {
        longitude,
        latitude,
        altitude,
    })
}
