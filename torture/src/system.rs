//! Files and commands of the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, Result};

/// Runs a command to its end and returns what it printed.
///
/// # Errors
/// A failure of the set-up, with what it said, when it does not succeed.
pub fn run(program: &str, args: &[&str]) -> Result<String> {
    let what = || format!("{program} {}", args.join(" "));
    let output = Command::new(program)
        .args(args)
        .output()
        .map_err(|error| Failure::setup(what(), error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure::setup(what(), said.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A reason to skip what needs programs that are not there.
///
/// # Errors
/// [`Failure::Skipped`] names the first that is missing.
pub fn need(programs: &[&str]) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .collect();
    for program in programs {
        if !dirs.iter().any(|dir| dir.join(program).is_file()) {
            return Err(Failure::Skipped(format!("{program} is not installed")));
        }
    }
    Ok(())
}

/// A reason to skip what only root may do.
///
/// # Errors
/// [`Failure::Skipped`] for anybody else.
pub fn need_root() -> Result<()> {
    match run("id", &["-u"]) {
        Ok(id) if id.trim() == "0" => Ok(()),
        _ => Err(Failure::Skipped("only root may mount".into())),
    }
}

/// Copies a directory with all that is in it.
///
/// # Errors
/// When a file cannot be read or written.
pub fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    let setup = |error| Failure::setup(format!("copy {}", from.display()), error);
    fs::create_dir_all(to).map_err(setup)?;
    for entry in fs::read_dir(from).map_err(setup)? {
        let entry = entry.map_err(setup)?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(setup)?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target).map_err(setup)?;
        }
    }
    Ok(())
}

/// Makes a directory empty, whether it was there or not.
///
/// # Errors
/// When the operating system does.
pub fn fresh_dir(dir: &Path) -> Result<()> {
    remove(dir)?;
    fs::create_dir_all(dir).map_err(|error| Failure::setup(dir.display(), error))
}

/// Removes a directory, if it is there.
///
/// # Errors
/// When the operating system does.
pub fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::setup(dir.display(), error))
        }
        _ => Ok(()),
    }
}

/// A mounted file system; unmounted on drop.
#[derive(Debug)]
pub struct Mount {
    point: PathBuf,
    mounted: bool,
}

impl Mount {
    /// Mounts with these arguments of `mount`, on a directory that is made.
    ///
    /// # Errors
    /// When `mount` refuses.
    pub fn new(args: &[&str], point: &Path) -> Result<Self> {
        fs::create_dir_all(point).map_err(|error| Failure::setup(point.display(), error))?;
        let mut all = args.to_vec();
        let text = point.to_string_lossy();
        all.push(&text);
        run("mount", &all)?;
        Ok(Self {
            point: point.to_path_buf(),
            mounted: true,
        })
    }

    /// Where.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// Unmounts.
    ///
    /// # Errors
    /// When it is in use.
    pub fn unmount(mut self) -> Result<()> {
        self.mounted = false;
        run("umount", &[&self.point.to_string_lossy()]).map(drop)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: what still uses it is about to end.
            drop(run("umount", &["-l", &self.point.to_string_lossy()]));
        }
    }
}
