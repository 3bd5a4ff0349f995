//! Verification of nets in memory: whole ones, and ones with every row and every byte damaged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use blocknet_geocode::{Cell, NetSpec};
use blocknet_kv::{Batch, Bytes, KeyRange, Read, Store, Table};
use blocknet_wal::{EnvOp, InjectedError, Injection, MemEnv};

use super::tables::TABLES;
use super::*;
use crate::net::{Inner, Writable};
use crate::record::Place;
use crate::testing::{DIR, Rng, builder, day, from_environment, seeds};
use crate::{Assertion, Commit, Extent, LayerDef, LayerId, Net, Valid};

fn house(number: i64) -> Extent {
    let width = 360.0 / f64::from(1 << 18);
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let west = (100.4 + number as f64) * width;
    Extent::flat(west, 0.0001, west + 0.1 * width, 0.0002).between(1.0, 9.0)
}

pub(super) fn put(id: &str, place: i64, from: i64, to: Option<i64>) -> Assertion {
    let payload = format!("{{\"at\":{place},\"from\":{from}}}");
    let valid = match to {
        Some(to) => Valid::between(day(from), day(to)),
        None => Valid::from(day(from)),
    };
    Assertion::state(LayerId::MAIN, id, house(place), payload).valid(valid)
}

/// A street with everything in it: changes, a removal, a move, a move after a gap, a correction in
/// the past, a second layer, a house too large for its block.
pub(super) fn street(env: &MemEnv) -> Net {
    let net = builder(env).create(DIR, NetSpec::city()).unwrap();
    let commit = |assertions| net.commit(&Commit::new("registrar", assertions)).unwrap();
    commit((0..4).map(|n| put(&n.to_string(), n, 0, None)).collect());
    commit(vec![put("1", 1, 10, None), put("5", 2, 10, Some(20))]);
    commit(vec![
        Assertion::absence(LayerId::MAIN, "2").valid(Valid::from(day(30))),
    ]);
    commit(vec![put("3", 0, 40, None)]);
    commit(vec![put("5", 3, 50, None)]);
    commit(vec![put("1", 1, 5, None), put("1", 1, 60, None)]);
    let permits = net
        .create_layer(LayerDef::new("permits"), "clerk", "")
        .unwrap();
    let large = Extent::flat(1.0, 1.0, 2.0, 2.0);
    commit(vec![Assertion::state(permits, "P", large, "wide")]);
    for round in 0..6 {
        commit(vec![put("7", round % 2, 100 + round, None)]);
    }
    net
}

pub(super) fn writable(net: &Net) -> &Writable {
    match &net.inner {
        Inner::Writable(writable) => writable,
        Inner::ReadOnly(_) => panic!("opened for writing"),
    }
}

pub(super) fn verified(env: &MemEnv, store: &dyn Store) -> (Verification, Diagnosis) {
    let target = Target {
        env: Arc::new(env.clone()),
        dir: Path::new(DIR),
        tables: TablesFound::Open(store.snapshot().unwrap()),
    };
    verify(&target, Depth::Full, &|_| ()).unwrap()
}

pub(super) fn errors(verification: &Verification) -> Vec<String> {
    verification.errors().map(ToString::to_string).collect()
}

pub(super) fn all_rows(read: &dyn Read) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    for table in TABLES {
        let mut cursor = read.cursor(*table, &KeyRange::all()).unwrap();
        while let Some((row_key, value)) = cursor.entry() {
            rows.push((*table, row_key.to_vec(), value.to_vec()));
            cursor.advance().unwrap();
        }
    }
    rows
}

pub(super) fn with_row<T>(
    store: &dyn Store,
    (table, row_key, value): &(Table, Vec<u8>, Vec<u8>),
    changed: Option<&[u8]>,
    then: impl FnOnce() -> T,
) -> T {
    let write = |value: Option<&[u8]>| {
        let mut batch = Batch::new();
        match value {
            Some(value) => batch.put(*table, row_key.clone(), Bytes::copy_from_slice(value)),
            None => batch.delete(*table, row_key.clone()),
        }
        store.apply(&batch).unwrap();
    };
    write(changed);
    let result = then();
    write(Some(value));
    result
}

#[test]
fn a_whole_net_is_clean() {
    let env = MemEnv::new(1);
    let net = street(&env);
    let (verification, _) = verified(&env, &*writable(&net).store);
    assert_eq!(errors(&verification), [] as [&str; 0]);
    assert!(verification.is_clean());
    let audit = net.audit(|finding| panic!("{finding}")).unwrap();
    assert_eq!(verification.commits, audit.commits);
    assert_eq!(verification.versions, audit.versions);
    assert_eq!(verification.block_versions, audit.block_versions);
    assert_eq!(verification.genes, audit.genes);
    assert_eq!(verification.head.0, 15);
    assert!(verification.rows > 100 && verification.bytes > 10_000);
    net.close().unwrap();
    let closed = builder(&env).verify(DIR, Depth::Full, &|_| ()).unwrap();
    assert!(closed.findings.is_empty(), "{:?}", closed.findings);
    assert!(closed.is_clean());
}

#[test]
fn every_missing_row_is_found_and_named() {
    let env = MemEnv::new(1);
    let net = street(&env);
    let store = &*writable(&net).store;
    let mut by_table: BTreeMap<&str, u32> = BTreeMap::new();
    for row in all_rows(store) {
        let (table, row_key, _) = &row;
        let (found, _) = with_row(store, &row, None, || verified(&env, store));
        let table = key::table_name(*table);
        let named = found.findings.iter().any(|finding| {
            let key_fits = finding.key.as_deref() == Some(row_key);
            key_fits || finding.code == Code::TablesUnusable
        });
        assert!(
            named,
            "`{table}` {}: {:#?}",
            crate::error::Hex(row_key),
            errors(&found)
        );
        // A commit's own blocks are asked when its registry head is checked.
        let blamed =
            |finding: &Finding| finding.side == Side::Tables || finding.code == Code::RegistryHead;
        assert!(found.errors().all(blamed), "{:#?}", errors(&found));
        assert!(
            found
                .errors()
                .all(|finding| finding.remedy == Remedy::Journal)
        );
        *by_table.entry(table).or_default() += 1;
    }
    assert_eq!(by_table.len(), TABLES.len(), "{by_table:?}");
    assert!(verified(&env, store).0.is_clean());
}

#[test]
fn every_changed_byte_of_every_row_is_found() {
    let env = MemEnv::new(1);
    let net = street(&env);
    let store = &*writable(&net).store;
    let seed = seeds(1).start;
    let mut rng = Rng(seed);
    let (mut flips, mut inert) = (0, Vec::new());
    // All of them take a minute: BLOCKNET_STRIDE=1.
    let stride = usize::try_from(from_environment("BLOCKNET_STRIDE", 8)).unwrap();
    for row in all_rows(store) {
        let (table, _, value) = &row;
        let first = usize::try_from(rng.below(stride as u64)).unwrap();
        for at in (first..value.len()).step_by(stride) {
            let mut changed = value.clone();
            changed[at] ^= 1 << rng.below(8);
            let (found, _) = with_row(store, &row, Some(&changed), || verified(&env, store));
            flips += 1;
            if found.errors().next().is_none() {
                inert.push((key::table_name(*table), at));
            }
        }
    }
    // Bounds of a zone are compared as bounds, since they never shrink: a wider one is no error.
    let (zones, others): (Vec<_>, Vec<_>) =
        inert.into_iter().partition(|(table, _)| *table == "zones");
    println!(
        "seed {seed}: {flips} flips, {} widened bounds of zones",
        zones.len()
    );
    assert!(others.is_empty(), "seed {seed}: {others:?}");
    assert!(
        zones.iter().all(|(_, at)| *at >= 16),
        "seed {seed}: {zones:?}"
    );
    assert!(flips > 10_000 / stride, "{flips}");
}

/// Houses that move on, every ninth too large for its block.
fn houses(env: &MemEnv, spec: NetSpec, houses: i64) -> Net {
    let net = builder(env).create(DIR, spec).unwrap();
    for round in 0..4 {
        let all = (0..houses).map(|n| {
            let place = n % (houses * 3 / 4) + round;
            let mut put = put(&n.to_string(), place, round * 10, None);
            if n % 9 == 0
                && let Some(extent) = &mut put.extent
            {
                extent.east += 3.0 * (extent.east - extent.west) * 10.0;
                extent.top = Some(30.0);
            }
            put
        });
        net.commit(&Commit::new("registrar", all.collect()))
            .unwrap();
    }
    net
}

/// Rows enough that tables are read in parts, at which nothing is lost or counted twice.
#[test]
fn tables_in_parts_are_as_whole_ones() {
    let env = MemEnv::new(1);
    let net = houses(&env, NetSpec::city(), 400);
    let store = &writable(&net).store;
    let read = store.snapshot().unwrap();
    let cut = parts(&*read, 4);
    for table in [
        key::HISTORY,
        key::RECORDS,
        key::BLOCKS,
        key::TRACKS,
        key::ENTITIES,
    ] {
        let of_table: Vec<_> = cut.iter().filter(|part| part.table == table).collect();
        assert!(of_table.len() > 3, "{}", key::table_name(table));
        for (before, after) in of_table.iter().zip(&of_table[1..]) {
            assert_eq!(before.range.end.as_ref(), Some(&after.range.start));
        }
    }
    assert_eq!(errors(&verified(&env, &**store).0), Vec::<String>::new());
    // The rows on both sides of every cut.
    let rows = all_rows(&*read);
    drop(read);
    let mut damaged = 0;
    for part in cut.iter().filter(|part| !part.range.start.is_empty()) {
        let of_table = || rows.iter().filter(|row| row.0 == part.table);
        let before = of_table().rfind(|row| row.1 < part.range.start);
        let after = of_table().find(|row| row.1 >= part.range.start);
        for row in before.into_iter().chain(after) {
            let found = with_row(&**store, row, None, || errors(&verified(&env, &**store).0));
            assert!(!found.is_empty(), "{:?} {:?}", row.0, row.1);
            damaged += 1;
        }
    }
    assert!(damaged > 30);
}

#[test]
fn of_an_area_every_row_of_its_blocks_is_checked_and_no_other() {
    area_of(NetSpec::city());
    // Blocks with altitude bands, of an even number of digits.
    let builder = NetSpec::builder().block_digits(10).band_digits(1);
    area_of(builder.build().unwrap());
}

fn area_of(spec: NetSpec) {
    let env = MemEnv::new(1);
    let net = houses(&env, spec, 60);
    let store = &writable(&net).store;
    let edge = house(20).west;
    let may_hold = |spec: &NetSpec, cell: &Cell, _: u8| spec.bounds(cell).west < edge;
    let verify = || {
        let target = Target {
            env: Arc::new(env.clone()),
            dir: Path::new(DIR),
            tables: TablesFound::Open(store.snapshot().unwrap()),
        };
        verify_area(&target, &may_hold, &|_| ()).unwrap()
    };
    let whole = verify();
    assert_eq!(errors(&whole), Vec::<String>::new());
    assert!(!whole.is_clean(), "{:?}", whole.skipped);
    let block_of_row = |(table, row_key, _): &(Table, Vec<u8>, Vec<u8>)| {
        if [key::RECORDS, key::HISTORY].contains(table) {
            return block_of(&spec, &Place::of_key(row_key, &spec).unwrap(), true);
        }
        let packed = row_key.get(..spec.block_len_bytes())?;
        [key::BLOCKS, key::LINKS, key::EDGES]
            .contains(table)
            .then(|| spec.block_from_packed(packed).unwrap())
    };
    let seed = 3;
    let mut rng = Rng(seed);
    let (mut inside, mut outside, mut noise) = (0, 0, 0);
    for row in all_rows(&*store.snapshot().unwrap()) {
        let is_in = block_of_row(&row).is_some_and(|block| may_hold(&spec, &block.cell(), 0));
        let mut changed = row.2.clone();
        let at = usize::try_from(rng.below(changed.len().max(1) as u64)).unwrap();
        let flipped = changed.get_mut(at).map(|byte| *byte ^= 1).is_some();
        let missing = with_row(&**store, &row, None, verify);
        let found = flipped.then(|| with_row(&**store, &row, Some(&changed), verify));
        let name = key::table_name(row.0);
        if is_in {
            inside += 1;
            assert!(missing.errors().next().is_some(), "{name} {:?}", row.1);
            let found = found.unwrap();
            assert!(found.errors().next().is_some(), "{name} {:?} {at}", row.1);
        } else if [key::RECORDS, key::HISTORY, key::TRACKS, key::ZONES].contains(&row.0) {
            outside += 1;
            noise += usize::from(missing.errors().next().is_some());
        }
    }
    assert!(inside > 100 && outside > 150, "{inside} {outside}");
    assert_eq!(noise, 0, "of {outside}");
}

#[test]
fn a_row_that_nobody_wrote_is_found() {
    let env = MemEnv::new(1);
    let net = street(&env);
    let store = &*writable(&net).store;
    let rows = all_rows(store);
    let mut tables = BTreeMap::new();
    for (table, row_key, value) in &rows {
        let mut other = row_key.clone();
        let at = other.len() - 1;
        other[at] ^= 2;
        if rows.iter().any(|(t, k, _)| t == table && *k == other) {
            continue;
        }
        let mut batch = Batch::new();
        batch.put(*table, other.clone(), Bytes::copy_from_slice(value));
        store.apply(&batch).unwrap();
        let (found, _) = verified(&env, store);
        let mut batch = Batch::new();
        batch.delete(*table, other.clone());
        store.apply(&batch).unwrap();
        let named = found
            .errors()
            .any(|finding| finding.key.as_ref() == Some(&other));
        let name = key::table_name(*table);
        assert!(
            named,
            "`{name}` {}: {:#?}",
            crate::error::Hex(&other),
            errors(&found)
        );
        *tables.entry(name).or_insert(0) += 1;
    }
    assert_eq!(tables.len(), TABLES.len(), "{tables:?}");
}

#[test]
fn every_commit_can_be_had_back_from_the_tables_byte_for_byte() {
    let env = MemEnv::new(1);
    let net = street(&env);
    let store = &*writable(&net).store;
    let recovery = Recovery::scan(Arc::new(env.clone()), &Path::new(DIR).join("journal")).unwrap();
    let mut commits = 0;
    for frame in recovery.frames(1).unwrap() {
        let frame = frame.unwrap();
        let chain = Hash(frame.chain);
        let rebuilt = rebuild(store, net.spec(), net.id(), frame.seq, chain).unwrap();
        let rebuilt = rebuilt.unwrap_or_else(|why| panic!("commit {}: {why:?}", frame.seq));
        assert_eq!(rebuilt.body.encode(), frame.body, "commit {}", frame.seq);
        assert_eq!(rebuilt.erasable, frame.erasable, "commit {}", frame.seq);
        commits += 1;
        let other = Hash([7; 32]);
        assert!(
            rebuild(store, net.spec(), net.id(), frame.seq, other)
                .unwrap()
                .is_err()
        );
    }
    assert_eq!(commits, 15);
}

/// Writes the journal of `env` anew with one commit changed, every checksum right; or without the
/// commits from `cut` on.
fn rewrite_journal(env: &MemEnv, cut: u64, change: impl Fn(&mut Body, &mut Vec<u8>) -> bool) {
    let dir = Path::new(DIR).join("journal");
    let shared: Arc<dyn Env> = Arc::new(env.clone());
    let recovery = Recovery::scan(Arc::clone(&shared), &dir).unwrap();
    let spec = NetSpec::city();
    let frames: Vec<_> = recovery.frames(1).unwrap().map(Result::unwrap).collect();
    let mut changed = false;
    let mut page = blocknet_wal::Page {
        store_id: recovery.store_id(),
        segment: 1,
        first_seq: 1,
        prev_chain: [0; 32],
    };
    for segment in recovery.segments() {
        let end = segment.first_seq + u64::MAX / 2;
        let next = recovery
            .segments()
            .iter()
            .find(|other| other.segment == segment.segment + 1);
        let until = next.map_or(end, |next| next.first_seq).min(cut);
        page.segment = segment.segment;
        page.first_seq = segment.first_seq;
        let begin = blocknet_wal::SegmentRewrite::begin(Arc::clone(&shared), &dir, &page);
        let mut rewrite = begin.unwrap();
        for frame in &frames {
            if frame.seq < segment.first_seq || frame.seq >= until {
                continue;
            }
            let mut body = crate::open::decode_body(frame, Some(&spec)).unwrap();
            let mut erasable = frame.erasable.clone();
            changed |= change(&mut body, &mut erasable);
            page.prev_chain = body.info.hash.0;
            rewrite
                .push(&blocknet_wal::FrameRef {
                    seq: frame.seq,
                    chain: &body.info.hash.0,
                    body: &body.encode(),
                    erasable: &erasable,
                })
                .unwrap();
        }
        let sealed = next.is_some() && cut > until;
        rewrite
            .finish(sealed, &Path::new(DIR).join("quarantine"))
            .unwrap();
    }
    assert!(changed || cut < u64::MAX, "the attack did something");
}

fn codes(verification: &Verification, commit: u64) -> BTreeSet<&'static str> {
    let of_commit = verification
        .errors()
        .filter(|finding| finding.commit == Some(commit));
    of_commit.map(|finding| finding.code.name()).collect()
}

/// What each attacker leaves that can be found without anything remembered outside: DESIGN.md,
/// "Verify".
#[test]
fn attackers_on_the_journal_are_found_as_far_as_they_can_be() {
    let street = || {
        let env = MemEnv::new(1);
        let net = street(&env);
        (env, net)
    };
    // Changes a payload, and makes the frame's checksums right.
    let (env, net) = street();
    rewrite_journal(&env, u64::MAX, |body, erasable| {
        if body.info.number == 3 {
            erasable[20] ^= 1;
        }
        body.info.number == 3
    });
    let (found, diagnosis) = verified(&env, &*writable(&net).store);
    assert_eq!(
        codes(&found, 3),
        BTreeSet::from(["PAYLOAD"]),
        "{:#?}",
        errors(&found)
    );
    assert!(diagnosis.from_tables.contains(3) && diagnosis.lost.is_empty());
    assert!(
        found
            .errors()
            .all(|finding| finding.remedy == Remedy::Tables)
    );

    // Makes the commitment anew as well: the versions no longer hash into their block versions.
    let forge = |body: &mut Body, erasable: &mut Vec<u8>| {
        if body.info.number != 3 {
            return false;
        }
        erasable[20] ^= 1;
        let (salt, rest) = erasable.split_first_chunk().unwrap();
        let payload = &rest[..body.assertions[0].payload_len as usize];
        body.assertions[0].commitment = crate::record::commitment(salt, payload);
        true
    };
    let (env, net) = street();
    rewrite_journal(&env, u64::MAX, forge);
    let (found, diagnosis) = verified(&env, &*writable(&net).store);
    assert!(
        codes(&found, 3).contains("KV_DIFFERS"),
        "{:#?}",
        errors(&found)
    );
    assert!(diagnosis.forged.contains(&3) && diagnosis.lost.is_empty());
    let about_commit = found.errors().filter(|finding| finding.commit == Some(3));
    for finding in about_commit {
        assert_eq!(
            (finding.side, finding.remedy),
            (Side::Journal, Remedy::Tables),
            "{finding}"
        );
    }

    // Makes the commit's hash anew over other texts: the next commit names the old one. And with it
    // the commits before, so that the chain breaks at one place only.
    for first in [3, 2] {
        let (env, net) = street();
        let id = *net.id();
        let previous = std::cell::Cell::new(None);
        rewrite_journal(&env, u64::MAX, |body, _| {
            let number = body.info.number;
            if number < first || number > 3 {
                return false;
            }
            if number == first {
                body.info.author = "nobody".into();
            }
            body.info.previous = previous.take().unwrap_or(body.info.previous);
            body.info.hash = body.info.compute_hash(&id);
            previous.set(Some(body.info.hash));
            true
        });
        let (found, diagnosis) = verified(&env, &*writable(&net).store);
        for commit in first..=3 {
            assert!(
                codes(&found, commit).contains("CHAIN_BREAK"),
                "{:#?}",
                errors(&found)
            );
            assert!(diagnosis.from_tables.contains(commit));
        }
        assert!(!diagnosis.from_tables.contains(first - 1) && diagnosis.lost.is_empty());
        // The tables are not blamed: the chain names what they hold.
        assert!(
            found.errors().all(|finding| finding.side == Side::Journal),
            "{:#?}",
            errors(&found)
        );
    }

    // Cuts the tail of the journal: the tables have it, and give it back.
    let (env, net) = street();
    rewrite_journal(&env, 12, |_, _| false);
    let (found, diagnosis) = verified(&env, &*writable(&net).store);
    assert_eq!(
        codes(&found, 12),
        BTreeSet::from(["IDX_AHEAD"]),
        "{:#?}",
        errors(&found)
    );
    assert!((12..=15).all(|commit| diagnosis.from_tables.contains(commit)));

    // Cuts it off both copies, which is also what an older copy of the net looks like: nothing in
    // the net can show it.
    net.close().unwrap();
    let cut = builder(&env).verify(DIR, Depth::Full, &|_| ()).unwrap();
    assert!(cut.is_clean(), "{:#?}", cut.findings);
    assert_eq!(cut.head.0, 11);
}

/// A read that fails says nothing about the bytes: it is no damage, and nothing is replaced for it.
#[test]
fn a_failed_read_is_not_taken_for_damage() {
    const SITES: &[EnvOp] = &[EnvOp::List, EnvOp::Open, EnvOp::Len, EnvOp::Read];
    let env = MemEnv::new(1);
    street(&env).close().unwrap();
    let before = env.count(SITES);
    assert!(
        builder(&env)
            .verify(DIR, Depth::Full, &|_| ())
            .unwrap()
            .is_clean()
    );
    let reads = env.count(SITES) - before;
    assert!(reads > 20, "{reads}");
    let mut incomplete = 0;
    for nth in 1..=reads {
        let fail = || {
            env.inject(Injection {
                ops: SITES,
                nth,
                lasting: false,
                error: InjectedError::Io,
            });
        };
        fail();
        match builder(&env).verify(DIR, Depth::Full, &|_| ()) {
            Err(error) => assert_eq!(error.kind(), crate::ErrorKind::Io),
            Ok(found) => {
                let others = found.errors().filter(|finding| finding.code != Code::Io);
                assert_eq!(others.count(), 0, "read {nth}: {:#?}", errors(&found));
                incomplete += u32::from(!found.skipped.is_empty());
            }
        }
        let writes = env.count(EnvOp::CHANGES);
        fail();
        if let Ok(repaired) = builder(&env).repair(DIR, true, "test", &|_| ()) {
            assert!(
                repaired.steps.is_empty(),
                "read {nth}: {:#?}",
                repaired.steps
            );
        }
        assert_eq!(env.count(EnvOp::CHANGES), writes, "read {nth}");
    }
    println!("{reads} reads failed, {incomplete} verifications were incomplete for it");
    assert!(incomplete > 0);
}
