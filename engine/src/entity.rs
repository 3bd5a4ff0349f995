//! An entity's head and path, and the rule that says where it is at (commit, valid time).

use blocknet_geocode::NetSpec;
use blocknet_kv::Read;

use crate::codec::{Decoder, Encoder};
use crate::error::{Error, Fault, Result};
use crate::hash::Hash;
use crate::key;
use crate::record::{Place, Version, flag};
use crate::time::{Interval, Moment};

/// The last stretch of an entity's effective timeline at the newest commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) version: Version,
    /// [`Place::NOWHERE`] for an absence.
    pub(crate) place: Place,
    /// From here on nothing but this version answers, until `to`.
    pub(crate) sole_from: Moment,
    pub(crate) to: Moment,
}

/// The row of `entities`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Number of versions; the newest has this ordinal.
    pub(crate) versions: u64,
    pub(crate) newest: Version,
    pub(crate) hash: Hash,
    /// Greatest valid-from of any version.
    pub(crate) from_max: Moment,
    /// `None` while every version has an empty interval.
    pub(crate) last: Option<Last>,
}

impl Head {
    pub(crate) const NEW: Self = Self {
        versions: 0,
        newest: Version {
            commit: 0,
            index: 0,
        },
        hash: Hash::ZERO,
        from_max: Moment::MIN,
        last: None,
    };

    /// Whether a version valid so long becomes the last stretch: its interval reaches to the end
    /// of the timeline.
    pub(crate) fn is_taken_over_by(&self, valid: Interval) -> bool {
        !valid.is_empty() && self.last.is_none_or(|last| valid.to >= last.to)
    }

    /// Takes in the entity's next version.
    pub(crate) fn advance(&mut self, track: &Track, hash: Hash) {
        let valid = track.valid;
        let takes_over = self.is_taken_over_by(valid);
        self.versions = track.ordinal;
        self.newest = track.version;
        self.hash = hash;
        self.from_max = self.from_max.max(valid.from);
        if takes_over {
            self.last = Some(Last {
                version: track.version,
                place: track.place,
                sole_from: valid.from,
                to: valid.to,
            });
        } else if let Some(last) = &mut self.last
            && !valid.is_empty()
            && valid.to > last.sole_from
        {
            last.sole_from = valid.to;
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(120);
        out.u64(self.versions)
            .u64(self.newest.commit)
            .u32(self.newest.index);
        out.raw(&self.hash.0).i64(self.from_max.as_micros());
        if let Some(last) = &self.last {
            out.u64(last.version.commit).u32(last.version.index);
            out.i64(last.sole_from.as_micros()).i64(last.to.as_micros());
            out.raw(last.place.as_bytes());
        }
        out.0
    }

    pub(crate) fn decode(bytes: &[u8], spec: &NetSpec) -> Result<Self, Fault> {
        let mut input = Decoder(bytes);
        let mut head = Self {
            versions: input.u64()?,
            newest: Version {
                commit: input.u64()?,
                index: input.u32()?,
            },
            hash: Hash(input.array()?),
            from_max: Moment::from_micros(input.i64()?),
            last: None,
        };
        if !input.0.is_empty() {
            let version = Version {
                commit: input.u64()?,
                index: input.u32()?,
            };
            let sole_from = Moment::from_micros(input.i64()?);
            let to = Moment::from_micros(input.i64()?);
            let place = take_place(&mut input, spec)?;
            input.finish()?;
            head.last = Some(Last {
                version,
                place,
                sole_from,
                to,
            });
        }
        Ok(head)
    }
}

fn take_place(input: &mut Decoder<'_>, spec: &NetSpec) -> Result<Place, Fault> {
    let level = input.u8()?;
    let code = input.raw(Place::len_bytes(spec, level)? - 1)?;
    Ok(Place::of(level, code))
}

/// Bounds of the intervals of a run of versions, so that a reader can pass over the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hull {
    pub(crate) from_min: Moment,
    pub(crate) from_max: Moment,
    pub(crate) to_max: Moment,
}

impl Hull {
    pub(crate) fn of(valid: Interval) -> Self {
        Self {
            from_min: valid.from,
            from_max: valid.from,
            to_max: valid.to,
        }
    }

    #[must_use]
    pub(crate) fn join(self, other: Self) -> Self {
        Self {
            from_min: self.from_min.min(other.from_min),
            from_max: self.from_max.max(other.from_max),
            to_max: self.to_max.max(other.to_max),
        }
    }

    fn span(self) -> Interval {
        Interval {
            from: self.from_min,
            to: self.to_max,
        }
    }
}

/// The row of `tracks`: one version's place in its entity's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) ordinal: u64,
    pub(crate) version: Version,
    pub(crate) valid: Interval,
    pub(crate) flags: u16,
    pub(crate) place: Place,
    /// Of this version and those before it in its run; see [`run_len`].
    pub(crate) hull: Hull,
}

impl Track {
    pub(crate) fn is_absence(&self) -> bool {
        self.flags & flag::ABSENCE != 0
    }

    pub(crate) fn altitude_known(&self) -> bool {
        self.flags & (flag::FLOOR_KNOWN | flag::TOP_KNOWN) != 0
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(96);
        out.u64(self.version.commit).u32(self.version.index);
        out.i64(self.valid.from.as_micros())
            .i64(self.valid.to.as_micros())
            .u16(self.flags);
        for moment in [self.hull.from_min, self.hull.from_max, self.hull.to_max] {
            out.i64(moment.as_micros());
        }
        out.raw(self.place.as_bytes());
        out.0
    }

    pub(crate) fn decode(ordinal: u64, bytes: &[u8], spec: &NetSpec) -> Result<Self, Fault> {
        let mut input = Decoder(bytes);
        let version = Version {
            commit: input.u64()?,
            index: input.u32()?,
        };
        let moment = |input: &mut Decoder<'_>| input.i64().map(Moment::from_micros);
        let valid = Interval {
            from: moment(&mut input)?,
            to: moment(&mut input)?,
        };
        let flags = input.u16()?;
        let hull = Hull {
            from_min: moment(&mut input)?,
            from_max: moment(&mut input)?,
            to_max: moment(&mut input)?,
        };
        let place = take_place(&mut input, spec)?;
        input.finish()?;
        Ok(Self {
            ordinal,
            version,
            valid,
            flags,
            place,
            hull,
        })
    }
}

/// Versions covered by the hull at an ordinal, that of the row included.
///
/// The first n versions are cut into runs of 2^k - 1, each the longest that fits what is left. The
/// last version of a run longer than one heads two runs of half its length, which lie before it.
/// So any version is reached in at most 3 log2 n steps, passing over a run or entering it, and a
/// new row takes two reads at most (Myers, "An applicative random-access stack", 1983).
pub(crate) fn run_len(ordinal: u64) -> u64 {
    let mut left = ordinal;
    loop {
        let longest = u64::MAX >> (left.saturating_add(1).leading_zeros() + 1);
        if left <= longest {
            return longest;
        }
        left -= longest;
    }
}

/// A stretch of an entity's effective timeline in which one version answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) valid: Interval,
    pub(crate) track: Track,
}

/// Reads the path of one entity. Rows are fetched one by one: the hulls keep their number small.
pub(crate) struct Path<'a> {
    pub(crate) read: &'a dyn Read,
    pub(crate) spec: &'a NetSpec,
    /// The `entities` key.
    pub(crate) entity: &'a [u8],
}

impl Path<'_> {
    pub(crate) fn head(&self) -> Result<Option<Head>> {
        let Some(bytes) = self.read.get(key::ENTITIES, self.entity)? else {
            return Ok(None);
        };
        Head::decode(&bytes, self.spec)
            .map(Some)
            .map_err(|fault| fault.in_table("entities", self.entity))
    }

    pub(crate) fn track(&self, ordinal: u64) -> Result<Track> {
        let key = key::track(self.entity, ordinal);
        let bytes = self.read.get(key::TRACKS, &key)?.ok_or_else(|| {
            Error::corrupt(format!(
                "tables: `tracks`, row {} is missing; move the directory `tables` away and open \
                 the store for writing, which rebuilds it from the journal",
                crate::error::Hex(&key)
            ))
        })?;
        Track::decode(ordinal, &bytes, self.spec).map_err(|fault| fault.in_table("tracks", &key))
    }

    /// Ordinal of the newest version in a commit up to `commit`, 0 if there is none.
    pub(crate) fn ordinal_at(&self, head: &Head, commit: u64) -> Result<u64> {
        if head.newest.commit <= commit {
            return Ok(head.versions);
        }
        // Versions grow with the ordinal, so halving finds the boundary.
        let (mut below, mut above) = (0, head.versions);
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            if self.track(middle)?.version.commit <= commit {
                below = middle;
            } else {
                above = middle;
            }
        }
        Ok(below)
    }

    /// Hull for a new version at `ordinal`, from those of the two runs it joins, if it joins any.
    pub(crate) fn hull(&self, ordinal: u64, valid: Interval) -> Result<Hull> {
        let half = run_len(ordinal) / 2;
        if half == 0 {
            return Ok(Hull::of(valid));
        }
        let newer = self.track(ordinal - 1)?.hull;
        let older = self.track(ordinal - 1 - half)?.hull;
        Ok(Hull::of(valid).join(newer).join(older))
    }

    /// Walks from `ordinal` down to the first version, passing over runs that `wanted` declines,
    /// until `visit` says stop (`false`).
    fn walk(
        &self,
        mut ordinal: u64,
        mut visit: impl FnMut(&Track, &mut bool) -> Result<bool>,
    ) -> Result<()> {
        while ordinal > 0 {
            let track = self.track(ordinal)?;
            let mut skip_run = false;
            if !visit(&track, &mut skip_run)? {
                return Ok(());
            }
            ordinal -= if skip_run { run_len(ordinal) } else { 1 };
        }
        Ok(())
    }

    /// The version that answers at `moment` among the first `ordinal` versions.
    pub(crate) fn at(&self, ordinal: u64, moment: Moment) -> Result<Option<Track>> {
        let mut found = None;
        self.walk(ordinal, |track, skip_run| {
            if track.valid.contains(moment) {
                found = Some(*track);
                return Ok(false);
            }
            *skip_run = !track.hull.span().contains(moment);
            Ok(true)
        })?;
        Ok(found)
    }

    /// The effective timeline inside `window` after the first `ordinal` versions, in order of
    /// time; what no version ever spoke of is left out. Neighbouring stretches of one version that
    /// meet are one stretch.
    pub(crate) fn timeline(&self, ordinal: u64, window: Interval) -> Result<Vec<Stretch>> {
        let mut stretches = Vec::new();
        let mut open = if window.is_empty() {
            vec![]
        } else {
            vec![window]
        };
        self.walk(ordinal, |track, skip_run| {
            if !open.iter().any(|gap| gap.overlaps(track.hull.span())) {
                *skip_run = true;
                return Ok(!open.is_empty());
            }
            let mut left = Vec::with_capacity(open.len() + 1);
            for gap in open.drain(..) {
                let valid = gap.intersect(track.valid);
                if valid.is_empty() {
                    left.push(gap);
                    continue;
                }
                stretches.push(Stretch {
                    valid,
                    track: *track,
                });
                let before = Interval {
                    from: gap.from,
                    to: valid.from,
                };
                let after = Interval {
                    from: valid.to,
                    to: gap.to,
                };
                left.extend([before, after].into_iter().filter(|part| !part.is_empty()));
            }
            open = left;
            Ok(!open.is_empty())
        })?;
        stretches.sort_unstable_by_key(|stretch| stretch.valid.from);
        Ok(stretches)
    }

    /// The least valid-from after `from` among all versions: where an assertion that holds until
    /// the next ends.
    pub(crate) fn next_from(&self, head: &Head, from: Moment) -> Result<Moment> {
        let mut next = Moment::MAX;
        if from >= head.from_max {
            return Ok(next);
        }
        self.walk(head.versions, |track, skip_run| {
            if track.valid.from > from {
                next = next.min(track.valid.from);
            }
            *skip_run = track.hull.from_max <= from || track.hull.from_min >= next;
            Ok(true)
        })?;
        Ok(next)
    }

    /// All versions with exactly this valid-from, newest first.
    pub(crate) fn with_from(&self, head: &Head, from: Moment) -> Result<Vec<Track>> {
        let mut found = Vec::new();
        if from > head.from_max {
            return Ok(found);
        }
        self.walk(head.versions, |track, skip_run| {
            if track.valid.from == from {
                found.push(*track);
            }
            *skip_run = from < track.hull.from_min || from > track.hull.from_max;
            Ok(true)
        })?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
