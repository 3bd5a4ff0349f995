//! One building on two time axes: a change, a late discovery, a correction and a retraction.
//!
//! Run with `cargo run --example history`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use blocknet::geocode::NetSpec;
use blocknet::{
    AsOf, Assertion, ChangeKind, Commit, Extent, Interval, LayerId, Moment, Net, Record, Recorded,
    Valid,
};

const ID: &str = "0012";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let temporary = tempfile::tempdir()?;
    let net = Net::create(temporary.path().join("city"), NetSpec::city())?;
    let plot = Extent::flat(6.1389, 52.0126, 6.1391, 52.0128);
    let storeys = |count: u32, since: &str| -> Result<Assertion, jiff::Error> {
        Ok(
            Assertion::state(LayerId::MAIN, ID, plot, format!("{count} storeys"))
                .valid(Valid::from(day(since)?)),
        )
    };
    // A register asserts its own recording dates; without `recorded` the clock's time is taken.
    let enter =
        |on: &str, reason: &str, assertion: Assertion| -> Result<(), Box<dyn std::error::Error>> {
            net.commit(&Commit {
                recorded: Recorded::At(day(on)?),
                reason: reason.into(),
                ..Commit::new("registrar", vec![assertion])
            })?;
            Ok(())
        };

    enter("1986-02-01", "new building", storeys(2, "1985-04-01")?)?;
    enter("2010-03-01", "extension", storeys(4, "2010-01-15")?)?;
    // Learned in 2015: there had been three storeys since 2005. The state of 2010 stands, since an
    // assertion without an end holds until the next known one.
    enter("2015-07-01", "old photograph", storeys(3, "2005-01-01")?)?;
    // A correction: a deed says that it was built in 1983. From there on until 1985, which stands.
    enter(
        "2016-01-01",
        "deed found",
        storeys(2, "1983-04-01")?.kind(ChangeKind::Correct),
    )?;
    // A retraction: the deed was about another house. In those two years nothing was there.
    let never = Assertion::absence(LayerId::MAIN, ID)
        .valid(Valid::between(day("1983-04-01")?, day("1985-04-01")?))
        .kind(ChangeKind::Retract);
    enter("2018-05-01", "deed of another house", never)?;

    let view = net.now_view()?;
    println!("everything ever said, in order of saying:");
    for record in view.history(LayerId::MAIN, ID)? {
        let commit = view.commit(record.version.commit)?;
        println!(
            "  version {}: {} from {} ({}; recorded {}, {})",
            record.version,
            storeys_of(&record),
            date(record.valid.from),
            record.kind.name(),
            date(commit.recorded),
            commit.reason
        );
    }

    println!("what follows for the world, as known today:");
    for entry in view.timeline(LayerId::MAIN, ID, Interval::ALL)? {
        println!(
            "  {} .. {}: {}",
            date(entry.during.from),
            date(entry.during.to),
            storeys_of(&entry.record)
        );
    }

    for date in ["1984-06-01", "2007-01-01", "2012-01-01"] {
        println!("what stood there on {date}?");
        for known in ["2012-01-01", "2017-01-01", "2020-01-01"] {
            let view = net.view(AsOf::Recorded(day(known)?), day(date)?)?;
            let answer = view.get(LayerId::MAIN, ID)?;
            let answer = answer.map_or("nothing".into(), |record| storeys_of(&record));
            println!("  as known on {known}: {answer}");
        }
    }
    Ok(())
}

fn storeys_of(record: &Record) -> String {
    if record.is_absence() {
        return "not there".into();
    }
    String::from_utf8_lossy(&record.payload).into_owned()
}

/// The start of a day in UTC.
fn day(date: &str) -> Result<Moment, jiff::Error> {
    Ok(format!("{date}T00:00:00Z")
        .parse::<jiff::Timestamp>()?
        .into())
}

fn date(moment: Moment) -> String {
    if moment == Moment::MAX {
        return "today and on".into();
    }
    moment.to_string().chars().take(10).collect()
}
