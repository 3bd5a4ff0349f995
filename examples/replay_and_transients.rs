//! What changed in an area, and what came and went between two inspections.
//!
//! Run with `cargo run --example replay_and_transients`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use blocknet::geocode::NetSpec;
use blocknet::query::{
    Axis, ByteCompare, Change, Selection, Span, Window, diff, replay, transients,
};
use blocknet::{Assertion, Commit, Extent, LayerId, Moment, Net, Recorded, Valid};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let temporary = tempfile::tempdir()?;
    let net = Net::create(temporary.path().join("city"), NetSpec::city())?;
    let plot = |n: f64, top: f64| {
        let west = 6.1380 + 0.0005 * n;
        Extent::flat(west, 52.0120, west + 0.0002, 52.0122).between(10.0, top)
    };
    let state = |id: &str, extent: Extent, since: &str| -> Result<Assertion, jiff::Error> {
        Ok(Assertion::state(LayerId::MAIN, id, extent, "{}").valid(Valid::from(day(since)?)))
    };
    let gone = |id: &str, since: &str| -> Result<Assertion, jiff::Error> {
        Ok(Assertion::absence(LayerId::MAIN, id).valid(Valid::from(day(since)?)))
    };
    // What neighbours' photographs showed, entered in one go in 2021.
    let seen = vec![
        state("house", plot(0.0, 16.0), "1985-04-01")?,
        state("barn", plot(1.0, 14.0), "1990-01-01")?,
        // A storey added, and taken down again before the inspection.
        state("house", plot(0.0, 19.0), "2016-05-01")?,
        state("house", plot(0.0, 16.0), "2017-03-01")?,
        // A shed, put up and pulled down within half a year.
        state("shed", plot(2.0, 13.0), "2016-08-01")?,
        gone("shed", "2017-02-01")?,
        // The barn went for good, a garage came.
        gone("barn", "2017-06-01")?,
        state("garage", plot(1.0, 13.0), "2018-01-01")?,
    ];
    net.commit(&Commit {
        recorded: Recorded::At(day("2021-04-01")?),
        ..Commit::new("inspector", seen)
    })?;

    let view = net.now_view()?;
    let street = Selection::of(Window::flat(6.1375, 52.0115, 6.1405, 52.0125));
    // Two inspections: the state on the first day counts, and changes after it up to the second.
    let span = Span {
        from: day("2015-11-01")?,
        to: day("2019-04-01")?,
        axis: Axis::Valid,
    };

    println!("every change between the inspections:");
    show(&replay(&view, &street, span, &ByteCompare)?);
    println!("what the two inspections would have told apart:");
    show(&diff(&view, &street, span, &ByteCompare)?);
    println!("what came and went unseen between them:");
    show(&transients(&view, &street, span, &ByteCompare)?);
    Ok(())
}

fn show(changes: &[Change]) {
    for change in changes {
        let aspects: Vec<_> = change.changed.iter().map(|aspect| aspect.name()).collect();
        let until = change
            .until
            .map_or(String::new(), |until| format!(" until {}", date(until)));
        println!(
            "  {}{until}  {} {} ({})",
            date(change.time),
            change.id,
            change.kind.name(),
            aspects.join(", ")
        );
    }
}

/// The start of a day in UTC.
fn day(date: &str) -> Result<Moment, jiff::Error> {
    Ok(format!("{date}T00:00:00Z")
        .parse::<jiff::Timestamp>()?
        .into())
}

fn date(moment: Moment) -> String {
    moment.to_string().chars().take(10).collect()
}
