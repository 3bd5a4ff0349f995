//! The shapes of queries from GeoJSON, and shapes against boxes. An area is one a query takes, or one
//! it refuses in words; a shape that lies within a box meets it.
#![no_main]

use arbitrary::Arbitrary;
use blocknet_query::{Corridor, Polygon};
use blocknet_tools::input::{Shape, Window, lines, polygons};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    sides: [i8; 4],
    text: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    if let Ok(parts) = polygons(input.text) {
        assert!(!parts.is_empty());
        for ring in parts.iter().flatten() {
            assert!(ring.len() >= 4 && ring.first() == ring.last());
        }
        if let Ok(polygon) = Polygon::new(parts.clone()) {
            // A hole of a polygon that is not valid may hold its border.
            let whole = parts.iter().filter(|rings| rings.len() == 1);
            for &(longitude, latitude) in whole.flatten().flatten().take(16) {
                let inside = polygon.contains(longitude, latitude);
                assert!(inside, "the border is inside");
            }
            assert!(!polygon.contains(f64::NAN, 0.0));
        }
    }
    if let Ok(lines) = lines(input.text) {
        assert!(lines.iter().all(|line| line.len() >= 2));
        let _ = Corridor::new(&lines[..lines.len().min(64)], 100.0);
    }
    let Ok(shape) = Shape::parse(input.text) else {
        return;
    };
    let bounds = shape.bounds();
    assert!(bounds.west <= bounds.east && bounds.south <= bounds.north);
    let _ = shape.rings();
    let [west, south, east, north] = input.sides.map(f64::from);
    let windows = [
        Window::new(west, south, east, north),
        Window::new(bounds.west, bounds.south, bounds.east, bounds.north),
    ];
    for (window, own) in windows.into_iter().zip([false, true]) {
        let Ok(window) = window else {
            assert!(!own, "the bounds of a shape are a box");
            continue;
        };
        let (meets, contains) = (
            window.meets(shape.geometry()),
            window.contains(shape.geometry()),
        );
        assert!(
            !own || (meets && contains),
            "a shape lies within its bounds"
        );
        assert!(meets || !contains, "what lies within meets");
    }
});
