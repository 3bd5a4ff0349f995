//! The net of blocks: who links to whom, who vouches for a block, how safe it is, and an audit that
//! recomputes every hash.
//!
//! `cargo run --example net_of_blocks`

#![expect(clippy::print_stdout, reason = "an example prints")]

use blocknet::geocode::NetSpec;
use blocknet::{
    Assertion, BlockSet, Commit, Extent, LayerId, Moment, Net, Supervision, Valid, Walking,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = tempfile::tempdir()?;
    let net = Net::create(root.path().join("city"), NetSpec::city())?;
    let spec = *net.spec();

    // A town of nine blocks. Known beforehand, they enter the net together: its source is then the
    // block in their middle, however the records come later.
    let houses: Vec<Extent> = (0..9).map(house).collect();
    let blocks = houses.iter().map(|house| house.block(&spec));
    let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
    net.expand(
        &BlockSet::new(&spec, blocks.iter().copied()),
        &Commit::new("registrar", vec![]),
        |receipt| println!("{} blocks entered the net", receipt.new_blocks),
    )?;
    let built = day("1985-04-01")?;
    let all = houses.iter().zip(1..).map(|(house, number)| {
        Assertion::state(
            LayerId::MAIN,
            format!("h{number}"),
            *house,
            "{\"storeys\":2}",
        )
        .valid(Valid::from(built))
    });
    net.commit(&Commit::new("registrar", all.collect()))?;

    // One house is raised. Its block gets a new version; no other block does.
    let middle = blocks[4];
    let raised = Assertion::state(LayerId::MAIN, "h5", houses[4], "{\"storeys\":3}")
        .valid(Valid::from(day("2003-06-15")?));
    let receipt = net.commit(&Commit::new("surveyor", vec![raised]))?;
    println!(
        "raised in block {middle}: {} block got a version, {} rows written",
        receipt.blocks, receipt.cost.kv_writes
    );

    let view = net.now_view()?;
    let linked = view.linked(None)?;
    let version = linked.block(&middle)?.ok_or("it was just written")?;
    println!(
        "its newest version: commit {}, {}",
        version.commit, version.hash
    );
    if let Some(Supervision::Successors(successors)) = linked.supervision(&middle)? {
        for next in successors {
            let held = next.holds.ok_or("the newest net keeps what is held")?;
            println!("  {} holds commit {} of it", next.block, held.commit);
        }
    }
    if let Some(safety) = linked.safety(&middle)? {
        println!(
            "  {} blocks build on it, in {} rounds",
            safety.descendants, safety.longest
        );
    }

    // A corner has no successors: the edge registry vouches for it.
    let corner = blocks[0];
    if let Some(Supervision::Registry(_)) = linked.supervision(&corner)? {
        let way = linked.walk(&corner, Walking::Inward);
        let rounds = way
            .map(|step| step.map(|(steps, ..)| steps))
            .collect::<Result<Vec<_>, _>>()?;
        println!(
            "block {corner} stands in the registry, {} links from its source",
            rounds.last().ok_or("a walk begins with the block itself")?
        );
    }

    let audit = net.audit(|finding| println!("disagrees: {finding}"))?;
    println!(
        "audit: {} versions, {} block versions, {} genes recomputed, {} findings",
        audit.versions, audit.block_versions, audit.genes, audit.findings
    );
    Ok(())
}

/// A house in the middle of one of three by three blocks.
fn house(number: u32) -> Extent {
    let side = f64::from(1 << 18);
    let (width, height) = (360.0 / side, 180.0 / side);
    let (column, row) = (f64::from(number % 3), f64::from(number / 3));
    let (west, south) = ((4000.4 + column) * width, (4000.4 + row) * height);
    Extent::flat(west, south, west + 0.0001, south + 0.0001)
}

/// The start of a day in UTC.
fn day(date: &str) -> Result<Moment, jiff::Error> {
    Ok(format!("{date}T00:00:00Z")
        .parse::<jiff::Timestamp>()?
        .into())
}
