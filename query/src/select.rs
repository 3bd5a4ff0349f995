//! What is in an area in a view.

use blocknet_engine::{Error, Extent, LayerId, PlaceRange, Record, Result, Scan, View};
use blocknet_geocode::Cell;

use crate::cover::{MAX_RANGES, cover};
use crate::window::{Match, Verdict, Window};

/// Where to look.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Area {
    /// At all places.
    #[default]
    Everywhere,
    /// In a box.
    Window(Window),
}

/// A test of a record that the engine cannot make, since payloads are opaque to it.
pub type Test<'q> = dyn Fn(&Record) -> bool + 'q;

/// Which records are meant.
#[derive(Clone, Copy, Default)]
pub struct Selection<'q> {
    /// Where.
    pub area: Area,
    /// How an extent is to lie to the area.
    pub matching: Match,
    /// In which layers; `None` for all.
    pub layers: Option<&'q [LayerId]>,
    /// Only the entities of this id.
    pub id: Option<&'q str>,
    /// A finer test of place than the extent allows, for example of the footprint's shape. Sees
    /// only records whose extents pass.
    pub refine: Option<&'q Test<'q>>,
    /// Whether a state counts as presence; `None` when every state does.
    pub present: Option<&'q Test<'q>>,
}

impl std::fmt::Debug for Selection<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Selection")
            .field("area", &self.area)
            .field("matching", &self.matching)
            .field("layers", &self.layers)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<'q> Selection<'q> {
    /// Everything whose extent meets a window.
    pub fn window(window: Window) -> Self {
        Self {
            area: Area::Window(window),
            ..Self::default()
        }
    }

    /// The same, in these layers only.
    #[must_use]
    pub fn in_layers(self, layers: &'q [LayerId]) -> Self {
        Self {
            layers: Some(layers),
            ..self
        }
    }

    /// The entities of one id only.
    #[must_use]
    pub fn of_id(self, id: &'q str) -> Self {
        Self {
            id: Some(id),
            ..self
        }
    }

    /// The same, with a presence rule.
    #[must_use]
    pub fn present_when(self, present: &'q Test<'q>) -> Self {
        Self {
            present: Some(present),
            ..self
        }
    }

    /// The same, with a finer test of place.
    #[must_use]
    pub fn refined(self, refine: &'q Test<'q>) -> Self {
        Self {
            refine: Some(refine),
            ..self
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        match &self.area {
            Area::Everywhere => Ok(()),
            Area::Window(window) => window.check().map_err(Error::refused),
        }
    }

    pub(crate) fn takes_extent(&self, extent: &Extent) -> bool {
        match &self.area {
            Area::Everywhere => true,
            Area::Window(window) => window.takes(extent, self.matching),
        }
    }

    fn is_unknown(&self, extent: &Extent) -> bool {
        match &self.area {
            Area::Everywhere => false,
            Area::Window(window) => window.verdict(extent, self.matching) == Verdict::Unknown,
        }
    }

    /// Whether a state is in the area and counts as presence.
    pub(crate) fn takes(&self, record: &Record) -> bool {
        record
            .extent
            .is_some_and(|extent| self.takes_extent(&extent))
            && self.passes(record)
    }

    /// The tests of the caller.
    fn passes(&self, record: &Record) -> bool {
        self.refine.is_none_or(|refine| refine(record))
            && self.present.is_none_or(|present| present(record))
    }

    /// Key ranges that hold all it may take.
    pub(crate) fn ranges(&self, view: &View<'_>) -> Result<Vec<PlaceRange>> {
        match &self.area {
            Area::Everywhere => view.ranges_of(&Cell::ROOT),
            Area::Window(window) => cover(view.spec(), window, view.levels(), MAX_RANGES),
        }
    }

    pub(crate) fn layer_ids(&self, view: &View<'_>) -> Vec<LayerId> {
        match self.layers {
            Some(layers) => layers.to_vec(),
            None => view.layers().map(|(layer, _)| layer).collect(),
        }
    }
}

/// The records of a view that a selection takes: each entity at most once, in stable order.
///
/// # Errors
/// [`blocknet_engine::ErrorKind::Invalid`] for a window out of range.
///
/// # Cost
/// At most [`MAX_RANGES`] key ranges are read, or one for each level in use; with an id, two gets per layer.
pub fn search<'v, 'a>(view: &'v View<'a>, selection: &'v Selection<'v>) -> Result<Search<'v, 'a>> {
    selection.check()?;
    let source = if let Some(id) = selection.id {
        let mut found = Vec::new();
        for layer in selection.layer_ids(view) {
            found.extend(view.get(layer, id)?.filter(|record| {
                record
                    .extent
                    .is_some_and(|extent| selection.takes_extent(&extent))
            }));
        }
        Source::Found(found.into_iter())
    } else {
        let ranges = selection.ranges(view)?;
        Source::Scan(Box::new(view.scan(
            ranges,
            selection.layers,
            |_, extent| selection.takes_extent(extent),
        )))
    };
    Ok(Search {
        selection,
        source,
        unknown: 0,
    })
}

/// The stream of [`search`].
#[derive(Debug)]
pub struct Search<'v, 'a> {
    selection: &'v Selection<'v>,
    source: Source<'v, 'a>,
    unknown: u64,
}

#[derive(Debug)]
enum Source<'v, 'a> {
    Scan(Box<Scan<'v, 'a>>),
    Found(std::vec::IntoIter<Record>),
}

impl Search<'_, '_> {
    /// Records returned so far whose unknown floor or top left open whether they reach into the
    /// altitude band.
    pub fn unknown_height(&self) -> u64 {
        self.unknown
    }

    /// Rows read from the tables so far.
    pub fn rows_read(&self) -> u64 {
        match &self.source {
            Source::Scan(scan) => scan.rows_read(),
            Source::Found(_) => 0,
        }
    }
}

impl Iterator for Search<'_, '_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let next = match &mut self.source {
                Source::Scan(scan) => scan.next()?,
                Source::Found(found) => Ok(found.next()?),
            };
            let record = match next {
                Ok(record) => record,
                Err(error) => return Some(Err(error)),
            };
            if self.selection.passes(&record) {
                if record
                    .extent
                    .is_some_and(|extent| self.selection.is_unknown(&extent))
                {
                    self.unknown += 1;
                }
                return Some(Ok(record));
            }
        }
    }
}

#[cfg(test)]
mod tests;
