//! Create a net, put a building, change it, read it back, remove it.
//!
//! Run with `cargo run --example create_and_put`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use blocknet::geocode::NetSpec;
use blocknet::{AsOf, Assertion, Commit, Extent, LayerDef, LayerId, LayerKind, Moment, Net, Valid};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A net is one directory. `NetSpec::city()` fixes for ever how places become keys: cells of
    // about 100 metres, altitudes in centimetres.
    let temporary = tempfile::tempdir()?;
    let dir = temporary.path().join("city");
    let net = Net::create(&dir, NetSpec::city())?;

    // Every net has the layer `main`. Permits get a layer of their own over the same ground.
    let permits = net.create_layer(
        LayerDef {
            kind: LayerKind::Permitted,
            ..LayerDef::new("permits")
        },
        "registrar",
        "first set-up",
    )?;

    // An extent is a box: degrees west, south, east, north, and metres of altitude if known. The
    // payload is yours; the engine keeps its bytes and never looks inside.
    let house = Extent::flat(6.1389, 52.0126, 6.1391, 52.0128);
    let permit = Assertion::state(permits, "P-1", house.between(10.0, 16.0), "{\"storeys\":2}")
        .valid(Valid::from(day("1984-11-20")?));
    let built = Assertion::state(
        LayerId::MAIN,
        "0012",
        house.between(10.0, 16.0),
        "{\"storeys\":2}",
    )
    .valid(Valid::from(day("1985-04-01")?));

    // One commit is one atomic batch. When `commit` returns, it survives any crash.
    let receipt = net.commit(&Commit::new("registrar", vec![permit, built]))?;
    println!(
        "commit {}: {} outcomes, {} rows handed to the tables",
        receipt.commit.unwrap_or(0),
        receipt.outcomes.len(),
        receipt.cost.kv_writes
    );

    // A change is one more assertion about the same id: nothing is overwritten. What it costs
    // depends neither on how much is stored nor on how often the building was changed before.
    let roof = "{\"storeys\":2,\"roof\":\"new\"}";
    let mended = Assertion::state(LayerId::MAIN, "0012", house.between(10.0, 16.0), roof)
        .valid(Valid::from(day("1998-10-01")?));
    let receipt = net.commit(&Commit::new("registrar", vec![mended]))?;
    println!(
        "a change in place: {} rows handed to the tables",
        receipt.cost.kv_writes
    );

    // Three storeys: the centre of its extent rises, so it moves to another key. Author, reason and
    // source of a change are kept with it.
    let raised = Assertion::state(
        LayerId::MAIN,
        "0012",
        house.between(10.0, 19.0),
        "{\"storeys\":3}",
    )
    .valid(Valid::from(day("2003-06-15")?));
    let receipt = net.commit(&Commit {
        reason: "extension finished".into(),
        source: "survey 2003/117".into(),
        ..Commit::new("surveyor", vec![raised])
    })?;
    println!(
        "a change that moves it: {} rows handed to the tables, {} block touched",
        receipt.cost.kv_writes, receipt.blocks
    );

    // Demolished: from then on it is absent. Its past stays.
    let gone = Assertion::absence(LayerId::MAIN, "0012").valid(Valid::from(day("2019-09-01")?));
    net.commit(&Commit::new("registrar", vec![gone]))?;

    for date in ["1980-01-01", "1990-01-01", "2010-01-01", "2020-01-01"] {
        let view = net.view(AsOf::Newest, day(date)?)?;
        match view.get(LayerId::MAIN, "0012")? {
            Some(record) => println!(
                "{date}: {} at geocode {}",
                String::from_utf8_lossy(&record.payload),
                record
                    .geocode(net.spec())
                    .map_or("-".into(), |geocode| net.spec().format(&geocode))
            ),
            None => println!("{date}: nothing"),
        }
    }

    // Dropping the net does the same but cannot report a failure.
    net.close()?;
    Ok(())
}

/// The start of a day in UTC.
fn day(date: &str) -> Result<Moment, jiff::Error> {
    Ok(format!("{date}T00:00:00Z")
        .parse::<jiff::Timestamp>()?
        .into())
}
