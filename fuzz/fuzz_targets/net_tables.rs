//! Tables with rows changed, removed and put under other keys, and a view of them: whatever it is
//! asked, it gives an answer or an error.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use blocknet_engine::{AsOf, Interval, LayerId, Moment, fuzzing};
use blocknet_fuzz::{Change, DAY, NOON, Told, create, second, spec, tell};
use blocknet_geocode::Cell;
use blocknet_query::{Axis, ByteCompare, Selection, Span, Window};
use blocknet_wal::MemEnv;
use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    changes: Vec<(u16, Row)>,
    as_of: u8,
    days: i8,
}

#[derive(Arbitrary, Debug)]
enum Row {
    Value(Change),
    Key(Change),
    Gone,
    /// The value of another row stands here.
    Like(u16),
}

type Rows = Vec<(u8, Vec<u8>, Vec<u8>)>;

/// The rows of a net with a history, always the same.
static ROWS: LazyLock<Rows> = LazyLock::new(|| {
    let net = create(&MemEnv::new(5), spec(0));
    let mut seed = 1_u32;
    let bytes: Vec<u8> = (0..2_000)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        })
        .collect();
    let mut source = Unstructured::new(&bytes);
    for _ in 0..12 {
        let told = <[Told; 4]>::arbitrary(&mut source).expect("enough bytes");
        tell(&net, &told);
    }
    let view = net.now_view().expect("undamaged");
    fuzzing::rows(&view).expect("undamaged")
});

fuzz_target!(|input: Input| {
    let mut rows = ROWS.clone();
    for (index, change) in input.changes.iter().take(4) {
        let count = rows.len();
        let index = usize::from(*index) % count;
        match change {
            Row::Value(change) => change.apply(&mut rows[index].2),
            Row::Key(change) => change.apply(&mut rows[index].1),
            Row::Gone => {
                rows.swap_remove(index);
            }
            Row::Like(other) => {
                let value = rows[usize::from(*other) % count].2.clone();
                rows[index].2 = value;
            }
        }
    }
    let valid = Moment::from_micros(NOON + i64::from(input.days) * DAY);
    let as_of = match input.as_of {
        0 => AsOf::Newest,
        commit @ 1..=100 => AsOf::Commit(commit.into()),
        days => AsOf::Recorded(Moment::from_micros(NOON + i64::from(days) * DAY)),
    };
    let untouched = input.changes.is_empty();
    let opened = fuzzing::with_view(&spec(0), &rows, (as_of, valid), |view| {
        for layer in [LayerId::MAIN, second()] {
            for id in ["e0", "e3", "e7", "unknown"] {
                let _ = view.get(layer, id);
                let _ = view.history(layer, id);
                let _ = view.timeline(layer, id, Interval::ALL);
                let _ = view.steps(layer, id, 0, u64::MAX);
            }
        }
        let window = Window::flat(4.0, 52.0, 5.0, 53.0);
        let selection = Selection::of(window).between(-10.0, 100.0);
        if let Ok(found) = blocknet_query::search(view, &selection) {
            let count = found.filter(|record| record.is_ok()).take(1_000).count();
            assert!(count <= 16, "each entity at most once");
        }
        let selection = Selection::of(window);
        for axis in [Axis::Valid, Axis::Recorded] {
            let span = Span {
                from: Moment::from_micros(NOON - 300 * DAY),
                to: Moment::from_micros(NOON + 300 * DAY),
                axis,
            };
            let _ = blocknet_query::replay(view, &selection, span, &ByteCompare);
            let _ = blocknet_query::transients(view, &selection, span, &ByteCompare);
        }
        if let Ok(stays) = blocknet_query::stays(view, &selection, Interval::ALL) {
            stays.take(1_000).for_each(drop);
        }
        if let Ok(found) = view.in_cell(&Cell::ROOT) {
            found.take(1_000).for_each(drop);
        }
        if let Ok(linked) = view.linked(None) {
            let _ = linked.stats();
            if let Ok(blocks) = linked.blocks() {
                for (block, _) in blocks.take(20).flatten() {
                    let _ = linked.supervision(&block);
                    let _ = linked.safety(&block);
                    let _ = linked.versions(&block);
                }
            }
        }
        for number in [0, 1, 5, u64::MAX] {
            let _ = view.commit(number);
        }
    });
    assert!(opened.is_ok() || !untouched);
});
