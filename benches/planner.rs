//! The planner on real and synthetic cities: waste, estimates, the choice of plans, and the rate
//! of area queries against a plain RocksDB iterator over the same ranges: `make bench`.
//!
//! The real city is New York in `../shared/data` beside the project; without it the synthetic one
//! stands in, and the output says so. Arguments name the parts to run (`windows`, `estimates`,
//! `nearest`, `rates`, `city`), all without one; `quick` makes the synthetic city small.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small and positive"
)]

use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use blocknet::geocode::{NetSpec, Position};
use blocknet::query::{Circle, Order, PlanKind, Polygon, Query, Selection, Window};
use blocknet::{AsOf, Assertion, Commit, Extent, LayerId, Moment, Net, RecordRef, Settings, View};

const BATCH: usize = 2_000;

/// `SplitMix64`.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Roughly normal.
    fn bell(&mut self) -> f64 {
        (0..6).map(|_| self.unit()).sum::<f64>() - 3.0
    }
}

/// The footprints of New York that the library traced from old maps, as (id, extent, feature).
fn new_york() -> Option<Vec<(String, Extent, String)>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let mut found = Vec::new();
    for name in [
        "1857",
        "downtown_1894",
        "eastvillage_1903",
        "midtowneast_1890",
    ] {
        let path = dir.join(format!("nypl_manhattan_{name}.geojsonl.gz"));
        let file = std::fs::File::open(path).ok()?;
        for line in BufReader::new(flate2::read::GzDecoder::new(file)).lines() {
            let line = line.ok()?;
            let feature: serde_json::Value = serde_json::from_str(&line).ok()?;
            let mut extent = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
            widen(&mut extent, &feature["geometry"]["coordinates"]);
            let [west, south, east, north] = extent;
            if west <= east {
                let extent = Extent::flat(west, south, east, north);
                found.push((format!("{name}-{}", found.len()), extent, line));
            }
        }
    }
    Some(found)
}

fn widen(extent: &mut [f64; 4], coordinates: &serde_json::Value) {
    let Some(list) = coordinates.as_array() else {
        return;
    };
    if let (Some(x), Some(y)) = (
        list.first().and_then(serde_json::Value::as_f64),
        list.get(1).and_then(serde_json::Value::as_f64),
    ) {
        *extent = [
            extent[0].min(x),
            extent[1].min(y),
            extent[2].max(x),
            extent[3].max(y),
        ];
        return;
    }
    for part in list {
        widen(extent, part);
    }
}

/// A city of storeys, each a record: buildings in clusters, 20 km across, most of them low.
fn city(records: usize) -> Vec<(String, Extent, String)> {
    let mut rng = Rng(7);
    let centres: Vec<(f64, f64)> = (0..200)
        .map(|_| (4.7 + 0.29 * rng.unit(), 52.3 + 0.18 * rng.unit()))
        .collect();
    let mut found = Vec::with_capacity(records);
    let mut building = 0;
    while found.len() < records {
        let (x, y) = if rng.below(3) == 0 {
            (4.7 + 0.29 * rng.unit(), 52.3 + 0.18 * rng.unit())
        } else {
            let (x, y) = centres[usize::try_from(rng.below(200)).expect("it is small")];
            (x + 0.009 * rng.bell(), y + 0.0055 * rng.bell())
        };
        let side = 1.0e-4 * (0.6 + rng.unit());
        let storeys = 1
            + usize::try_from(rng.below(3)).expect("it is small")
            + if rng.below(8) == 0 {
                (30.0 * rng.unit() * rng.unit()) as usize
            } else {
                0
            };
        for storey in 0..storeys {
            let floor = 3.0 * storey as f64;
            let extent = Extent::flat(x, y, x + side, y + side * 0.6).between(floor, floor + 2.8);
            let id = format!("{building:07}-{storey:02}");
            let payload = format!(
                "{{\"type\":\"Feature\",\"properties\":{{\"unit\":\"{id}\",\"use\":\"dwelling\",\
                 \"area\":{},\"source\":\"synthetic register\"}},\"geometry\":null}}",
                rng.below(200)
            );
            found.push((id, extent, payload));
        }
        building += 1;
    }
    found.truncate(records);
    found
}

fn fill(dir: &Path, records: &[(String, Extent, String)]) -> Net {
    let net = Net::create(dir, NetSpec::city()).expect("a new directory");
    for part in records.chunks(BATCH) {
        let states = part.iter().map(|(id, extent, payload)| {
            Assertion::state(LayerId::MAIN, id.clone(), *extent, payload.clone())
        });
        let commit = Commit::new("bench", states.collect());
        drop(net.submit(&commit).expect("the commit is sound"));
    }
    net.sync().expect("the disk works");
    net.close().expect("the disk works");
    Net::open(dir).expect("it was closed properly")
}

/// A window of so many metres around a place.
fn window(x: f64, y: f64, metres: f64) -> Window {
    let high = metres / 111_200.0 / 2.0;
    let wide = high / y.to_radians().cos();
    Window::flat(x - wide, y - high, x + wide, y + high)
}

fn percentiles(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
    format!(
        "5 % {:.2}, median {:.2}, 90 % {:.2}, 99 % {:.2}, worst {:.2}",
        at(0.05),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    )
}

fn place(rng: &mut Rng, records: &[(String, Extent, String)]) -> (f64, f64) {
    let index = usize::try_from(rng.below(records.len() as u64)).expect("it fits");
    let extent = records[index].1;
    (extent.west, extent.south)
}

/// Waste and estimates of 500 m windows.
fn windows(view: &View<'_>, records: &[(String, Extent, String)]) {
    for plan in [None, Some(PlanKind::Ranges), Some(PlanKind::Skip)] {
        let mut rng = Rng(1);
        let (mut read, mut returned, mut ranges) = (0, 0, 0);
        let mut estimates = Vec::new();
        let mut within = 0;
        for _ in 0..1_000 {
            let (x, y) = place(&mut rng, records);
            let query = Query {
                plan,
                ..Query::from(Selection::of(window(x, y, 500.0)))
            };
            let explain = query.analyze(view).expect("it can be read");
            let rows = explain.rows_read.unwrap_or(0);
            read += rows;
            returned += explain.rows_returned.unwrap_or(0);
            ranges += explain.ranges.len();
            let ratio = explain.rows_estimated.max(1.0) / (rows as f64).max(1.0);
            within += u32::from((0.5..=2.0).contains(&ratio));
            estimates.push(ratio);
        }
        println!(
            "500 m windows, plan {:<7} rows read / returned {:.3} (goal 1.4), {:.1} ranges each",
            plan.map_or("chosen", PlanKind::name),
            read as f64 / returned as f64,
            ranges as f64 / 1_000.0
        );
        println!(
            "  rows estimated / read: {:.1} % within a factor of 2 (goal 90 %); {}",
            f64::from(within) / 10.0,
            percentiles(estimates)
        );
    }
}

/// Windows of all sizes: how well rows are estimated.
fn estimates(view: &View<'_>, records: &[(String, Extent, String)]) {
    let mut rng = Rng(2);
    let mut ratios = Vec::new();
    let mut within = 0;
    for _ in 0..1_000 {
        let (x, y) = place(&mut rng, records);
        let metres = 30.0 * 10_f64.powf(2.5 * rng.unit());
        let query = Query::from(Selection::of(window(x, y, metres)));
        let explain = query.analyze(view).expect("it can be read");
        let rows = explain.rows_read.unwrap_or(0) as f64;
        let ratio = explain.rows_estimated.max(1.0) / rows.max(1.0);
        within += u32::from((0.5..=2.0).contains(&ratio));
        ratios.push(ratio);
    }
    println!(
        "windows of 30 m to 10 km, rows estimated / read: {:.1} % within a factor of 2; {}",
        f64::from(within) / 10.0,
        percentiles(ratios)
    );
}

/// Thin slabs of altitude against the same window at all altitudes.
fn slabs(view: &View<'_>, records: &[(String, Extent, String)]) {
    let mut rng = Rng(3);
    let mut sums = [[0_u64; 4]; 2];
    let mut times = [Duration::ZERO; 2];
    for _ in 0..300 {
        let (x, y) = place(&mut rng, records);
        let flat = Selection::of(window(x, y, 500.0));
        let thin = flat.clone().between(45.0, 55.0);
        for (case, selection) in [flat, thin].into_iter().enumerate() {
            let query = Query::from(selection);
            let explain = query.analyze(view).expect("it can be read");
            sums[case][0] += explain.rows_read.unwrap_or(0);
            sums[case][1] += explain.seeks.unwrap_or(0);
            sums[case][2] += explain.rows_returned.unwrap_or(0);
            let start = Instant::now();
            let found = query.run(view).expect("it can be read").count();
            times[case] += start.elapsed();
            sums[case][3] += found as u64;
        }
    }
    for (name, sums) in ["500 m window", "the same, 45 to 55 m"].iter().zip(sums) {
        println!(
            "{name}: rows read {:.0}, seeks {:.1}, returned {:.0}",
            sums[0] as f64 / 300.0,
            sums[1] as f64 / 300.0,
            sums[2] as f64 / 300.0
        );
    }
    let cost = |sums: [u64; 4]| sums[0] as f64 + 25.0 * sums[1] as f64;
    println!(
        "thin slab / window: cost (rows + 25 seeks) {:.3}, time {:.3} (goal 0.2)",
        cost(sums[1]) / cost(sums[0]),
        times[1].as_secs_f64() / times[0].as_secs_f64()
    );
}

/// The chosen plan against the best of all, by measured time.
fn choices(view: &View<'_>, past: &View<'_>, records: &[(String, Extent, String)]) {
    let mut rng = Rng(4);
    let mut ratios = Vec::new();
    let mut worst: Vec<(f64, String)> = Vec::new();
    let mut right = 0;
    for number in 0..400 {
        let (x, y) = place(&mut rng, records);
        let metres = 30.0 * 10_f64.powf(2.2 * rng.unit());
        let degrees = metres / 111_200.0;
        let selection = match number % 5 {
            1 => Selection::of(Circle::new((x, y), metres / 2.0)),
            2 => Selection::of(
                Polygon::new(vec![vec![vec![
                    (x, y),
                    (x + degrees, y + 0.2 * degrees),
                    (x + 0.3 * degrees, y + 0.8 * degrees),
                ]]])
                .expect("a triangle"),
            ),
            3 => Selection::of(window(x, y, metres)).between(20.0, 30.0),
            _ => Selection::of(window(x, y, metres)),
        };
        let view = if number % 5 == 4 { past } else { view };
        let time = |plan: Option<PlanKind>| {
            let query = Query {
                plan,
                ..Query::from(selection.clone())
            };
            let mut best = f64::MAX;
            for _ in 0..3 {
                let start = Instant::now();
                let found = query.run(view).expect("it can be read");
                let count = found.count();
                best = best.min(start.elapsed().as_secs_f64() + 0.0 * count as f64);
            }
            best
        };
        let chosen = time(None);
        let others = [PlanKind::Ranges, PlanKind::Skip].map(|plan| (time(Some(plan)), plan));
        let (best, name) = others
            .into_iter()
            .fold((chosen, None), |best, (time, plan)| {
                if time < best.0 {
                    (time, Some(plan))
                } else {
                    best
                }
            });
        let ratio = chosen / best;
        ratios.push(ratio);
        right += u32::from(ratio < 1.1);
        let explain = Query::from(selection.clone())
            .analyze(view)
            .expect("it can be read");
        worst.push((
            ratio,
            format!(
                "{ratio:.2} times the best: chose {}, best {}, {:.0} us; {:.0} m, rows estimated {:.0}, read {}, seeks {}, {}",
                explain.plan,
                name.map_or(explain.plan, PlanKind::name),
                chosen * 1e6,
                metres,
                explain.rows_estimated,
                explain.rows_read.unwrap_or(0),
                explain.seeks.unwrap_or(0),
                ["window", "circle", "polygon", "slab", "window in the past"][number % 5]
            ),
        ));
    }
    println!(
        "chosen plan / best of all, time: {:.1} % within 1.1; {}",
        f64::from(right) / 4.0,
        percentiles(ratios)
    );
    worst.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, text) in worst.iter().take(6) {
        println!("  {text}");
    }
}

fn nearest(view: &View<'_>, records: &[(String, Extent, String)]) {
    for k in [1, 10, 100] {
        let mut rng = Rng(5);
        let (mut rows, start) = (0, Instant::now());
        for _ in 0..300 {
            let (x, y) = place(&mut rng, records);
            let place = Position {
                longitude: x + 0.001,
                latitude: y + 0.001,
                altitude: None,
            };
            let query = Query::from(Selection::default())
                .ordered(Order::Distance(place))
                .limited(k);
            let mut found = query.run(view).expect("it can be read");
            assert_eq!(found.by_ref().count() as u64, k);
            rows += found.rows_read();
        }
        println!(
            "{k} nearest: {:.0} us and {:.1} rows read for each record",
            start.elapsed().as_secs_f64() * 1e6 / 300.0,
            rows as f64 / (300 * k) as f64
        );
    }
}

/// The tables as `RocksDB` alone opens them, with a cache as large as ours.
fn plain(dir: &Path) -> rocksdb::DB {
    let mut options = rocksdb::Options::default();
    let mut blocks = rocksdb::BlockBasedOptions::default();
    blocks.set_block_cache(&rocksdb::Cache::new_lru_cache(256 << 20));
    options.set_block_based_table_factory(&blocks);
    let dir = dir.join("tables");
    let names = rocksdb::DB::list_cf(&options, &dir).expect("the store is there");
    let families = names
        .iter()
        .map(|name| rocksdb::ColumnFamilyDescriptor::new(name, options.clone()));
    rocksdb::DB::open_cf_descriptors_read_only(&rocksdb::Options::default(), &dir, families, false)
        .expect("the store is there")
}

/// Looks at the rows of ranges and returns how many there are.
fn iterate(db: &rocksdb::DB, ranges: &[(Vec<u8>, Vec<u8>)]) -> u64 {
    let family = db.cf_handle("records").expect("the table is there");
    let mut rows = 0;
    for (from, to) in ranges {
        let mut reading = rocksdb::ReadOptions::default();
        reading.set_iterate_upper_bound(to.clone());
        let mut iterator = db.raw_iterator_cf_opt(family, reading);
        iterator.seek(from);
        while let Some((key, value)) = iterator.item() {
            rows += 1;
            std::hint::black_box(key.len() + value.len());
            iterator.next();
        }
    }
    rows
}

/// Gets by id, with the cache of the defaults and with one that holds next to nothing.
fn gets(dir: &Path, records: &[(String, Extent, String)], valid: Moment) {
    for cache in [Settings::default().block_cache_len_bytes, 1 << 20] {
        let settings = Settings {
            block_cache_len_bytes: cache,
            ..Settings::default()
        };
        let net = Net::builder().settings(settings).open_read_only(dir);
        let net = net.expect("it was closed properly");
        let view = net.view(AsOf::Newest, valid).expect("it can be read");
        let mut best = f64::MAX;
        for _ in 0..4 {
            let mut rng = Rng(8);
            let start = Instant::now();
            for _ in 0..10_000 {
                let index = usize::try_from(rng.below(records.len() as u64)).expect("it fits");
                let found = view.get(LayerId::MAIN, &records[index].0);
                assert!(found.expect("it can be read").is_some());
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!(
            "get by id, {} MiB of cache: {:.1} us",
            cache >> 20,
            best * 100.0
        );
    }
}

/// Area queries against a plain iterator over the same ranges of the same files, by turns.
fn rates(dir: &Path, net: Net, records: &[(String, Extent, String)], valid: Moment) {
    net.close().expect("the disk works");
    let net = Net::open_read_only(dir).expect("it was closed properly");
    let view = net.view(AsOf::Newest, valid).expect("it can be read");
    let db = plain(dir);
    for (name, metres, count) in [
        ("500 m windows", 500.0, 200),
        ("5 km windows", 5_000.0, 5),
        ("everything", f64::INFINITY, 5),
    ] {
        let mut rng = Rng(6);
        let queries: Vec<Query<'_>> = (0..count)
            .map(|_| {
                let (x, y) = place(&mut rng, records);
                Query::from(if metres.is_finite() {
                    Selection::of(window(x, y, metres))
                } else {
                    Selection::default()
                })
                .by(PlanKind::Ranges)
            })
            .collect();
        let mut ranges = Vec::new();
        for query in &queries {
            let explain = query.analyze(&view).expect("it can be read");
            ranges.extend(explain.ranges.into_iter().map(|range| {
                let mut to = bytes(&range.to);
                to.extend([0xff; 41]);
                (bytes(&range.from), to)
            }));
        }
        let rows = std::cell::Cell::new(0);
        let look = |record: &RecordRef<'_>| {
            std::hint::black_box((record.id.len(), record.payload.len()));
            ControlFlow::Continue(())
        };
        let each = |answer: &dyn Fn(&Query<'_>)| queries.iter().for_each(answer);
        let ways: [&dyn Fn(); 6] = [
            &|| rows.set(iterate(&db, &ranges)),
            &|| {
                each(&|query| {
                    let mut found = query.run(&view).expect("it can be read");
                    found.visit(look).expect("it can be read");
                });
            },
            &|| {
                each(&|query| {
                    query.visit(&view, look).expect("it can be read");
                });
            },
            &|| {
                each(&|query| {
                    for record in query.run(&view).expect("it can be read") {
                        std::hint::black_box(record.expect("it can be read").payload.len());
                    }
                });
            },
            &|| {
                each(&|query| {
                    std::hint::black_box(query.count(&view).expect("it can be read").records);
                });
            },
            &|| {
                each(&|query| {
                    std::hint::black_box(query.explain(&view).expect("it can be read"));
                });
            },
        ];
        let mut best = [f64::MAX; 6];
        for _ in 0..7 {
            for (way, best) in ways.iter().zip(&mut best) {
                let start = Instant::now();
                way();
                *best = best.min(start.elapsed().as_secs_f64());
            }
        }
        let [plain, lent, two, built, counted, planning] = best;
        let rows = rows.get();
        println!(
            "{name}: plain iterator {:.0} rows/s; times as fast: records lent {:.2} (goal 0.7), \
             lent on two threads {:.2}, built {:.2}, counted {:.2}; planning {:.0} us each; \
             {rows} rows",
            rows as f64 / plain,
            plain / lent,
            plain / two,
            plain / built,
            plain / counted,
            planning * 1e6 / f64::from(count)
        );
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).expect("hexadecimal"))
        .collect()
}

fn main() {
    // Cargo adds options of its own.
    let parts: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let quick = parts.iter().any(|part| part == "quick");
    let all = parts.iter().all(|part| part == "quick");
    let runs = |part: &str| all || parts.iter().any(|name| name == part);
    let root = tempfile::tempdir().expect("a temporary directory");
    let valid = Moment::from_micros(4_000_000_000_000_000);
    let (name, records) = match new_york() {
        Some(records) => ("New York", records),
        None => ("no real data found; synthetic city", city(100_000)),
    };
    let dir = root.path().join("real");
    let net = fill(&dir, &records);
    println!("{name}: {} records", records.len());
    {
        let view = net.view(AsOf::Newest, valid).expect("it can be read");
        println!(
            "costs measured: {:?}",
            view.costs().expect("it can be read")
        );
        if runs("windows") {
            windows(&view, &records);
        }
        if runs("estimates") {
            estimates(&view, &records);
        }
        if runs("nearest") {
            nearest(&view, &records);
        }
    }
    if runs("rates") {
        rates(&dir, net, &records, valid);
        gets(&dir, &records, valid);
    }
    if !runs("city") {
        return;
    }

    let records = city(if quick { 100_000 } else { 1_000_000 });
    let dir = root.path().join("city");
    let start = Instant::now();
    let net = fill(&dir, &records);
    println!(
        "\nsynthetic city: {} storeys, filled in {:.1} s",
        records.len(),
        start.elapsed().as_secs_f64()
    );
    // A tenth has changed since, so that a view of the past reads history.
    let now = Moment::from_micros(3_000_000_000_000_000);
    for part in records.chunks(20 * BATCH) {
        let states = part.iter().step_by(10).map(|(id, extent, payload)| {
            Assertion::state(LayerId::MAIN, id.clone(), *extent, format!("{payload} "))
                .valid(blocknet::Valid::from(now))
        });
        let commit = Commit::new("bench", states.collect());
        net.commit(&commit).expect("the commit is sound");
    }
    let view = net.view(AsOf::Newest, valid).expect("it can be read");
    let past = net
        .view(AsOf::Newest, Moment::from_micros(2_000_000_000_000_000))
        .expect("it can be read");
    println!(
        "costs measured: {:?}",
        view.costs().expect("it can be read")
    );
    slabs(&view, &records);
    estimates(&view, &records);
    choices(&view, &past, &records);
    nearest(&view, &records);
}
