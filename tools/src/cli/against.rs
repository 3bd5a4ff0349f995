//! What a store is held against: checkpoints in files, and other copies of it.

use std::path::{Path, PathBuf};

use blocknet_engine::Hash;
use blocknet_engine::verify::{Anchor, Standing};
use blocknet_proof::{Keys, Note, Signer};
use blocknet_timestamp::Stamp;
use serde::Serialize;

use super::error::{CliError, Result};
use super::evidence::{at, public_keys, read};
use super::io::{BAD, CHANGED, GOOD, Io};
use super::text::{counted, grouped};
use super::timestamp::{self, Trust};

/// The flags of `verify`.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Against what is remembered elsewhere")]
pub(super) struct AgainstArgs {
    /// A file with a checkpoint, or the directory of another copy of the store; more than once
    /// narrows down where a forked history leaves the one remembered
    #[arg(long, value_name = "FILE|DIR")]
    against: Vec<PathBuf>,
    /// Public key of the log: every signature of the checkpoints must be by one of these keys
    #[arg(long, value_name = "FILE", requires = "against")]
    key: Vec<PathBuf>,
    /// Public key of a witness that must have cosigned the checkpoints
    #[arg(long, value_name = "FILE", requires = "key")]
    witness: Vec<PathBuf>,
    /// Root certificate of a time-stamping authority: a checkpoint's stamp, beside it as
    /// CHECKPOINT.tsr, is checked against these
    #[arg(long, value_name = "FILE", requires = "against")]
    timestamp_root: Vec<PathBuf>,
}

/// Something a store is held against.
pub(super) struct Against {
    path: PathBuf,
    /// Of a checkpoint; none for a copy.
    anchor: Option<Anchor>,
    /// Who signed, as far as it was checked.
    signers: Vec<Signer>,
    /// When an authority saw it, if that was asked.
    stamp: Option<Stamp>,
}

#[derive(Serialize)]
pub(super) struct AgainstJson {
    path: String,
    /// Commits of the checkpoint; null for a copy.
    size: Option<u64>,
    /// Names of the keys whose signatures were checked; null if no key was given.
    signed_by: Option<Vec<String>>,
    /// When an authority saw the checkpoint; null if that was not asked.
    stamped: Option<String>,
    standing: &'static str,
    text: String,
    /// Of a forked store: the first other commit lies from here on ...
    from: Option<u64>,
    /// ... up to here.
    to: Option<u64>,
    block: Option<String>,
}

impl AgainstArgs {
    /// Reads the files, and checks signatures where there are keys.
    pub(super) fn load(&self) -> Result<Vec<Against>> {
        let keys = if self.key.is_empty() {
            None
        } else {
            let (log, witnesses) = (public_keys(&self.key)?, public_keys(&self.witness)?);
            let keys = Keys::new(log, witnesses);
            Some(keys.map_err(|error| CliError::usage(format!("--key: {error}")))?)
        };
        // Checkpoints first, as the engine answers.
        let (copies, files): (Vec<_>, Vec<_>) = self.against.iter().partition(|path| path.is_dir());
        let files = files
            .into_iter()
            .map(|path| self.checkpoint(path, keys.as_ref()));
        let copies = copies.into_iter().map(|path| {
            Ok(Against {
                path: path.clone(),
                anchor: None,
                signers: Vec::new(),
                stamp: None,
            })
        });
        files.chain(copies).collect()
    }

    fn has_keys(&self) -> bool {
        !self.key.is_empty()
    }

    /// The answers as JSON.
    pub(super) fn json(&self, against: &[Against], standings: &[Standing]) -> Vec<AgainstJson> {
        against
            .iter()
            .zip(standings)
            .map(|(against, standing)| {
                let names = against.signers.iter().map(|signer| signer.name.clone());
                let is_checkpoint = against.anchor.is_some();
                let fork = match standing {
                    Standing::Forked {
                        after,
                        until,
                        block,
                        ..
                    } => Some((after + 1, *until, block.map(|block| block.to_string()))),
                    _ => None,
                };
                let (from, to, block) = match fork {
                    Some((from, to, block)) => (Some(from), Some(to), block),
                    None => (None, None, None),
                };
                AgainstJson {
                    path: against.path.display().to_string(),
                    size: against.anchor.map(|anchor| anchor.size),
                    signed_by: (is_checkpoint && self.has_keys()).then(|| names.collect()),
                    stamped: against.stamp.as_ref().map(Stamp::time_text),
                    standing: standing.name(),
                    text: standing.to_string(),
                    from,
                    to,
                    block,
                }
            })
            .collect()
    }

    /// The answers in words.
    pub(super) fn print(
        &self,
        against: &[Against],
        standings: &[Standing],
        io: &mut Io<'_>,
    ) -> Result<()> {
        for (against, standing) in against.iter().zip(standings) {
            let style = match standing {
                Standing::Covered { .. } => GOOD,
                Standing::Unknown(_) => CHANGED,
                _ => BAD,
            };
            let what = match against.anchor {
                Some(anchor) => format!("checkpoint of commit {}", grouped(anchor.size)),
                None => "copy".to_owned(),
            };
            let signed = match (against.anchor, self.has_keys()) {
                (Some(_), true) => {
                    let names: Vec<_> =
                        against.signers.iter().map(|signer| &*signer.name).collect();
                    format!(", signed by {}", names.join(", "))
                }
                (Some(_), false) => ", its signature not checked (no --key)".to_owned(),
                (None, _) => String::new(),
            };
            let path = against.path.display();
            let name = io.paint(style.bold(), standing.name());
            let stamped = against.stamp.as_ref().map_or(String::new(), |stamp| {
                format!(", stamped {}", stamp.time_text())
            });
            io.line(format_args!(
                "{path} ({what}{signed}{stamped}): {name}: {standing}"
            ))?;
        }
        Ok(())
    }

    fn checkpoint(&self, path: &Path, keys: Option<&Keys>) -> Result<Against> {
        let bytes = read(path)?;
        let note = at(path, Note::decode(&bytes))?;
        let signers = match keys {
            Some(keys) => at(path, note.open(keys))?,
            None => Vec::new(),
        };
        let stamp = if self.timestamp_root.is_empty() {
            None
        } else {
            let trust = Trust {
                roots: &self.timestamp_root,
                ..Trust::default()
            };
            let stamp = timestamp::check(path, &bytes, &trust)?;
            let missing = || {
                let reply = timestamp::reply_path(path);
                CliError::usage(format!(
                    "--timestamp-root: {}: there is no stamp; see `blocknet checkpoint attach`",
                    reply.display()
                ))
            };
            Some(stamp.ok_or_else(missing)?)
        };
        let checkpoint = note.checkpoint();
        Ok(Against {
            path: path.to_owned(),
            anchor: Some(Anchor {
                size: checkpoint.size(),
                net: checkpoint.net(),
                root: Hash(checkpoint.root()),
            }),
            signers,
            stamp,
        })
    }
}

/// The anchors and the directories of copies.
pub(super) fn split(against: &[Against]) -> (Vec<Anchor>, Vec<PathBuf>) {
    let anchors = against.iter().filter_map(|one| one.anchor).collect();
    let copies = against.iter().filter(|one| one.anchor.is_none());
    (anchors, copies.map(|one| one.path.clone()).collect())
}

/// What the answers come to together, and up to which commit something outside vouches.
pub(super) struct Freshness {
    pub(super) state: &'static str,
    pub(super) covered: Option<u64>,
}

/// The worst answer counts; without any the store is unanchored.
pub(super) fn freshness(standings: &[Standing]) -> Freshness {
    let rank = |standing: &Standing| match standing {
        Standing::Covered { .. } => 0,
        Standing::Unknown(_) => 1,
        Standing::RolledBack { .. } => 2,
        Standing::Truncated { .. } => 3,
        Standing::Forked { .. } => 4,
        _ => 5,
    };
    let worst = standings.iter().max_by_key(|standing| rank(standing));
    let covered = standings.iter().filter_map(|standing| match standing {
        Standing::Covered { through } => Some(*through),
        _ => None,
    });
    let covered = covered.max();
    Freshness {
        state: worst.map_or("unanchored", Standing::name),
        covered,
    }
}

/// In words, for the end of a report.
pub(super) fn freshness_text(freshness: &Freshness, head: u64, unanchored: &str) -> String {
    match (freshness.state, freshness.covered) {
        ("unanchored", _) => unanchored.to_owned(),
        (state, Some(covered)) => format!(
            "{state}; commits up to {} are those remembered elsewhere, {} since rest on nothing \
             outside",
            grouped(covered),
            counted(head.saturating_sub(covered), "commit", "commits")
        ),
        (state, None) => format!("{state}; nothing remembered elsewhere vouches for any commit"),
    }
}
