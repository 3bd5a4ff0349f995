//! `blocknet keygen`.

use std::path::{Path, PathBuf};

use blocknet_proof::{Role, SecretKey, write_new_pair};
use serde::Serialize;

use super::DONE;
use super::error::{CliError, Result};
use super::evidence::{at, file_error};
use super::io::Io;

const AFTER_HELP: &str = "\
Keep the private key where nobody who can write the store can read it, and never inside the store: \
whoever has it can sign another history. Give the public key to everybody who is to check \
checkpoints and proofs, on another way than the store.";

/// Make an Ed25519 key pair for checkpoints, or for a witness
///
/// Writes the private key to FILE (mode 0600) and the public one to FILE.pub; neither may exist.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The file of the private key
    file: PathBuf,
    /// Who signs with it: a name like city.example/blocknet, without white space or plus
    #[arg(long, value_name = "NAME")]
    name: String,
    /// For a witness, which cosigns checkpoints of nets that are not its own
    #[arg(long)]
    witness: bool,
}

#[derive(Serialize)]
struct Made<'a> {
    schema: &'static str,
    name: &'a str,
    key_id: String,
    role: &'static str,
    private_key_file: String,
    public_key_file: String,
    public_key: String,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let (role, role_name) = if args.witness {
        (Role::Witness, "witness")
    } else {
        (Role::Log, "log")
    };
    if let Some(store) = store_around(&args.file) {
        return Err(CliError::usage(format!(
            "{}: the file is inside the store {}; whoever can read the store could sign for it",
            args.file.display(),
            store.display()
        )));
    }
    let key = at(&args.file, SecretKey::generate(&args.name, role))?;
    let beside = write_new_pair(&args.file, &key)
        .map_err(|source| file_error("create this key or its .pub", &args.file, source))?;
    let public = key.public();
    if io.is_json() {
        io.object(&Made {
            schema: "blocknet.keygen/1",
            name: public.name(),
            key_id: format!("{:08x}", public.id()),
            role: role_name,
            private_key_file: args.file.display().to_string(),
            public_key_file: beside.display().to_string(),
            public_key: public.to_string(),
        })?;
    } else {
        io.line(&public)?;
        io.note(format_args!(
            "private key in {}, public key in {}",
            args.file.display(),
            beside.display()
        ))?;
    }
    Ok(DONE)
}

/// The store in whose directory a file lies, or would lie.
fn store_around(file: &Path) -> Option<PathBuf> {
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent = parent.canonicalize().ok()?;
    let is_store = |dir: &&Path| dir.join("journal").is_dir() && dir.join("LOCK").is_file();
    parent.ancestors().find(is_store).map(Path::to_path_buf)
}
