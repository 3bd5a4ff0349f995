//! What a proof showed, and what it did not.

use crate::hash::Hash;
use crate::note::{Checkpoint, Signer};
use crate::record::{Commit, Version};

/// What was checked and holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The checkpoint that the proof hangs on.
    pub checkpoint: Checkpoint,
    /// Who signed it; every signature was checked.
    pub signers: Vec<Signer>,
    /// What was shown.
    pub shown: Shown,
}

/// What was shown.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Shown {
    /// A commit is in the log.
    Commit(Commit),
    /// These are the first versions of an entity.
    History(History),
    /// The log of the checkpoint begins with that of an earlier one.
    Consistency {
        /// The earlier one.
        from: Checkpoint,
        /// Who signed that.
        from_signers: Vec<Signer>,
    },
}

/// The first versions of an entity, without a gap.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Number of the entity's layer.
    pub layer: u16,
    /// The entity's id.
    pub id: String,
    /// In order, from its first; at least one.
    pub versions: Vec<ShownVersion>,
    /// Whether it was shown that nothing touched the last of them.
    pub untouched: Option<Untouched>,
}

/// A version that is in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownVersion {
    /// The commit that stated it.
    pub commit: Commit,
    /// Its index in that commit.
    pub index: u32,
    /// What it states.
    pub version: Version,
    /// Its hash.
    pub hash: Hash,
    /// The packed block it is filed in; `None` for an absence.
    pub block: Option<Vec<u8>>,
    /// Its payload.
    pub payload: Payload,
}

impl ShownVersion {
    /// Who stated it, why, and from what: its own words, or those of the commit.
    pub fn texts(&self) -> [&str; 3] {
        let own = |own: &'_ Option<String>| own.is_some();
        let (version, commit) = (&self.version, &self.commit);
        [
            (&version.author, &commit.author),
            (&version.reason, &commit.reason),
            (&version.source, &commit.source),
        ]
        .map(|(text, of_commit)| {
            if own(text) {
                text.as_deref().unwrap_or_default()
            } else {
                of_commit
            }
        })
    }
}

/// What a proof has of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// These bytes, which fit the commitment.
    Shown(Vec<u8>),
    /// Whoever made the proof left it out.
    Withheld,
    /// Whoever made the proof says that it was erased. Nothing shows that.
    Erased,
}

/// No commit in a span touched a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untouched {
    /// The version's commit.
    pub after: u64,
    /// The last commit that was looked at: the checkpoint's.
    pub through: u64,
}

impl Report {
    /// The kind of the proof, in words.
    pub fn kind(&self) -> &'static str {
        match self.shown {
            Shown::Commit(_) => "commit",
            Shown::History(_) => "history",
            Shown::Consistency { .. } => "consistency",
        }
    }

    /// What was not shown, a sentence each. Never empty.
    pub fn not_proven(&self) -> Vec<&'static str> {
        let mut not = Vec::new();
        match &self.shown {
            Shown::Commit(_) => {
                not.push("what the commit asserts: only its header is here");
            }
            Shown::History(history) => {
                if history.untouched.is_some() {
                    not.push(
                        "that the entity has no later version about other times, filed elsewhere",
                    );
                } else {
                    not.push("that the entity has no later version than those shown");
                }
                not.push(
                    "that the net followed its own rules when it filed and sorted this: \
                     `blocknet verify` on the whole net checks that",
                );
                not.push("what the layer of this number is called, and what it is a layer of");
                let payloads = || history.versions.iter().map(|shown| &shown.payload);
                if payloads().any(|payload| !matches!(payload, Payload::Shown(_))) {
                    not.push("what the payloads say that are withheld or said to be erased");
                }
            }
            Shown::Consistency { .. } => {
                not.push("what stands in any commit");
            }
        }
        if !matches!(self.shown, Shown::Consistency { .. }) {
            not.push("that any of it is true in the world, or complete");
            not.push("that recorded and written times are right: they are the net's own clock's");
        }
        if self.signers.iter().all(|signer| signer.time.is_none()) {
            not.push("when the checkpoint was made: no witness cosigned it");
            not.push("that others are shown the same history: no witness cosigned it");
        } else {
            not.push("that others are shown the same history, if the witnesses are not honest");
        }
        not.push("anything about commits after the checkpoint");
        not
    }
}
