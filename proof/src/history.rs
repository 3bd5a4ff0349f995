//! The versions of an entity, one after the other, each shown to be in the log; and perhaps that no
//! later commit touched the last of them.
#![warn(clippy::indexing_slicing)]

use crate::commit_proof::canonical;
use crate::error::{Error, Result};
use crate::hash::{Gap, Hash, Leaf, Path, ZERO, leaf};
use crate::key::Keys;
use crate::log::{PROOF_HASHES_MAX, includes, suffix_root};
use crate::note::{Checkpoint, Note};
use crate::record::{
    BLOCK_LEN_BYTES_MAX, BlockVersion, CODE_LEN_BYTES_MAX, COMMIT_LEN_BYTES_MAX, Commit,
    LEAF_LEN_BYTES_MAX, PAYLOAD_LEN_BYTES_MAX, VERSION_LEN_BYTES_MAX, Version, commitment,
    version_hash,
};
use crate::report::{History, Payload, Report, Shown, ShownVersion, Untouched};
use crate::text::{Lines, NONE, Tokens, base64, checked, push_line};

pub(crate) const FIRST_LINE: &str = "blocknet/history-proof@v1";

/// Proof of the first versions of an entity, without a gap.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryProof {
    /// Number of the entity's layer.
    pub layer: u16,
    /// The entity's id.
    pub id: String,
    /// Bytes of a geocode in stored order in this net; given exactly if a version is a state.
    pub code_len: Option<u8>,
    /// Commits with their versions and their paths in the log, ascending; without the last one if
    /// `since` is given.
    pub commits: Vec<(CommitVersions, Vec<Hash>)>,
    /// The commit of the last version and all commits since.
    pub since: Option<Since>,
    /// The checkpoint.
    pub note: Note,
}

/// A commit and what it says of the entity.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitVersions {
    /// The encoded commit header.
    pub header: Vec<u8>,
    /// In the commit's order.
    pub versions: Vec<VersionPart>,
}

/// One version.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionPart {
    /// Its index in the commit.
    pub index: u32,
    /// The encoded version header.
    pub header: Vec<u8>,
    /// How it hangs on the commit.
    pub filed: Filed,
    /// Its payload, if it is shown.
    pub payload: PayloadPart,
}

/// How a version hangs on its commit's header.
#[derive(Clone, Debug, PartialEq)]
pub enum Filed {
    /// An absence: its hash is a leaf of the unplaced root.
    Unplaced(Path),
    /// A state: record key and hash are a leaf of its block's root, and the block version one of the
    /// blocks root.
    Block {
        /// To the block's root.
        path: Path,
        /// Hash input of the block version, behind domain and net.
        block: Vec<u8>,
        /// To the blocks root.
        block_path: Path,
    },
}

/// Whether a version's payload is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum PayloadPart {
    /// Whoever made the proof left it out.
    Withheld,
    /// Whoever made the proof says that it was erased.
    Erased,
    /// Salt and payload, which fit the commitment.
    Shown {
        /// The salt.
        salt: [u8; 16],
        /// The payload.
        bytes: Vec<u8>,
    },
}

/// The end of the log, from the commit of the last version on.
#[derive(Clone, Debug, PartialEq)]
pub struct Since {
    /// What stands for all commits before in the computation of the root, see
    /// [`crate::log::suffix_root`].
    pub peaks: Vec<Hash>,
    /// The commit of the last version.
    pub commit: CommitVersions,
    /// The leaf after the last version's in its block's root; none if it is the last.
    pub next: Option<Leaf>,
    /// All commits after it, up to the checkpoint.
    pub later: Vec<LaterCommit>,
}

/// A commit after that of the last version.
#[derive(Clone, Debug, PartialEq)]
pub struct LaterCommit {
    /// The encoded commit header.
    pub header: Vec<u8>,
    /// How it did not touch the version.
    pub apart: Apart,
}

/// How a commit left a version alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Apart {
    /// It did not touch the version's block: a gap in its blocks root.
    Elsewhere(Gap),
    /// It touched the block, and filed nothing at the version's record key.
    Beside {
        /// Hash input of the block version, behind domain and net.
        block: Vec<u8>,
        /// To the blocks root.
        block_path: Path,
        /// A gap in the block's root.
        gap: Gap,
    },
}

fn leaf_tokens(leaf: Option<&Leaf>) -> [String; 2] {
    leaf.map_or([NONE.to_owned(), NONE.to_owned()], |leaf| {
        [base64(&leaf.data), base64(&leaf.path.encode())]
    })
}

fn gap_tokens(gap: &Gap) -> [String; 4] {
    let [left, left_path] = leaf_tokens(gap.left.as_ref());
    let [right, right_path] = leaf_tokens(gap.right.as_ref());
    [left, left_path, right, right_path]
}

fn read_leaf(tokens: &mut Tokens<'_>) -> Result<Option<Leaf>> {
    let data = tokens.bytes(LEAF_LEN_BYTES_MAX)?;
    let path = tokens.path()?;
    if !data.is_empty() {
        return Ok(Some(Leaf { data, path }));
    }
    if path.0.is_empty() {
        Ok(None)
    } else {
        Err(tokens.error("a path without its leaf"))
    }
}

fn read_gap(tokens: &mut Tokens<'_>) -> Result<Gap> {
    Ok(Gap {
        left: read_leaf(tokens)?,
        right: read_leaf(tokens)?,
    })
}

fn hashes(hashes: &[Hash]) -> String {
    base64(hashes.as_flattened())
}

impl VersionPart {
    fn encode(&self, text: &mut String) {
        let mut tokens = match &self.filed {
            Filed::Unplaced(_) => vec!["absence".to_owned()],
            Filed::Block { .. } => vec!["state".to_owned()],
        };
        tokens.extend([self.index.to_string(), base64(&self.header)]);
        match &self.filed {
            Filed::Unplaced(path) => tokens.push(base64(&path.encode())),
            Filed::Block {
                path,
                block,
                block_path,
            } => tokens.extend([
                base64(&path.encode()),
                base64(block),
                base64(&block_path.encode()),
            ]),
        }
        match &self.payload {
            PayloadPart::Withheld => tokens.push("withheld".to_owned()),
            PayloadPart::Erased => tokens.push("erased".to_owned()),
            PayloadPart::Shown { salt, bytes } => {
                tokens.extend(["shown".to_owned(), base64(salt), base64(bytes)]);
            }
        }
        push_line(text, &tokens);
    }

    fn read(lines: &mut Lines<'_>, keyword: &'static str) -> Result<Self> {
        let mut tokens = lines.tokens(keyword)?;
        let index =
            u32::try_from(tokens.decimal()?).map_err(|_| tokens.error("an index is below 2^32"))?;
        let header = tokens.bytes(VERSION_LEN_BYTES_MAX)?;
        let path = tokens.path()?;
        let filed = if keyword == "absence" {
            Filed::Unplaced(path)
        } else {
            Filed::Block {
                path,
                block: tokens.bytes(BLOCK_LEN_BYTES_MAX)?,
                block_path: tokens.path()?,
            }
        };
        let payload = match tokens.word()? {
            "withheld" => PayloadPart::Withheld,
            "erased" => PayloadPart::Erased,
            "shown" => PayloadPart::Shown {
                salt: tokens.array()?,
                bytes: tokens.bytes(PAYLOAD_LEN_BYTES_MAX)?,
            },
            _ => return Err(tokens.error("a payload is shown, withheld or erased")),
        };
        tokens.finish()?;
        Ok(Self {
            index,
            header,
            filed,
            payload,
        })
    }
}

fn read_versions(lines: &mut Lines<'_>) -> Result<Vec<VersionPart>> {
    let mut versions = Vec::new();
    loop {
        let next = lines.peek().and_then(|line| line.split(' ').next());
        let keyword = match next {
            Some("absence") => "absence",
            Some("state") => "state",
            _ => return Ok(versions),
        };
        versions.push(VersionPart::read(lines, keyword)?);
    }
}

impl Since {
    fn encode(&self, text: &mut String) {
        push_line(
            text,
            &["since", &hashes(&self.peaks), &base64(&self.commit.header)],
        );
        for version in &self.commit.versions {
            version.encode(text);
        }
        let [next, path] = leaf_tokens(self.next.as_ref());
        push_line(text, &["next", &next, &path]);
        for later in &self.later {
            let header = base64(&later.header);
            let mut tokens = match &later.apart {
                Apart::Elsewhere(_) => vec!["elsewhere".to_owned(), header],
                Apart::Beside {
                    block, block_path, ..
                } => vec![
                    "beside".to_owned(),
                    header,
                    base64(block),
                    base64(&block_path.encode()),
                ],
            };
            let (Apart::Elsewhere(gap) | Apart::Beside { gap, .. }) = &later.apart;
            tokens.extend(gap_tokens(gap));
            push_line(text, &tokens);
        }
    }

    fn read(lines: &mut Lines<'_>) -> Result<Self> {
        let mut tokens = lines.tokens("since")?;
        let peaks = tokens.hashes(PROOF_HASHES_MAX)?;
        let header = tokens.bytes(COMMIT_LEN_BYTES_MAX)?;
        tokens.finish()?;
        let versions = read_versions(lines)?;
        let mut tokens = lines.tokens("next")?;
        let next = read_leaf(&mut tokens)?;
        tokens.finish()?;
        let mut later = Vec::new();
        while lines.peek().is_some_and(|line| !line.is_empty()) {
            let beside = lines.peek().is_some_and(|line| line.starts_with("beside "));
            let mut tokens = lines.tokens(if beside { "beside" } else { "elsewhere" })?;
            let header = tokens.bytes(COMMIT_LEN_BYTES_MAX)?;
            let apart = if beside {
                Apart::Beside {
                    block: tokens.bytes(BLOCK_LEN_BYTES_MAX)?,
                    block_path: tokens.path()?,
                    gap: read_gap(&mut tokens)?,
                }
            } else {
                Apart::Elsewhere(read_gap(&mut tokens)?)
            };
            tokens.finish()?;
            later.push(LaterCommit { header, apart });
        }
        Ok(Self {
            peaks,
            commit: CommitVersions { header, versions },
            next,
            later,
        })
    }
}

impl HistoryProof {
    /// The file.
    pub fn encode(&self) -> String {
        let mut text = format!(
            "{FIRST_LINE}\nentity {} {}\n",
            self.layer,
            base64(self.id.as_bytes())
        );
        if let Some(code_len) = self.code_len {
            push_line(&mut text, &["code", &code_len.to_string()]);
        }
        for (commit, path) in &self.commits {
            push_line(
                &mut text,
                &["commit", &base64(&commit.header), &hashes(path)],
            );
            for version in &commit.versions {
                version.encode(&mut text);
            }
        }
        if let Some(since) = &self.since {
            since.encode(&mut text);
        }
        text.push('\n');
        text.push_str(&self.note.encode());
        text
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Line`], [`Error::Limit`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let text = checked(bytes, crate::FILE_LEN_BYTES_MAX)?;
        let mut lines = Lines::new(text);
        lines.expect(FIRST_LINE, "not a proof of a history")?;
        let mut tokens = lines.tokens("entity")?;
        let layer = u16::try_from(tokens.decimal()?)
            .map_err(|_| tokens.error("a layer's number is below 2^16"))?;
        let id = String::from_utf8(tokens.bytes(LEAF_LEN_BYTES_MAX)?)
            .map_err(|_| tokens.error("an id is UTF-8"))?;
        tokens.finish()?;
        let mut code_len = None;
        if lines.peek().is_some_and(|line| line.starts_with("code ")) {
            let mut tokens = lines.tokens("code")?;
            let len = u8::try_from(tokens.decimal()?).unwrap_or(u8::MAX);
            if !(1..=CODE_LEN_BYTES_MAX).contains(&usize::from(len)) {
                return Err(tokens.error("codes have 1 to 32 bytes"));
            }
            tokens.finish()?;
            code_len = Some(len);
        }
        let mut commits = Vec::new();
        while lines.peek().is_some_and(|line| line.starts_with("commit ")) {
            let mut tokens = lines.tokens("commit")?;
            let header = tokens.bytes(COMMIT_LEN_BYTES_MAX)?;
            let path = tokens.hashes(PROOF_HASHES_MAX)?;
            tokens.finish()?;
            let versions = read_versions(&mut lines)?;
            commits.push((CommitVersions { header, versions }, path));
        }
        let since = if lines.peek().is_some_and(|line| line.starts_with("since ")) {
            Some(Since::read(&mut lines)?)
        } else {
            None
        };
        lines.expect("", "another keyword, or an empty line, is due here")?;
        let (rest, number) = lines.rest();
        let proof = Self {
            layer,
            id,
            code_len,
            commits,
            since,
            note: Note::read(rest, number)?,
        };
        canonical(text, &proof.encode())?;
        Ok(proof)
    }

    /// Checks that the checkpoint is signed, that every version is in its log, that they follow each
    /// other without a gap, and if `since` is given that no later commit touched the last of them.
    ///
    /// # Errors
    /// Any [`Error`]: the proof shows nothing.
    pub fn verify(&self, keys: &Keys) -> Result<Report> {
        let signers = self.note.open(keys)?;
        Ok(Report {
            checkpoint: *self.note.checkpoint(),
            signers,
            shown: self.check()?,
        })
    }

    /// Checks all but the signatures: for whoever makes a proof.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn check(&self) -> Result<Shown> {
        let checkpoint = *self.note.checkpoint();
        let mut walk = Walk {
            proof: self,
            checkpoint,
            net: checkpoint.net(),
            versions: Vec::new(),
            previous: ZERO,
            last_commit: None,
        };
        for (versions, path) in &self.commits {
            let commit = walk.commit(versions)?;
            let (size, root) = (checkpoint.size(), checkpoint.root());
            if !includes(path, size, &root, commit.number, &commit.hash) {
                let item = format!("commit {}", commit.number);
                return Err(Error::refuted(item, "not in the log of the checkpoint"));
            }
        }
        let untouched = match &self.since {
            None => None,
            Some(since) => Some(walk.since(since)?),
        };
        let versions = walk.versions;
        if versions.is_empty() {
            return Err(Error::refuted("history", "it has no version"));
        }
        // The length of codes is bound by the leaves of states, and by nothing else.
        let states = versions.iter().any(|shown| !shown.version.is_absence());
        if states != self.code_len.is_some() {
            return Err(Error::refuted(
                "length of codes",
                "given without a state to bind it",
            ));
        }
        Ok(Shown::History(History {
            layer: self.layer,
            id: self.id.clone(),
            versions,
            untouched,
        }))
    }
}

/// What was seen so far of a history.
struct Walk<'a> {
    proof: &'a HistoryProof,
    checkpoint: Checkpoint,
    net: [u8; 16],
    versions: Vec<ShownVersion>,
    /// Hash of the last version.
    previous: Hash,
    /// Number and hash of the last commit.
    last_commit: Option<(u64, Hash)>,
}

impl Walk<'_> {
    /// Decodes a header; numbers ascend, and where two commits follow each other the second names
    /// the first.
    fn header(&mut self, bytes: &[u8]) -> Result<Commit> {
        let commit = Commit::decode(bytes, &self.net)?;
        let refuted = |what| Error::refuted(format!("commit {}", commit.number), what);
        if let Some((number, hash)) = self.last_commit {
            if commit.number <= number {
                return Err(refuted("commits are not in order"));
            }
            if commit.number - 1 == number && commit.previous != hash {
                return Err(refuted("does not name the commit before it"));
            }
        }
        self.last_commit = Some((commit.number, commit.hash));
        Ok(commit)
    }

    /// A commit with its versions, all but its place in the log.
    fn commit(&mut self, part: &CommitVersions) -> Result<Commit> {
        let commit = self.header(&part.header)?;
        if part.versions.is_empty() {
            let item = format!("commit {}", commit.number);
            return Err(Error::refuted(item, "without a version of the entity"));
        }
        let mut least = 0;
        for part in &part.versions {
            let item = || format!("version {}.{}", commit.number, part.index);
            if part.index < least || part.index >= commit.assertions {
                return Err(Error::refuted(item(), "its index is out of order or none"));
            }
            least = part.index + 1;
            let shown = self
                .version(&commit, part)?
                .map_err(|what| Error::refuted(item(), what))?;
            self.versions.push(shown);
        }
        Ok(commit)
    }

    fn version(
        &mut self,
        commit: &Commit,
        part: &VersionPart,
    ) -> Result<std::result::Result<ShownVersion, &'static str>> {
        let version = Version::decode(&part.header, self.proof.code_len)?;
        if (version.layer, &version.id) != (self.proof.layer, &self.proof.id) {
            return Ok(Err("it is of another entity"));
        }
        if version.ordinal != self.versions.len() as u64 + 1 || version.previous != self.previous {
            return Ok(Err("it does not follow on the version before"));
        }
        let hash = version_hash(&self.net, commit.number, part.index, &part.header);
        let mut block = None;
        match &part.filed {
            Filed::Unplaced(path) => {
                if !version.is_absence() || path.root(leaf(&[&hash])) != commit.unplaced_root {
                    return Ok(Err("it is not under the commit's unplaced root"));
                }
            }
            Filed::Block {
                path,
                block: bytes,
                block_path,
            } => {
                let of = match touched(commit, bytes, block_path, &self.net)? {
                    Ok(of) => of,
                    Err(what) => return Ok(Err(what)),
                };
                let own = leaf(&[&version.record_key(), &hash]);
                if version.is_absence() || path.root(own) != of.root {
                    return Ok(Err("it is not in its block"));
                }
                block = Some(of.block);
            }
        }
        let payload = match &part.payload {
            PayloadPart::Withheld => Payload::Withheld,
            PayloadPart::Erased => Payload::Erased,
            PayloadPart::Shown { salt, bytes } => {
                let fits = bytes.len() == version.payload_len as usize
                    && commitment(salt, bytes) == version.commitment;
                if !fits {
                    return Ok(Err("its payload does not fit its commitment"));
                }
                Payload::Shown(bytes.clone())
            }
        };
        self.previous = hash;
        Ok(Ok(ShownVersion {
            commit: commit.clone(),
            index: part.index,
            version,
            hash,
            block,
            payload,
        }))
    }

    /// The rest of the log, from the commit of the last version on.
    fn since(&mut self, since: &Since) -> Result<Untouched> {
        let commit = self.commit(&since.commit)?;
        let last = since
            .commit
            .versions
            .last()
            .zip(self.versions.last())
            .map(|(part, shown)| (&part.filed, shown.version.clone()));
        let Some((Filed::Block { path, block, .. }, version)) = last else {
            return Err(Error::refuted("since", "the last version is not a state"));
        };
        if version.valid_from == version.valid_to {
            return Err(Error::refuted(
                "since",
                "the last version's interval is empty",
            ));
        }
        let own = BlockVersion::decode(block, &self.net)?;
        let key = version.record_key();
        let next = Gap {
            left: None,
            right: since.next.clone(),
        };
        next.check_last(path, &own.root, &key)
            .map_err(|what| Error::refuted(format!("commit {}", commit.number), what))?;

        let mut hashes = vec![commit.hash];
        for later in &since.later {
            let after = self.header(&later.header)?;
            let refuted = |what| Error::refuted(format!("commit {}", after.number), what);
            if after.number != commit.number + hashes.len() as u64 {
                return Err(refuted("commits before it are left out"));
            }
            hashes.push(after.hash);
            match &later.apart {
                Apart::Elsewhere(gap) => {
                    gap.check(&after.blocks_root, &own.block).map_err(refuted)?;
                }
                Apart::Beside {
                    block,
                    block_path,
                    gap,
                } => {
                    let beside = touched(&after, block, block_path, &self.net)?.map_err(refuted)?;
                    if beside.block != own.block {
                        return Err(refuted("another block is shown"));
                    }
                    gap.check(&beside.root, &key).map_err(refuted)?;
                }
            }
        }
        let (size, root) = (self.checkpoint.size(), self.checkpoint.root());
        let before = commit.number - 1;
        if before.checked_add(hashes.len() as u64) != Some(size) {
            return Err(Error::refuted(
                "since",
                "does not reach up to the checkpoint",
            ));
        }
        if suffix_root(before, &since.peaks, hashes) != Some(root) {
            return Err(Error::refuted(
                "since",
                "its commits are not the end of the log",
            ));
        }
        Ok(Untouched {
            after: commit.number,
            through: size,
        })
    }
}

/// A block version that is under a commit's blocks root.
fn touched(
    commit: &Commit,
    bytes: &[u8],
    path: &Path,
    net: &[u8; 16],
) -> Result<std::result::Result<BlockVersion, &'static str>> {
    let version = BlockVersion::decode(bytes, net)?;
    if version.commit != commit.number || path.root(version.leaf()) != commit.blocks_root {
        return Ok(Err("its block is not under the commit's blocks root"));
    }
    Ok(Ok(version))
}
