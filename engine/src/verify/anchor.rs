//! A net held against what is remembered of it elsewhere: checkpoints, or another copy.
//!
//! Nothing inside a store shows that the whole of it was not replaced. A checkpoint does, up to its
//! size: it states the root over that many commits, and only the same commits give it. It does not say
//! *which* commit is another; between two checkpoints, one that fits and one that does not, lies the
//! first that is. A whole copy says it exactly, and which block.

use std::collections::BTreeMap;
use std::sync::Arc;

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::Read;
use blocknet_wal::{Found, Recovery, Survey};

use super::content::{Content, header, rebuild};
use super::{Code, Diagnosis, Side, Target, Verification};
use crate::error::{Error, Result};
use crate::hash::{Hash, MerkleTree};
use crate::log::Log;
use crate::net::Net;

/// What somebody outside remembers of a net: a checkpoint without its signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Anchor {
    /// Number of commits.
    pub size: u64,
    /// The net's identity.
    pub net: [u8; 16],
    /// RFC 6962 root over the hashes of commits 1 to `size`.
    pub root: Hash,
}

/// How a net stands to something remembered of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Its first commits are the ones remembered, in both copies.
    Covered {
        /// How many are remembered.
        through: u64,
    },
    /// It belongs to another net.
    OtherNet,
    /// It ends before what is remembered, and nothing in it speaks of later commits: an older copy
    /// of it, or one whose end was cut in all places alike.
    RolledBack {
        /// Its newest commit.
        newest: u64,
    },
    /// It ends before what is remembered, or its journal does, and something in it shows that there
    /// was more.
    Truncated {
        /// Its newest commit, or the newest of the journal.
        newest: u64,
        /// What shows it.
        trace: String,
    },
    /// A commit in it is another than the one remembered.
    Forked {
        /// The copy that is not the one remembered; `None` for both.
        side: Option<Side>,
        /// The newest commit known to be the one remembered; 0 for none.
        after: u64,
        /// The first other commit is at most this one.
        until: u64,
        /// The first block in which that commit differs, where it is known.
        block: Option<Block>,
    },
    /// Damage, or what was not read, keeps it from being compared.
    Unknown(String),
}

impl Standing {
    /// The word used in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Covered { .. } => "anchored",
            Self::OtherNet => "other net",
            Self::RolledBack { .. } => "rolled back",
            Self::Truncated { .. } => "truncated",
            Self::Forked { .. } => "forked",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Covered { through } => {
                write!(f, "the commits up to {through} are the ones remembered")
            }
            Self::OtherNet => f.write_str("it belongs to another net"),
            Self::RolledBack { newest } => write!(
                f,
                "the store ends at commit {newest}: it is an older copy, or its end was cut off in \
                 all places alike"
            ),
            Self::Truncated { newest, trace } => write!(
                f,
                "the store ends at commit {newest}, and had more: {trace}"
            ),
            Self::Forked {
                side,
                after,
                until,
                block,
            } => {
                let which = match side {
                    Some(Side::Journal) => "the journal is another",
                    Some(Side::Tables) => "the tables are another",
                    None => "the history is another",
                };
                let first = after + 1;
                if first == *until {
                    write!(f, "{which} from commit {first} on")?;
                } else {
                    write!(f, "{which} from one of the commits {first} to {until} on")?;
                }
                match block {
                    Some(block) => write!(f, ", first in block {block}"),
                    None => Ok(()),
                }
            }
            Self::Unknown(why) => write!(f, "it cannot be compared: {why}"),
        }
    }
}

/// Roots over the first commits of both copies, of the sizes asked for.
#[derive(Default)]
struct Roots {
    journal: BTreeMap<u64, Hash>,
    tables: BTreeMap<u64, Hash>,
}

/// How a verified net stands to each of `anchors`.
pub(crate) fn standings(
    target: &Target<'_>,
    verification: &Verification,
    diagnosis: &Diagnosis,
    anchors: &[Anchor],
) -> Result<Vec<Standing>> {
    let Some(net) = verification.net else {
        let unknown = Standing::Unknown("which net this is is not known".to_owned());
        return Ok(vec![unknown; anchors.len()]);
    };
    let newest = verification.head.0;
    let mut sizes: Vec<u64> = anchors
        .iter()
        .filter(|anchor| anchor.net == net && anchor.size <= newest)
        .map(|anchor| anchor.size)
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    let roots = if sizes.is_empty() {
        Roots::default()
    } else if let Some(read) = target.read().filter(|_| {
        // Both copies are the same, and the log is that of the commits.
        verification.is_clean() && diagnosis.applied >= newest
    }) {
        let log = Log::new(read, newest);
        let roots = sizes.iter().map(|size| Ok((*size, log.root(*size)?)));
        let tables: BTreeMap<u64, Hash> = roots.collect::<Result<_>>()?;
        Roots {
            journal: tables.clone(),
            tables,
        }
    } else {
        Roots {
            journal: journal_roots(target, &sizes)?,
            tables: tables_roots(target, &sizes)?,
        }
    };
    let fits = |anchor: &Anchor| {
        let of = |roots: &BTreeMap<u64, Hash>| {
            let root = roots.get(&anchor.size)?;
            Some(*root == anchor.root)
        };
        (of(&roots.journal), of(&roots.tables))
    };
    let known = anchors
        .iter()
        .filter(|anchor| {
            anchor.net == net && matches!(fits(anchor), (Some(true), _) | (_, Some(true)))
        })
        .map(|anchor| anchor.size);
    let known: Vec<u64> = known.collect();
    Ok(anchors
        .iter()
        .map(|anchor| {
            let after = known.iter().filter(|size| **size < anchor.size).max();
            let forked = |side| Standing::Forked {
                side,
                after: after.copied().unwrap_or(0),
                until: anchor.size,
                block: None,
            };
            if anchor.net != net {
                return Standing::OtherNet;
            }
            if anchor.size > newest {
                return match trace(verification, diagnosis) {
                    Some(trace) => Standing::Truncated { newest, trace },
                    None => Standing::RolledBack { newest },
                };
            }
            match fits(anchor) {
                // Tables that are behind, or gone, can be built from a journal that fits.
                (Some(true), Some(true) | None) => Standing::Covered {
                    through: anchor.size,
                },
                (Some(false), Some(false) | None) => forked(None),
                (Some(false), Some(true)) => forked(Some(Side::Journal)),
                (Some(true), Some(false)) => forked(Some(Side::Tables)),
                (None, Some(true)) => Standing::Truncated {
                    newest: diagnosis
                        .scans
                        .iter()
                        .map(|scan| scan.newest)
                        .max()
                        .unwrap_or(0),
                    trace: "the tables have the commits remembered, and the journal lacks some"
                        .to_owned(),
                },
                (None, Some(false) | None) => {
                    Standing::Unknown("neither copy has all commits up to it".to_owned())
                }
            }
        })
        .collect())
}

/// What shows that the store once had commits after its newest.
fn trace(verification: &Verification, diagnosis: &Diagnosis) -> Option<String> {
    let codes = [
        Code::TablesAhead,
        Code::TornTail,
        Code::TablesUnusable,
        Code::SegmentMissing,
        Code::FrameHeader,
    ];
    let found = verification
        .findings
        .iter()
        .find(|finding| codes.contains(&finding.code));
    if let Some(finding) = found {
        return Some(finding.to_string());
    }
    // A segment is sealed when the next one begins.
    let sealed = diagnosis.scans.last().is_some_and(|last| last.footer);
    sealed.then(|| "its last segment is sealed, and the one after it is missing".to_owned())
}

/// Collects roots while leaves come in order; ends at the first gap.
struct Collector<'s> {
    sizes: &'s [u64],
    tree: MerkleTree,
    size: u64,
    roots: BTreeMap<u64, Hash>,
}

impl<'s> Collector<'s> {
    fn new(sizes: &'s [u64]) -> Self {
        let mut collector = Self {
            sizes,
            tree: MerkleTree::default(),
            size: 0,
            roots: BTreeMap::new(),
        };
        collector.keep();
        collector
    }

    fn keep(&mut self) {
        if self.sizes.contains(&self.size) {
            self.roots.insert(self.size, self.tree.root());
        }
    }

    fn wants_more(&self) -> bool {
        self.sizes.last().is_some_and(|last| self.size < *last)
    }

    /// The hash of the next commit; false where another one was to follow.
    fn push(&mut self, number: u64, hash: Hash) -> bool {
        if number != self.size + 1 {
            return false;
        }
        self.tree.push(&hash.0);
        self.size = number;
        self.keep();
        true
    }
}

fn journal_roots(target: &Target<'_>, sizes: &[u64]) -> Result<BTreeMap<u64, Hash>> {
    let mut collector = Collector::new(sizes);
    let dir = target.dir.join(crate::open::JOURNAL_DIR);
    let Ok(survey) = Survey::new(Arc::clone(&target.env), &dir) else {
        return Ok(collector.roots);
    };
    for segment in survey.segments() {
        for found in survey.walk(*segment).map_err(Error::from)? {
            let Found::Frame(frame) = found.map_err(Error::from)? else {
                continue;
            };
            if !collector.wants_more() || !collector.push(frame.seq, Hash(frame.chain)) {
                return Ok(collector.roots);
            }
        }
    }
    Ok(collector.roots)
}

fn tables_roots(target: &Target<'_>, sizes: &[u64]) -> Result<BTreeMap<u64, Hash>> {
    let mut collector = Collector::new(sizes);
    if let Some(read) = target.read() {
        while collector.wants_more() {
            let number = collector.size + 1;
            let Ok(info) = header(read, number)? else {
                break;
            };
            collector.push(number, info.hash);
        }
    }
    Ok(collector.roots)
}

/// How a net stands to another copy of it, which is open; the copy is what is remembered.
pub(crate) fn compare(
    target: &Target<'_>,
    verification: &Verification,
    diagnosis: &Diagnosis,
    copy: &Net,
) -> Result<Standing> {
    if verification.net != Some(*copy.id()) {
        return Ok(Standing::OtherNet);
    }
    let Some(spec) = &diagnosis.spec else {
        return Ok(Standing::Unknown("the spec is not known".to_owned()));
    };
    let own = Own {
        target,
        spec,
        net: copy.id(),
        applied: diagnosis.applied,
    };
    let view = copy.now_view()?;
    let newest = verification.head.0.min(view.newest_commit());
    // Each hash covers the one before it: equal at one commit means equal at all before.
    let (mut same, mut other) = (0, newest + 1);
    while same + 1 < other {
        let middle = same + (other - same) / 2;
        match own.commit(middle)? {
            Some((hash, _)) if hash == view.commit(middle)?.hash => same = middle,
            Some(_) => other = middle,
            None => return Ok(Standing::Unknown(format!("commit {middle} cannot be read"))),
        }
    }
    if other <= newest {
        let theirs = from_tables(&*copy.snapshot()?, spec, copy.id(), other)?;
        let block = match (own.commit(other)?, theirs) {
            (Some((_, Some(own))), Some((_, Some(theirs)))) => {
                let differs = |block: &&Block| own.get(block) != theirs.get(block);
                own.keys()
                    .chain(theirs.keys())
                    .filter(differs)
                    .min()
                    .copied()
            }
            _ => None,
        };
        return Ok(Standing::Forked {
            side: None,
            after: same,
            until: other,
            block,
        });
    }
    if newest < view.newest_commit() {
        return Ok(match trace(verification, diagnosis) {
            Some(trace) => Standing::Truncated { newest, trace },
            None => Standing::RolledBack { newest },
        });
    }
    Ok(Standing::Covered { through: newest })
}

/// The hash of a commit, and the root over what it did in each block, where that can be had. The
/// roots and not the hashes of the block versions, which cover also what came before.
type Told = Option<(Hash, Option<BTreeMap<Block, Hash>>)>;

/// The commits of the net that is verified.
struct Own<'a> {
    target: &'a Target<'a>,
    spec: &'a NetSpec,
    net: &'a [u8; 16],
    /// Newest commit in the tables.
    applied: u64,
}

impl Own<'_> {
    /// From the tables, and those that these lack from the journal.
    fn commit(&self, number: u64) -> Result<Told> {
        if let Some(read) = self.target.read().filter(|_| number <= self.applied) {
            return from_tables(read, self.spec, self.net, number);
        }
        let dir = self.target.dir.join(crate::open::JOURNAL_DIR);
        let Ok(recovery) = Recovery::scan(Arc::clone(&self.target.env), &dir) else {
            return Ok(None);
        };
        let frame = recovery
            .frames(number)
            .ok()
            .and_then(|mut all| all.next()?.ok());
        let Some(frame) = frame.filter(|frame| frame.seq == number) else {
            return Ok(None);
        };
        let roots = crate::open::decode_body(&frame, Some(self.spec))
            .ok()
            .and_then(|body| Some(Content::of(self.spec, self.net, &body)?.roots().clone()));
        Ok(Some((Hash(frame.chain), roots)))
    }
}

fn from_tables(read: &dyn Read, spec: &NetSpec, net: &[u8; 16], number: u64) -> Result<Told> {
    let Ok(info) = header(read, number)? else {
        return Ok(None);
    };
    let roots = match rebuild(read, spec, net, number, info.hash)? {
        Ok(rebuilt) => Content::of(spec, net, &rebuilt.body).map(|content| content.roots().clone()),
        Err(_) => None,
    };
    Ok(Some((info.hash, roots)))
}

#[cfg(test)]
mod tests;
