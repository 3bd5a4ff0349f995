//! The library that makes the n-th file operation of a writer fail, or kills it there.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::system::{need, run};
use crate::{Failure, Result};

const SOURCE: &str = include_str!("../shim/shim.c");

/// Kinds of calls.
pub mod mask {
    /// `write` and its relatives.
    pub const WRITES: u32 = 1;
    /// `fsync`, `fdatasync`, `sync_file_range`.
    pub const SYNCS: u32 = 2;
    /// `rename`, `unlink`, `mkdir`, and opening what is created.
    pub const NAMES: u32 = 4;
    /// `ftruncate`, `fallocate`.
    pub const LENGTHS: u32 = 8;
    /// `read`, `pread`.
    pub const READS: u32 = 16;
    /// Everything that changes something.
    pub const CHANGES: u32 = WRITES | SYNCS | NAMES | LENGTHS;
}

/// What is done at the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Action {
    /// Kill before the call.
    KillBefore,
    /// Kill after the call.
    KillAfter,
    /// Make half of a write, and kill.
    Tear,
    /// A sync fails with EIO, once.
    SyncError,
    /// A call that needs space fails with ENOSPC, once.
    NoSpace,
    /// All such calls from this one on fail.
    NoSpaceLasting,
    /// A change fails with EIO, once.
    ChangeError,
    /// A read fails with EIO, once.
    ReadError,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::KillBefore,
        Self::KillAfter,
        Self::Tear,
        Self::SyncError,
        Self::NoSpace,
        Self::NoSpaceLasting,
        Self::ChangeError,
        Self::ReadError,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::KillBefore => "kill-before",
            Self::KillAfter => "kill-after",
            Self::Tear => "tear",
            Self::SyncError => "sync-error",
            Self::NoSpace => "no-space",
            Self::NoSpaceLasting => "no-space-lasting",
            Self::ChangeError => "change-error",
            Self::ReadError => "read-error",
        }
    }

    /// The calls it may hit.
    pub fn mask(self) -> u32 {
        match self {
            Self::KillBefore | Self::KillAfter | Self::ChangeError => mask::CHANGES,
            Self::Tear => mask::WRITES,
            Self::SyncError => mask::SYNCS,
            Self::NoSpace | Self::NoSpaceLasting => mask::WRITES | mask::NAMES | mask::LENGTHS,
            Self::ReadError => mask::READS,
        }
    }

    /// Whether it kills.
    pub fn kills(self) -> bool {
        matches!(self, Self::KillBefore | Self::KillAfter | Self::Tear)
    }

    fn letter(self) -> &'static str {
        match self {
            Self::KillBefore => "K",
            Self::KillAfter => "A",
            Self::Tear => "T",
            Self::SyncError | Self::ChangeError | Self::ReadError => "E",
            Self::NoSpace | Self::NoSpaceLasting => "S",
        }
    }
}

/// The compiled library.
#[derive(Clone, Debug)]
pub struct Shim(PathBuf);

impl Shim {
    /// Compiles it into a directory.
    ///
    /// # Errors
    /// [`Failure::Skipped`] where there is no C compiler, or it does not know this machine.
    pub fn compile(dir: &Path) -> Result<Self> {
        if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            return Err(Failure::Skipped("the shim knows x86_64 and aarch64".into()));
        }
        need(&["cc"])?;
        let (source, library) = (dir.join("shim.c"), dir.join("shim.so"));
        fs::write(&source, SOURCE).map_err(|error| Failure::setup(source.display(), error))?;
        let (from, to) = (source.to_string_lossy(), library.to_string_lossy());
        run("cc", &["-O2", "-shared", "-fPIC", &from, "-o", &to])?;
        Ok(Self(library))
    }

    /// The environment in which a process counts its calls on files below `store`, and the one
    /// with number `at` is hit; 0 for none.
    pub fn env(&self, store: &Path, action: Action, at: u64) -> Vec<(&'static str, OsString)> {
        let lasting = u32::from(action == Action::NoSpaceLasting);
        vec![
            ("LD_PRELOAD", self.0.clone().into()),
            ("FI_DIR", store.into()),
            ("FI_MASK", action.mask().to_string().into()),
            ("FI_ACT", action.letter().into()),
            ("FI_AT", at.to_string().into()),
            ("FI_LAST", lasting.to_string().into()),
        ]
    }
}
