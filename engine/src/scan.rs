//! The stream of an area: live heads, and for the past the history beside them, in lockstep.

use std::collections::VecDeque;

use blocknet_kv::{Bytes, Cursor};

use crate::error::{Fault, Result};
use crate::key;
use crate::layer::LayerId;
use crate::record::{Extent, Header, Peeked, RowRef, Version};
use crate::view::{PlaceRange, Record, View};

/// Rows of one entity at one place that are looked at one by one before its path is asked instead.
const ROWS_BEFORE_PATH: u32 = 16;
/// Rows passed over one by one before the cursor seeks.
const ROWS_BEFORE_SEEK: u32 = 8;

/// Says whether a record of this layer and extent is wanted.
pub(crate) type Wanted<'v> = Box<dyn Fn(LayerId, &Extent) -> bool + 'v>;

/// A stream of records, in order of place, layer and id; see [`View::scan`]. After an error it
/// ends.
pub struct Scan<'v, 'a> {
    view: &'v View<'a>,
    ranges: VecDeque<PlaceRange>,
    layers: Option<Vec<LayerId>>,
    wanted: Wanted<'v>,
    with_history: bool,
    cursors: Option<Cursors<'v>>,
    /// The record key being looked at.
    group: Vec<u8>,
    rows_read: u64,
    done: bool,
}

struct Cursors<'v> {
    records: Box<dyn Cursor + 'v>,
    history: Option<Box<dyn Cursor + 'v>>,
}

impl std::fmt::Debug for Scan<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan")
            .field("ranges", &self.ranges.len())
            .field("rows_read", &self.rows_read)
            .finish_non_exhaustive()
    }
}

impl<'v, 'a> Scan<'v, 'a> {
    pub(crate) fn new(
        view: &'v View<'a>,
        ranges: Vec<PlaceRange>,
        layers: Option<&[LayerId]>,
        wanted: Wanted<'v>,
    ) -> Self {
        let selected = |layer: LayerId| layers.is_none_or(|layers| layers.contains(&layer));
        let with_history = view
            .layers()
            .any(|(layer, _)| selected(layer) && !view.is_current(layer));
        Self {
            view,
            ranges: ranges.into(),
            layers: layers.map(<[LayerId]>::to_vec),
            wanted,
            with_history,
            cursors: None,
            group: Vec::new(),
            rows_read: 0,
            done: false,
        }
    }

    /// Rows read from the tables so far.
    pub fn rows_read(&self) -> u64 {
        self.rows_read
    }

    fn step(&mut self) -> Result<Option<Record>> {
        loop {
            let Some(cursors) = &mut self.cursors else {
                let Some(range) = self.ranges.pop_front() else {
                    return Ok(None);
                };
                let keys = range.keys();
                let read = self.view.read();
                self.cursors = Some(Cursors {
                    records: read.cursor(key::RECORDS, &keys)?,
                    history: if self.with_history {
                        Some(read.cursor(key::HISTORY, &keys)?)
                    } else {
                        None
                    },
                });
                continue;
            };
            if cursors.history.is_none() {
                if let Some(record) = self.next_live()? {
                    return Ok(Some(record));
                }
                self.cursors = None;
                continue;
            }
            if !cursors.next_group(&mut self.group)? {
                self.cursors = None;
                continue;
            }
            if let Some(record) = self.resolve()? {
                return Ok(Some(record));
            }
        }
    }

    /// The next live head that is wanted, where the live heads alone answer.
    fn next_live(&mut self) -> Result<Option<Record>> {
        let Self {
            view,
            cursors,
            wanted,
            layers,
            rows_read,
            ..
        } = self;
        let Some(Cursors { records, .. }) = cursors else {
            return Ok(None);
        };
        while let Some((row_key, value)) = records.entry() {
            *rows_read += 1;
            let answer = RowRef::decode(value)
                .and_then(|row| {
                    if !row.peek()?.0.contains(view.valid_at()) {
                        return Ok(None);
                    }
                    let header = row.header(view.spec())?;
                    let takes = layers
                        .as_ref()
                        .is_none_or(|layers| layers.contains(&header.layer))
                        && row.version.commit <= view.bound(header.layer)
                        && wants(wanted, &header);
                    Ok(takes.then(|| record(view, &row, header)))
                })
                .map_err(|fault| fault.in_table("records", row_key))?;
            records.advance()?;
            if answer.is_some() {
                return Ok(answer);
            }
        }
        Ok(None)
    }

    /// Settles what the group answers and moves both cursors behind it.
    fn resolve(&mut self) -> Result<Option<Record>> {
        let Self {
            view,
            cursors,
            wanted,
            layers,
            group,
            rows_read,
            ..
        } = self;
        let Some(cursors) = cursors else {
            return Ok(None);
        };
        let spec = view.spec();
        let place_len = 1 + spec.stored_len_bytes();
        let layer = layer_of(group, place_len)?;
        let bound = view.bound(layer);
        let skip = layers
            .as_ref()
            .is_some_and(|layers| !layers.contains(&layer));

        // The version that answers so far, with the record where it is wanted.
        let mut best: Option<(Version, Option<Record>)> = None;
        let take = |row: &RowRef<'_>| -> Result<(Version, Option<Record>), Fault> {
            let header = row.header(spec)?;
            let taken = wants(wanted, &header).then(|| record(view, row, header));
            Ok((row.version, taken))
        };
        if let Some((row_key, value)) = cursors.records.entry()
            && row_key == group.as_slice()
        {
            *rows_read += 1;
            if !skip {
                best = RowRef::decode(value)
                    .and_then(|row| {
                        let (valid, _) = row.peek()?;
                        let answers =
                            row.version.commit <= bound && valid.contains(view.valid_at());
                        if answers {
                            take(&row).map(Some)
                        } else {
                            Ok(None)
                        }
                    })
                    .map_err(|fault| fault.in_table("records", row_key))?;
            }
            cursors.records.advance()?;
        }

        let Some(history) = &mut cursors.history else {
            return Ok(best.and_then(|(_, taken)| taken));
        };
        let mut rows = 0;
        let mut settled = skip;
        while let Some((row_key, value)) = history.entry() {
            let fault = |fault: Fault| fault.in_table("history", row_key);
            let (record_key, version) = key::split_history(row_key).map_err(fault)?;
            if record_key != group.as_slice() {
                break;
            }
            *rows_read += 1;
            rows += 1;
            // Newest first: behind the version already found none can win.
            settled |= best.as_ref().is_some_and(|(found, _)| version < *found);
            if !settled && version.commit <= bound {
                let peeked = Peeked::decode(value, spec).map_err(fault)?;
                if peeked.valid().contains(view.valid_at()) {
                    settled = true;
                    best = match peeked {
                        Peeked::Closing(_) => None,
                        Peeked::Version(row, _) => Some(take(&row).map_err(fault)?),
                    };
                }
            }
            let limit = if settled {
                ROWS_BEFORE_SEEK
            } else {
                ROWS_BEFORE_PATH
            };
            if rows < limit {
                history.advance()?;
                continue;
            }
            // No version has number zero, so its inversion lies behind the group.
            let zero = Version {
                commit: 0,
                index: 0,
            };
            history.seek(&key::history(group, zero))?;
            if !settled {
                return by_path(view, group, place_len, layer, wanted);
            }
            break;
        }
        Ok(best.and_then(|(_, taken)| taken))
    }
}

fn wants(wanted: &Wanted<'_>, header: &Header) -> bool {
    header
        .extent
        .as_ref()
        .is_some_and(|extent| wanted(header.layer, extent))
}

fn record(view: &View<'_>, row: &RowRef<'_>, header: Header) -> Record {
    let payload = Bytes::copy_from_slice(row.payload);
    Record::new(view.spec(), row.version, header, payload)
}

/// The layer in a record key.
fn layer_of(record_key: &[u8], place_len: usize) -> Result<LayerId> {
    let number = record_key
        .get(place_len..)
        .and_then(|entity| entity.first_chunk::<2>());
    number
        .map(|number| LayerId(u16::from_be_bytes(*number)))
        .ok_or_else(|| {
            Fault::Truncated {
                need: place_len + 2,
                have: record_key.len(),
            }
            .in_table("records", record_key)
        })
}

/// Answers for an entity with many versions at one place from its path, which passes over most of
/// them.
fn by_path(
    view: &View<'_>,
    group: &[u8],
    place_len: usize,
    layer: LayerId,
    wanted: &Wanted<'_>,
) -> Result<Option<Record>> {
    let (place, entity) = group.split_at(place_len);
    let path = view.path(entity);
    let Some(head) = path.head()? else {
        return Ok(None);
    };
    let Some(track) = view.answering(&path, &head, layer)? else {
        return Ok(None);
    };
    if track.place.as_bytes() != place {
        return Ok(None);
    }
    view.load_if(&path, &head, &track, |header| wants(wanted, header))
}

impl Cursors<'_> {
    /// Takes the least record key under either cursor into `group`; false behind the last.
    fn next_group(&self, group: &mut Vec<u8>) -> Result<bool> {
        let record = self.records.entry().map(|(row_key, _)| row_key);
        let history = match self.history.as_ref().and_then(|history| history.entry()) {
            None => None,
            Some((row_key, _)) => Some(
                key::split_history(row_key)
                    .map_err(|fault| fault.in_table("history", row_key))?
                    .0,
            ),
        };
        let least = match (record, history) {
            (Some(record), Some(history)) => record.min(history),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return Ok(false),
        };
        group.clear();
        group.extend_from_slice(least);
        Ok(true)
    }
}

impl Iterator for Scan<'_, '_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step().transpose();
        self.done = !matches!(step, Some(Ok(_)));
        step
    }
}
