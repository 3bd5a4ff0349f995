//! Open a net for reading only, and get it back after its tables are lost.
//!
//! Run with `cargo run --example read_only_and_recovery`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use blocknet::geocode::NetSpec;
use blocknet::query::{Selection, search};
use blocknet::{Assertion, Commit, ErrorKind, Extent, LayerId, Net};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let temporary = tempfile::tempdir()?;
    let dir = temporary.path().join("city");
    let net = Net::create(&dir, NetSpec::city())?;
    for n in 0..50_u32 {
        let west = 6.13 + 0.0005 * f64::from(n);
        let plot = Extent::flat(west, 52.0126, west + 0.0002, 52.0128);
        net.commit(&Commit::new(
            "registrar",
            vec![Assertion::state(
                LayerId::MAIN,
                format!("{n:04}"),
                plot,
                "{}",
            )],
        ))?;
    }

    // While a writer has it, nobody else gets in, and the error says who it is.
    match Net::open_read_only(&dir) {
        Err(error) if error.kind() == ErrorKind::Locked => println!("beside the writer: locked"),
        _ => return Err("two at once".into()),
    }
    net.close()?;

    // Reading changes no byte of the directory. Any number of readers may share it.
    let reader = Net::open_read_only(&dir)?;
    let second = Net::open_read_only(&dir)?;
    println!(
        "read-only: {} buildings, clean: {}, replayed: {}",
        count(&reader)?,
        reader.report().clean,
        reader.report().replayed
    );
    let refused = reader.commit(&Commit::new("reader", Vec::new()));
    println!(
        "writing to it: {}",
        refused.map_or_else(|error| error.to_string(), |_| "?".into())
    );
    drop((reader, second));

    // The journal is the truth, the tables are its index. Lose them all ...
    std::fs::remove_dir_all(dir.join("tables"))?;
    // ... and a reader answers from the journal alone, in memory, and says so.
    let reader = Net::open_read_only(&dir)?;
    print!(
        "read-only, {} buildings: {}",
        count(&reader)?,
        reader.report()
    );
    drop(reader);

    // Opening for writing builds them again.
    let net = Net::open(&dir)?;
    print!("for writing, {} buildings: {}", count(&net)?, net.report());
    net.close()?;
    let net = Net::open(&dir)?;
    println!(
        "afterwards: clean: {}, replayed: {}",
        net.report().clean,
        net.report().replayed
    );
    Ok(())
}

fn count(net: &Net) -> blocknet::Result<usize> {
    let view = net.now_view()?;
    let selection = Selection::default();
    let mut count = 0;
    for record in search(&view, &selection)? {
        record?;
        count += 1;
    }
    Ok(count)
}
