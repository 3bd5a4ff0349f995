//! Attackers who can write the tables: what each leaves standing that still disagrees, named. The
//! table in DESIGN.md, "What protects what", is this test's.

use std::collections::BTreeSet;

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::{Batch, KeyRange};
use blocknet_wal::MemEnv;

use crate::block::Held;
use crate::body::{BlockTouch, Body, CommitInfo, version_leaf};
use crate::codec::Encoder;
use crate::entity::Head;
use crate::hash::merkle_root;
use crate::key;
use crate::ledger::Ledger;
use crate::linking::{decode_block, next_registry_head};
use crate::net::{Inner, Writable};
use crate::record::{RowRef, Version, commitment, encode_row};
use crate::testing::{DIR, builder, day};
use crate::writer::commit_info;
use crate::{Assertion, BlockVersion, Commit, Disagreement, Extent, Hash, LayerId, Net, Valid};

/// What is attacked in a town of five houses in a row, a block to each. House 2 is the source; it
/// changed in commits 3 and 5, its neighbour 3 in between, so that the version of commit 3 became
/// a gene. House 4 stands at the edge and changed in commit 6, the last.
#[derive(Clone, Copy, PartialEq)]
enum Target {
    /// A version that is not the newest, and is a gene.
    Old,
    /// A newest version of a block with successors, which no gene names yet.
    Newest,
    /// The newest version of a block without successors, and the last commit.
    Edge,
}

/// How far an attacker goes. Each also does what those before do.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Skill {
    /// Changes a payload and nothing else.
    Careless,
    /// Makes the commitment, the record's hashes and its block version's own root and hash anew.
    Own,
    /// Makes what successors and registry hold anew.
    Held,
    /// Makes the commit and all that hangs on it anew: possible here for the last commit only.
    Chain,
}

/// A house in the middle of one of five blocks in a row along the equator.
fn house(number: u32) -> Extent {
    let width = 360.0 / f64::from(1 << 18);
    let west = (100.4 + f64::from(number)) * width;
    Extent::flat(west, 0.0001, west + 0.1 * width, 0.0002)
}

fn put(house_number: u32, version: i64) -> Commit {
    let extent: Extent = house(house_number);
    let payload = format!("storeys:{version}");
    let state = Assertion::state(LayerId::MAIN, house_number.to_string(), extent, payload);
    Commit::new("registrar", vec![state.valid(Valid::from(day(version)))])
}

fn town() -> Net {
    let net = builder(&MemEnv::new(1))
        .create(DIR, NetSpec::city())
        .unwrap();
    let all = (0..5).flat_map(|n| put(n, 0).assertions).collect();
    net.commit(&Commit::new("registrar", all)).unwrap();
    for (house, version) in [(2, 1), (3, 2), (2, 3), (4, 4)] {
        net.commit(&put(house, version)).unwrap();
    }
    net
}

/// The tables, to be written past the net.
fn writable(net: &Net) -> &Writable {
    match &net.inner {
        Inner::Writable(writable) => writable,
        Inner::ReadOnly(_) => panic!("opened for writing"),
    }
}

fn found(net: &Net) -> BTreeSet<Disagreement> {
    let mut found = BTreeSet::new();
    let audit = net
        .audit(|finding| {
            assert!(!finding.to_string().is_empty());
            found.insert(finding.what);
        })
        .unwrap();
    assert_eq!(audit.findings == 0, found.is_empty());
    found
}

fn attack(net: &Net, target: Target, skill: Skill) {
    let (number, house_number) = match target {
        Target::Old => (3, 2),
        Target::Newest => (5, 2),
        Target::Edge => (6, 4),
    };
    let spec = *net.spec();
    let store = &writable(net).store;
    let mut batch = Batch::new();

    // The payload.
    let extent: Extent = house(house_number);
    let place = crate::record::Place::new(&spec, &extent).unwrap().0;
    let entity = key::entity(LayerId::MAIN, &house_number.to_string());
    let record_key = key::record(&place, &entity);
    let version = Version {
        commit: number,
        index: 0,
    };
    let history_key = key::history(&record_key, version);
    let (table, row_key) = match store.get(key::HISTORY, &history_key).unwrap() {
        Some(_) => (key::HISTORY, history_key),
        None => (key::RECORDS, record_key.clone()),
    };
    let row = store.get(table, &row_key).unwrap().unwrap();
    let row = RowRef::decode(&row).unwrap();
    let mut header = row.header(&spec).unwrap();
    let payload = row.payload.to_ascii_uppercase();
    if skill >= Skill::Own {
        header.commitment = commitment(&row.salt, &payload);
    }
    let mut encoded = Encoder::default();
    header.encode(&mut encoded);
    batch.put(
        table,
        row_key,
        encode_row(version, &encoded.0, &row.salt, &payload),
    );
    if skill >= Skill::Own {
        let hash = header.hash(net.id(), version);
        let head = store.get(key::ENTITIES, &entity).unwrap().unwrap();
        let mut head = Head::decode(&head, &spec).unwrap();
        if head.newest == version {
            head.hash = hash;
            batch.put(key::ENTITIES, entity, head.encode());
        }
        let own = spec.block(&spec.encode(&extent.anchor()).unwrap());
        let made = own_hashes(net, &own, number, &record_key, hash, &mut batch);
        if skill >= Skill::Held && target != Target::Old {
            held(net, &own, made.held(), &mut batch);
        }
        if skill >= Skill::Chain {
            chain(net, &own, &made, &mut batch);
        }
    }
    store.apply(&batch).unwrap();
}

/// The block version's own root and hash.
fn own_hashes(
    net: &Net,
    block: &Block,
    number: u64,
    record_key: &[u8],
    hash: Hash,
    batch: &mut Batch,
) -> BlockVersion {
    let row_key = key::block(block, number);
    let row = writable(net).store.get(key::BLOCKS, &row_key).unwrap();
    let (_, mut made) = decode_block(net.spec(), &row_key, &row.unwrap()).unwrap();
    made.root = merkle_root([version_leaf(record_key, hash)]);
    made.hash = made.compute_hash(net.id(), block);
    batch.put(key::BLOCKS, row_key, made.encode());
    made
}

/// What successors and registry hold.
fn held(net: &Net, block: &Block, held: Held, batch: &mut Batch) {
    let store = &writable(net).store;
    let mut cursor = store.cursor(key::LINKS, &KeyRange::all()).unwrap();
    while let Some((row_key, _)) = cursor.entry() {
        if key::split_link(net.spec(), row_key).unwrap().1 == *block {
            batch.put(key::LINKS, row_key, held.encode());
        }
        cursor.advance().unwrap();
    }
    let packed = block.to_packed();
    if store.get(key::EDGES, packed.as_ref()).unwrap().is_some() {
        batch.put(key::EDGES, packed.as_ref(), held.encode());
    }
}

/// The last commit, and what the tables say was applied last.
fn chain(net: &Net, block: &Block, made: &BlockVersion, batch: &mut Batch) {
    let store = &writable(net).store;
    let before = commit_info(&**store, made.commit - 1).unwrap();
    let mut info = commit_info(&**store, made.commit).unwrap();
    info.blocks_root = Body::blocks_root(&[BlockTouch {
        block: *block,
        hash: made.hash,
        rows: made.rows,
        created: None,
    }]);
    let registry = [(*block, Some(made.hash))].into();
    info.registry_head = next_registry_head(net.id(), before.registry_head, &registry);
    info.hash = CommitInfo::compute_hash(&info, net.id());
    let mut out = Encoder::default();
    info.encode(&mut out);
    batch.put(key::COMMITS, key::commit(made.commit, 0), out.0);
    let mut ledger = Ledger::load(&**store).unwrap().unwrap();
    ledger.hash = info.hash;
    ledger.registry_head = info.registry_head;
    batch.put(key::META, key::STATE, ledger.encode_state());
}

#[test]
fn a_sound_net_agrees_with_itself() {
    let net = town();
    let mut findings = Vec::new();
    let audit = net.audit(|finding| findings.push(finding)).unwrap();
    assert_eq!(findings, []);
    assert_eq!((audit.commits, audit.versions), (6, 9));
    assert_eq!((audit.block_versions, audit.links, audit.edges), (9, 4, 2));
    assert_eq!(audit.commits_of_definitions, 1);
}

#[test]
fn every_attacker_leaves_something_that_disagrees_until_the_chain_itself_is_made_anew() {
    use Disagreement::{
        BlockChain, BlocksRoot, Gene, Link, Payload, Registry, RegistryHead, VersionChain,
    };
    use Skill::{Careless, Chain, Held, Own};
    use Target::{Edge, Newest, Old};
    for (target, skill, left) in [
        (Old, Careless, vec![Payload]),
        (Newest, Careless, vec![Payload]),
        (Edge, Careless, vec![Payload]),
        (Old, Own, vec![VersionChain, BlockChain, Gene, BlocksRoot]),
        (Newest, Own, vec![Link, BlocksRoot]),
        (Edge, Own, vec![Registry, RegistryHead, BlocksRoot]),
        (Old, Held, vec![VersionChain, BlockChain, Gene, BlocksRoot]),
        (Newest, Held, vec![BlocksRoot]),
        (Edge, Held, vec![RegistryHead, BlocksRoot]),
        // Nothing in the tables shows it: only the journal does, and a head kept elsewhere.
        (Edge, Chain, vec![]),
    ] {
        let net = town();
        attack(&net, target, skill);
        let expected: BTreeSet<Disagreement> = left.into_iter().collect();
        assert_eq!(found(&net), expected);
    }
}

#[test]
fn rows_that_are_gone_or_too_many_are_named() {
    let rows: [(blocknet_kv::Table, Disagreement); 5] = [
        (key::ZONES, Disagreement::Zone),
        (key::LINKS, Disagreement::Missing),
        (key::EDGES, Disagreement::Missing),
        (key::ENTITIES, Disagreement::Missing),
        (key::RECORDS, Disagreement::Missing),
    ];
    for (table, what) in rows {
        let net = town();
        let store = &writable(&net).store;
        let cursor = store.cursor(table, &KeyRange::all()).unwrap();
        let row_key = cursor.entry().unwrap().0.to_vec();
        drop(cursor);
        let mut batch = Batch::new();
        batch.delete(table, row_key);
        store.apply(&batch).unwrap();
        assert!(found(&net).contains(&what), "{table:?}");
    }
    // A zone that counts one row too many, and one of a place where nothing is.
    for elsewhere in [false, true] {
        let net = town();
        let store = &writable(&net).store;
        let cursor = store.cursor(key::ZONES, &KeyRange::all()).unwrap();
        let (row_key, row) = cursor.entry().unwrap();
        let (mut row_key, mut row) = (row_key.to_vec(), row.to_vec());
        drop(cursor);
        if elsewhere {
            *row_key.last_mut().unwrap() ^= 0x10;
        } else {
            row[0] += 1;
        }
        let mut batch = Batch::new();
        batch.put(key::ZONES, row_key, row);
        store.apply(&batch).unwrap();
        assert_eq!(found(&net), BTreeSet::from([Disagreement::Zone]));
    }
    // A block in the registry that others supervise.
    let net = town();
    let source = net
        .spec()
        .block(&net.spec().encode(&house(2).anchor()).unwrap());
    let view = net.now_view().unwrap();
    let newest = view.linked(None).unwrap().block(&source).unwrap().unwrap();
    let mut batch = Batch::new();
    let packed = source.to_packed();
    batch.put(key::EDGES, packed.as_ref(), newest.held().encode());
    writable(&net).store.apply(&batch).unwrap();
    assert_eq!(found(&net), BTreeSet::from([Disagreement::Registry]));
}
