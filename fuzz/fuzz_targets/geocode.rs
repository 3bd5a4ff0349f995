//! Geocodes: a spec from bytes, then texts, packed and stored forms, places and neighbours under it.
//! What is read is written again as the same; neighbours are mutual; a place lies in its cell.
#![no_main]

use arbitrary::Arbitrary;
use blocknet_geocode::{Cell, NetSpec, Position};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    spec: [u8; NetSpec::LEN_BYTES],
    sound: Option<u8>,
    text: &'a str,
    packed: &'a [u8],
    digits: u8,
    longitude: f64,
    latitude: f64,
    altitude: Option<f64>,
    known: bool,
}

fuzz_target!(|input: Input<'_>| {
    let from_bytes = NetSpec::from_bytes(&input.spec);
    if let Ok(spec) = from_bytes {
        assert_eq!(spec.to_bytes(), input.spec, "one form");
    }
    assert!(NetSpec::from_bytes(input.packed).is_err() || input.packed.len() == NetSpec::LEN_BYTES);
    let spec = match input.sound {
        Some(choice) => blocknet_fuzz::spec(choice),
        None => match from_bytes {
            Ok(spec) => spec,
            Err(_) => return,
        },
    };
    let lower = input.text.to_lowercase();
    if let Ok(geocode) = spec.parse(input.text) {
        assert_eq!(spec.format(&geocode), lower);
        check(&spec, &geocode);
    }
    if let Ok(cell) = spec.parse_cell(input.text) {
        assert_eq!(spec.format_cell(&cell), lower);
        check_cell(&spec, &cell);
    }
    if let Ok(block) = spec.parse_block(input.text) {
        assert_eq!(block.to_string(), lower);
    }
    if let Ok(block) = spec.block_from_packed(input.packed) {
        assert_eq!(block.to_packed().as_ref(), input.packed, "one form");
        assert_eq!(spec.parse_block(&block.to_string()), Ok(block));
        let (column, row, band) = spec.block_indices(&block);
        assert_eq!(spec.block_of_indices(column, row, band), Ok(block));
        for neighbour in spec.block_neighbours(&block).into_iter().flatten() {
            let back = spec.block_neighbours(&neighbour);
            assert!(back.contains(&Some(block)), "neighbours are mutual");
        }
    }
    if let Ok(cell) = Cell::from_packed(input.packed, input.digits) {
        assert_eq!(cell.to_packed().as_ref(), input.packed, "one form");
        if cell.digits() <= spec.planar_digits() {
            check_cell(&spec, &cell);
        }
    }
    if let Ok(geocode) = spec.from_stored(input.packed, input.digits, input.known) {
        let stored = spec.stored(&geocode, input.digits);
        assert_eq!(stored.as_bytes(), input.packed, "one form");
        check(&spec, &geocode);
    }
    let position = Position {
        longitude: input.longitude,
        latitude: input.latitude,
        altitude: input.altitude,
    };
    if let Ok(geocode) = spec.encode(&position) {
        check(&spec, &geocode);
        let bounds = spec.bounds(&geocode.planar());
        assert!(bounds.south <= position.latitude && position.latitude <= bounds.north);
    }
    let _ = spec.cell_at(input.longitude, input.latitude, input.digits);
    let _ = spec.window_columns(input.longitude, input.latitude, input.digits);
    let _ = spec.window_rows(input.latitude, input.longitude, input.digits);
});

fn check(spec: &NetSpec, geocode: &blocknet_geocode::Geocode) {
    assert_eq!(spec.parse(&spec.format(geocode)), Ok(*geocode));
    let level = spec.block_digits();
    let stored = spec.stored(geocode, level);
    let known = geocode.altitude().is_some();
    assert_eq!(
        spec.from_stored(stored.as_bytes(), level, known),
        Ok(*geocode)
    );
    let block = spec.block(geocode);
    assert_eq!(block.cell(), geocode.planar().ancestor(level));
    // The centre of a geocode's cell has that geocode, where cells are wider than numbers are fine.
    if spec.planar_digits() <= 20 {
        let centre = spec.centre(geocode);
        let again = spec.encode(&centre).map(|geocode| geocode.planar());
        assert_eq!(again, Ok(geocode.planar()));
    }
    let other = spec.distance_3d(geocode, geocode);
    let _ = other.combined();
    check_cell(spec, &geocode.planar());
}

fn check_cell(spec: &NetSpec, cell: &Cell) {
    assert_eq!(spec.parse_cell(&cell.to_string()), Ok(*cell));
    let (column, row) = spec.indices(cell);
    assert_eq!(spec.cell_of_indices(column, row, cell.digits()), Ok(*cell));
    for neighbour in spec.neighbours(cell).iter() {
        let mut back = spec.neighbours(&neighbour).iter();
        assert!(back.any(|back| back == *cell), "neighbours are mutual");
    }
    let bounds = spec.bounds(cell);
    assert!(bounds.south <= bounds.north);
    if cell.digits() <= spec.block_digits() {
        let range = spec.stored_range(cell, cell, spec.block_digits());
        let (low, high) = range.expect("a cell and itself are in order");
        assert!(low.as_bytes() <= high.as_bytes());
    }
}
