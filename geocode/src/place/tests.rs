use super::*;
use crate::curve::CurveKind;
use crate::testing::{AnyCell, AnyPlace, AnySpec, net};
use quickcheck::{TestResult, quickcheck};

const CURVES: [CurveKind; 2] = [CurveKind::Morton, CurveKind::Hilbert];

/// Tiny (4 bits), the city's size, and 256 bits, flat and with altitude, under both curves.
fn nets() -> impl Iterator<Item = NetSpec> {
    CURVES.into_iter().flat_map(|curve| {
        [(1, 0), (1, 1), (2, 2), (16, 6), (33, 7), (48, 16), (64, 0)]
            .map(|(planar, altitude)| net(curve, planar, altitude))
    })
}

fn at(longitude: f64, latitude: f64) -> Position {
    Position {
        longitude,
        latitude,
        altitude: None,
    }
}

/// The table of DESIGN.md "Edge points": each row is one place, however it is written.
#[test]
fn edge_points_are_one_place_each() {
    let places: [&[(f64, f64)]; 6] = [
        &[(180.0, 10.0), (-180.0, 10.0)],
        &[(180.0, 0.0), (-180.0, 0.0), (180.0, -0.0), (-180.0, -0.0)],
        &[(0.0, 0.0), (-0.0, 0.0), (0.0, -0.0), (-0.0, -0.0)],
        &[
            (0.0, 90.0),
            (-180.0, 90.0),
            (180.0, 90.0),
            (123.4, 90.0),
            (-0.0, 90.0),
        ],
        &[
            (0.0, -90.0),
            (-180.0, -90.0),
            (180.0, -90.0),
            (-67.8, -90.0),
        ],
        &[(5e-324, 5e-324), (1e-300, 1e-300), (0.0, 0.0)],
    ];
    for spec in nets() {
        let last = last_index(spec.planar_digits());
        let middle = last / 2 + 1;
        let expected = [
            (0, spec.row(10.0, spec.planar_digits()).unwrap()),
            (0, middle),
            (middle, middle),
            (0, last),
            (0, 0),
            (middle, middle),
        ];
        for (place, indices) in places.iter().zip(expected) {
            for (longitude, latitude) in *place {
                let geocode = spec.encode(&at(*longitude, *latitude)).unwrap();
                assert_eq!(
                    spec.indices(&geocode.planar()),
                    indices,
                    "{longitude} {latitude}"
                );
            }
        }
    }
}

#[test]
fn places_beside_an_edge_keep_to_their_side() {
    for spec in nets() {
        let digits = spec.planar_digits();
        let last = last_index(digits);
        let middle = last / 2 + 1;
        assert!(spec.column(180.0_f64.next_down(), digits).unwrap() > middle);
        assert_eq!(
            spec.column(180.0_f64.next_down(), 20.min(digits)).unwrap(),
            last_index(20.min(digits))
        );
        assert_eq!(
            spec.column(-1e-30, digits.min(40)).unwrap(),
            last_index(digits.min(40)) / 2
        );
        assert_eq!(
            spec.row(-1e-30, digits.min(40)).unwrap(),
            last_index(digits.min(40)) / 2
        );
        assert_eq!(spec.row(90.0, digits).unwrap(), last);
        assert_eq!(spec.row(-90.0, digits).unwrap(), 0);
        assert_eq!(spec.column(90.0, digits).unwrap(), last / 4 * 3 + 3);
    }
}

#[test]
fn bad_coordinates_are_refused_with_their_value() {
    let refused = |position: Position| NetSpec::city().encode(&position).unwrap_err();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (what, position) in [
            ("longitude", at(value, 0.0)),
            ("longitude", at(value, 90.0)),
            ("latitude", at(0.0, value)),
            (
                "altitude",
                Position {
                    altitude: Some(value),
                    ..at(0.0, 0.0)
                },
            ),
        ] {
            match refused(position) {
                Error::NotFinite {
                    what: found,
                    value: carried,
                } => {
                    assert_eq!((found, carried.to_bits()), (what, value.to_bits()));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    for value in [180.0_f64.next_up(), -181.0, 1e300] {
        let what = "longitude in degrees";
        let expected = Error::OutOfRange {
            what,
            value,
            low: -180.0,
            high: 180.0,
        };
        assert_eq!(refused(at(value, 0.0)), expected);
    }
    for value in [90.0_f64.next_up(), (-90.0_f64).next_down(), 180.0] {
        let what = "latitude in degrees";
        let expected = Error::OutOfRange {
            what,
            value,
            low: -90.0,
            high: 90.0,
        };
        assert_eq!(refused(at(0.0, value)), expected);
    }
}

#[test]
fn altitude_limits_are_closed() {
    let spec = NetSpec::city();
    let (floor, top) = spec.altitude_range_metres();
    assert_eq!((floor, top), (-1000.0, 166_772.16));
    for (metres, code) in [
        (floor, 0),
        (-999.99, 1),
        (-0.0, 100_000),
        (0.0, 100_000),
        (0.0099, 100_000),
        (0.01, 100_001),
        (-0.001, 99_999),
        (12.29, 101_229),
        (top - 0.01, 0xff_ffff),
        (top, 0xff_ffff),
    ] {
        assert_eq!(spec.altitude_code(metres), Ok(code), "{metres}");
    }
    for value in [-1_000.000_001, 166_772.160_001, 1e308, -1e308] {
        let what = "altitude in metres";
        let expected = Error::OutOfRange {
            what,
            value,
            low: floor,
            high: top,
        };
        assert_eq!(spec.altitude_code(value), Err(expected));
    }
    assert_eq!(spec.altitude_bounds(101_229), (12.29, 12.3));
}

#[test]
fn decimal_centimetres_fall_in_the_step_they_begin() {
    let spec = NetSpec::city();
    for code in (0..0xff_ffff).step_by(997) {
        let (low, high) = spec.altitude_bounds(code);
        let written: f64 = format!("{low:.2}").parse().unwrap();
        assert_eq!(low.to_bits(), written.to_bits());
        assert_eq!(spec.altitude_code(low), Ok(code));
        assert_eq!(spec.altitude_code(high), Ok(code + 1));
    }
}

#[test]
fn unknown_altitude_is_not_zero_and_flat_nets_have_none() {
    let spec = NetSpec::city();
    let unknown = spec.encode(&at(1.0, 2.0)).unwrap();
    let zero = spec
        .encode(&Position {
            altitude: Some(0.0),
            ..at(1.0, 2.0)
        })
        .unwrap();
    assert_ne!(unknown, zero);
    assert_eq!(spec.centre(&unknown).altitude, None);
    let flat = net(CurveKind::Morton, 16, 0);
    let high = flat
        .encode(&Position {
            altitude: Some(1e9),
            ..at(1.0, 2.0)
        })
        .unwrap();
    assert_eq!(high, flat.encode(&at(1.0, 2.0)).unwrap());
    assert_eq!(
        flat.altitude_range_metres(),
        (f64::NEG_INFINITY, f64::INFINITY)
    );
    assert_eq!(flat.encode_indices(1, 2, Some(0)).unwrap().altitude(), None);
    assert!(flat.encode_indices(1, 2, Some(1)).is_err());
}

#[test]
fn indices_beyond_the_axis_are_refused() {
    let spec = net(CurveKind::Hilbert, 2, 1);
    assert!(spec.encode_indices(15, 15, Some(15)).is_ok());
    let index = |what, index, bits| Err(Error::Index { what, index, bits });
    assert_eq!(spec.encode_indices(16, 0, None), index("column", 16, 4));
    assert_eq!(spec.encode_indices(0, 16, None), index("row", 16, 4));
    assert_eq!(
        spec.encode_indices(0, 0, Some(16)),
        index("altitude code", 16, 4)
    );
    assert_eq!(
        spec.cell_of_indices(1, 0, 0),
        Err(Error::Index {
            what: "column",
            index: 1,
            bits: 0
        })
    );
    let depth = |what| Error::Depth {
        what,
        digits: 3,
        max: 2,
    };
    assert_eq!(spec.cell_of_indices(0, 0, 3), Err(depth("cell")));
    assert_eq!(spec.cell_at(0.0, 0.0, 3), Err(depth("column")));
    assert_eq!(spec.column(0.0, 3), Err(depth("column")));
    assert_eq!(spec.row(0.0, 3), Err(depth("row")));
    assert_eq!(spec.window_rows(0.0, 0.0, 3), Err(depth("window")));
    assert_eq!(spec.window_columns(0.0, 0.0, 3), Err(depth("window")));
    let widest = net(CurveKind::Morton, 64, 0);
    assert!(widest.encode_indices(u128::MAX, u128::MAX, None).is_ok());
}

#[test]
fn windows_reach_the_last_column_and_row_and_are_clamped() {
    for spec in nets() {
        for digits in 0..=spec.planar_digits() {
            let all = (0, last_index(digits));
            for reach in [180.0, 1e9, f64::INFINITY] {
                assert_eq!(spec.window_columns(-reach, reach, digits), Ok(all));
                assert_eq!(spec.window_rows(-reach, reach, digits), Ok(all));
            }
            assert_eq!(
                spec.window_columns(180.0, 180.0, digits),
                Ok((all.1, all.1))
            );
            assert_eq!(spec.window_rows(90.0, 90.0, digits), Ok((all.1, all.1)));
        }
    }
    let spec = NetSpec::city();
    assert_eq!(
        spec.window_columns(1.0, 0.0, 9),
        Err(Error::Order {
            what: "window from west to east"
        })
    );
    assert_eq!(
        spec.window_rows(1.0, 0.0, 9),
        Err(Error::Order {
            what: "window from south to north"
        })
    );
    for (low, high) in [(f64::NAN, 0.0), (0.0, f64::NAN)] {
        assert!(matches!(
            spec.window_columns(low, high, 9),
            Err(Error::NotFinite { .. })
        ));
        assert!(matches!(
            spec.window_rows(low, high, 9),
            Err(Error::NotFinite { .. })
        ));
    }
    assert!(spec.window_meets_seam(-90.0, 0.0, 0.0));
    assert!(spec.window_meets_seam(0.0, 0.0, 90.0));
    assert!(spec.window_meets_seam(0.0, 180.0, 0.0));
    assert!(!spec.window_meets_seam(-89.0, 179.0, 89.0));
}

/// The paper takes ten digits for an accuracy of 0.463 m. They are 463.9 square metres.
#[test]
fn ten_digits_are_38_by_19_metres_at_the_equator() {
    const EQUATOR_METRES: f64 = 40_075_016.7;
    const MERIDIAN_POLE_TO_POLE_METRES: f64 = 20_003_931.5;
    const EARTH_SQUARE_METRES: f64 = 5.100_659e14;
    let spec = NetSpec::city();
    let bounds = spec.bounds(&spec.cell_at(0.0, 0.0, 10).unwrap());
    let width = (bounds.east - bounds.west) / 360.0 * EQUATOR_METRES;
    let height = (bounds.north - bounds.south) / 180.0 * MERIDIAN_POLE_TO_POLE_METRES;
    assert_eq!(format!("{width:.1} {height:.1}"), "38.2 19.1");
    assert_eq!(
        format!("{:.1}", EARTH_SQUARE_METRES / 16.0_f64.powi(10)),
        "463.9"
    );
    let block = spec.bounds(&spec.cell_at(0.0, 0.0, 9).unwrap());
    assert_eq!(
        format!("{:.0}", (block.east - block.west) / 360.0 * EQUATOR_METRES),
        "153"
    );
}

#[test]
fn neighbours_wrap_at_the_antimeridian_and_end_at_the_poles() {
    for spec in nets() {
        for digits in [1, spec.planar_digits()] {
            let last = last_index(digits);
            let at = |column, row| spec.cell_of_indices(column, row, digits).unwrap();
            let corner = spec.neighbours(&at(0, 0));
            assert_eq!((corner.west, corner.south), (at(last, 0), None));
            assert_eq!(corner.iter().count(), 3);
            let corner = spec.neighbours(&at(last, last));
            assert_eq!((corner.east, corner.north), (at(0, last), None));
            assert_eq!(spec.neighbours(&at(1, 1)).iter().count(), 4);
        }
        let root = spec.neighbours(&Cell::ROOT);
        assert_eq!(root.iter().collect::<Vec<_>>(), [Cell::ROOT, Cell::ROOT]);
    }
}

#[test]
fn bounds_of_neighbours_meet() {
    for curve in CURVES {
        let spec = net(curve, 16, 0);
        assert_eq!(
            spec.bounds(&Cell::ROOT),
            Bounds {
                west: -180.0,
                south: -90.0,
                east: 180.0,
                north: 90.0
            }
        );
        let cell = spec.cell_at(6.1389, 52.0128, 16).unwrap();
        let (bounds, next) = (spec.bounds(&cell), spec.neighbours(&cell));
        assert_eq!(
            bounds.east.to_bits(),
            spec.bounds(&next.east).west.to_bits()
        );
        assert_eq!(
            bounds.north.to_bits(),
            spec.bounds(&next.north.unwrap()).south.to_bits()
        );
    }
}

/// Distance on a circle of 360 degrees.
fn turn_between(a: f64, b: f64) -> f64 {
    let direct = (a - b).abs();
    direct.min(360.0 - direct)
}

quickcheck! {
    /// An edge is the same number whether it is one of a cell or of the finer cells beyond it: the
    /// short way to compute it is as exact as the long one.
    fn edges_are_the_same_at_all_depths(index: u64, bits: u8, finer: u8) -> bool {
        let bits = u32::from(bits % 57);
        let finer = 57 - bits + u32::from(finer % 40);
        let index = u128::from(index) & ((1 << bits) - 1);
        [(index, Edge::Low), (index + 1, Edge::High)].into_iter().all(|(edge, which)| {
            let short = degrees_of(index, bits, which);
            let long = degrees_of(edge << finer, bits + finer, Edge::Low);
            short.to_bits() == long.to_bits()
        })
    }

    fn round_trip_within_half_a_cell(spec: AnySpec, place: AnyPlace) -> TestResult {
        let (spec, place) = (spec.0, place.0);
        let Ok(geocode) = spec.encode(&place) else { return TestResult::discard() };
        let centre = spec.centre(&geocode);
        let cells = 4.0_f64.powi(i32::from(spec.planar_digits()));
        // One rounding of the centre, half a unit in the last place of up to 180 degrees.
        let rounding = 180.0 * f64::EPSILON;
        let at_a_pole = place.latitude.abs() >= 90.0;
        let longitude = turn_between(centre.longitude, place.longitude);
        let latitude = (centre.latitude - place.latitude).abs();
        let altitude = match (centre.altitude, place.altitude) {
            (Some(centre), Some(metres)) => {
                #[expect(clippy::cast_precision_loss, reason = "a tolerance")]
                let half_step = spec.altitude_step_millimetres() as f64 / 2000.0;
                (centre - metres).abs() <= half_step + 1e-6 + (half_step + metres.abs()) * f64::EPSILON
            }
            (None, known) => known.is_none() || spec.altitude_digits() == 0,
            (Some(_), None) => false,
        };
        TestResult::from_bool(
            (at_a_pole || longitude <= 180.0 / cells + rounding)
                && latitude <= 90.0 / cells + rounding
                && altitude,
        )
    }

    fn bounds_contain_the_place_at_every_depth(spec: AnySpec, place: AnyPlace, digits: u8) -> bool {
        let (spec, place) = (spec.0, place.0);
        let digits = digits % (spec.planar_digits() + 1);
        let bounds = spec.bounds(&spec.cell_at(place.longitude, place.latitude, digits).unwrap());
        // Beyond 60 digits the low bits of a tiny coordinate are dropped.
        let slack = if digits > 60 { 2.0_f64.powi(-110) } else { 0.0 };
        let folded = place.longitude >= 180.0 || place.latitude.abs() >= 90.0;
        let longitude = if folded { -180.0 } else { place.longitude };
        (bounds.west..=bounds.east + slack).contains(&longitude)
            && (bounds.south..=bounds.north + slack).contains(&place.latitude)
    }

    fn cells_around_a_place_are_prefixes_of_its_code(spec: AnySpec, place: AnyPlace) -> bool {
        let (spec, place) = (spec.0, place.0);
        let position = Position { altitude: None, ..place };
        let planar = spec.encode(&position).unwrap().planar();
        (0..=spec.planar_digits()).all(|digits| {
            spec.cell_at(place.longitude, place.latitude, digits) == Ok(planar.ancestor(digits))
        })
    }

    fn indices_never_decrease(spec: AnySpec, a: AnyPlace, b: AnyPlace) -> bool {
        let (spec, a, b) = (spec.0, a.0, b.0);
        let digits = spec.planar_digits();
        let (west, east) = (a.longitude.min(b.longitude), a.longitude.max(b.longitude));
        let (south, north) = (a.latitude.min(b.latitude), a.latitude.max(b.latitude));
        let columns = spec.window_columns(west, east, digits).unwrap();
        let rows = spec.window_rows(south, north, digits).unwrap();
        columns.0 <= columns.1
            && rows == (spec.row(south, digits).unwrap(), spec.row(north, digits).unwrap())
            && rows.0 <= rows.1
            && (west >= 180.0 || columns.0 == spec.column(west, digits).unwrap())
            && (east >= 180.0 || columns.1 == spec.column(east, digits).unwrap())
    }

    fn a_window_covers_the_places_in_it(spec: AnySpec, a: AnyPlace, b: AnyPlace, c: AnyPlace) -> bool {
        let (spec, digits) = (spec.0, spec.0.planar_digits());
        let (a, b, place) = (a.0, b.0, c.0);
        let (west, east) = (a.longitude.min(b.longitude), a.longitude.max(b.longitude));
        let (south, north) = (a.latitude.min(b.latitude), a.latitude.max(b.latitude));
        let inside = (west..=east).contains(&place.longitude)
            && (south..=north).contains(&place.latitude);
        let columns = spec.window_columns(west, east, digits).unwrap();
        let rows = spec.window_rows(south, north, digits).unwrap();
        let cell = spec.cell_at(place.longitude, place.latitude, digits).unwrap();
        let (column, row) = spec.indices(&cell);
        let seam = spec.window_meets_seam(south, east, north) && column == 0;
        !inside
            || ((rows.0..=rows.1).contains(&row)
                && (seam || (columns.0..=columns.1).contains(&column)))
    }

    fn altitude_steps_contain_and_never_decrease(spec: AnySpec, a: i32, b: i32) -> TestResult {
        let spec = spec.0;
        let (low, high) = (f64::from(a.min(b)) / 128.0, f64::from(a.max(b)) / 128.0);
        let (Ok(low_code), Ok(high_code)) = (spec.altitude_code(low), spec.altitude_code(high))
        else {
            return TestResult::discard();
        };
        let (bottom, top) = spec.altitude_bounds(low_code);
        TestResult::from_bool(low_code <= high_code && bottom <= low + 1e-6 && low <= top + 1e-6)
    }

    fn centre_has_the_same_code_up_to_20_digits(spec: AnySpec, any: AnyCell) -> TestResult {
        let spec = spec.0;
        let digits = any.0.digits().min(spec.planar_digits());
        if digits > 20 {
            return TestResult::discard();
        }
        let bounds = spec.bounds(&any.0.ancestor(digits));
        let longitude = f64::midpoint(bounds.west, bounds.east);
        let latitude = f64::midpoint(bounds.south, bounds.north);
        TestResult::from_bool(
            spec.cell_at(longitude, latitude, digits) == Ok(any.0.ancestor(digits)),
        )
    }

    fn neighbours_are_mutual(spec: AnySpec, any: AnyCell) -> bool {
        let (spec, cell) = (spec.0, any.0);
        let next = spec.neighbours(&cell);
        spec.neighbours(&next.west).east == cell
            && spec.neighbours(&next.east).west == cell
            && next.north.is_none_or(|north| spec.neighbours(&north).south == Some(cell))
            && next.south.is_none_or(|south| spec.neighbours(&south).north == Some(cell))
            && next.iter().all(|other| other.digits() == cell.digits())
            && (cell == Cell::ROOT || next.iter().all(|other| other != cell))
    }

    fn indices_round_trip(spec: AnySpec, any: AnyCell) -> bool {
        let spec = spec.0;
        let cell = any.0.ancestor(spec.planar_digits());
        let (column, row) = spec.indices(&cell);
        spec.cell_of_indices(column, row, cell.digits()) == Ok(cell)
    }
}
