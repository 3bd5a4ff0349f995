//! What a single modification costs, counted: the same in a small net and a large one, in an empty
//! block and a full one, for an entity with a short history and one with a long.

use super::house;
use crate::testing::day;
use crate::{Assertion, Commit, Cost, Extent, LayerId, Net, Valid};
use blocknet_geocode::NetSpec;
use blocknet_wal::MemEnv;
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

/// Cost of a new version of entity 7.
fn modify(net: &Net, extent: Extent, version: u32) -> Cost {
    let commit = Commit::new("test", vec![assertion(7, extent, version)]);
    let receipt = net.commit(&commit).unwrap();
    assert_eq!((receipt.blocks, receipt.new_blocks), (1, 0));
    receipt.cost
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
    assert!(small.kv_writes <= 12, "about a dozen small rows: {small:?}");
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
