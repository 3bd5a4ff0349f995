//! What a verification finds, in words that a program and a person can both use.

use std::fmt;

use blocknet_geocode::Block;

use crate::error::Hex;
use crate::layer::LayerId;
use crate::record::Version;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know; nothing is wrong.
    Info,
    /// Something stored is not as it must be.
    Error,
}

impl Severity {
    /// The word used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Error => "error",
        }
    }
}

/// Which of the two copies of the history a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The segment files.
    Journal,
    /// The tables.
    Tables,
}

impl Side {
    /// The word used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Tables => "tables",
        }
    }
}

/// Whether what is damaged can be had back, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remedy {
    /// Nothing has to be done.
    None,
    /// From the journal, whose copy fits the commit chain.
    Journal,
    /// From the tables, whose copy fits the commit chain.
    Tables,
    /// From what stands around it in the same copy: a page, a footer, a derived row.
    Neighbours,
    /// Neither copy can be proven.
    Unprovable,
}

impl Remedy {
    /// The word used in reports: where it can be had back from.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::None | Self::Unprovable => None,
            Self::Journal => Some("journal"),
            Self::Tables => Some("tables"),
            Self::Neighbours => Some("neighbours"),
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What is wrong. The names are stable: programs may rely on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// The stable name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

codes! {
    /// The directory of the journal is missing or cannot be listed.
    JournalMissing = "JOURNAL_MISSING",
    /// A segment file is missing.
    SegmentMissing = "SEG_MISSING",
    /// The first page of a segment is damaged or does not fit its place.
    SegmentHeader = "SEG_HEADER",
    /// A segment does not continue the one before it.
    SegmentOrder = "SEG_ORDER",
    /// A sealed segment has no sound footer.
    SegmentTruncated = "SEG_TRUNCATED",
    /// Bytes of a segment are no sound frame.
    FrameHeader = "FRAME_HEADER",
    /// The body of a frame does not fit its checksum.
    FrameBody = "FRAME_BODY",
    /// The erasable section of a frame does not fit its checksum.
    FrameErasable = "FRAME_ERASABLE",
    /// Bytes stand where nothing may be.
    Leftover = "LEFTOVER",
    /// A file that no part of a net knows.
    ForeignFile = "FOREIGN_FILE",
    /// The journal ends in an interrupted write, which was never acknowledged.
    TornTail = "TORN_TAIL",
    /// The net was not closed: its last commits may only be in the journal.
    CleanMissing = "CLEAN_MISSING",
    /// A commit does not name the hash of the commit before it.
    ChainBreak = "CHAIN_BREAK",
    /// A frame has another number than the one that follows.
    SequenceGap = "SEQ_GAP",
    /// A sound frame holds what no release writes.
    CommitBody = "COMMIT_BODY",
    /// A commit's hash is not that of its header.
    CommitHash = "COMMIT_HASH",
    /// A commit's root over its block versions is not theirs.
    BlocksRoot = "BLOCKS_ROOT",
    /// A commit's root over what has no block is not that of its definitions and absences.
    UnplacedRoot = "UNPLACED_ROOT",
    /// A payload does not fit the commitment in its header.
    Payload = "PAYLOAD",
    /// A commit that neither copy can prove, or a version of one that otherwise can be.
    CommitLost = "BOTH_COPIES_BAD",
    /// A commit that an earlier repair could not prove: its frame keeps what was found instead.
    CommitLostBefore = "COMMIT_LOST",
    /// A version of which an earlier repair could prove only place, interval and hash.
    VersionLost = "VERSION_LOST",
    /// A version whose payload an earlier repair could not prove.
    PayloadLost = "PAYLOAD_LOST",
    /// Payloads were erased by law.
    Erased = "ERASED",
    /// A payload that a commit has erased is still there: the next opening for writing erases it.
    ErasurePending = "ERASURE_PENDING",
    /// The tables are missing, or cannot be opened.
    TablesUnusable = "ROCKS_META",
    /// A stretch of a table cannot be read.
    TableUnreadable = "SST_CHECKSUM",
    /// A row that no release writes.
    Row = "ROW",
    /// A row that the journal gives is not in the tables.
    RowMissing = "KV_MISSING",
    /// A row in the tables that the journal does not give.
    RowExtra = "KV_EXTRA",
    /// A row in the tables is not the one the journal gives.
    RowDiffers = "KV_DIFFERS",
    /// The tables lack the newest commits of the journal; the next open brings them up.
    TablesBehind = "IDX_BEHIND",
    /// The tables hold commits that the journal has lost.
    TablesAhead = "IDX_AHEAD",
    /// The newest commit of the tables is another than the journal's.
    TablesFork = "IDX_FORK",
    /// A version does not name the hash of its entity's version before.
    VersionChain = "VERSION_CHAIN",
    /// An entity's head is not what its versions give.
    EntityHead = "ENTITY_HEAD",
    /// A track's hull is not that of its run.
    Hull = "HULL",
    /// A live head is not the one its entity's head names.
    LiveHead = "LIVE_HEAD",
    /// A block version's hash is not that of its fields.
    BlockHash = "BLOCK_HASH",
    /// A block version does not name the hash of the version before.
    BlockChain = "BLOCK_CHAIN",
    /// The genes of a block version are not the newest hashes of its predecessors at its time.
    Gene = "GENE",
    /// A successor does not hold the newest version of its predecessor.
    Link = "LINK",
    /// The registry does not hold just the newest versions of the blocks without successors.
    Registry = "REGISTRY",
    /// A registry head is not that of the registry's history.
    RegistryHead = "REGISTRY_HEAD",
    /// A zone does not count the rows there are, or its altitudes do not hold theirs.
    Zone = "ZONE",
    /// A row of the log is not what the commits' hashes give.
    Log = "LOG",
    /// Totals in `meta` are not what the rest gives.
    Totals = "TOTALS",
    /// The operating system failed; the bytes may be sound.
    Io = "IO_ERROR",
}

/// One thing that was found, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The copy concerned.
    pub side: Side,
    /// The commit concerned, where there is one.
    pub commit: Option<u64>,
    /// What is wrong.
    pub code: Code,
    /// File, relative to the net's directory, where one is known.
    pub file: Option<String>,
    /// Where in the file, in bytes.
    pub offset_bytes: Option<u64>,
    /// How long the stretch is, in bytes.
    pub len_bytes: Option<u64>,
    /// The table.
    pub table: Option<&'static str>,
    /// The key of the row.
    pub key: Option<Vec<u8>>,
    /// The block concerned.
    pub block: Option<Block>,
    /// The entity concerned.
    pub entity: Option<(LayerId, String)>,
    /// The version concerned.
    pub version: Option<Version>,
    /// What had to be there.
    pub expected: Option<String>,
    /// What is there, or what went wrong.
    pub found: Option<String>,
    /// Whether it can be had back, and from where.
    pub remedy: Remedy,
}

impl Finding {
    pub(crate) fn new(side: Side, code: Code, remedy: Remedy) -> Self {
        Self {
            severity: Severity::Error,
            side,
            commit: None,
            code,
            file: None,
            offset_bytes: None,
            len_bytes: None,
            table: None,
            key: None,
            block: None,
            entity: None,
            version: None,
            expected: None,
            found: None,
            remedy,
        }
    }

    pub(crate) fn info(side: Side, code: Code) -> Self {
        Self {
            severity: Severity::Info,
            ..Self::new(side, code, Remedy::None)
        }
    }

    /// Whether it only says what an earlier repair has found lost in both copies: the rest is sound.
    pub fn is_known_loss(&self) -> bool {
        let is_version = matches!(self.code, Code::VersionLost | Code::PayloadLost);
        is_version && self.remedy == Remedy::Unprovable
    }

    #[must_use]
    pub(crate) fn commit(mut self, commit: u64) -> Self {
        self.commit = Some(commit);
        self
    }

    #[must_use]
    pub(crate) fn file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    #[must_use]
    pub(crate) fn at(mut self, offset_bytes: u64, len_bytes: u64) -> Self {
        self.offset_bytes = Some(offset_bytes);
        self.len_bytes = Some(len_bytes);
        self
    }

    #[must_use]
    pub(crate) fn row(mut self, table: &'static str, key: &[u8]) -> Self {
        self.table = Some(table);
        self.key = Some(key.to_vec());
        self
    }

    #[must_use]
    pub(crate) fn block(mut self, block: Block) -> Self {
        self.block = Some(block);
        self
    }

    #[must_use]
    pub(crate) fn entity(mut self, layer: LayerId, id: &str) -> Self {
        self.entity = Some((layer, id.to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self.commit = Some(version.commit);
        self
    }

    #[must_use]
    pub(crate) fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.expected = Some(expected.to_string());
        self
    }

    #[must_use]
    pub(crate) fn found(mut self, found: impl fmt::Display) -> Self {
        self.found = Some(found.to_string());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.name())?;
        if let Some(file) = &self.file {
            write!(f, " {file}")?;
        }
        if let Some(offset) = self.offset_bytes {
            write!(f, " at byte {offset}")?;
        }
        if let Some(len) = self.len_bytes {
            write!(f, ", {len} bytes")?;
        }
        if let Some(table) = self.table {
            write!(f, " `{table}`")?;
        }
        if let Some(key) = &self.key {
            write!(f, " row {}", Hex(key))?;
        }
        if let Some(version) = self.version {
            write!(f, ", version {version}")?;
        } else if let Some(commit) = self.commit {
            write!(f, ", commit {commit}")?;
        }
        if let Some((layer, id)) = &self.entity {
            write!(f, ", {id:?} in layer {}", layer.number())?;
        }
        if let Some(block) = &self.block {
            write!(f, ", block {block}")?;
        }
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(found) = &self.found {
            write!(f, "; found {found}")?;
        }
        match self.remedy {
            Remedy::Unprovable => f.write_str("; no copy can be proven"),
            remedy => match remedy.name() {
                Some(name) => write!(f, "; can be had back from the {name}"),
                None => Ok(()),
            },
        }
    }
}
