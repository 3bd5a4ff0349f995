//! Copying bytes of a file into another one: above all those that are about to go.

#![warn(clippy::indexing_slicing)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::{Env, EnvFile};
use crate::error::{Error, Fault};
use crate::reader::Window;

/// Bytes that are read and written at once.
pub(crate) const COPY_LEN: usize = 256 << 10;

/// The bytes to copy.
#[derive(Debug)]
pub(crate) struct Copy<'a> {
    pub(crate) file: &'a Arc<dyn EnvFile>,
    pub(crate) path: &'a Path,
    /// What they are, for the error if the file has fewer.
    pub(crate) what: &'static str,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Copy<'_> {
    /// Copies them into `dir` (created if absent) as `<stem>-<n>.<extension>`, with the first `n`
    /// that is free; durable on return.
    pub(crate) fn keep(
        &self,
        env: &dyn Env,
        dir: &Path,
        stem: &str,
        extension: &str,
    ) -> Result<PathBuf, Error> {
        match env.create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io("create", dir, error));
            }
            _ => {}
        }
        // Also where it existed: an earlier attempt may have died before this sync.
        let parent = dir.parent().unwrap_or(dir);
        env.sync_dir(parent)
            .map_err(|error| Error::io("sync", parent, error))?;

        let taken = env
            .list(dir)
            .map_err(|error| Error::io("list", dir, error))?;
        let name = (0..=taken.len())
            .map(|attempt| format!("{stem}-{attempt}.{extension}"))
            .find(|name| !taken.iter().any(|other| other == name.as_str()))
            .unwrap_or_else(|| format!("{stem}.{extension}"));
        let (tmp, path) = (dir.join(format!("{stem}.tmp")), dir.join(name));
        let created = match env.create_new(&tmp) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                env.remove_tmp(&tmp)
                    .map_err(|error| Error::io("remove", &tmp, error))?;
                env.create_new(&tmp)
            }
            result => result,
        };
        let copy = created.map_err(|error| Error::io("create", &tmp, error))?;
        self.write_to(&copy, &tmp)?;
        copy.sync_all()
            .map_err(|error| Error::io("sync", &tmp, error))?;
        env.rename(&tmp, &path)
            .map_err(|error| Error::io("rename", &tmp, error))?;
        env.sync_dir(dir)
            .map_err(|error| Error::io("sync", dir, error))?;
        Ok(path)
    }

    /// Writes them to the beginning of another file.
    pub(crate) fn write_to(&self, copy: &Arc<dyn EnvFile>, copy_path: &Path) -> Result<(), Error> {
        let end = self.offset.saturating_add(self.len);
        let mut window = Window::new(self.file.clone(), self.path.to_owned(), end);
        let mut at = self.offset;
        while at < end {
            let bytes = window.bytes(at, COPY_LEN)?;
            if bytes.is_empty() {
                let fault = Fault::Truncated {
                    need: end,
                    have: at,
                };
                return Err(Error::corrupt(self.path, at, self.what, fault));
            }
            copy.write_at(bytes, at - self.offset)
                .map_err(|error| Error::io("write", copy_path, error))?;
            at += bytes.len() as u64;
        }
        Ok(())
    }
}
