//! Arguments that several commands share, and what they mean.

use std::str::FromStr;

use blocknet_engine::{AsOf, ChangeKind, Commit, LayerId, Moment, Net, Record, Recorded, View};
use blocknet_geocode::Position;
use blocknet_query::{Area, Match, Selection, UnknownHeight, Window};
use clap::ValueEnum;
use jiff::tz::TimeZone;

use super::error::{CliError, Result};
use super::store::{self, Test};
use crate::input::{self, DayEdge, Instant, Predicate, zone};

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

/// A box of longitude and latitude, with altitudes or without.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BoxArg {
    pub(crate) sides: [f64; 4],
    altitude: Option<(f64, f64)>,
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

impl FromStr for BoxArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = match numbers(text).as_deref() {
            Some(&[west, south, east, north]) => Self {
                sides: [west, south, east, north],
                altitude: None,
            },
            Some(&[west, south, lowest, east, north, highest]) => Self {
                sides: [west, south, east, north],
                altitude: Some((lowest, highest)),
            },
            _ => return Err("write W,S,E,N or W,S,ZMIN,E,N,ZMAX in degrees and metres".to_owned()),
        };
        found.window(None).check()?;
        Ok(found)
    }
}

impl BoxArg {
    fn window(self, altitude: Option<(f64, f64)>) -> Window {
        let [west, south, east, north] = self.sides;
        let altitude = altitude.or(self.altitude);
        Window {
            altitude,
            ..Window::flat(west, south, east, north)
        }
    }
}

/// An altitude band, open at either end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Band(f64, f64);

impl FromStr for Band {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let metres = |text: &str, open: f64| match text.trim() {
            "" => Some(open),
            number => number
                .parse::<f64>()
                .ok()
                .filter(|metres| metres.is_finite()),
        };
        text.split_once("..")
            .and_then(|(lowest, highest)| {
                let lowest = metres(lowest, f64::NEG_INFINITY)?;
                let highest = metres(highest, f64::INFINITY)?;
                (lowest <= highest).then_some(Self(lowest, highest))
            })
            .ok_or_else(|| "write LO..HI, LO.. or ..HI in metres, LO not above HI".to_owned())
    }
}

/// What is meant by a record being in the area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MatchArg {
    /// Its geometry meets the box, and its height the band; touching is enough
    #[default]
    Geometry,
    /// Its 3D bounding box meets the box
    Extent,
    /// It lies within
    Within,
}

/// What to do with records whose height is unknown, in an altitude band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnknownArg {
    /// Returned, and counted
    #[default]
    Include,
    /// Left out
    Exclude,
}

/// Which records a command is about.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Which records")]
pub(crate) struct SelectArgs {
    /// In this closed box, degrees and metres; W greater than E crosses the antimeridian
    #[arg(
        long,
        value_name = "W,S,E,N | W,S,ZMIN,E,N,ZMAX",
        // A number with a minus sign must not be taken for a flag. A mistyped flag in this place
        // is then refused as a box.
        allow_hyphen_values = true
    )]
    bbox: Option<BoxArg>,
    /// Between these altitudes, metres; either may be left out
    #[arg(long, value_name = "LO..HI", allow_hyphen_values = true)]
    altitude: Option<Band>,
    /// What --altitude does with records of unknown floor or top
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    unknown_height: UnknownArg,
    /// What of a record is to lie in the area, and how
    #[arg(long = "match", value_name = "HOW", value_enum, default_value_t)]
    matching: MatchArg,
    /// In these layers [default: all]
    #[arg(long, value_name = "NAME[,...]", value_delimiter = ',')]
    pub(crate) layer: Vec<String>,
    /// Of this id
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// A record counts as present when this property has one of these values
    #[arg(long, value_name = "PROP=V[,V...]")]
    present_when: Option<String>,
}

/// What [`SelectArgs`] come to in a net.
pub(crate) struct Choice {
    area: Area,
    matching: Match,
    layers: Option<Vec<LayerId>>,
    id: Option<String>,
    refine: Option<Test>,
    present: Option<Test>,
}

impl Choice {
    pub(crate) fn selection(&self) -> Selection<'_> {
        Selection {
            area: self.area,
            matching: self.matching,
            layers: self.layers.as_deref(),
            id: self.id.as_deref(),
            refine: self.refine.as_deref(),
            present: self.present.as_deref(),
        }
    }
}

impl SelectArgs {
    /// * `layer_rules`: without `--present-when`, the layers' own presence rules apply.
    pub(crate) fn resolve(&self, view: &View<'_>, layer_rules: bool) -> Result<Choice> {
        let layers = match self.layer.as_slice() {
            [] => None,
            names => Some(store::layers(view, names)?),
        };
        let window = self.window()?;
        let (matching, refine) = match window {
            None => (Match::Meets, None),
            Some(window) => self.refine(window)?,
        };
        let present: Option<Test> = match &self.present_when {
            Some(rule) => {
                let rule: Predicate = rule.parse()?;
                Some(Box::new(move |record| rule.matches(&record.payload)))
            }
            None if layer_rules => store::presence(view)?,
            None => None,
        };
        Ok(Choice {
            area: window.map_or(Area::Everywhere, Area::Window),
            matching,
            layers,
            id: self.id.clone(),
            refine,
            present,
        })
    }

    fn window(&self) -> Result<Option<Window>> {
        let band = self.altitude.map(|Band(lowest, highest)| (lowest, highest));
        let window = match self.bbox {
            Some(BoxArg {
                altitude: Some(_), ..
            }) if band.is_some() => {
                return Err(CliError::usage(
                    "--bbox gives altitudes and so does --altitude: leave one out",
                ));
            }
            Some(bbox) => Some(bbox.window(band)),
            None => band.map(|band| Window {
                altitude: Some(band),
                ..Window::flat(-180.0, -90.0, 180.0, 90.0)
            }),
        };
        Ok(window.map(|window| Window {
            unknown_height: match self.unknown_height {
                UnknownArg::Include => UnknownHeight::Include,
                UnknownArg::Exclude => UnknownHeight::Exclude,
            },
            ..window
        }))
    }

    /// How extents are tested, and the finer test of geometries.
    fn refine(&self, window: Window) -> Result<(Match, Option<Test>)> {
        let flat = Window {
            altitude: None,
            ..window
        };
        let shape = input::Window::new(window.west, window.south, window.east, window.north)
            .map_err(|error| CliError::usage(error.to_string()))?;
        Ok(match self.matching {
            MatchArg::Extent => (Match::Meets, None),
            MatchArg::Geometry => {
                // Whatever lies in the box meets it: most shapes need not be read.
                let test = move |record: &Record| {
                    record
                        .extent
                        .is_some_and(|extent| flat.takes(&extent, Match::Within))
                        || input::meets(&record.payload, &shape).unwrap_or(true)
                };
                (Match::Meets, Some(Box::new(test)))
            }
            MatchArg::Within if window.west <= window.east => (Match::Within, None),
            MatchArg::Within => {
                // Parts on either side of the antimeridian have an extent around the globe.
                let test = move |record: &Record| {
                    let Some(extent) = record.extent else {
                        return false;
                    };
                    let (west, east) = (-180.0, 180.0);
                    let upright = Window {
                        west,
                        east,
                        ..window
                    }
                    .takes(&extent, Match::Within);
                    let inside = || flat.takes(&extent, Match::Within);
                    upright && input::within(&record.payload, &shape).unwrap_or_else(inside)
                };
                (Match::Meets, Some(Box::new(test)))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_have_four_or_six_numbers() {
        let window = |text: &str| text.parse::<BoxArg>().map(|found| found.window(None));
        assert_eq!(
            window("-74.0,40.7,-73.9,40.8"),
            Ok(Window::flat(-74.0, 40.7, -73.9, 40.8))
        );
        assert_eq!(
            window("1,2,-3,4,5,6"),
            Ok(Window::flat(1.0, 2.0, 4.0, 5.0).between(-3.0, 6.0))
        );
        assert_eq!(
            window("170,0,-170,1"),
            Ok(Window::flat(170.0, 0.0, -170.0, 1.0))
        );
        for text in [
            "",
            "1,2,3",
            "1,2,3,x",
            "--json",
            "1,5,2,4",
            "1,2,9,4,5,6",
            "NaN,0,1,1",
        ] {
            assert!(window(text).is_err(), "{text}");
        }
        assert!(window("200,0,1,1").unwrap_err().contains("west"));
    }

    #[test]
    fn bands_may_be_open() {
        let parse = |text: &str| text.parse::<Band>();
        assert_eq!(parse("-5..3").unwrap(), Band(-5.0, 3.0));
        assert_eq!(parse("..3").unwrap(), Band(f64::NEG_INFINITY, 3.0));
        assert_eq!(parse("3.5..").unwrap(), Band(3.5, f64::INFINITY));
        for text in ["", "3", "5..3", "a..b", "NaN..", "--json"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
