//! Which records a command is about: areas, altitudes, layers, ids and conditions.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use blocknet_engine::{Extent, LayerId, RecordRef, View};
use blocknet_geocode::Position;
use blocknet_query::{
    Altitude, Area, Circle, Corridor, MAX_RANGES, Match, PlanKind, Polygon, Query, Selection,
    UnknownHeight, Window,
};
use clap::ValueEnum;

use super::args::{numbers, position};
use super::error::{CliError, Result};
use super::footprint::Region;
use super::store::{self, Test};
use crate::input::{self, Expression, Fields, Predicate};

/// The longest file with the shape of a query.
const FILE_LEN_BYTES_MAX: u64 = 64 << 20;

/// A box of longitude and latitude, with altitudes or without.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BoxArg {
    window: Window,
    altitude: Option<(f64, f64)>,
}

impl FromStr for BoxArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (sides, altitude) = match numbers(text).as_deref() {
            Some(&[west, south, east, north]) => ([west, south, east, north], None),
            Some(&[west, south, lowest, east, north, highest]) => {
                ([west, south, east, north], Some((lowest, highest)))
            }
            _ => return Err("write W,S,E,N or W,S,ZMIN,E,N,ZMAX in degrees and metres".to_owned()),
        };
        let [west, south, east, north] = sides;
        let window = Window::flat(west, south, east, north);
        window.check()?;
        if let Some((lowest, highest)) = altitude {
            Altitude::between(lowest, highest).check()?;
        }
        Ok(Self { window, altitude })
    }
}

/// An area by itself: a box, or the polygons of a file.
#[derive(Clone, Debug)]
pub(crate) enum AreaArg {
    Box(Window),
    File(PathBuf),
}

impl FromStr for AreaArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match numbers(text).as_deref() {
            Some(&[west, south, east, north]) => {
                let window = Window::flat(west, south, east, north);
                window.check()?;
                Ok(Self::Box(window))
            }
            Some(_) => Err("write W,S,E,N in degrees, or the name of a file".to_owned()),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl AreaArg {
    /// The area; `flag` is how it was given.
    pub(crate) fn load(&self, flag: &'static str) -> Result<Area> {
        match self {
            Self::Box(window) => Ok(Area::Window(*window)),
            Self::File(path) => Ok(Area::Polygon(Arc::new(polygon_of(flag, path)?.1))),
        }
    }
}

/// An altitude band, open at either end.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Band(f64, f64);

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

/// A place of an area, on the globe.
fn place(text: &str) -> Result<Position, String> {
    let place = position(text)?;
    Circle::new((place.longitude, place.latitude), 0.0).check()?;
    match place.altitude {
        Some(metres) if !metres.is_finite() => Err(format!(
            "{metres} is no altitude; give metres, or leave it out"
        )),
        _ => Ok(place),
    }
}

/// A distance in metres.
fn distance(text: &str) -> Result<f64, String> {
    let metres = text.trim().parse::<f64>().ok();
    metres
        .filter(|metres| metres.is_finite() && *metres >= 0.0)
        .ok_or_else(|| "write a distance in metres, 0 or more".to_owned())
}

/// What is meant by a record being in the area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum MatchArg {
    /// Its geometry meets the area, and its height the band; touching is enough. Around a place and
    /// along a line the extent counts
    #[default]
    Geometry,
    /// Its extent, the 3D box around it, meets the area
    Extent,
    /// It lies within: its geometry, around a place and along a line its extent
    Within,
}

/// What to do with records whose height is unknown, in an altitude band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum UnknownArg {
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
        group = "area",
        value_name = "W,S,E,N | W,S,ZMIN,E,N,ZMAX",
        // A number with a minus sign must not be taken for a flag. A mistyped flag in this place
        // is then refused as a box.
        allow_hyphen_values = true
    )]
    bbox: Option<BoxArg>,
    // Backticks would be printed.
    #[arg(
        long,
        group = "area",
        value_name = "FILE",
        help = "In the polygons of this GeoJSON file, holes left out"
    )]
    polygon: Option<PathBuf>,
    /// The place that --radius and orders by distance go by, degrees and metres
    #[arg(
        long,
        value_name = "LON,LAT[,ALT]",
        value_parser = place,
        allow_hyphen_values = true
    )]
    pub(crate) near: Option<Position>,
    /// Within this distance of --near, along the ground
    #[arg(
        long,
        group = "area",
        requires = "near",
        value_name = "METRES",
        value_parser = distance,
        allow_hyphen_values = true
    )]
    radius: Option<f64>,
    /// Filed in this cell, by the centre of its extent: the first digits of a geocode
    #[arg(long, group = "area", value_name = "HEX")]
    prefix: Option<String>,
    /// Filed in this block, by the centre of its extent, as `net block` prints it
    #[arg(long, group = "area", value_name = "CODE")]
    block: Option<String>,
    #[arg(
        long,
        group = "area",
        requires = "buffer",
        value_name = "FILE",
        help = "Within --buffer of the lines of this GeoJSON file"
    )]
    along: Option<PathBuf>,
    /// How far either side of the lines of --along
    #[arg(
        long,
        requires = "along",
        value_name = "METRES",
        value_parser = distance,
        allow_hyphen_values = true
    )]
    buffer: Option<f64>,
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
    layer: Vec<String>,
    /// Of this id
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    id: Option<String>,
    /// A record counts as present when this property has one of these values
    #[arg(long, value_name = "PROP=V[,V...]")]
    present_when: Option<String>,
    /// Of which this CEL expression is true: names are `id`, `layer`, `floor`, `top`, `type`,
    /// `properties` and `geometry`, as in `properties.height > 20 && layer == "trees"`
    #[arg(long = "where", value_name = "EXPRESSION")]
    condition: Option<String>,
}

/// How a command is to find its records.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[command(next_help_heading = "How to find them")]
pub(crate) struct PlanArgs {
    /// By this plan and no other: ranges, skip, entity, time or scan
    #[arg(long, value_name = "NAME")]
    plan: Option<PlanKind>,
    /// With at most this many key ranges, but one for each level in use [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    ranges: Option<u16>,
}

impl PlanArgs {
    /// A query for a selection, found like this.
    pub(crate) fn query(self, selection: Selection<'_>) -> Query<'_> {
        Query {
            plan: self.plan,
            max_ranges: self.ranges.map_or(MAX_RANGES, usize::from),
            ..selection.into()
        }
    }
}

/// What [`SelectArgs`] come to in a net.
pub(crate) struct Choice {
    area: Area,
    altitude: Option<Altitude>,
    matching: Match,
    layers: Option<Vec<LayerId>>,
    id: Option<String>,
    refine: Option<Test>,
    present: Option<Test>,
}

impl Choice {
    pub(crate) fn selection(&self) -> Selection<'_> {
        Selection {
            area: self.area.clone(),
            altitude: self.altitude,
            matching: self.matching,
            layers: self.layers.as_deref(),
            id: self.id.as_deref(),
            refine: self.refine.as_deref(),
            present: self.present.as_deref(),
        }
    }
}

/// An area with how records are tested against it.
struct Place {
    area: Area,
    matching: Match,
    refine: Option<Test>,
    /// Whether `refine` asks for being within although `matching` does not, since extents that
    /// reach out of the area may have shapes that do not.
    within_by_shape: bool,
}

impl Place {
    fn of(area: impl Into<Area>, matching: MatchArg) -> Self {
        Self {
            area: area.into(),
            matching: match matching {
                MatchArg::Geometry | MatchArg::Extent => Match::Meets,
                MatchArg::Within => Match::Within,
            },
            refine: None,
            within_by_shape: false,
        }
    }
}

impl SelectArgs {
    /// What changed in an area or stayed there, where the layers' own presence rules apply without
    /// `--present-when`.
    pub(crate) fn of_changes(&self, view: &View<'_>) -> Result<Choice> {
        self.check_near(false, "")?;
        self.resolve(view, true)
    }

    /// What is in an area, where without `--present-when` every state counts.
    ///
    /// * `by_place`: the answer's order goes by `--near`.
    pub(crate) fn of_states(&self, view: &View<'_>, by_place: bool) -> Result<Choice> {
        self.check_near(
            by_place,
            ", for what lies around the place, or --nearest K, for the K nearest, or both",
        )?;
        self.resolve(view, false)
    }

    /// Refuses a place or an altitude of one that nothing would come of.
    fn check_near(&self, by_place: bool, why: &str) -> Result<()> {
        match self.near {
            Some(_) if !by_place && self.radius.is_none() => Err(CliError::usage(format!(
                "--near alone selects nothing: add --radius METRES{why}"
            ))),
            Some(Position {
                altitude: Some(_), ..
            }) if !by_place => Err(CliError::usage(
                "--near: --radius goes along the ground, so that an altitude means nothing: leave \
                 it out, or give --altitude LO..HI",
            )),
            _ => Ok(()),
        }
    }

    fn resolve(&self, view: &View<'_>, layer_rules: bool) -> Result<Choice> {
        let layers = match self.layer.as_slice() {
            [] => None,
            names => Some(store::layers(view, names)?),
        };
        let place = self.place(view)?;
        let altitude = self.altitude()?;
        let rule: Option<Test> = match &self.present_when {
            Some(rule) => {
                let rule: Predicate = rule.parse()?;
                Some(store::presence_test(rule))
            }
            None if layer_rules => store::presence(view)?,
            None => None,
        };
        let condition = match &self.condition {
            Some(text) => Some(condition(text.parse()?, view)),
            None => None,
        };
        let upright = altitude
            .filter(|_| place.within_by_shape)
            .map(|altitude| -> Test { Box::new(move |record| keeps_within(&altitude, record)) });
        Ok(Choice {
            area: place.area,
            altitude,
            matching: place.matching,
            layers,
            id: self.id.clone(),
            refine: place.refine,
            present: both(both(rule, condition), upright),
        })
    }

    fn altitude(&self) -> Result<Option<Altitude>> {
        let of_box = self.bbox.and_then(|bbox| bbox.altitude);
        let band = self.altitude.map(|Band(lowest, highest)| (lowest, highest));
        if of_box.is_some() && band.is_some() {
            return Err(CliError::usage(
                "--bbox gives altitudes and so does --altitude: leave one out",
            ));
        }
        Ok(of_box.or(band).map(|(lowest, highest)| Altitude {
            lowest,
            highest,
            unknown: match self.unknown_height {
                UnknownArg::Include => UnknownHeight::Include,
                UnknownArg::Exclude => UnknownHeight::Exclude,
            },
        }))
    }

    fn place(&self, view: &View<'_>) -> Result<Place> {
        let matching = self.matching;
        if let Some(BoxArg { window, .. }) = self.bbox {
            return in_window(window, matching);
        }
        if let Some(path) = &self.polygon {
            return in_polygon(path, matching);
        }
        if let (Some(place), Some(metres)) = (self.near, self.radius) {
            let circle = Circle::new((place.longitude, place.latitude), metres);
            return Ok(Place::of(circle, matching));
        }
        if let (Some(path), Some(metres)) = (&self.along, self.buffer) {
            const FLAG: &str = "--along";
            let lines = input::lines(&read(FLAG, path)?).map_err(|source| CliError::Area {
                flag: FLAG,
                path: path.clone(),
                source,
            })?;
            let corridor = Corridor::new(&lines, metres).map_err(|what| CliError::Shape {
                flag: FLAG,
                path: path.clone(),
                what,
            })?;
            return Ok(Place::of(corridor, matching));
        }
        if let Some(text) = &self.prefix {
            let cell = view.spec().parse_cell(text).map_err(|error| {
                CliError::usage(format!(
                    "--prefix: {error}; write the first digits of a geocode, at most {}",
                    view.spec().planar_digits()
                ))
            })?;
            return Ok(Place::of(Area::Cell(cell), matching));
        }
        if let Some(text) = &self.block {
            let block = view.spec().parse_block(text).map_err(|error| {
                CliError::usage(format!(
                    "--block: {error}; write a block as `net block` prints it"
                ))
            })?;
            return Ok(Place::of(Area::Block(block), matching));
        }
        Ok(Place::of(Area::Everywhere, matching))
    }
}

fn in_window(window: Window, matching: MatchArg) -> Result<Place> {
    let place = Place::of(window, matching);
    let Window {
        west,
        south,
        east,
        north,
    } = window;
    let shape = input::Window::new(west, south, east, north)
        .map_err(|error| CliError::usage(error.to_string()))?;
    Ok(match matching {
        MatchArg::Geometry => Place {
            refine: Some(Box::new(move |record| {
                input::meets(record.payload, &shape).unwrap_or(true)
            })),
            ..place
        },
        // Parts on either side of the antimeridian have an extent around the globe.
        MatchArg::Within if west > east => Place {
            matching: Match::Meets,
            refine: Some(Box::new(move |record| {
                input::within(record.payload, &shape).unwrap_or(false)
            })),
            within_by_shape: true,
            ..place
        },
        // A shape lies in a box when its extent does.
        MatchArg::Extent | MatchArg::Within => place,
    })
}

/// The rings of each part of a polygon: longitudes and latitudes, degrees.
type Parts = Vec<Vec<Vec<(f64, f64)>>>;

/// The parts of a polygon in a file, and the polygon.
fn polygon_of(flag: &'static str, path: &Path) -> Result<(Parts, Polygon)> {
    let parts = input::polygons(&read(flag, path)?).map_err(|source| CliError::Area {
        flag,
        path: path.to_owned(),
        source,
    })?;
    let polygon = Polygon::new(parts.clone()).map_err(|what| CliError::Shape {
        flag,
        path: path.to_owned(),
        what,
    })?;
    Ok((parts, polygon))
}

fn in_polygon(path: &Path, matching: MatchArg) -> Result<Place> {
    let (parts, polygon) = polygon_of("--polygon", path)?;
    let polygon = Arc::new(polygon);
    let region = Region::new(&parts, Arc::clone(&polygon));
    let place = Place::of(Area::Polygon(polygon), matching);
    Ok(match matching {
        MatchArg::Extent => place,
        MatchArg::Geometry => Place {
            refine: Some(Box::new(move |record| region.meets(record).unwrap_or(true))),
            ..place
        },
        MatchArg::Within => Place {
            matching: Match::Meets,
            refine: Some(Box::new(move |record| {
                region.within(record).unwrap_or(false)
            })),
            within_by_shape: true,
            ..place
        },
    })
}

/// What an area must be read from: text of bounded length.
fn read(flag: &'static str, path: &Path) -> Result<String> {
    let unreadable = |source| CliError::Unreadable {
        flag,
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_LEN_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let shape = |what: &str| CliError::Shape {
        flag,
        path: path.to_owned(),
        what: what.to_owned(),
    };
    if bytes.len() as u64 > FILE_LEN_BYTES_MAX {
        return Err(shape(
            "it is longer than 64 MiB; simplify the shape, or ask for its parts",
        ));
    }
    String::from_utf8(bytes).map_err(|_| shape("it is not GeoJSON: its bytes are not UTF-8"))
}

/// Whether what is known of a record's height lies in a band.
fn keeps_within(altitude: &Altitude, record: &RecordRef<'_>) -> bool {
    let inside = |metres: f64| (altitude.lowest..=altitude.highest).contains(&metres);
    record
        .extent
        .is_none_or(|Extent { floor, top, .. }| floor.is_none_or(inside) && top.is_none_or(inside))
}

/// The test that an expression is.
fn condition(expression: Expression, view: &View<'_>) -> Test {
    let layers: BTreeMap<LayerId, String> = view
        .layers()
        .map(|(layer, state)| (layer, state.def.name.clone()))
        .collect();
    Box::new(move |record| {
        expression.matches(&Fields {
            layer: layers.get(&record.layer).map_or("", String::as_str),
            id: record.id,
            floor: record.extent.and_then(|extent| extent.floor),
            top: record.extent.and_then(|extent| extent.top),
            payload: record.payload,
        })
    })
}

fn both(first: Option<Test>, second: Option<Test>) -> Option<Test> {
    match (first, second) {
        (Some(first), Some(second)) => {
            Some(Box::new(move |record| first(record) && second(record)))
        }
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_have_four_or_six_numbers() {
        let parse = |text: &str| text.parse::<BoxArg>();
        let flat = |west, south, east, north| BoxArg {
            window: Window::flat(west, south, east, north),
            altitude: None,
        };
        assert_eq!(
            parse("-74.0,40.7,-73.9,40.8"),
            Ok(flat(-74.0, 40.7, -73.9, 40.8))
        );
        assert_eq!(
            parse("1,2,-3,4,5,6"),
            Ok(BoxArg {
                altitude: Some((-3.0, 6.0)),
                ..flat(1.0, 2.0, 4.0, 5.0)
            })
        );
        assert_eq!(parse("170,0,-170,1"), Ok(flat(170.0, 0.0, -170.0, 1.0)));
        assert_eq!(parse("1,2,1,2"), Ok(flat(1.0, 2.0, 1.0, 2.0)));
        for text in [
            "",
            "1,2,3",
            "1,2,3,x",
            "--json",
            "1,5,2,4",
            "1,2,9,4,5,6",
            "1,2,NaN,4,5,6",
            "NaN,0,1,1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("200,0,1,1").unwrap_err().contains("west"));
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

    #[test]
    fn places_and_distances_are_finite_and_in_range() {
        assert!(place("4.9,52.37").is_ok());
        assert_eq!(place("4.9,52.37,-3").unwrap().altitude, Some(-3.0));
        for text in ["", "4.9", "181,0", "0,-91", "NaN,0", "0,0,inf", "0,0,NaN"] {
            assert!(place(text).is_err(), "{text}");
        }
        assert_eq!(distance("0"), Ok(0.0));
        assert_eq!(distance("1e3"), Ok(1000.0));
        for text in ["", "-1", "inf", "NaN", "12 m", "--json"] {
            assert!(distance(text).unwrap_err().contains("metres"), "{text}");
        }
    }
}
