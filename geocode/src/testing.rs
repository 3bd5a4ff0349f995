//! Random nets, cells and places for this crate's tests.
//!
//! Quickcheck names a failing input only if it shrank, so each of these shrinks once, to itself.

use crate::bits::Bits;
use crate::cell::{Cell, Geocode};
use crate::curve::CurveKind;
use crate::place::Position;
use crate::spec::NetSpec;
use quickcheck::{Arbitrary, Gen};

/// The cell printed as `text`.
pub(crate) fn cell(text: &str) -> Cell {
    text.chars().fold(Cell::ROOT, |cell, digit| {
        let digit = digit
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok());
        cell.child(digit.unwrap()).unwrap()
    })
}

/// The bytes written in hexadecimal, blanks ignored; an odd digit is padded with zero.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let mut digits: Vec<u8> = text
        .chars()
        .filter(|digit| *digit != ' ')
        .map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap())
        .collect();
    digits.resize(digits.len().next_multiple_of(2), 0);
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// A net of so many digits, with the altitude axis and block depth of a city.
pub(crate) fn net(curve: CurveKind, planar_digits: u8, altitude_digits: u8) -> NetSpec {
    NetSpec::builder()
        .curve(curve)
        .planar_digits(planar_digits)
        .altitude_digits(altitude_digits)
        .build()
        .unwrap()
}

fn pick<T: Clone>(g: &mut Gen, values: &[T]) -> T {
    g.choose(values).cloned().unwrap()
}

fn shrink_once<T: 'static>(shrunk: bool, same: T) -> Box<dyn Iterator<Item = T>> {
    Box::new((!shrunk).then_some(same).into_iter())
}

/// Zero, all ones, or random bits.
fn any_bits(g: &mut Gen) -> Bits {
    match u8::arbitrary(g) % 8 {
        0 => Bits::ZERO,
        1 => Bits::ones(0, 256),
        2 => Bits::ones(u32::from(u8::arbitrary(g)), 256),
        _ => Bits::new(u128::arbitrary(g), u128::arbitrary(g)),
    }
}

/// A cell of any depth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnyCell(pub(crate) Cell, bool);

impl Arbitrary for AnyCell {
    fn arbitrary(g: &mut Gen) -> Self {
        Self(Cell::new(any_bits(g), u8::arbitrary(g) % 65), false)
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        shrink_once(self.1, Self(self.0, true))
    }
}

/// A net of 4 to 256 bits: tiny, city-like, huge or anything between, under either curve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnySpec(pub(crate) NetSpec, bool);

impl Arbitrary for AnySpec {
    fn arbitrary(g: &mut Gen) -> Self {
        let anything = u8::arbitrary(g) % 64 + 1;
        let planar_digits = pick(g, &[1, 2, 9, 16, 24, 32, 33, 60, 64, anything]);
        let altitude = u8::arbitrary(g) % 17;
        let altitude_digits = pick(g, &[0, 1, 6, 16, altitude]).min(64 - planar_digits);
        let floor = i64::arbitrary(g);
        let step = u64::arbitrary(g) % (1 << 50) + 1;
        let spec = NetSpec::builder()
            .curve(pick(g, &[CurveKind::Morton, CurveKind::Hilbert]))
            .planar_digits(planar_digits)
            .altitude_digits(altitude_digits)
            .block_digits(u8::arbitrary(g) % planar_digits + 1)
            .band_digits(u8::arbitrary(g) % (altitude_digits + 1))
            .altitude_floor_millimetres(pick(g, &[-1_000_000, 0, floor, i64::MIN, i64::MAX]))
            .altitude_step_millimetres(pick(g, &[1, 3, 10, 1000, step]));
        Self(spec.build().unwrap(), false)
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        shrink_once(self.1, Self(self.0, true))
    }
}

/// A net and three geocodes of it, often in a common cell, with known or unknown altitude.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnyGeocode {
    pub(crate) spec: NetSpec,
    pub(crate) geocode: Geocode,
    pub(crate) other: Geocode,
    pub(crate) third: Geocode,
    shrunk: bool,
}

impl Arbitrary for AnyGeocode {
    fn arbitrary(g: &mut Gen) -> Self {
        let spec = AnySpec::arbitrary(g).0;
        let shared = (any_bits(g), u32::from(u8::arbitrary(g)));
        let mut geocode = || {
            let common = if bool::arbitrary(g) { shared.1 } else { 0 };
            let code = shared.0.prefix(common) | any_bits(g).suffix(common);
            let altitude = Option::<u64>::arbitrary(g).map(|code| code & spec.altitude_code_max());
            let altitude = altitude.filter(|_| spec.altitude_digits() > 0);
            Geocode::new(Cell::new(code, spec.planar_digits()), altitude)
        };
        Self {
            spec,
            geocode: geocode(),
            other: geocode(),
            third: geocode(),
            shrunk: false,
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        shrink_once(
            self.shrunk,
            Self {
                shrunk: true,
                ..*self
            },
        )
    }
}

/// A place on Earth: anywhere, or on, just beside or very near an edge of cells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnyPlace(pub(crate) Position, bool);

impl Arbitrary for AnyPlace {
    fn arbitrary(g: &mut Gen) -> Self {
        let altitude = f64::from(i32::arbitrary(g)) / 128.0;
        let position = Position {
            longitude: degrees(g),
            latitude: degrees(g) / 2.0,
            altitude: bool::arbitrary(g).then_some(altitude),
        };
        Self(position, false)
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        shrink_once(self.1, Self(self.0, true))
    }
}

/// -180 to 180.
fn degrees(g: &mut Gen) -> f64 {
    let unit = f64::from(u32::arbitrary(g)) / f64::from(u32::MAX);
    let cells = f64::from(u32::arbitrary(g) % 1025) / 1024.0;
    let on_an_edge = 360.0 * cells - 180.0;
    let tiny = 2.0_f64.powi(-i32::from(u8::arbitrary(g)));
    let anywhere = 360.0 * unit - 180.0;
    let choices = [
        anywhere,
        anywhere,
        on_an_edge,
        on_an_edge.next_up(),
        on_an_edge.next_down(),
        tiny,
        -tiny,
        -0.0,
    ];
    pick(g, &choices).clamp(-180.0, 180.0)
}
