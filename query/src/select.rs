//! Which records are meant.

use blocknet_engine::{Error, LayerId, RecordRef, Result, View};
use blocknet_geocode::NetSpec;

use crate::area::{Altitude, Area, Match, Target, Verdict, rect_of};
use crate::rect::Relation;

/// A test of a record that the engine cannot make, since payloads are opaque to it.
pub type Test<'q> = dyn Fn(&RecordRef<'_>) -> bool + 'q;

/// Which records are meant.
#[derive(Clone, Default)]
pub struct Selection<'q> {
    /// Where.
    pub area: Area,
    /// Between which altitudes; `None` for all.
    pub altitude: Option<Altitude>,
    /// How an extent is to lie to the area and the altitudes.
    pub matching: Match,
    /// In which layers; `None` for all.
    pub layers: Option<&'q [LayerId]>,
    /// Only the entities of this id.
    pub id: Option<&'q str>,
    /// A finer test of place than the extent allows, for example of the footprint's shape. Sees
    /// only records whose extents pass, and of those only the ones that do not lie wholly inside
    /// the area.
    pub refine: Option<&'q Test<'q>>,
    /// Whether a state counts as presence, and any other test of it; `None` when every state does.
    pub present: Option<&'q Test<'q>>,
}

impl std::fmt::Debug for Selection<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Selection")
            .field("area", &self.area)
            .field("altitude", &self.altitude)
            .field("matching", &self.matching)
            .field("layers", &self.layers)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<'q> Selection<'q> {
    /// Everything whose extent meets an area.
    pub fn of(area: impl Into<Area>) -> Self {
        Self {
            area: area.into(),
            ..Self::default()
        }
    }

    /// The same, between two altitudes in metres; what is of unknown height is included.
    #[must_use]
    pub fn between(self, lowest: f64, highest: f64) -> Self {
        Self {
            altitude: Some(Altitude::between(lowest, highest)),
            ..self
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

    pub(crate) fn check(&self, spec: &NetSpec) -> Result<()> {
        self.area.check(spec).map_err(Error::refused)?;
        let altitude = self.altitude.as_ref();
        altitude.map_or(Ok(()), |altitude| altitude.check().map_err(Error::refused))
    }

    pub(crate) fn target(&self, spec: &NetSpec) -> Target {
        Target {
            spec: *spec,
            area: self.area.clone(),
            altitude: self.altitude,
            matching: self.matching,
            ring: None,
        }
    }

    /// Whether the unknown floor or top of a record leaves open whether it reaches into the band.
    pub(crate) fn leaves_open(&self, record: &RecordRef<'_>) -> bool {
        let verdict = |altitude: Altitude, extent| altitude.verdict(extent, self.matching);
        self.altitude
            .zip(record.extent.as_ref())
            .is_some_and(|(altitude, extent)| verdict(altitude, extent) == Verdict::Unknown)
    }

    /// Whether a state is in the area and counts as presence.
    pub(crate) fn takes(&self, target: &Target, record: &RecordRef<'_>) -> bool {
        record
            .extent
            .is_some_and(|extent| target.takes(&extent, false))
            && self.passes(record)
    }

    /// The tests of the caller.
    pub(crate) fn passes(&self, record: &RecordRef<'_>) -> bool {
        let refined = self.refine.is_none_or(|refine| {
            let inside = |extent| self.area.relation(&rect_of(&extent)) == Relation::Within;
            record.extent.is_some_and(inside) || refine(record)
        });
        refined && self.present.is_none_or(|present| present(record))
    }

    pub(crate) fn layer_ids(&self, view: &View<'_>) -> Vec<LayerId> {
        match self.layers {
            Some(layers) => layers.to_vec(),
            None => view.layers().map(|(layer, _)| layer).collect(),
        }
    }
}
