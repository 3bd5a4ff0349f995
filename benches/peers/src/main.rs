//! `BlockNet` against `SQLite` with R*Tree on the same records, ratios side by side in one run.
//! README.md says how to run it, and what the comparison does not show.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]

mod data;
mod ours;
mod peer;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use blocknet::query::{PlanKind, Window};
use blocknet::{Extent, Net};

use data::{Footprint, Rng, along_z_curve, footprints, windows};
use peer::{Peer, Synchronous};

/// Records in a commit or transaction of the import.
const IMPORT_BATCH: usize = 2_000;
/// Records in a commit or transaction of modifications.
const CHANGE_BATCH: usize = 1_000;
/// Batches of modifications measured as one.
const CHANGE_BATCHES: usize = 10;
/// How often each is measured.
const IMPORT_REPEATS: usize = 3;
const REPEATS: usize = 5;

/// Microseconds since 1970: what was imported holds from, what is asked, when a tenth changed, when
/// the rest changed, now.
const BUILT: i64 = 1_000_000_000_000_000;
const PAST: i64 = 1_500_000_000_000_000;
const CHANGED: i64 = 2_000_000_000_000_000;
const AGAIN: i64 = 3_000_000_000_000_000;
const NOW: i64 = 4_000_000_000_000_000;

/// A new state of a record.
pub(crate) struct Change<'a> {
    pub(crate) id: &'a str,
    pub(crate) extent: &'a Extent,
    pub(crate) payload: &'a [u8],
    pub(crate) from: i64,
}

/// What an area query came to. Both stores must say the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    records: u64,
    id_bytes: u64,
    payload_bytes: u64,
    moments: i64,
}

impl Sum {
    pub(crate) fn add(&mut self, id: &str, from: i64, payload: &[u8]) {
        let payload = black_box(payload);
        self.records += 1;
        self.id_bytes += id.len() as u64;
        self.payload_bytes += payload.len() as u64;
        self.moments = self.moments.wrapping_add(from);
    }
}

fn seconds<T>(run: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = run();
    (start.elapsed().as_secs_f64(), result)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// One line: how many times as fast we are, from times taken alternately.
fn line(what: &str, count: u64, ours: &[f64], theirs: &[f64], goal: &str) {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| b / a).collect();
    let low = ratios.iter().copied().fold(f64::MAX, f64::min);
    let high = ratios.iter().copied().fold(0.0, f64::max);
    println!(
        "{what:<62} {:>6.2}  ({low:.2} to {high:.2})  goal {goal:<4} {:>9.0} / {:>9.0} records/s",
        median(theirs) / median(ours),
        count as f64 / median(ours),
        count as f64 / median(theirs),
    );
}

fn batches<'a>(
    records: impl Iterator<Item = &'a Footprint>,
    size: usize,
    from: i64,
) -> Vec<Vec<Change<'a>>> {
    let changes = records.map(|record| Change {
        id: &record.id,
        extent: &record.extent,
        payload: record.payload.as_bytes(),
        from,
    });
    let mut found: Vec<Vec<Change<'a>>> = Vec::new();
    for change in changes {
        match found.last_mut().filter(|last| last.len() < size) {
            Some(last) => last.push(change),
            None => found.push(vec![change]),
        }
    }
    found
}

/// Stores filled with the same records, everything in their files.
struct Stores {
    ours: Net,
    peer: Peer,
    /// `SQLite` filled in the order of a Z-curve instead of the order of the source.
    sorted: Peer,
}

fn import(root: &Path, records: &[Footprint], repeats: usize) -> Stores {
    let parts = batches(records.iter(), IMPORT_BATCH, BUILT);
    let import_peer = |name: String, mode: Synchronous| {
        let peer = Peer::create(&root.join(name)).expect("a new file");
        let (time, done) = seconds(|| peer.insert(&parts, mode));
        done.expect("the disk works");
        let (more, done) = seconds(|| peer.settle());
        done.expect("the disk works");
        (time, time + more, peer)
    };
    let mut times: [Vec<f64>; 6] = Default::default();
    let mut last = None;
    for repeat in 0..repeats {
        let net = ours::create(&root.join(format!("submitted-{repeat}")));
        let (submitted, ()) = seconds(|| ours::write(&net, &parts));
        let (more, net) = seconds(|| ours::reopen(net));
        let (normal, normal_settled, peer) =
            import_peer(format!("normal-{repeat}.db"), Synchronous::Normal);
        let other = ours::create(&root.join(format!("committed-{repeat}")));
        let (committed, ()) = seconds(|| ours::write_each(&other, &parts));
        other.close().expect("the disk works");
        let (full, ..) = import_peer(format!("full-{repeat}.db"), Synchronous::Full);
        for (all, time) in times.iter_mut().zip([
            submitted,
            normal,
            committed,
            full,
            submitted + more,
            normal_settled,
        ]) {
            all.push(time);
        }
        last = Some((net, peer));
    }
    let count = records.len() as u64;
    let [submitted, normal, committed, full, reopened, settled] = &times;
    line(
        "import, durable at the end / NORMAL",
        count,
        submitted,
        normal,
        "-",
    );
    line(
        "import, durable at the end / FULL",
        count,
        submitted,
        full,
        "-",
    );
    line(
        "import, each commit durable / FULL",
        count,
        committed,
        full,
        "-",
    );
    line(
        "import until all is in the tables / NORMAL",
        count,
        reopened,
        settled,
        "-",
    );

    let sorted = Peer::create(&root.join("sorted.db")).expect("a new file");
    let along = batches(along_z_curve(records).into_iter(), IMPORT_BATCH, BUILT);
    sorted
        .insert(&along, Synchronous::Normal)
        .expect("the disk works");
    sorted.settle().expect("the disk works");
    let (ours, peer) = last.expect("it was filled at least once");
    Stores { ours, peer, sorted }
}

/// The windows of the area queries: 1,000 of 500 m and 20 of 5 km.
fn areas(records: &[Footprint]) -> [(&'static str, Vec<Window>); 2] {
    [
        ("500 m windows", windows(records, 500.0, 1_000, 1)),
        ("5 km windows", windows(records, 5_000.0, 20, 2)),
    ]
}

/// Runs `ways` in turn, several times, and returns their times and what all of them found.
fn alternately(ways: &[&dyn Fn() -> Sum]) -> (Vec<Vec<f64>>, Sum) {
    let mut times = vec![Vec::new(); ways.len()];
    // Warms the caches.
    let found: Vec<Sum> = ways.iter().map(|way| way()).collect();
    for _ in 0..REPEATS {
        for ((way, times), before) in ways.iter().zip(&mut times).zip(&found) {
            let (time, sum) = seconds(way);
            assert_eq!(sum, *before, "an answer changed");
            times.push(time);
        }
    }
    for sum in &found {
        assert_eq!(*sum, found[0], "the stores disagree");
    }
    (times, found[0])
}

fn area_queries(stores: &Stores, records: &[Footprint]) {
    for (name, windows) in areas(records) {
        let (times, sum) = alternately(&[
            &|| ours::read(&stores.ours, &windows, NOW, None),
            &|| stores.peer.read(&windows).expect("it can be read"),
            &|| stores.sorted.read(&windows).expect("it can be read"),
            &|| ours::visit(&stores.ours, &windows, NOW, None),
            &|| ours::read(&stores.ours, &windows, NOW, Some(PlanKind::Ranges)),
            &|| ours::visit(&stores.ours, &windows, NOW, Some(PlanKind::Ranges)),
            &|| ours::build(&stores.ours, &windows, NOW, None),
        ]);
        let count = sum.records;
        for (what, ours, theirs, goal) in [
            (format!("area query, {name}"), 0, 1, "3"),
            (
                "  the same, SQLite filled along a Z-curve".into(),
                0,
                2,
                "-",
            ),
            ("  the same, a record built for each row".into(), 6, 1, "-"),
            ("  the same by Query::visit".into(), 3, 1, "-"),
            (
                "  the same by plan `ranges`, not the chosen one".into(),
                4,
                1,
                "-",
            ),
            ("  the same by that plan and Query::visit".into(), 5, 1, "-"),
            (
                "  Query::visit / run by that plan, both BlockNet".into(),
                5,
                4,
                "-",
            ),
        ] {
            line(&what, count, &times[ours], &times[theirs], goal);
        }
        println!("  {}", ours::explain(&stores.ours, &windows, NOW));
        println!(
            "  {count} records and {} MB of payloads in all windows, the same in both",
            sum.payload_bytes / 1_000_000
        );
    }
}

fn past_queries(mut stores: Stores, records: &[Footprint]) -> Stores {
    let changed: Vec<Footprint> = records
        .iter()
        .step_by(10)
        .map(|record| record.changed(1))
        .collect();
    let parts = batches(changed.iter(), IMPORT_BATCH, CHANGED);
    ours::write(&stores.ours, &parts);
    for peer in [&stores.peer, &stores.sorted] {
        peer.update(&parts, Synchronous::Normal)
            .expect("the disk works");
        peer.settle().expect("the disk works");
    }
    stores.ours = ours::reopen(stores.ours);
    for (name, windows) in areas(records) {
        let (times, sum) = alternately(&[
            &|| ours::read(&stores.ours, &windows, PAST, None),
            &|| {
                stores
                    .peer
                    .read_past(&windows, PAST)
                    .expect("it can be read")
            },
            &|| {
                stores
                    .sorted
                    .read_past(&windows, PAST)
                    .expect("it can be read")
            },
        ]);
        let count = sum.records;
        line(
            &format!("as-of area query, {name}"),
            count,
            &times[0],
            &times[1],
            "3",
        );
        line(
            "  the same, SQLite filled along a Z-curve",
            count,
            &times[0],
            &times[2],
            "-",
        );
    }
    stores
}

fn modifications(stores: &Stores, records: &[Footprint]) {
    let mut rng = Rng(3);
    let mut times: [Vec<f64>; 4] = Default::default();
    let count = CHANGE_BATCH * CHANGE_BATCHES;
    for repeat in 0..2 * REPEATS {
        let new: Vec<Vec<Footprint>> = (0..CHANGE_BATCHES)
            .map(|_| {
                let mut chosen = BTreeSet::new();
                while chosen.len() < CHANGE_BATCH {
                    chosen.insert(rng.below(records.len()));
                }
                let mut chosen: Vec<usize> = chosen.into_iter().collect();
                rng.shuffle(&mut chosen);
                let changed = chosen.into_iter().map(|n| records[n].changed(2 + repeat));
                changed.collect()
            })
            .collect();
        let mut from = AGAIN + 1_000_000 * i64::try_from(repeat).expect("it is small");
        let mut parts = Vec::new();
        for batch in &new {
            parts.extend(batches(batch.iter(), CHANGE_BATCH, from));
            from += 1_000;
        }
        let durable_each = repeat % 2 == 0;
        let (time, ()) = seconds(|| {
            if durable_each {
                ours::write_each(&stores.ours, &parts);
            } else {
                ours::write(&stores.ours, &parts);
            }
        });
        let mode = if durable_each {
            Synchronous::Full
        } else {
            Synchronous::Normal
        };
        let (theirs, done) = seconds(|| stores.peer.update(&parts, mode));
        done.expect("the disk works");
        let first = if durable_each { 0 } else { 2 };
        times[first].push(time);
        times[first + 1].push(theirs);
    }
    let [each, full, end, normal] = &times;
    let count = count as u64;
    line(
        "modify, 1,000 to a commit, each durable / FULL",
        count,
        each,
        full,
        "1",
    );
    line(
        "modify, 1,000 to a commit, durable at the end / NORMAL",
        count,
        end,
        normal,
        "1",
    );
    let windows = windows(records, 5_000.0, 5, 4);
    let half_way = AGAIN + 1_000_000 * i64::try_from(REPEATS).expect("it is small");
    for at in [PAST, AGAIN - 1, half_way, NOW] {
        let ours = ours::read(&stores.ours, &windows, at, None);
        let theirs = stores.peer.read_past(&windows, at).expect("it can be read");
        assert_eq!(ours, theirs, "the stores disagree at {at}");
    }
    println!(
        "  {} records modified in all; both stores agree at four moments",
        2 * REPEATS * CHANGE_BATCH * CHANGE_BATCHES
    );
}

fn main() {
    let areas_only = std::env::args().any(|arg| arg == "areas");
    let root = tempfile::tempdir().expect("a temporary directory");
    let (name, records) = footprints();
    let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
    println!(
        "{name}: {} records, {} bytes of payload each",
        records.len(),
        bytes / records.len()
    );
    if cfg!(not(feature = "rocks")) {
        println!("BlockNet's tables are IN MEMORY: these are no figures to quote");
    }
    println!("times as fast as SQLite: medians (worst to best of the repeats), BlockNet / SQLite");
    let stores = import(
        root.path(),
        &records,
        if areas_only { 1 } else { IMPORT_REPEATS },
    );
    println!("  {}", stores.peer.settings().expect("it can be read"));
    area_queries(&stores, &records);
    if areas_only {
        return;
    }
    let stores = past_queries(stores, &records);
    for step in stores.peer.plan().expect("it can be read") {
        println!("  SQLite: {step}");
    }
    modifications(&stores, &records);
    let (journal, tables) = stores.ours.disk_bytes().expect("the files are there");
    stores.peer.settle().expect("the disk works");
    println!(
        "  on disk: BlockNet {} MB (journal {}, tables {}), SQLite {} MB",
        (journal + tables) / 1_000_000,
        journal / 1_000_000,
        tables / 1_000_000,
        stores.peer.bytes().expect("it can be read") / 1_000_000,
    );
}
