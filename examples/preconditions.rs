//! Optimistic locking: a change is refused if somebody else was faster.
//!
//! Run with `cargo run --example preconditions`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use blocknet::geocode::NetSpec;
use blocknet::{Assertion, Commit, ErrorKind, Extent, LayerId, Net, Precondition};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let temporary = tempfile::tempdir()?;
    let net = Net::create(temporary.path().join("city"), NetSpec::city())?;
    let plot = Extent::flat(6.1389, 52.0126, 6.1391, 52.0128);
    let state = |payload: &str| Assertion::state(LayerId::MAIN, "0012", plot, payload);

    // `IsNew` makes sure that an id is not taken.
    net.commit(&Commit::new(
        "anna",
        vec![state("2 storeys").expect(Precondition::IsNew)],
    ))?;
    let again = net.commit(&Commit::new(
        "bert",
        vec![state("a barn").expect(Precondition::IsNew)],
    ));
    println!(
        "bert: {}",
        again.map_or_else(|error| error.to_string(), |_| "accepted".into())
    );

    // Both read the same version and edit it.
    let read = net
        .now_view()?
        .get(LayerId::MAIN, "0012")?
        .ok_or("it was put above")?;
    let unchanged = Precondition::IsAt(read.version);
    net.commit(&Commit::new(
        "anna",
        vec![state("3 storeys").expect(unchanged)],
    ))?;
    println!("anna: accepted, on top of version {}", read.version);

    let refused = net.commit(&Commit::new(
        "bert",
        vec![state("4 storeys").expect(unchanged)],
    ));
    match refused {
        Ok(_) => println!("bert: accepted"),
        Err(error) if error.kind() == ErrorKind::Conflict => {
            println!("bert: {error}");
            // The error says which assertion, and what stands there now. Nothing was written: read
            // again, decide, and try on top of that.
            let found = error.conflict_found().and_then(|conflict| conflict.found);
            let found = found.ok_or("the entity has a version")?;
            net.commit(&Commit::new(
                "bert",
                vec![state("4 storeys").expect(Precondition::IsAt(found))],
            ))?;
            println!("bert: accepted, on top of version {found}");
        }
        Err(error) => return Err(error.into()),
    }

    let stands = net
        .now_view()?
        .get(LayerId::MAIN, "0012")?
        .ok_or("it was put above")?;
    println!("now: {}", String::from_utf8_lossy(&stands.payload));
    Ok(())
}
