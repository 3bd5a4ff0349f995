//! What one modification costs, counted and never timed: the same in a net of a thousand blocks and
//! in one of a million, in an empty block and a full one, for a short history and a long one; and
//! no block but the one modified gets a version. `make bench`.
//!
//! Costs are those of [`Receipt::cost`]. The program ends with exit code 1 when a goal is missed.
//! With the argument `small` it leaves out the net of a million blocks.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]

use std::collections::HashSet;
use std::process::ExitCode;

use blocknet::geocode::{Block, NetSpec};
use blocknet::{
    Assertion, BlockSet, Commit, Cost, Extent, Hash, LayerId, Moment, Net, NetGraph, Receipt,
    Ticket, Valid,
};

/// Sides of the square grids nearest to 1,000, 10,000, 100,000 and 1,000,000 blocks.
const SIDES: [u32; 4] = [32, 100, 316, 1_000];
/// Records in a commit that fills a net.
const BATCH: usize = 1_000;
/// Single commits of each kind in a grid.
const SINGLES: u32 = 1_000;
/// Blocks whose descendants are counted: for a large net each count walks over much of it.
const SAMPLE: usize = 100;
const SEED: u64 = 20_221_014;

/// South-western corner of the grids: far from the poles and from longitude 180.
const COLUMN: u32 = 134_000;
const ROW: u32 = 206_000;
/// Columns, and rows, of blocks of nine digits around the Earth.
const BLOCKS_AROUND: u32 = 1 << 18;

/// A place within a block of the grid: `x` and `y` are fractions of its sides.
fn place(column: u32, row: u32, x: f64, y: f64) -> Extent {
    let (width, height) = (
        360.0 / f64::from(BLOCKS_AROUND),
        180.0 / f64::from(BLOCKS_AROUND),
    );
    let west = -180.0 + (f64::from(COLUMN + column) + x) * width;
    let south = -90.0 + (f64::from(ROW + row) + y) * height;
    Extent::flat(west, south, west + 1e-6, south + 1e-6)
}

fn block(spec: &NetSpec, column: u32, row: u32) -> Block {
    let (column, row) = (u128::from(COLUMN + column), u128::from(ROW + row));
    spec.block_of_indices(column, row, 0)
        .expect("the grid lies on the Earth")
}

/// Version `version` of record `n`. Ids and payloads are of one length, so that only what is
/// measured differs; payloads are short, so that they hide nothing.
fn state(n: u32, extent: Extent, version: u32) -> Assertion {
    let payload = format!("{{\"id\":\"{n:010}\",\"version\":{version:010}}}");
    let from = Moment::from_micros((10_957 + i64::from(version)) * 86_400_000_000);
    Assertion::state(LayerId::MAIN, format!("{n:010}"), extent, payload).valid(Valid::from(from))
}

/// A splitmix generator: the same numbers in every run.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let below = (z ^ (z >> 31)) % u64::from(bound);
        u32::try_from(below).expect("it is below a u32")
    }

    /// `count` distinct numbers below `bound`.
    fn distinct(&mut self, count: u32, bound: u32) -> Vec<u32> {
        let (mut seen, mut numbers) = (HashSet::new(), Vec::new());
        while seen.len() < count as usize {
            let number = self.below(bound);
            if seen.insert(number) {
                numbers.push(number);
            }
        }
        numbers
    }
}

/// A net in a temporary directory, which goes with it.
struct Temporary {
    net: Net,
    // After the net, so that the net is closed first.
    _dir: tempfile::TempDir,
}

fn create() -> Temporary {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let net = Net::create(dir.path().join("net"), NetSpec::city()).expect("a new directory");
    Temporary { net, _dir: dir }
}

fn fill(net: &Net, assertions: impl Iterator<Item = Assertion>) {
    let mut assertions = assertions.peekable();
    while assertions.peek().is_some() {
        let part = assertions.by_ref().take(BATCH).collect();
        // Not waited for: the next commit is built while others sync.
        drop(
            net.submit(&Commit::new("bench", part))
                .expect("the commit is sound"),
        );
    }
    net.sync().expect("the disk works");
}

/// Writes each assertion in a commit of its own.
fn write_each(net: &Net, assertions: impl Iterator<Item = Assertion>) -> Vec<Receipt> {
    let tickets: Vec<Ticket<'_>> = assertions
        .map(|assertion| {
            net.submit(&Commit::new("bench", vec![assertion]))
                .expect("the commit is sound")
        })
        .collect();
    // All submitted first, so that they share syncs: what a commit costs is known before.
    tickets
        .into_iter()
        .map(|ticket| ticket.wait().expect("the disk works"))
        .collect()
}

/// Mean cost of a commit: rows and bytes for the key-value store, bytes of journal.
fn mean(receipts: &[Receipt]) -> [f64; 3] {
    let mut sum = Cost::default();
    for receipt in receipts {
        sum += receipt.cost;
    }
    [sum.kv_writes, sum.kv_bytes, sum.journal_bytes].map(|sum| sum as f64 / receipts.len() as f64)
}

/// The same operation in nets, blocks or histories of different sizes.
struct Series {
    what: &'static str,
    /// The greatest mean may be so many times the least.
    ratio_max: f64,
    means: Vec<[f64; 3]>,
}

impl Series {
    fn new(what: &'static str, ratio_max: f64) -> Self {
        Self {
            what,
            ratio_max,
            means: Vec::new(),
        }
    }

    /// Prints a line; its ratio is the one to the first line that is farthest from 1.
    fn add(&mut self, size: &str, receipts: &[Receipt], detail: &str) {
        let mean = mean(receipts);
        self.means.push(mean);
        let first = self.means[0];
        let ratios = std::iter::zip(mean, first).map(|(own, first)| own / first);
        let worst = ratios.fold(1.0, |worst: f64, ratio| {
            let farther = ratio.max(1.0 / ratio) > worst.max(1.0 / worst);
            if farther { ratio } else { worst }
        });
        let [rows, bytes, journal] = mean;
        let (what, goal) = (self.what, self.goal());
        let line = format!(
            "{what:<18} {size:<18} {rows:>6.2} {bytes:>9.1} {journal:>9.1} {worst:>7.3}   \
             goal {goal:<14} {detail}"
        );
        println!("{}", line.trim_end());
    }

    fn goal(&self) -> String {
        format!("within {:.0} %", (self.ratio_max - 1.0) * 100.0)
    }

    /// Prints the greatest mean over the least, and says what misses the goal.
    fn close(self, failures: &mut Vec<String>) {
        let names = ["rows", "kv bytes", "journal"];
        let ratios: Vec<f64> = (0..names.len())
            .map(|at| {
                let all = || self.means.iter().map(|mean| mean[at]);
                all().fold(0.0, f64::max) / all().fold(f64::INFINITY, f64::min)
            })
            .collect();
        let worst = ratios.iter().copied().fold(1.0, f64::max);
        println!(
            "{:<18} {:<18} {:>6.3} {:>9.3} {:>9.3} {worst:>7.3}   goal {}",
            self.what,
            "greatest / least",
            ratios[0],
            ratios[1],
            ratios[2],
            self.goal()
        );
        for (name, ratio) in names.iter().zip(ratios) {
            // The negation, so that a ratio that is no number fails too.
            if !matches!(ratio.partial_cmp(&self.ratio_max), Some(order) if order.is_le()) {
                let what = self.what;
                failures.push(format!("{what}: {name}: greatest / least is {ratio:.3}"));
            }
        }
    }
}

/// A version of a block: packed code, commit, hash. 48 bytes, since there are millions.
type Known = ([u8; 5], u64, Hash);

fn packed(block: &Block) -> [u8; 5] {
    *block
        .to_packed()
        .as_bytes()
        .first_chunk()
        .expect("nine digits take five bytes")
}

/// Hands over every version of every block, in order.
fn each_version(net: &Net, mut take: impl FnMut(Known)) {
    let view = net.now_view().expect("the tables can be read");
    let linked = view.linked(None).expect("the newest commit is there");
    for found in linked.blocks().expect("the tables can be read") {
        let (block, _) = found.expect("the tables can be read");
        let versions = linked.versions(&block).expect("the tables can be read");
        for version in versions {
            take((packed(&block), version.commit, version.hash));
        }
    }
}

/// Compares the versions of all blocks with those there `before`: each must be there still, the
/// same to the last bit, and just the versions `expected` must have come: (commit, block).
fn check_versions(
    net: &Net,
    before: &[Known],
    newest_before: u64,
    expected: &[(u64, [u8; 5])],
) -> Result<(), String> {
    let (mut old, mut same, mut new) = (before.iter(), true, Vec::new());
    each_version(net, |version| {
        if version.1 > newest_before {
            new.push((version.1, version.0));
        } else {
            same &= old.next() == Some(&version);
        }
    });
    same &= old.len() == 0;
    new.sort_unstable();
    if !same {
        Err("a version there before is gone or differs, or one came among them".into())
    } else if new != expected {
        let (found, expected) = (new.len(), expected.len());
        Err(format!(
            "the new versions are not those of the blocks written: {found} for {expected} commits"
        ))
    } else {
        Ok(())
    }
}

/// Mean and greatest number of descendants of some blocks: all that is reached along links.
fn descendants(graph: &NetGraph, blocks: &HashSet<Block>) -> (f64, u64) {
    let all = graph.blocks();
    // Of each block the last walk that saw it.
    let mut seen = vec![0_u32; all.len()];
    let (mut walk, mut sum, mut greatest) = (0, 0, 0);
    for (first, _) in all.iter().enumerate().filter(|at| blocks.contains(&at.1)) {
        walk += 1;
        seen[first] = walk;
        let (mut stack, mut count) = (vec![first], 0_u64);
        while let Some(next) = stack.pop() {
            for successor in graph.successors(next) {
                if seen[successor] != walk {
                    seen[successor] = walk;
                    count += 1;
                    stack.push(successor);
                }
            }
        }
        sum += count;
        greatest = greatest.max(count);
    }
    (sum as f64 / f64::from(walk), greatest)
}

/// The blocks that single commits wrote, with the commits' numbers.
fn written<'a>(
    receipts: &'a [Receipt],
    blocks: impl Iterator<Item = Block> + 'a,
) -> impl Iterator<Item = (u64, [u8; 5])> + 'a {
    std::iter::zip(receipts, blocks).map(|(receipt, block)| {
        let commit = receipt.commit.expect("every assertion changes something");
        (commit, packed(&block))
    })
}

/// A full grid with a record in each block: modifies some, then adds blocks along its north side.
fn grid(side: u32, modify: &mut Series, insert: &mut Series, failures: &mut Vec<String>) {
    let count = side * side;
    let Temporary { net, _dir } = &create();
    let spec = *net.spec();
    let at = |n: u32| block(&spec, n % side, n / side);
    let put = |n: u32, version: u32| state(n, place(n % side, n / side, 0.4, 0.4), version);
    net.expand(
        &BlockSet::new(&spec, (0..count).map(at)),
        &Commit::new("bench", Vec::new()),
        |_| (),
    )
    .expect("the blocks are those of an empty net");
    fill(net, (0..count).map(|n| put(n, 0)));
    let (newest, mut before) = {
        let view = net.now_view().expect("the tables can be read");
        // Each record lies in the block meant for it.
        assert_eq!(view.block_count(), u64::from(count));
        (view.newest_commit(), Vec::new())
    };
    each_version(net, |version| before.push(version));
    assert_eq!(before.len(), 2 * count as usize);

    let chosen = Rng(SEED).distinct(SINGLES, count);
    let receipts = write_each(net, chosen.iter().map(|&n| put(n, 1)));
    for receipt in &receipts {
        assert_eq!((receipt.blocks, receipt.new_blocks), (1, 0));
    }
    let mut expected: Vec<_> = written(&receipts, chosen.iter().map(|&n| at(n))).collect();
    if let Err(why) = check_versions(net, &before, newest, &expected) {
        failures.push(format!("{count} blocks, modifications: {why}"));
    }
    let sample = chosen.iter().take(SAMPLE).map(|&n| at(n)).collect();
    let graph = {
        let view = net.now_view().expect("the tables can be read");
        let linked = view.linked(None).expect("the newest commit is there");
        linked.graph().expect("the tables can be read")
    };
    let (mean, greatest) = descendants(&graph, &sample);
    drop(graph);
    let blocks = format!("{count} blocks");
    modify.add(
        &blocks,
        &receipts,
        &format!("versions made 1, a cascade {mean:.1} more (greatest {greatest})"),
    );

    // Numbers go on row by row, so the new blocks do too.
    let new = count..count + SINGLES;
    let receipts = write_each(net, new.clone().map(|n| put(n, 0)));
    for receipt in &receipts {
        assert_eq!((receipt.blocks, receipt.new_blocks), (1, 1));
    }
    expected.extend(written(&receipts, new.map(at)));
    if let Err(why) = check_versions(net, &before, newest, &expected) {
        failures.push(format!("{count} blocks, insertions: {why}"));
    }
    insert.add(&blocks, &receipts, "versions made 1");
}

/// One block with so many records: modifies a hundred, chosen at random with repetition.
fn full_block(records: u32, modify: &mut Series) {
    let Temporary { net, _dir } = &create();
    let put = |n: u32, version: u32| {
        let (x, y) = (f64::from(n % 400) / 400.0, f64::from(n / 400) / 250.0);
        state(n, place(0, 0, 0.1 + 0.8 * x, 0.1 + 0.8 * y), version)
    };
    fill(net, (0..records).map(|n| put(n, 0)));
    let mut rng = Rng(SEED);
    let receipts = write_each(net, (1..=100).map(|round| put(rng.below(records), round)));
    for receipt in &receipts {
        assert_eq!((receipt.blocks, receipt.new_blocks), (1, 0));
    }
    modify.add(&format!("{records} records"), &receipts, "");
}

/// One entity: what its next version costs after so many.
fn long_history(modify: &mut Series) {
    let Temporary { net, _dir } = &create();
    let put = |version: u32| state(0, place(0, 0, 0.4, 0.4), version);
    let mut versions = 0;
    for length in [1, 10, 100, 1_000, 10_000, 100_000] {
        fill(net, (versions..length).map(put));
        let receipts = write_each(net, std::iter::once(put(length)));
        versions = length + 1;
        modify.add(&format!("{length} versions"), &receipts, "");
    }
}

fn main() -> ExitCode {
    let small = std::env::args().any(|arg| arg == "small");
    let mut failures = Vec::new();
    println!("seed {SEED}; means of {SINGLES} single commits in a grid, of 100 in one block");
    println!(
        "Beside a modification: the versions it makes, and the descendants that a chain of hashes \
         through the net would rewrite too:\nmean and maximum of a random sample of {SAMPLE} of \
         the blocks modified, counted in the links as they are."
    );
    println!(
        "{:<18} {:<18} {:>6} {:>9} {:>9} {:>7}",
        "what", "in", "rows", "kv bytes", "journal", "ratio"
    );
    let mut modify = Series::new("modify a record", 1.05);
    let mut insert = Series::new("insert a block", 1.05);
    for side in SIDES {
        if !small || side < 1_000 {
            grid(side, &mut modify, &mut insert, &mut failures);
        }
    }
    modify.close(&mut failures);
    insert.close(&mut failures);
    let mut modify = Series::new("modify a record", 1.10);
    for records in [10, 1_000, 100_000] {
        full_block(records, &mut modify);
    }
    modify.close(&mut failures);
    let mut modify = Series::new("modify a record", 1.10);
    long_history(&mut modify);
    modify.close(&mut failures);
    if failures.is_empty() {
        println!("all goals met; every block version there before is there, bit by bit the same");
        return ExitCode::SUCCESS;
    }
    for failure in failures {
        println!("missed: {failure}");
    }
    ExitCode::FAILURE
}
