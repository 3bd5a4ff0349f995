//! The made-up city: a street grid, and what happened on it. The same every time.

use blocknet_engine::{Assertion, Commit, End, Extent, LayerId, Moment, Recorded, Valid};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::input::{DayEdge, Instant};

pub(super) const BUILDINGS: &str = "buildings";
pub(super) const PERMITS: &str = "permits";
/// The house that grew for some months.
pub(super) const HOUSE: &str = "B-0147";
pub(super) const FIRST_INSPECTION: &str = "2019-03-04";
pub(super) const SECOND_INSPECTION: &str = "2020-03-02";
pub(super) const TODAY: &str = "2023-12-31";

/// South-western corner of the quarter, degrees.
const ORIGIN: (f64, f64) = (5.387, 52.156);
/// Degrees of longitude and latitude per metre there.
const DEGREE_PER_M: (f64, f64) = (1.0 / 68_290.0, 1.0 / 111_260.0);
/// Street blocks across and along; each has two rows of five lots, back to back.
const BLOCKS: (u32, u32) = (6, 5);
const LOTS_PER_ROW: u32 = 5;
/// Metres: a block's pitch with its street, and a lot.
const PITCH: (f64, f64) = (80.0, 66.0);
const LOT: (f64, f64) = (13.0, 26.0);
const STREETS: [&str; 6] = [
    "Mill Street",
    "Baker Street",
    "Canal Street",
    "Orchard Street",
    "Chapel Street",
    "Dyers Lane",
];
const STOREY_M: f64 = 3.1;
/// When the archive put its card index into the net.
const LOADED: &str = "2000-01-03";

/// A moment from a date that is known to be one.
pub(super) fn moment(date: &str) -> Moment {
    let start = Instant::parse(date, &TimeZone::UTC, DayEdge::Start);
    Moment::from_micros(start.expect("the demo's dates are dates").micros())
}

/// A building as it stands, or a permit's ground.
#[derive(Clone, Debug)]
struct House {
    id: String,
    street: &'static str,
    number: u32,
    /// Metres east and north of the origin; width and depth.
    at: (f64, f64),
    size: (f64, f64),
    storeys: u32,
    what: &'static str,
}

/// Something that was reported: it holds from `valid` on and was recorded on `recorded`.
struct Event {
    recorded: String,
    valid: String,
    /// For permits, when they run out.
    until: Option<String>,
    layer: &'static str,
    /// `None`: it is gone.
    state: Option<House>,
    id: String,
    author: &'static str,
    reason: &'static str,
    source: String,
}

/// All of it, in the order in which it was recorded.
pub(super) struct City {
    events: Vec<Event>,
    house: House,
    hut: House,
}

/// `SplitMix64` (Steele, Lea, Flood 2014): good enough to scatter houses.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    fn between(&mut self, low: u32, high: u32) -> u32 {
        let span = u64::from(high - low) + 1;
        low + u32::try_from(self.roll() % span).expect("less than the span of two 32-bit numbers")
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.between(1, 100) <= percent
    }

    /// A day of the years `low` to `high`.
    fn day(&mut self, low: u32, high: u32) -> Date {
        let year = i16::try_from(self.between(low, high)).expect("years have four digits");
        let day = i64::from(self.between(0, 364));
        Date::constant(year, 1, 1).saturating_add(jiff::Span::new().days(day))
    }
}

fn later(date: Date, days: u32) -> Date {
    date.saturating_add(jiff::Span::new().days(i64::from(days)))
}

impl City {
    pub(super) fn new() -> Self {
        let mut dice = Dice(1955);
        let mut events = Vec::new();
        let mut house = None;
        let mut count = 0;
        for block_y in 0..BLOCKS.1 {
            for block_x in 0..BLOCKS.0 {
                for lot in 0..2 * LOTS_PER_ROW {
                    count += 1;
                    let built = new_house(&mut dice, count, (block_x, block_y), lot);
                    if built.id == HOUSE {
                        house = Some(plain_house(built, &mut events));
                    } else {
                        ordinary_life(&mut dice, built, &mut events);
                    }
                }
            }
        }
        let house = house.expect("there are 300 lots, and the house is on one of them");
        let hut = House {
            id: "T-0001".to_owned(),
            at: (house.at.0 + 2.0 * PITCH.0, house.at.1 - 10.0),
            size: (5.0, 2.5),
            storeys: 1,
            what: "site hut",
            ..house.clone()
        };
        guerrilla(&house, &hut, &mut events);
        // Stable: what was reported on one day stays in the order it was told in.
        events.sort_by(|a, b| a.recorded.cmp(&b.recorded));
        Self { events, house, hut }
    }

    /// One commit for each report; the card index of the archive is one.
    pub(super) fn commits(&self, buildings: LayerId, permits: LayerId) -> Vec<Commit> {
        let mut commits: Vec<Commit> = Vec::new();
        for event in &self.events {
            let layer = if event.layer == PERMITS {
                permits
            } else {
                buildings
            };
            let assertion = event.assertion(layer);
            let recorded = Recorded::At(moment(&event.recorded));
            match commits.last_mut() {
                Some(last) if event.recorded == LOADED && last.recorded == recorded => {
                    last.assertions.push(assertion);
                }
                _ => commits.push(Commit {
                    author: event.author.to_owned(),
                    reason: event.reason.to_owned(),
                    source: event.source.clone(),
                    recorded,
                    assertions: vec![assertion],
                    ..Commit::default()
                }),
            }
        }
        commits
    }

    /// The whole quarter as a box.
    pub(super) fn bounds() -> String {
        let size = (f64::from(BLOCKS.0) * PITCH.0, f64::from(BLOCKS.1) * PITCH.1);
        box_text((-10.0, -10.0), (size.0 + 20.0, size.1 + 20.0))
    }

    /// The street block of the house and the two east of it.
    pub(super) fn street_corner(&self) -> String {
        let (x, y) = self.house.at;
        let corner = (
            (x / PITCH.0).floor() * PITCH.0,
            (y / PITCH.1).floor() * PITCH.1,
        );
        box_text((corner.0, corner.1), (3.0 * PITCH.0 - 12.0, 56.0))
    }

    pub(super) fn house_bounds(&self) -> String {
        box_text(self.house.at, self.house.size)
    }

    pub(super) fn hut_bounds(&self) -> String {
        box_text(self.hut.at, self.hut.size)
    }
}

fn degrees(at: (f64, f64)) -> (f64, f64) {
    (
        ORIGIN.0 + at.0 * DEGREE_PER_M.0,
        ORIGIN.1 + at.1 * DEGREE_PER_M.1,
    )
}

fn box_text(at: (f64, f64), size: (f64, f64)) -> String {
    let (west, south) = degrees(at);
    let (east, north) = degrees((at.0 + size.0, at.1 + size.1));
    format!("{west:.6},{south:.6},{east:.6},{north:.6}")
}

fn new_house(dice: &mut Dice, count: u32, block: (u32, u32), lot: u32) -> House {
    let (row, column) = (lot / LOTS_PER_ROW, lot % LOTS_PER_ROW);
    let width = f64::from(dice.between(16, 22)) / 2.0;
    let depth = f64::from(dice.between(18, 28)) / 2.0;
    let x = f64::from(block.0) * PITCH.0 + f64::from(column) * LOT.0;
    let y = f64::from(block.1) * PITCH.1;
    // The front row faces the street to the south, the back row the one to the north.
    let y = if row == 0 { y } else { y + 2.0 * LOT.1 - depth };
    let street = STREETS[usize::try_from(block.1 + row).expect("there are six streets")];
    House {
        id: format!("B-{count:04}"),
        street,
        number: (block.0 * LOTS_PER_ROW + column) * 2 + 1 + row,
        at: (x, y),
        size: (width, depth),
        storeys: dice.between(1, 4),
        what: "house",
    }
}

/// The house of the story: built, extended with a permit, and nothing else until 2019.
fn plain_house(mut house: House, events: &mut Vec<Event>) -> House {
    house.storeys = 3;
    events.push(seen(
        &house,
        LOADED,
        "1974-05-20",
        "loaded from the card index",
        "card index",
    ));
    events.push(permit(
        &house,
        "P-2006-0031",
        "2006-03-01",
        "2008-03-01",
        "rear extension",
    ));
    house.size.1 += 4.0;
    events.push(seen(
        &house,
        "2006-10-02",
        "2006-09-12",
        "rear extension",
        "photo flight 2006-09",
    ));
    house
}

/// A storey without a permit, and a hut with one.
fn guerrilla(house: &House, hut: &House, events: &mut Vec<Event>) {
    events.push(permit(
        hut,
        "P-2019-0017",
        "2019-04-15",
        "2020-04-15",
        "temporary site hut",
    ));
    events.push(seen(
        hut,
        "2019-05-20",
        "2019-05-06",
        "site hut put up",
        "report of the builder",
    ));
    events.push(gone(hut, "2019-12-02", "2019-11-29", "site hut taken away"));
    let taller = House {
        storeys: house.storeys + 1,
        ..house.clone()
    };
    let source = "photo flight 2019-06";
    events.push(seen(
        &taller,
        "2019-07-01",
        "2019-06-10",
        "one storey more",
        source,
    ));
    let source = "photo flight 2020-03";
    events.push(seen(
        house,
        "2020-03-20",
        "2020-02-14",
        "one storey less",
        source,
    ));
}

/// Built; perhaps extended; perhaps demolished; perhaps replaced.
fn ordinary_life(dice: &mut Dice, mut house: House, events: &mut Vec<Event>) {
    let built = dice.day(1955, 1999).to_string();
    events.push(seen(
        &house,
        LOADED,
        &built,
        "loaded from the card index",
        "card index",
    ));
    if dice.chance(15) {
        let day = dice.day(2001, 2008);
        let allowed = later(day, 0).to_string();
        let number = format!("P-{}-{}", day.year(), &house.id[2..]);
        events.push(permit(
            &house,
            &number,
            &allowed,
            &later(day, 730).to_string(),
            "extension",
        ));
        if dice.chance(50) {
            house.storeys += 1;
        } else {
            house.size.1 += 3.0;
        }
        let done = later(day, dice.between(90, 400));
        let recorded = later(done, dice.between(3, 40));
        let source = format!("report {}", house.id);
        events.push(seen(
            &house,
            &recorded.to_string(),
            &done.to_string(),
            "extension",
            &source,
        ));
    }
    if dice.chance(8) {
        let day = dice.day(2011, 2016);
        let recorded = later(day, dice.between(3, 40));
        events.push(gone(
            &house,
            &recorded.to_string(),
            &day.to_string(),
            "demolished",
        ));
        if dice.chance(70) {
            let allowed = later(day, 60);
            house.id = format!("B-1{}", &house.id[3..]);
            house.storeys += 1;
            let number = format!("P-{}-{}", allowed.year(), &house.id[2..]);
            let until = later(allowed, 1095).to_string();
            events.push(permit(
                &house,
                &number,
                &allowed.to_string(),
                &until,
                "new building",
            ));
            let done = later(allowed, dice.between(200, 500));
            let recorded = later(done, dice.between(3, 40));
            let source = format!("report {}", house.id);
            let (recorded, done) = (recorded.to_string(), done.to_string());
            events.push(seen(&house, &recorded, &done, "new building", &source));
        }
    }
}

fn seen(house: &House, recorded: &str, valid: &str, reason: &'static str, source: &str) -> Event {
    Event {
        recorded: recorded.to_owned(),
        valid: valid.to_owned(),
        until: None,
        layer: BUILDINGS,
        state: Some(house.clone()),
        id: house.id.clone(),
        author: if recorded == LOADED {
            "city archive"
        } else {
            "survey office"
        },
        reason,
        source: source.to_owned(),
    }
}

fn gone(house: &House, recorded: &str, valid: &str, reason: &'static str) -> Event {
    let source = format!("report {}", house.id);
    Event {
        state: None,
        ..seen(house, recorded, valid, reason, &source)
    }
}

/// A permit is recorded on the day it is granted, over the lot it is for.
fn permit(house: &House, id: &str, from: &str, until: &str, work: &'static str) -> Event {
    Event {
        until: Some(until.to_owned()),
        layer: PERMITS,
        state: Some(House {
            id: id.to_owned(),
            what: work,
            ..house.clone()
        }),
        id: id.to_owned(),
        author: "permit office",
        ..seen(house, from, from, work, id)
    }
}

impl Event {
    fn assertion(&self, layer: LayerId) -> Assertion {
        let end = self
            .until
            .as_deref()
            .map_or(End::UntilNext, |until| End::At(moment(until)));
        let valid = Valid {
            from: Some(moment(&self.valid)),
            from_day: true,
            end,
            to_day: self.until.is_some(),
        };
        let assertion = match &self.state {
            None => Assertion::absence(layer, self.id.as_str()),
            Some(house) => {
                let (extent, json) = house.feature(self.layer == PERMITS);
                Assertion::state(layer, self.id.as_str(), extent, json)
            }
        };
        assertion.valid(valid)
    }
}

impl House {
    /// The extent and the Feature.
    fn feature(&self, is_permit: bool) -> (Extent, String) {
        let (west, south) = degrees(self.at);
        let (east, north) = degrees((self.at.0 + self.size.0, self.at.1 + self.size.1));
        let round = |degrees: f64| (degrees * 1e7).round() / 1e7;
        let [west, south, east, north] = [west, south, east, north].map(round);
        let flat = Extent::flat(west, south, east, north);
        let Self {
            id,
            street,
            number,
            storeys,
            what,
            ..
        } = self;
        let properties = if is_permit {
            format!(r#""address":"{street} {number}","work":"{what}""#)
        } else {
            format!(r#""address":"{street} {number}","use":"{what}","storeys":{storeys}"#)
        };
        let ring = format!(
            "[{west},{south}],[{east},{south}],[{east},{north}],[{west},{north}],[{west},{south}]"
        );
        let json = format!(
            r#"{{"type":"Feature","id":"{id}","properties":{{{properties}}},"geometry":{{"type":"Polygon","coordinates":[[{ring}]]}}}}"#
        );
        let extent = if is_permit {
            flat
        } else {
            // Centimetres, so that the same height is the same number.
            flat.between(
                1.5,
                ((1.5 + f64::from(*storeys) * STOREY_M) * 100.0).round() / 100.0,
            )
        };
        (extent, json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_city_is_the_same_every_time_and_no_record_comes_late() {
        let (one, two) = (City::new(), City::new());
        let commits = |city: &City| city.commits(LayerId::MAIN, LayerId::MAIN);
        assert_eq!(commits(&one), commits(&two));
        assert!(commits(&one).len() > 100);
        for event in &one.events {
            assert!(
                event.recorded >= event.valid,
                "{} is recorded before it is true",
                event.id
            );
            assert!(event.recorded.as_str() < "2024-01-01");
        }
    }

    #[test]
    fn only_the_storey_and_the_hut_change_between_the_inspections() {
        let city = City::new();
        let between = |event: &&Event| {
            event.layer == BUILDINGS
                && event.valid.as_str() >= FIRST_INSPECTION
                && event.valid.as_str() <= SECOND_INSPECTION
        };
        let ids: Vec<_> = city
            .events
            .iter()
            .filter(between)
            .map(|e| e.id.as_str())
            .collect();
        assert_eq!(ids, ["T-0001", HOUSE, "T-0001", HOUSE]);
    }
}
