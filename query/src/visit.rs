//! Large answers on two threads, in the same order as on one.
//!
//! The key ranges are cut where zones end, into parts of about equal numbers of rows. One thread
//! reads every other part and hands its records over in batches through a channel that holds a
//! few; the caller's thread reads the rest, and visits all in order. So no more than a few batches
//! are ever in memory, and a caller that stops makes both stop.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use blocknet_engine::{
    LayerId, PlaceRange, Record, RecordRef, Result, ScanRange, View, zone_depths,
};
use blocknet_geocode::{Cell, StoredCode};

use crate::area::Target;
use crate::cover::rows_of;
use crate::plan::{Plan, PlanKind};
use crate::search::{Count, Order, Query, scan};

/// Below so many rows a second thread is not started: it would cost more than it reads.
const ROWS_MIN: f64 = 20_000.0;
/// Rows in a part.
const PART_ROWS: u64 = 2_048;
/// Zones read to cut one range.
const ZONES_MAX: usize = 4_096;
/// Records in a batch, and batches under way: a whole part, so that one thread can finish a part
/// while the other reads the one before it.
const BATCH: usize = 256;
const BATCHES: usize = 10;

enum Message {
    Batch(Vec<Record>),
    /// The part is read to its end.
    End,
    Failed(blocknet_engine::Error),
}

type Visitor<'f> = dyn FnMut(&RecordRef<'_>) -> ControlFlow<()> + 'f;

/// What both threads need to know to read.
#[derive(Clone)]
struct Reading<'q> {
    target: Target,
    layers: Option<&'q [LayerId]>,
    id: Option<&'q str>,
}

impl Query<'_> {
    /// Answers the query by lending each record to `visit`, in order, until that says to stop. A
    /// large answer in stored order is read by a second thread as well.
    ///
    /// # Errors
    /// As for [`Query::run`].
    ///
    /// # Cost
    /// As for [`crate::Search::visit`]; with two threads, about 2,500 records in memory.
    pub fn visit(
        &self,
        view: &View<'_>,
        mut visit: impl FnMut(&RecordRef<'_>) -> ControlFlow<()>,
    ) -> Result<Count> {
        self.visit_in_parts(view, ROWS_MIN, PART_ROWS, &mut visit)
    }

    /// As [`Query::visit`], on two threads from `rows_min` rows on, in parts of `part_rows`.
    pub(crate) fn visit_in_parts(
        &self,
        view: &View<'_>,
        rows_min: f64,
        part_rows: u64,
        visit: &mut Visitor<'_>,
    ) -> Result<Count> {
        let mut count = Count::default();
        let mut take = |record: &RecordRef<'_>| {
            count.unknown_height += u64::from(self.selection.leaves_open(record));
            count.records += 1;
            visit(record)
        };
        let mut found = if self.order == Order::Stored && self.limit.is_none() {
            self.selection.check(view.spec())?;
            let target = self.selection.target(view.spec());
            let plan = self.plan(view, &target)?;
            let in_ranges = matches!(plan.kind, PlanKind::Ranges | PlanKind::Scan);
            if in_ranges && plan.rows() >= rows_min {
                let parts = parts(view, &plan, part_rows)?;
                let reading = Reading {
                    target,
                    layers: self.selection.layers,
                    id: self.selection.id,
                };
                self.on_two_threads(view, &reading, &parts, &mut take)?;
                return Ok(count);
            }
            self.start_planned(view, target, plan, None)?
        } else {
            self.start(view, None)?
        };
        found.visit(take)?;
        Ok(count)
    }

    fn on_two_threads(
        &self,
        view: &View<'_>,
        reading: &Reading<'_>,
        parts: &[ScanRange],
        take: &mut Visitor<'_>,
    ) -> Result<()> {
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(BATCHES);
            let second = reading.clone();
            scope.spawn(move || {
                for part in parts.iter().skip(1).step_by(2) {
                    if send_part(view, &second, part, &sender).is_break() {
                        return;
                    }
                }
            });
            // Whatever ends this loop drops the receiver, which ends the thread.
            for (index, part) in parts.iter().enumerate() {
                let go_on = if index % 2 == 0 {
                    self.read_part(view, reading, part, take)?
                } else {
                    self.receive_part(&receiver, take)?
                };
                if go_on.is_break() {
                    break;
                }
            }
            drop(receiver);
            Ok(())
        })
    }

    fn read_part(
        &self,
        view: &View<'_>,
        reading: &Reading<'_>,
        part: &ScanRange,
        take: &mut Visitor<'_>,
    ) -> Result<ControlFlow<()>> {
        reading.scan(view, part).visit(&mut |_, record| {
            if self.selection.passes(record) {
                take(record)
            } else {
                ControlFlow::Continue(())
            }
        })
    }

    fn receive_part(
        &self,
        receiver: &Receiver<Message>,
        take: &mut Visitor<'_>,
    ) -> Result<ControlFlow<()>> {
        loop {
            match receiver.recv() {
                Ok(Message::Batch(batch)) => {
                    for record in &batch {
                        let record = record.lend();
                        if self.selection.passes(&record) && take(&record).is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                }
                Ok(Message::End) => return Ok(ControlFlow::Continue(())),
                Ok(Message::Failed(error)) => return Err(error),
                // The thread sends an end for every part, or an error, or panicked: the scope
                // passes its panic on.
                Err(_) => return Ok(ControlFlow::Break(())),
            }
        }
    }
}

impl Reading<'_> {
    fn scan<'v, 'a>(&self, view: &'v View<'a>, part: &ScanRange) -> blocknet_engine::Scan<'v, 'a>
    where
        Self: 'v,
    {
        let ranges = vec![part.clone()];
        scan(
            view,
            self.layers,
            self.id,
            self.target.clone(),
            ranges,
            None,
        )
    }
}

/// Reads a part and sends it; breaks when nobody listens any more or reading failed.
fn send_part(
    view: &View<'_>,
    reading: &Reading<'_>,
    part: &ScanRange,
    sender: &SyncSender<Message>,
) -> ControlFlow<()> {
    let send = |message| match sender.send(message) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    };
    let mut batch = Vec::with_capacity(BATCH);
    let read = reading.scan(view, part).visit(&mut |_, record| {
        batch.push(record.to_record());
        if batch.len() < BATCH {
            return ControlFlow::Continue(());
        }
        let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
        send(Message::Batch(full))
    });
    match read {
        Ok(seen) => seen?,
        Err(error) => {
            _ = send(Message::Failed(error));
            return ControlFlow::Break(());
        }
    }
    send(Message::Batch(batch))?;
    send(Message::End)
}

/// The ranges of a plan cut into parts of about `part_rows` rows.
fn parts(view: &View<'_>, plan: &Plan, part_rows: u64) -> Result<Vec<ScanRange>> {
    let mut parts = Vec::new();
    for planned in &plan.ranges {
        if planned.rows <= 2.0 * rows_of(part_rows) {
            parts.push(planned.range.clone());
        } else {
            cut(view, &planned.range, part_rows, planned.rows, &mut parts)?;
        }
    }
    Ok(parts)
}

/// Cuts a range behind zones, at the coarsest depth at which they are small enough.
fn cut(
    view: &View<'_>,
    range: &ScanRange,
    part_rows: u64,
    rows: f64,
    parts: &mut Vec<ScanRange>,
) -> Result<()> {
    let PlaceRange { level, low, high } = range.places;
    let depths: Vec<u8> = zone_depths(level).collect();
    let enough = 4.0 * rows / rows_of(part_rows);
    let mut zones = Vec::new();
    for depth in depths.into_iter().rev() {
        let (Some(first), Some(last)) = (cell_of(&low, depth), cell_of(&high, depth)) else {
            break;
        };
        let found = view.zones(level, depth, (&first, &last), ZONES_MAX + 1)?;
        if found.len() > ZONES_MAX {
            break;
        }
        zones = found;
        if rows_of(zones.len() as u64) >= enough {
            break;
        }
    }
    // Nothing is filed between the end of one zone and the start of the next.
    let (mut start, mut sum) = (low, 0);
    for pair in zones.windows(2) {
        sum += pair[0].rows.live + pair[0].rows.past;
        if sum < part_rows {
            continue;
        }
        let (_, end) = view
            .spec()
            .stored_range(&pair[0].cell, &pair[0].cell, level)?;
        let (next, _) = view
            .spec()
            .stored_range(&pair[1].cell, &pair[1].cell, level)?;
        parts.push(ScanRange {
            places: PlaceRange {
                level,
                low: start,
                high: end.min(high),
            },
            ..range.clone()
        });
        (start, sum) = (next.max(low), 0);
    }
    parts.push(ScanRange {
        places: PlaceRange {
            level,
            low: start,
            high,
        },
        ..range.clone()
    });
    Ok(())
}

/// The cell of `depth` digits that a stored code lies in.
fn cell_of(code: &StoredCode, depth: u8) -> Option<Cell> {
    let mut packed = code
        .as_bytes()
        .get(..usize::from(depth.div_ceil(2)))?
        .to_vec();
    if depth % 2 == 1 {
        *packed.last_mut()? &= 0xf0;
    }
    Cell::from_packed(&packed, depth).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::area::Window;
    use crate::select::Selection;
    use crate::testing::{Rng, day, net, seeds};
    use blocknet_engine::{AsOf, Assertion, Commit, Extent, Moment, Valid};
    use blocknet_geocode::NetSpec;

    #[test]
    fn two_threads_give_what_one_gives_in_the_same_order() {
        for seed in seeds(6) {
            println!("BLOCKNET_SEED={seed}");
            let mut rng = Rng(seed);
            let (_dir, net) = net(NetSpec::city());
            let mut states = |from: i64| -> Vec<Assertion> {
                (0..1_500)
                    .map(|id: u32| {
                        let (x, y) = (4.0 + 0.02 * rng.unit(), 52.0 + 0.02 * rng.unit());
                        let extent = Extent::flat(x, y, x + 0.001 * rng.unit(), y);
                        Assertion::state(LayerId::MAIN, id.to_string(), extent, "payload")
                            .valid(Valid::from(day(from)))
                    })
                    .collect()
            };
            for from in [0, 10] {
                net.commit(&Commit::new("test", states(from))).unwrap();
            }
            let odd = |record: &RecordRef<'_>| !record.id.ends_with('7');
            for valid in [Moment::LAST, day(5)] {
                let view = net.view(AsOf::Newest, valid).unwrap();
                for selection in [
                    Selection::default(),
                    Selection::of(Window::flat(4.005, 52.0, 4.015, 52.02)),
                    Selection::default().present_when(&odd),
                ] {
                    let query = Query::from(selection).by(PlanKind::Ranges);
                    let one: Vec<Record> = query.run(&view).unwrap().map(Result::unwrap).collect();
                    assert!(one.len() > 100);
                    for stop_after in [usize::MAX, 1, one.len() / 2] {
                        let mut two = Vec::new();
                        let count = query
                            .visit_in_parts(&view, 0.0, 64, &mut |record| {
                                two.push(record.to_record());
                                if two.len() >= stop_after {
                                    ControlFlow::Break(())
                                } else {
                                    ControlFlow::Continue(())
                                }
                            })
                            .unwrap();
                        assert_eq!(two, one[..one.len().min(stop_after)], "seed {seed}");
                        assert_eq!(count.records, two.len() as u64);
                    }
                }
            }
        }
    }
}
