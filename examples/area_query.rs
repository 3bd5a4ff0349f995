//! Ask for an area: by box, by altitude band, at a valid time, and as it was known on a day.
//!
//! Run with `cargo run --example area_query`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use blocknet::geocode::NetSpec;
use blocknet::query::{Altitude, Selection, UnknownHeight, Window, search};
use blocknet::{AsOf, Assertion, Commit, Extent, LayerId, Moment, Net, Recorded, Valid, View};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let temporary = tempfile::tempdir()?;
    let net = Net::create(temporary.path().join("city"), NetSpec::city())?;

    // Three buildings side by side, entered on 2012-05-01: a house, a tower, and a shed of which
    // nobody knows the height.
    let plot = |n: f64| {
        let west = 6.1380 + 0.0005 * n;
        Extent::flat(west, 52.0120, west + 0.0002, 52.0122)
    };
    let since = Valid::from(day("1990-01-01")?);
    let entered = vec![
        Assertion::state(LayerId::MAIN, "house", plot(0.0).between(10.0, 18.0), "{}").valid(since),
        Assertion::state(LayerId::MAIN, "tower", plot(1.0).between(10.0, 70.0), "{}").valid(since),
        Assertion::state(LayerId::MAIN, "shed", plot(2.0), "{}").valid(since),
    ];
    net.commit(&Commit {
        recorded: Recorded::At(day("2012-05-01")?),
        ..Commit::new("registrar", entered)
    })?;
    // In 2015 it was learned that a kiosk had stood beside them since 2001.
    let kiosk = Assertion::state(LayerId::MAIN, "kiosk", plot(3.0).between(10.0, 13.0), "{}")
        .valid(Valid::from(day("2001-01-01")?));
    net.commit(&Commit {
        recorded: Recorded::At(day("2015-03-10")?),
        ..Commit::new("registrar", vec![kiosk])
    })?;

    // Longitude and latitude in degrees; the box is closed, touching is enough.
    let street = Window::flat(6.1375, 52.0115, 6.1405, 52.0125);
    let today = net.now_view()?;
    show("the street today", &today, &Selection::of(street))?;
    show(
        "its western half",
        &today,
        &Selection::of(Window {
            east: 6.1386,
            ..street
        }),
    )?;

    // An altitude band. What has no known height might reach into it: it is returned and counted,
    // or left out, as you say.
    let high = Selection::of(street).between(40.0, 100.0);
    let known = Selection {
        altitude: Some(Altitude {
            unknown: UnknownHeight::Exclude,
            ..Altitude::between(40.0, 100.0)
        }),
        ..high.clone()
    };
    show("between 40 and 100 m", &today, &high)?;
    show("the same, known heights only", &today, &known)?;

    // Valid time: when it stood. Recorded time: when the net learned it.
    let in_1995 = net.view(AsOf::Newest, day("1995-01-01")?)?;
    show("valid on 1995-01-01", &in_1995, &Selection::of(street))?;
    let in_2005 = net.view(AsOf::Newest, day("2005-01-01")?)?;
    show("valid on 2005-01-01", &in_2005, &Selection::of(street))?;
    let as_known = net.view(AsOf::Recorded(day("2013-01-01")?), day("2005-01-01")?)?;
    show(
        "the same, as known on 2013-01-01",
        &as_known,
        &Selection::of(street),
    )?;
    Ok(())
}

fn show(what: &str, view: &View<'_>, selection: &Selection<'_>) -> blocknet::Result<()> {
    let mut found = search(view, selection)?;
    let mut ids = Vec::new();
    for record in found.by_ref() {
        ids.push(record?.id);
    }
    ids.sort();
    let open = match found.unknown_height() {
        0 => String::new(),
        count => format!(" ({count} of unknown height)"),
    };
    println!("{what}: {}{open}", ids.join(", "));
    Ok(())
}

/// The start of a day in UTC.
fn day(date: &str) -> Result<Moment, jiff::Error> {
    Ok(format!("{date}T00:00:00Z")
        .parse::<jiff::Timestamp>()?
        .into())
}
