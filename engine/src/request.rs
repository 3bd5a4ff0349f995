//! What a writer asks for: assertions, who makes them and why, and what came of them.

use crate::body::Basis;
use crate::error::{Error, Result};
use crate::key;
use crate::layer::LayerId;
use crate::record::{ChangeKind, End, Extent, Version};
use crate::time::Moment;

/// Limits of a commit, each with a typed error above it.
pub mod limit {
    /// Longest payload: 16 MiB.
    pub const PAYLOAD_LEN_BYTES_MAX: usize = 16 << 20;
    /// Longest author, reason or source.
    pub const TEXT_LEN_BYTES_MAX: usize = 4096;
    /// Most assertions in one commit.
    pub const ASSERTIONS_MAX: usize = 100_000;
    /// Most bytes of payloads and ids in one commit: what fits a journal frame.
    pub const COMMIT_LEN_BYTES_MAX: usize = 40 << 20;
    /// Most blocks in one commit that expands the net: about 100 KB of its journal frame.
    pub const BLOCKS_MAX: usize = 1_000;
}

/// When an assertion holds in the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Valid {
    /// From when on; `None` is the commit's recorded time: true from when it was learned.
    pub from: Option<Moment>,
    /// Whether `from` was given as a day, so that it is shown as one.
    pub from_day: bool,
    /// Until when.
    pub end: End,
    /// Whether an explicit end was given as a day.
    pub to_day: bool,
}

impl Valid {
    /// From `from` until the entity's next known valid-from.
    pub fn from(from: Moment) -> Self {
        Self {
            from: Some(from),
            ..Self::default()
        }
    }

    /// In `from..to`.
    pub fn between(from: Moment, to: Moment) -> Self {
        Self {
            from: Some(from),
            end: End::At(to),
            ..Self::default()
        }
    }
}

/// What must hold of an entity before the commit for its assertion to be accepted; what the same
/// commit asserts about the entity plays no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Its newest version is this one.
    IsAt(Version),
    /// It has no version.
    IsNew,
}

/// For one entity and one valid interval: a state, or absence.
#[derive(Clone, Debug, PartialEq)]
pub struct Assertion {
    /// The entity's layer.
    pub layer: LayerId,
    /// The entity's id within the layer: 1 to [`crate::ID_LEN_BYTES_MAX`] bytes. Leading zeros matter.
    pub id: String,
    /// Where the entity is; `None` asserts absence.
    pub extent: Option<Extent>,
    /// What else is known, opaque to the engine. An absence may carry one too, as evidence.
    pub payload: Vec<u8>,
    /// When it holds.
    pub valid: Valid,
    /// What kind of statement it makes.
    pub kind: ChangeKind,
    /// What must hold before.
    pub precondition: Option<Precondition>,
    /// Author, where it differs from the commit's.
    pub author: Option<String>,
    /// Reason, where it differs from the commit's.
    pub reason: Option<String>,
    /// Source, where it differs from the commit's.
    pub source: Option<String>,
}

impl Assertion {
    /// A state of `id` from the commit's recorded time on.
    pub fn state(
        layer: LayerId,
        id: impl Into<String>,
        extent: Extent,
        payload: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            extent: Some(extent),
            payload: payload.into(),
            ..Self::absence(layer, id)
        }
    }

    /// Absence of `id` from the commit's recorded time on.
    pub fn absence(layer: LayerId, id: impl Into<String>) -> Self {
        Self {
            layer,
            id: id.into(),
            extent: None,
            payload: Vec::new(),
            valid: Valid::default(),
            kind: ChangeKind::Change,
            precondition: None,
            author: None,
            reason: None,
            source: None,
        }
    }

    /// The same assertion, holding at other times.
    #[must_use]
    pub fn valid(self, valid: Valid) -> Self {
        Self { valid, ..self }
    }

    /// The same assertion as another kind of statement.
    #[must_use]
    pub fn kind(self, kind: ChangeKind) -> Self {
        Self { kind, ..self }
    }

    /// The same assertion, refused unless `precondition` holds.
    #[must_use]
    pub fn expect(self, precondition: Precondition) -> Self {
        Self {
            precondition: Some(precondition),
            ..self
        }
    }

    fn check(&self) -> Result<()> {
        key::check_id(&self.id)?;
        if let Some(extent) = &self.extent {
            extent.check()?;
        }
        if self.payload.len() > limit::PAYLOAD_LEN_BYTES_MAX {
            return Err(Error::invalid(format!(
                "the payload has {} bytes; at most {} are allowed",
                self.payload.len(),
                limit::PAYLOAD_LEN_BYTES_MAX
            )));
        }
        for text in [&self.author, &self.reason, &self.source]
            .into_iter()
            .flatten()
        {
            check_text(text)?;
        }
        if self.valid.from.is_some_and(|from| !from.is_date()) {
            return Err(Error::invalid(
                "valid-from lies outside the years 0001 to 9999",
            ));
        }
        if let End::At(to) = self.valid.end {
            if !to.is_date() {
                return Err(Error::invalid(
                    "valid-to lies outside the years 0001 to 9999",
                ));
            }
            if self.valid.from.is_some_and(|from| from > to) {
                return Err(Error::invalid(format!(
                    "valid-to {to} lies before valid-from"
                )));
            }
        }
        Ok(())
    }
}

/// Where a commit's recorded time comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recorded {
    /// The clock.
    #[default]
    Now,
    /// This moment: not in the future, and not before the newest commit of a layer in which the
    /// commit writes anything.
    At(Moment),
}

/// An atomic batch of assertions, with who makes it and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// Who makes the change.
    pub author: String,
    /// Why.
    pub reason: String,
    /// From what: a document number, data set or digest.
    pub source: String,
    /// When it was learned.
    pub recorded: Recorded,
    /// Write although the clock stands far before the last write; the commit says so.
    pub accept_clock: bool,
    /// What is asserted. Of two assertions on one entity the later is the newer version.
    pub assertions: Vec<Assertion>,
}

impl Commit {
    /// A commit of `assertions` by `author`.
    pub fn new(author: impl Into<String>, assertions: Vec<Assertion>) -> Self {
        Self {
            author: author.into(),
            assertions,
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        for text in [&self.author, &self.reason, &self.source] {
            check_text(text)?;
        }
        if self.assertions.len() > limit::ASSERTIONS_MAX {
            return Err(Error::invalid(format!(
                "the commit has {} assertions; at most {} are allowed",
                self.assertions.len(),
                limit::ASSERTIONS_MAX
            )));
        }
        let mut bytes = 0_usize;
        for (index, assertion) in self.assertions.iter().enumerate() {
            assertion.check().map_err(|error| {
                Error::invalid(format!("assertion {index} on `{}`: {error}", assertion.id))
            })?;
            let own = [&assertion.author, &assertion.reason, &assertion.source];
            let texts: usize = own.into_iter().flatten().map(String::len).sum();
            bytes += assertion.payload.len() + assertion.id.len() + texts + 256;
        }
        if bytes > limit::COMMIT_LEN_BYTES_MAX {
            return Err(Error::invalid(format!(
                "the commit has {bytes} bytes; at most {} are allowed: split it",
                limit::COMMIT_LEN_BYTES_MAX
            )));
        }
        Ok(())
    }
}

fn check_text(text: &str) -> Result<()> {
    if text.len() > limit::TEXT_LEN_BYTES_MAX {
        return Err(Error::invalid(format!(
            "author, reason or source has {} bytes; at most {} are allowed",
            text.len(),
            limit::TEXT_LEN_BYTES_MAX
        )));
    }
    Ok(())
}

/// What came of one assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored.
    Written {
        /// Under this number.
        version: Version,
        /// Versions about later times that a `forever` assertion overrides.
        overrides: Vec<Version>,
    },
    /// It changes no view, now or through a later assertion, or already stands in the history
    /// with the same asserted recorded time: nothing was written.
    Unchanged,
}

/// What a commit handed to disk, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Rows put into or deleted from the key-value store.
    pub kv_writes: u64,
    /// Bytes of their keys and values.
    pub kv_bytes: u64,
    /// Bytes appended to the journal.
    pub journal_bytes: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.kv_writes += other.kv_writes;
        self.kv_bytes += other.kv_bytes;
        self.journal_bytes += other.journal_bytes;
    }
}

/// What came of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Number of the commit; `None` when every assertion was unchanged, so that there is none.
    pub commit: Option<u64>,
    /// Its recorded time.
    pub recorded: Moment,
    /// Where that comes from.
    pub basis: Basis,
    /// Outcomes in the order of the request.
    pub outcomes: Vec<Outcome>,
    /// Absences among the versions written.
    pub removals: u64,
    /// Entities that had no version before.
    pub new_entities: u64,
    /// Blocks that had no version before.
    pub new_blocks: u64,
    /// Blocks that got a version.
    pub blocks: u64,
    /// Bytes of the payloads written.
    pub payload_bytes: u64,
    /// What it cost.
    pub cost: Cost,
}
