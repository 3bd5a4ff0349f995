//! The net of blocks through commits: links, genes, registry and what never changes.

use std::collections::{BTreeMap, BTreeSet};

use blocknet_geocode::{Block, NetSpec};
use blocknet_wal::MemEnv;

use super::newest;
use crate::linking::next_registry_head;
use crate::propagate::{Existing, propagate_alone};
use crate::testing::{DIR, Rng, builder, day, seeds};
use crate::{
    AsOf, Assertion, BlockSet, BlockVersion, Commit, ErrorKind, Extent, Hash, LayerId, LinkedNet,
    Net, Origin, Receipt, Supervision, Valid, Walking,
};

/// A city with bands, so that blocks have up to six neighbours.
fn spec() -> NetSpec {
    NetSpec::builder().band_digits(3).build().unwrap()
}

fn net(env: &MemEnv) -> Net {
    builder(env).create(DIR, spec()).unwrap()
}

/// A house in the middle of the block at a column, row and band near a corner of the plane.
fn house(column: u32, row: u32, band: u32) -> Extent {
    let (width, height) = (360.0 / f64::from(1 << 18), 180.0 / f64::from(1 << 18));
    let west = 10.0 * width + (f64::from(column) + 0.4) * width;
    let south = 10.0 * height + (f64::from(row) + 0.4) * height;
    let floor = -1000.0 + 40.96 * (f64::from(band) + 0.4);
    Extent {
        floor: Some(floor),
        top: Some(floor + 2.0),
        ..Extent::flat(west, south, west + 0.1 * width, south + 0.1 * height)
    }
}

fn block(spec: &NetSpec, extent: &Extent) -> Block {
    spec.block(&spec.encode(&extent.anchor()).unwrap())
}

fn put(id: &str, extent: Extent, version: i64) -> Assertion {
    Assertion::state(LayerId::MAIN, id, extent, version.to_string())
        .valid(Valid::from(day(version)))
}

/// Every block version of the net, in the order of (block, commit).
fn versions(net: &Net) -> BTreeMap<(Block, u64), BlockVersion> {
    let view = net.now_view().unwrap();
    let linked = view.linked(None).unwrap();
    let mut versions = BTreeMap::new();
    for found in linked.blocks().unwrap() {
        let (block, _) = found.unwrap();
        for version in linked.versions(&block).unwrap() {
            versions.insert((block, version.commit), version);
        }
    }
    versions
}

/// The newest version up to a commit.
fn at(
    versions: &BTreeMap<(Block, u64), BlockVersion>,
    block: Block,
    commit: u64,
) -> Option<&BlockVersion> {
    versions
        .range((block, 0)..=(block, commit))
        .next_back()
        .map(|(_, version)| version)
}

/// Checks the whole net against what its block versions alone say, at every commit.
fn check(net: &Net) {
    let spec = *net.spec();
    let versions = versions(net);
    let view = net.now_view().unwrap();
    let blocks: BTreeSet<Block> = versions.keys().map(|(block, _)| *block).collect();
    assert_eq!(blocks.len() as u64, view.block_count());
    let rank = |block: Block| {
        let version = at(&versions, block, u64::MAX).unwrap();
        (version.round, version.created, block)
    };
    let around = |block: Block| {
        let sides = spec.block_neighbours(&block).into_iter().flatten();
        sides.filter(|side| blocks.contains(side))
    };
    let mut head = Hash::ZERO;
    let mut edges: BTreeSet<Block> = BTreeSet::new();
    for commit in 1..=newest(net) {
        let linked = view.linked(Some(commit)).unwrap();
        let mut changes: BTreeMap<Block, Option<Hash>> = BTreeMap::new();
        let exists = |block: &Block| at(&versions, *block, commit).is_some();
        for &block in blocks.iter().filter(|block| exists(block)) {
            let own = at(&versions, block, commit).unwrap();
            let before: Vec<Block> = around(block)
                .filter(|other| exists(other) && rank(*other) < rank(block))
                .collect();
            let after: Vec<Block> = around(block)
                .filter(|other| exists(other) && rank(*other) > rank(block))
                .collect();
            if own.commit == commit {
                let mut genes: Vec<(Block, u64, Hash)> = before
                    .iter()
                    .map(|other| {
                        let version = at(&versions, *other, commit).unwrap();
                        (*other, version.commit, version.hash)
                    })
                    .collect();
                genes.sort_unstable();
                let found = own.genes.iter();
                let found: Vec<_> = found.map(|g| (g.block, g.commit, g.hash)).collect();
                assert_eq!(found, genes, "genes of {block} in commit {commit}");
                assert_eq!(own.hash, own.compute_hash(net.id(), &block));
                assert_eq!(own.registry_head, head);
            }
            if after.is_empty() {
                if own.commit == commit {
                    changes.insert(block, Some(own.hash));
                }
                edges.insert(block);
            } else if edges.remove(&block) {
                changes.insert(block, None);
            }
            check_reading(&linked, block, own, &before, &after);
        }
        head = next_registry_head(net.id(), head, &changes);
        assert_eq!(linked.registry_head().unwrap(), head, "after {commit}");
        let registry = linked.registry().unwrap().map(|edge| edge.unwrap());
        let expected = edges.iter().map(|block| {
            let own = at(&versions, *block, commit).unwrap();
            (*block, own.held())
        });
        assert!(registry.eq(expected), "registry after {commit}");
    }
    let stats = view.linked(None).unwrap().stats().unwrap();
    assert!(stats.measures.acyclic);
    assert_eq!(stats.measures.two_way_pairs, 0);
    assert_eq!(stats.supervised, stats.measures.blocks);
    assert_eq!(stats.registry, stats.measures.out_degree[0]);
    assert_eq!(stats.versions, versions.len() as u64);
}

/// What a reader is told of one block at one commit.
fn check_reading(
    linked: &LinkedNet<'_>,
    block: Block,
    own: &BlockVersion,
    before: &[Block],
    after: &[Block],
) {
    let names = |neighbours: Vec<crate::Neighbour>| {
        let mut names: Vec<Block> = neighbours.into_iter().map(|n| n.block).collect();
        names.sort_unstable();
        names
    };
    let sorted = |blocks: &[Block]| {
        let mut blocks = blocks.to_vec();
        blocks.sort_unstable();
        blocks
    };
    assert_eq!(linked.block(&block).unwrap().as_ref(), Some(own));
    assert_eq!(names(linked.predecessors(&block).unwrap()), sorted(before));
    assert_eq!(names(linked.successors(&block).unwrap()), sorted(after));
    match linked.supervision(&block).unwrap().unwrap() {
        Supervision::Successors(successors) => {
            for successor in &successors {
                let held = successor.holds.unwrap_or(own.held());
                assert_eq!(held, own.held(), "what {} holds", successor.block);
            }
            assert_eq!(names(successors), sorted(after));
        }
        Supervision::Registry(held) => {
            assert!(after.is_empty());
            assert_eq!(held.unwrap_or(own.held()), own.held());
        }
    }
}

#[test]
fn random_commits_keep_links_genes_and_registry() {
    for seed in seeds(20) {
        println!("BLOCKNET_SEED={seed}");
        let mut rng = Rng(seed);
        let mut env = MemEnv::new(seed);
        let mut net = net(&env);
        for version in 1..=25 {
            match rng.below(12) {
                0 => {
                    env = env.crash(rng.next());
                    drop(net);
                    net = builder(&env).open(DIR).unwrap();
                }
                1 => {
                    let near = house(
                        u32::try_from(rng.below(6)).unwrap(),
                        u32::try_from(rng.below(6)).unwrap(),
                        0,
                    );
                    let spec = spec();
                    let centre = block(&spec, &near);
                    let sides = spec.block_neighbours(&centre).into_iter().flatten();
                    let blocks = BlockSet::new(&spec, sides.chain([centre]));
                    net.expand(&blocks, &Commit::default(), |_| {}).unwrap();
                }
                _ => {
                    let assertions = (0..=rng.below(4)).map(|_| {
                        let id = format!("h{}", rng.below(12));
                        let mut small = |bound| u32::try_from(rng.below(bound)).unwrap();
                        if small(8) == 0 {
                            return Assertion::absence(LayerId::MAIN, id)
                                .valid(Valid::from(day(version)));
                        }
                        put(&id, house(small(6), small(6), small(2)), version)
                    });
                    let commit = Commit::new("test", assertions.collect());
                    net.commit(&commit).unwrap();
                }
            }
        }
        check(&net);
        // The same from the journal alone.
        let expected = versions(&net);
        net.close().unwrap();
        let net = builder(&env).open(DIR).unwrap();
        assert_eq!(versions(&net), expected);
        check(&net);
        let audit = net.audit(|finding| panic!("{finding}")).unwrap();
        assert_eq!(audit.block_versions, expected.len() as u64);
    }
}

#[test]
fn removing_the_last_record_keeps_the_block() {
    let net = net(&MemEnv::new(1));
    net.commit(&Commit::new("test", vec![put("a", house(1, 1, 0), 1)]))
        .unwrap();
    let gone = Assertion::absence(LayerId::MAIN, "a").valid(Valid::from(day(2)));
    net.commit(&Commit::new("test", vec![gone])).unwrap();
    let view = net.now_view().unwrap();
    let own = block(net.spec(), &house(1, 1, 0));
    let versions = view.linked(None).unwrap().versions(&own).unwrap();
    let rows: Vec<u64> = versions.iter().map(|version| version.rows).collect();
    assert_eq!(rows, [0, 1]);
    assert_eq!(view.block_count(), 1);
    check(&net);
}

#[test]
fn modifying_a_block_leaves_all_other_versions_as_they_are() {
    let net = net(&MemEnv::new(1));
    let town: Vec<Assertion> = (0..49)
        .map(|n| put(&format!("{n}"), house(n % 7, n / 7, 0), 1))
        .collect();
    net.commit(&Commit::new("test", town)).unwrap();
    let before = versions(&net);
    // The middle, from which everything else descends.
    let middle = block(net.spec(), &house(3, 3, 0));
    let receipt = net
        .commit(&Commit::new("test", vec![put("24", house(3, 3, 0), 2)]))
        .unwrap();
    assert_eq!(receipt.blocks, 1);
    let mut after = versions(&net);
    let made = after.remove(&(middle, receipt.commit.unwrap())).unwrap();
    assert_eq!(made.previous, before[&(middle, made.created)].hash);
    assert_eq!(after, before);
    let view = net.now_view().unwrap();
    let linked = view.linked(None).unwrap();
    let successors = linked.successors(&middle).unwrap();
    assert_eq!(successors.len(), 4);
    for successor in successors {
        assert_eq!(successor.holds, Some(made.held()));
        let old = successor.version.genes.iter().find(|g| g.block == middle);
        assert_eq!(old.map(|gene| gene.commit), Some(made.created));
    }
    check(&net);
}

#[test]
fn replay_takes_origins_from_the_journal_and_never_asks_the_rule() {
    // Another rule: every round is ten higher, so every origin differs.
    let other: crate::writer::Rule = |blocks, existing| {
        crate::propagate(blocks, &[], |block| {
            let found = existing(block)?;
            Ok(found.map(|found| Existing {
                round: found.round + 10,
                ..found
            }))
        })
    };
    let env = MemEnv::new(1);
    let net = builder(&env).rule(other).create(DIR, spec()).unwrap();
    for n in 0..5 {
        let house = put(&format!("{n}"), house(n, 0, 0), 1);
        net.commit(&Commit::new("test", vec![house])).unwrap();
    }
    let before = versions(&net);
    let rounds: BTreeSet<u32> = before.values().map(|version| version.round).collect();
    assert_eq!(rounds, BTreeSet::from([0, 11, 22, 33, 44]));
    net.close().unwrap();
    // The tables live in memory: everything is read back from the journal.
    let net = builder(&env).open(DIR).unwrap();
    assert_eq!(versions(&net), before);
    check(&net);
}

/// Blocks of a ragged town of three islands.
fn town(spec: &NetSpec) -> BlockSet {
    let mut rng = Rng(5);
    let mut blocks = Vec::new();
    for column in 0..60 {
        for row in 0..30 {
            if rng.below(10) > 1 && column % 20 != 0 {
                blocks.push(spec.block_of_indices(1000 + column, 1000 + row, 7).unwrap());
            }
        }
    }
    BlockSet::new(spec, blocks)
}

fn origins(net: &Net) -> BTreeMap<Block, Origin> {
    let view = net.now_view().unwrap();
    let linked = view.linked(None).unwrap();
    let blocks = linked.blocks().unwrap();
    blocks
        .map(|found| {
            let block = found.unwrap().0;
            (block, linked.origin(&block).unwrap().unwrap())
        })
        .collect()
}

#[test]
fn an_expanded_net_is_the_one_the_rule_gives_for_the_whole_set() {
    let spec = spec();
    let net = net(&MemEnv::new(1));
    let blocks = town(&spec);
    let mut receipts: Vec<Receipt> = Vec::new();
    net.expand(&blocks, &Commit::default(), |receipt| {
        receipts.push(receipt.clone());
    })
    .unwrap();
    let made: u64 = receipts.iter().map(|receipt| receipt.new_blocks).sum();
    assert_eq!(made, blocks.len() as u64);
    let graph = propagate_alone(blocks.clone(), &[]);
    assert!(receipts.len() > 1, "in several commits");
    let all = origins(&net);
    let expected: BTreeMap<Block, (u32, Block)> = graph
        .blocks()
        .iter()
        .enumerate()
        .map(|(index, block)| (block, (graph.round(index), graph.source(index))))
        .collect();
    let found = all.iter();
    let found: BTreeMap<Block, (u32, Block)> = found
        .map(|(block, origin)| (*block, (origin.round, origin.source)))
        .collect();
    assert_eq!(found, expected);
    // Every link stands in the origin of the later of its two blocks.
    for index in 0..graph.blocks().len() {
        let block = graph.blocks().get(index);
        for next in graph.successors(index) {
            let later = &all[&graph.blocks().get(next)].links;
            assert!(
                later
                    .iter()
                    .any(|link| link.block == block && link.from_neighbour)
            );
        }
    }
    // A second time there is nothing to do.
    net.expand(&blocks, &Commit::default(), |_| panic!("nothing is new"))
        .unwrap();
    let empty = net.now_view().unwrap();
    let version = empty.linked(None).unwrap().block(&blocks.get(0));
    let version = version.unwrap().unwrap();
    assert_eq!((version.rows, version.commit), (0, version.created));
    let measures = graph.measure();
    let stats = empty.linked(None).unwrap().stats().unwrap();
    assert_eq!(stats.measures.links, measures.links);
    assert_eq!(stats.measures.longest, measures.longest);
    assert_eq!(stats.measures.out_degree, measures.out_degree);
    let linked = empty.linked(None).unwrap();
    for index in (0..blocks.len()).step_by(97) {
        let safety = linked.safety(&blocks.get(index)).unwrap().unwrap();
        assert_eq!(
            (safety.longest, safety.shortest),
            (measures.longest[index], measures.shortest[index])
        );
        assert_eq!(safety.supervisors, graph.successors(index).count());
        let walked = linked.walk(&blocks.get(index), Walking::Outward).count() as u64;
        assert_eq!(walked, safety.descendants + 1);
        let source = linked
            .walk(&blocks.get(index), Walking::Inward)
            .map(|step| step.unwrap().1)
            .find(|block| *block == graph.source(index));
        assert_eq!(source, Some(graph.source(index)));
    }
}

#[test]
fn expansions_of_several_threads_and_commits_between_end_in_one_sound_net() {
    let spec = spec();
    let net = net(&MemEnv::new(1));
    let blocks = town(&spec);
    std::thread::scope(|scope| {
        for thread in 0..3_u32 {
            let (net, blocks) = (&net, &blocks);
            scope.spawn(move || {
                net.expand(blocks, &Commit::default(), |_| {}).unwrap();
                let own = put(&format!("t{thread}"), house(thread, thread, 0), 1);
                net.commit(&Commit::new("test", vec![own])).unwrap();
            });
        }
    });
    assert!(net.now_view().unwrap().block_count() >= blocks.len() as u64);
    let stats = net.now_view().unwrap();
    let stats = stats.linked(None).unwrap().stats().unwrap();
    assert_eq!(stats.supervised, stats.measures.blocks);
}

#[test]
fn what_cannot_be_expanded_is_refused() {
    let net = net(&MemEnv::new(1));
    let other = BlockSet::new(&NetSpec::city(), []);
    let refused = net.expand(&other, &Commit::default(), |_| {});
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    let with_content = Commit::new("test", vec![put("a", house(0, 0, 0), 1)]);
    let refused = net.expand(&BlockSet::new(net.spec(), []), &with_content, |_| {});
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    let view = net.view(AsOf::Newest, day(1)).unwrap();
    let missing = view.linked(Some(99)).map(|_| ());
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    let past = view.linked(Some(0)).unwrap().stats();
    assert_eq!(past.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(
        view.linked(Some(0)).unwrap().registry_head().unwrap(),
        Hash::ZERO
    );
    let nowhere = net.spec().block_of_indices(5, 5, 5).unwrap();
    let linked = view.linked(None).unwrap();
    assert_eq!(linked.block(&nowhere).unwrap(), None);
    assert_eq!(linked.safety(&nowhere).unwrap(), None);
    assert_eq!(linked.supervision(&nowhere).unwrap(), None);
    assert_eq!(linked.walk(&nowhere, Walking::Outward).count(), 0);
}
