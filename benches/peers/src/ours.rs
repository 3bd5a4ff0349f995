//! BlockNet.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;

use blocknet::geocode::NetSpec;
use blocknet::query::{PlanKind, Query, Selection, Window};
use blocknet::{AsOf, Assertion, Commit, Extent, LayerId, Moment, Net, Valid};

use crate::Change;
use crate::Sum;

pub(crate) fn create(dir: &Path) -> Net {
    let builder = Net::builder();
    #[cfg(not(feature = "rocks"))]
    let builder = builder.tables_in_memory();
    builder
        .create(dir, NetSpec::city())
        .expect("a new directory")
}

/// Flushes everything into the tables' files and opens them again.
pub(crate) fn reopen(net: Net) -> Net {
    let dir = net.dir().to_owned();
    net.close().expect("the disk works");
    let builder = Net::builder();
    #[cfg(not(feature = "rocks"))]
    let builder = builder.tables_in_memory();
    builder.open(dir).expect("it was closed properly")
}

fn commit_of(changes: &[Change<'_>]) -> Commit {
    let assertions = changes.iter().map(|change| {
        let extent: Extent = *change.extent;
        Assertion::state(LayerId::MAIN, change.id, extent, change.payload)
            .valid(Valid::from(Moment::from_micros(change.from)))
    });
    Commit::new("bench", assertions.collect())
}

/// Durable at the end.
pub(crate) fn write(net: &Net, batches: &[Vec<Change<'_>>]) {
    for batch in batches {
        // Not waited for: the next commit is built while others sync.
        drop(net.submit(&commit_of(batch)).expect("the commit is sound"));
    }
    net.sync().expect("the disk works");
}

/// Each batch durable before the next.
pub(crate) fn write_each(net: &Net, batches: &[Vec<Change<'_>>]) {
    for batch in batches {
        net.commit(&commit_of(batch)).expect("the commit is sound");
    }
}

fn query(window: Window, plan: Option<PlanKind>) -> Query<'static> {
    Query {
        plan,
        ..Query::from(Selection::of(window))
    }
}

/// By this plan, or the one that is chosen; records are lent, as `SQLite` lends its rows.
pub(crate) fn read(net: &Net, windows: &[Window], at: i64, plan: Option<PlanKind>) -> Sum {
    let view = net
        .view(AsOf::Newest, Moment::from_micros(at))
        .expect("it can be read");
    let mut sum = Sum::default();
    for window in windows {
        let query = query(*window, plan);
        let mut found = query.run(&view).expect("the window is sound");
        let read = found.visit(|record| {
            sum.add(record.id, record.valid.from.as_micros(), record.payload);
            ControlFlow::Continue(())
        });
        read.expect("it can be read");
    }
    sum
}

/// The same, with a record of its own built for each row.
pub(crate) fn build(net: &Net, windows: &[Window], at: i64, plan: Option<PlanKind>) -> Sum {
    let view = net
        .view(AsOf::Newest, Moment::from_micros(at))
        .expect("it can be read");
    let mut sum = Sum::default();
    for window in windows {
        let query = query(*window, plan);
        for record in query.run(&view).expect("the window is sound") {
            let record = record.expect("it can be read");
            sum.add(&record.id, record.valid.from.as_micros(), &record.payload);
        }
    }
    sum
}

/// The same through `Query::visit`, which reads large answers on two threads.
pub(crate) fn visit(net: &Net, windows: &[Window], at: i64, plan: Option<PlanKind>) -> Sum {
    let view = net
        .view(AsOf::Newest, Moment::from_micros(at))
        .expect("it can be read");
    let mut sum = Sum::default();
    for window in windows {
        query(*window, plan)
            .visit(&view, |record| {
                sum.add(record.id, record.valid.from.as_micros(), record.payload);
                ControlFlow::Continue(())
            })
            .expect("it can be read");
    }
    sum
}

/// How the windows are answered.
pub(crate) fn explain(net: &Net, windows: &[Window], at: i64) -> String {
    let view = net
        .view(AsOf::Newest, Moment::from_micros(at))
        .expect("it can be read");
    let (mut plans, mut ranges, mut read, mut returned) = (BTreeSet::new(), 0, 0, 0);
    for window in windows {
        let query = Query::from(Selection::of(*window));
        let explain = query.analyze(&view).expect("it can be read");
        plans.insert(explain.plan);
        ranges += explain.ranges.len();
        read += explain.rows_read.unwrap_or(0);
        returned += explain.rows_returned.unwrap_or(0);
    }
    let (planning, ()) = crate::seconds(|| {
        for window in windows {
            let query = Query::from(Selection::of(*window));
            black_box(query.explain(&view).expect("it can be read"));
        }
    });
    format!(
        "BlockNet: plans {plans:?}, {:.1} ranges each, rows read / returned {:.2}, planning {:.0} us each",
        ranges as f64 / windows.len() as f64,
        read as f64 / returned as f64,
        planning * 1e6 / windows.len() as f64,
    )
}
