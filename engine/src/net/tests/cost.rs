//! What a single modification costs, counted: the same in a small net and a large one, in an empty
//! block and a full one, for an entity with a short history and one with a long.

use super::house;
use crate::testing::day;
use crate::{Assertion, BlockSet, Commit, Cost, Extent, Hash, LayerId, Net, Receipt, Valid};
use blocknet_geocode::{Block, NetSpec};
use blocknet_wal::MemEnv;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Ids and payloads of one length, so that only what is measured differs.
fn assertion(number: u32, extent: Extent, version: u32) -> Assertion {
    let payload = format!("{{\"version\":{version:08}}}");
    Assertion::state(LayerId::MAIN, format!("{number:08}"), extent, payload)
        .valid(Valid::from(day(i64::from(version))))
}

fn net() -> Net {
    Net::builder()
        .env(Arc::new(MemEnv::new(1)))
        .create("net", NetSpec::city())
        .unwrap()
}

fn fill(net: &Net, count: u32, extent: impl Fn(u32) -> Extent) {
    let all: Vec<_> = (0..count)
        .map(|number| assertion(number, extent(number), 0))
        .collect();
    for part in all.chunks(1000) {
        net.commit(&Commit::new("test", part.to_vec())).unwrap();
    }
}

/// What a commit cost without its row of the log over all commits: that depends on the commit's
/// number alone, and half of the commits have none.
fn without_log(receipt: &Receipt) -> Cost {
    let heights = u64::from(receipt.commit.unwrap().trailing_zeros());
    let row = if heights == 0 { 0 } else { 8 + 32 * heights };
    Cost {
        kv_writes: receipt.cost.kv_writes - u64::from(heights > 0),
        kv_bytes: receipt.cost.kv_bytes - row,
        ..receipt.cost
    }
}

/// Cost of a new version of entity 7.
fn modify(net: &Net, extent: Extent, version: u32) -> Cost {
    let commit = Commit::new("test", vec![assertion(7, extent, version)]);
    let receipt = net.commit(&commit).unwrap();
    assert_eq!((receipt.blocks, receipt.new_blocks), (1, 0));
    without_log(&receipt)
}

fn assert_same(small: Cost, large: Cost) {
    assert_eq!(small.kv_writes, large.kv_writes);
    assert!(
        small.kv_bytes.abs_diff(large.kv_bytes) <= 8,
        "{small:?} {large:?}"
    );
    assert!(
        small.journal_bytes.abs_diff(large.journal_bytes) <= 8,
        "{small:?} {large:?}"
    );
    assert!(small.kv_writes <= 15, "about fifteen small rows: {small:?}");
}

#[test]
fn it_does_not_depend_on_the_number_of_blocks() {
    let [small, large] = [100, 20_000].map(|blocks| {
        let net = net();
        fill(&net, blocks, house);
        let view = net.now_view().unwrap();
        assert_eq!(view.block_count(), u64::from(blocks));
        modify(&net, house(7), 1)
    });
    assert_same(small, large);
}

#[test]
fn it_does_not_depend_on_how_full_the_block_is() {
    let inside = |number: u32| {
        // A hundred in a row, a hundred rows, in one block of 0.0014 by 0.0007 degrees.
        let (column, row) = (f64::from(number % 100), f64::from(number / 100));
        let (west, south) = (1e-4 + column * 1e-5, 1e-4 + row * 5e-6);
        Extent::flat(west, south, west + 1e-6, south + 1e-6)
    };
    let [small, large] = [10, 5_000].map(|rows| {
        let net = net();
        fill(&net, rows, inside);
        let view = net.now_view().unwrap();
        assert_eq!(view.block_count(), 1);
        modify(&net, inside(7), 1)
    });
    assert_same(small, large);
}

#[test]
fn it_does_not_depend_on_the_length_of_the_history() {
    let net = net();
    fill(&net, 10, |_| house(0));
    let first = modify(&net, house(0), 1);
    for version in 2..=2000 {
        let cost = modify(&net, house(0), version);
        assert_same(first, cost);
    }
}

/// The house in the block at a column and row of a grid.
fn in_grid(column: u32, row: u32) -> Extent {
    let (width, height) = (360.0 / f64::from(1 << 18), 180.0 / f64::from(1 << 18));
    let west = (10.4 + f64::from(column)) * width;
    let south = (10.4 + f64::from(row)) * height;
    Extent::flat(west, south, west + 0.1 * width, south + 0.1 * height)
}

/// All versions of all blocks.
fn versions(net: &Net) -> BTreeMap<(Block, u64), Hash> {
    let view = net.now_view().unwrap();
    let linked = view.linked(None).unwrap();
    let mut all = BTreeMap::new();
    for found in linked.blocks().unwrap() {
        let (block, _) = found.unwrap();
        for version in linked.versions(&block).unwrap() {
            all.insert((block, version.commit), version.hash);
        }
    }
    all
}

/// What a commit on `number` costs; checks that it makes one version, of the block of `extent`,
/// and leaves every version of every block as it was. The cost comes with the block's numbers of
/// predecessors and successors.
fn alone(net: &Net, number: u32, extent: Extent, version: u32) -> (Cost, [usize; 2]) {
    let block = net
        .spec()
        .block(&net.spec().encode(&extent.anchor()).unwrap());
    let before = versions(net);
    let commit = Commit::new("test", vec![assertion(number, extent, version)]);
    let receipt = net.commit(&commit).unwrap();
    let mut after = versions(net);
    let own = after.remove(&(block, receipt.commit.unwrap()));
    assert!(own.is_some(), "the block written has a new version");
    assert!(after == before, "no other version came, went or changed");
    let view = net.now_view().unwrap();
    let linked = view.linked(None).unwrap();
    let predecessors = linked.predecessors(&block).unwrap().len();
    let successors = linked.successors(&block).unwrap().len();
    (without_log(&receipt), [predecessors, successors])
}

fn assert_within_a_twentieth(small: Cost, large: Cost) {
    let close = |a: u64, b: u64| a.abs_diff(b) * 20 <= a.min(b);
    assert!(close(small.kv_bytes, large.kv_bytes), "{small:?} {large:?}");
    assert!(
        close(small.journal_bytes, large.journal_bytes),
        "{small:?} {large:?}"
    );
}

#[test]
fn it_does_not_depend_on_what_builds_on_the_block() {
    let [small, large] = [10, 100].map(|side| {
        let net = net();
        let at = |number: u32| in_grid(number % side, number / side);
        let spec = *net.spec();
        let blocks_in_rows: Vec<Block> = (0..side * side)
            .map(|number| spec.block(&spec.encode(&at(number).anchor()).unwrap()))
            .collect();
        let blocks = BlockSet::new(&spec, blocks_in_rows.iter().copied());
        net.expand(&blocks, &Commit::new("test", Vec::new()), |_| ())
            .unwrap();
        fill(&net, side * side, at);
        let source = net
            .now_view()
            .unwrap()
            .linked(None)
            .unwrap()
            .graph()
            .unwrap()
            .sources()[0];
        let middle = blocks_in_rows.iter().position(|block| *block == source);
        let middle = u32::try_from(middle.unwrap()).unwrap();
        // The source, on which all blocks build, and two away from it in both directions; then new
        // ones, one beside the other, north of the grid.
        let modified = [middle, middle + 2 * side + 2, middle - 2 * side - 2];
        let new = side * side..side * side + 3;
        let modified = modified.map(|number| alone(&net, number, at(number), 1));
        assert_eq!(modified[0].1, [0, 4], "all links of a source go out");
        let new: Vec<_> = new
            .map(|number| alone(&net, number, at(number), 0))
            .collect();
        let view = net.now_view().unwrap();
        assert_eq!(view.block_count(), u64::from(side * side + 3));
        [&modified[..], &new[..]].concat()
    });
    assert_eq!(small.len(), 6);
    for ((small, small_links), (large, large_links)) in std::iter::zip(small, large) {
        assert_eq!(small_links, large_links, "the same kind of place");
        assert_eq!(small.kv_writes, large.kv_writes);
        assert_within_a_twentieth(small, large);
    }
}
