//! What the importer's arguments make of one Feature.

use blocknet_engine::{
    Assertion, ChangeKind, End, Extent, ID_LEN_BYTES_MAX, LayerId, Moment, Valid, limit,
};
use blocknet_geocode::{Block, NetSpec};
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::cli::args::Until;
use crate::input::{DayEdge, Feature, FeatureError, Instant, Predicate, Rules, TimeError};

/// How Features become assertions.
pub(crate) struct Plan {
    pub(crate) layer: LayerId,
    pub(crate) spec: NetSpec,
    pub(crate) rules: Rules,
    /// Properties that hold times.
    pub(crate) valid_from: Option<String>,
    pub(crate) valid_to: Option<String>,
    pub(crate) recorded_at: Option<String>,
    pub(crate) until: Until,
    pub(crate) removed_when: Option<Predicate>,
    pub(crate) zone: TimeZone,
    pub(crate) kind: ChangeKind,
    /// Recorded times after this are in the future.
    pub(crate) now: Moment,
}

/// Why a Feature cannot be stored.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Feature(#[from] FeatureError),
    #[error("its property {property}: {source}")]
    Time { property: String, source: TimeError },
    #[error("its property {property} is missing, null or no text; every Feature needs this time")]
    NoTime { property: String },
    #[error("its property {property}: {time} is in the future; it cannot have been recorded")]
    Future { property: String, time: Moment },
    #[error("its id has {len} bytes; at most {ID_LEN_BYTES_MAX} are allowed")]
    LongId { len: usize },
    #[error(
        "it has {len} bytes; at most {} are allowed",
        limit::PAYLOAD_LEN_BYTES_MAX
    )]
    LongPayload { len: usize },
    #[error("it holds until {to}, before it starts at {from}")]
    Backwards { from: Moment, to: Moment },
    #[error("its place has no geocode in this store: {0}")]
    Place(blocknet_engine::Error),
}

/// A Feature as an assertion, and when it was recorded where the file says so.
pub(crate) struct Planned {
    pub(crate) assertion: Assertion,
    pub(crate) recorded: Option<Moment>,
    /// The block it is filed in; `None` for an absence.
    pub(crate) block: Option<Block>,
}

impl Plan {
    /// Makes the assertion of a Feature, or says why none can be made: whatever the engine would
    /// refuse in a single assertion is refused here, where the Feature is known.
    ///
    /// * `json`: the Feature as it came.
    pub(crate) fn assertion(&self, feature: &Feature<'_>, json: &str) -> Result<Planned, Refusal> {
        let id = feature.id();
        if id.len() > ID_LEN_BYTES_MAX {
            return Err(Refusal::LongId { len: id.len() });
        }
        if json.len() > limit::PAYLOAD_LEN_BYTES_MAX {
            return Err(Refusal::LongPayload { len: json.len() });
        }
        let is_removed = self
            .removed_when
            .as_ref()
            .is_some_and(|rule| rule.matches_properties(feature.properties()));
        let extent = feature
            .extent()
            .filter(|_| !is_removed)
            .map(|extent| Extent {
                west: extent.bounds.west,
                south: extent.bounds.south,
                east: extent.bounds.east,
                north: extent.bounds.north,
                floor: extent.floor,
                top: extent.top,
            });
        let block = match &extent {
            Some(extent) => Some(extent.block(&self.spec).map_err(Refusal::Place)?),
            None => None,
        };
        let recorded = match &self.recorded_at {
            None => None,
            Some(property) => {
                let recorded = moment(self.required_time(feature, property)?);
                if recorded > self.now {
                    let property = property.clone();
                    return Err(Refusal::Future {
                        property,
                        time: recorded,
                    });
                }
                Some(recorded)
            }
        };
        let valid = self.valid(feature)?;
        let mut assertion = Assertion::absence(self.layer, id);
        assertion.extent = extent;
        assertion.payload = json.as_bytes().to_vec();
        Ok(Planned {
            assertion: assertion.valid(valid).kind(self.kind),
            recorded,
            block,
        })
    }

    fn valid(&self, feature: &Feature<'_>) -> Result<Valid, Refusal> {
        let from = match &self.valid_from {
            None => None,
            Some(property) => Some(self.required_time(feature, property)?),
        };
        let to = match &self.valid_to {
            None => None,
            Some(property) => self.time(feature, property)?,
        };
        if let (Some(from), Some(to)) = (from.map(moment), to.map(moment))
            && to < from
        {
            return Err(Refusal::Backwards { from, to });
        }
        Ok(Valid {
            from: from.map(moment),
            from_day: from.is_some_and(Instant::is_day),
            end: match (to, self.until) {
                (Some(to), _) => End::At(moment(to)),
                (None, Until::Next) => End::UntilNext,
                (None, Until::Forever) => End::Forever,
            },
            to_day: to.is_some_and(Instant::is_day),
        })
    }

    fn required_time(&self, feature: &Feature<'_>, property: &str) -> Result<Instant, Refusal> {
        let time = self.time(feature, property)?;
        time.ok_or_else(|| Refusal::NoTime {
            property: property.to_owned(),
        })
    }

    /// The time in a property; `None` where that is missing or null.
    fn time(&self, feature: &Feature<'_>, property: &str) -> Result<Option<Instant>, Refusal> {
        let text = feature.property(property).filter(|text| !text.is_empty());
        let time = text.map(|text| Instant::parse(&text, &self.zone, DayEdge::Start));
        time.transpose().map_err(|source| Refusal::Time {
            property: property.to_owned(),
            source,
        })
    }
}

fn moment(instant: Instant) -> Moment {
    Moment::from_micros(instant.micros())
}
