//! Who was where when: the stays of moving things, and of standing ones.

use blocknet_engine::{Interval, LayerId, Record, Result, View};

use crate::area::Target;
use crate::candidates::candidates;
use crate::search::Query;

/// A stretch of time in which one version of an entity answered, and lay in the selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Stay {
    /// When, within the interval asked for.
    pub during: Interval,
    /// The version.
    pub record: Record,
}

/// The stays of entities in a selection within an interval of valid time, as the view's commits
/// know it: of one entity by its id, its track; of an area, everything that was inside at any time,
/// with its positions there. In order of layer and id, then of time.
///
/// # Errors
/// * [`blocknet_engine::ErrorKind::Invalid`]: an area out of range, a plan that cannot answer.
/// * Those of reading.
///
/// # Cost
/// The ids of the entities are held in memory; their stays are read one entity at a time. Finding
/// them reads all that was ever filed in the area.
pub fn stays<'v, 'a>(
    view: &'v View<'a>,
    query: impl Into<Query<'v>>,
    window: Interval,
) -> Result<Stays<'v, 'a>> {
    let query = query.into();
    let found = candidates(view, &query, None, window)?.read(view)?;
    Ok(Stays {
        view,
        target: query.selection.target(view.spec()),
        query,
        window,
        entities: found.entities.into_iter(),
        pending: Vec::new().into_iter(),
        failed: false,
    })
}

/// The stream of [`stays`]. After an error it ends.
#[derive(Debug)]
pub struct Stays<'v, 'a> {
    view: &'v View<'a>,
    query: Query<'v>,
    target: Target,
    window: Interval,
    entities: std::vec::IntoIter<(LayerId, String)>,
    pending: std::vec::IntoIter<Stay>,
    failed: bool,
}

impl Stays<'_, '_> {
    fn step(&mut self) -> Result<Option<Stay>> {
        loop {
            if let Some(stay) = self.pending.next() {
                return Ok(Some(stay));
            }
            let Some((layer, id)) = self.entities.next() else {
                return Ok(None);
            };
            let mut stays = Vec::new();
            for entry in self.view.timeline(layer, &id, self.window)? {
                if self
                    .query
                    .selection
                    .takes(&self.target, &entry.record.lend())
                {
                    stays.push(Stay {
                        during: entry.during,
                        record: entry.record,
                    });
                }
            }
            self.pending = stays.into_iter();
        }
    }
}

impl Iterator for Stays<'_, '_> {
    type Item = Result<Stay>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step().transpose();
        self.failed = !matches!(step, Some(Ok(_)));
        step
    }
}

#[cfg(test)]
mod tests;
