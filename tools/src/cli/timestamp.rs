//! Timestamps of checkpoints (RFC 3161): requests to an authority, its replies, and what they show.
//!
//! A request is a file that the user sends; nothing here opens a connection:
//!
//! ```text
//! curl -H 'Content-Type: application/timestamp-query' --data-binary @c.tsq AUTHORITY > c.tsr
//! ```
//!
//! The reply stands beside the checkpoint as `CHECKPOINT.tsr`. It is over the bytes of the checkpoint
//! as a whole: a signature that is added later makes it another file, so witnesses come first.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use blocknet_proof::Note;
use blocknet_timestamp::{
    CERTIFICATES_LEN_BYTES_MAX, Certificates, Options, REPLY_LEN_BYTES_MAX, REQUEST_LEN_BYTES_MAX,
    Request, Stamp,
};
use serde::Serialize;

use super::error::{CliError, Result};
use super::evidence::at;
use super::io::{BAD, DIM, Io};
use super::text::Table;
use super::{DONE, FOUND};

/// More than any checkpoint has, which its decoder says.
const NOTE_LEN_BYTES_MAX: usize = 1 << 20;

/// What is added to a checkpoint's name to name its reply.
const SUFFIX: &str = ".tsr";

const AFTER_HELP: &str = "\
Checks the reply against the roots given, at its own time, and stores it beside the checkpoint as \
CHECKPOINT.tsr. A reply that is there already is checked again and never written over by another. \
Nothing is asked over a network: whether a certificate was revoked is not seen. See docs/proof.md.

Exit codes: 0 verified and stored; 1 refused, and the reason is printed; 2 a file cannot be read or \
written.";

/// Check an authority's timestamp of a checkpoint, and keep it with the checkpoint
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The checkpoint, as it was when the request was made
    checkpoint: PathBuf,
    /// The authority's reply (RFC 3161)
    reply: PathBuf,
    /// The request: the reply must answer it
    #[arg(long, value_name = "FILE")]
    query: Option<PathBuf>,
    /// Root certificates to trust, PEM or DER
    #[arg(long, value_name = "FILE", required = true)]
    root: Vec<PathBuf>,
    /// Certificates that the reply leaves out, PEM or DER
    #[arg(long, value_name = "FILE")]
    intermediate: Vec<PathBuf>,
    /// Refuse stamps under another policy than this object identifier
    #[arg(long, value_name = "OID")]
    policy: Option<String>,
}

#[derive(Serialize)]
struct AttachedJson<'s> {
    schema: &'static str,
    result: &'static str,
    /// Why it was refused.
    reason: Option<String>,
    /// Where it stands.
    file: Option<String>,
    stamp: Option<StampJson<'s>>,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let trust = Trust {
        roots: &args.root,
        intermediates: &args.intermediate,
        policy: args.policy.as_deref(),
    };
    let note = read(&args.checkpoint, NOTE_LEN_BYTES_MAX)?;
    // A stamp of something else would stand there as one of a checkpoint.
    at(&args.checkpoint, Note::decode(&note))?;
    let query = args.query.as_deref();
    let refused = AttachedJson {
        schema: "blocknet.checkpoint-attach/1",
        result: "refused",
        reason: None,
        file: None,
        stamp: None,
    };
    match attach(&args.checkpoint, &note, &args.reply, query, &trust) {
        Ok(attached) => {
            if io.is_json() {
                io.object(&AttachedJson {
                    result: "attached",
                    file: Some(attached.file.display().to_string()),
                    stamp: Some((&attached.stamp).into()),
                    ..refused
                })?;
            } else {
                print(&attached.stamp, io)?;
            }
            let stands = if attached.was_there {
                "stands"
            } else {
                "is now"
            };
            io.note(format_args!("it {stands} in {}", attached.file.display()))?;
            Ok(DONE)
        }
        Err(CliError::Timestamp { path, source }) if path == args.reply => {
            if io.is_json() {
                io.object(&AttachedJson {
                    reason: Some(source.to_string()),
                    ..refused
                })?;
            } else {
                let word = io.paint(BAD.bold(), "refused:");
                io.line(format_args!("{word} {source}"))?;
            }
            Ok(FOUND)
        }
        Err(error) => Err(error),
    }
}

/// Whom to trust, and what else is asked of a reply.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trust<'a> {
    /// Files with root certificates, PEM or DER.
    pub(crate) roots: &'a [PathBuf],
    /// Files with certificates that replies leave out.
    pub(crate) intermediates: &'a [PathBuf],
    /// Object identifier of the policy required.
    pub(crate) policy: Option<&'a str>,
}

/// A reply that was checked and stored.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) stamp: Stamp,
    /// Where it stands.
    pub(crate) file: PathBuf,
    /// Whether it stood there before.
    pub(crate) was_there: bool,
}

/// Writes a request over a checkpoint to a new file.
pub(crate) fn write_query(note: &[u8], policy: Option<&str>, out: &Path) -> Result<()> {
    let request = Request::new(note, policy).map_err(|source| refused(out, source))?;
    if write_new(out, request.to_der())? {
        return Ok(());
    }
    // The reply to the request that stands there may be under way.
    Err(CliError::usage(format!(
        "{}: there is a file already: name another",
        out.display()
    )))
}

/// Where the reply to a checkpoint stands.
pub(crate) fn reply_path(checkpoint: &Path) -> PathBuf {
    let mut name = OsString::from(checkpoint);
    name.push(SUFFIX);
    name.into()
}

/// Checks a reply and stores it beside the checkpoint.
///
/// A reply that does not verify is not stored, and one that stands there is not written over.
pub(crate) fn attach(
    checkpoint: &Path,
    note: &[u8],
    reply: &Path,
    query: Option<&Path>,
    trust: &Trust<'_>,
) -> Result<Attached> {
    let request = match query {
        None => None,
        Some(path) => {
            let bytes = read(path, REQUEST_LEN_BYTES_MAX)?;
            Some(Request::from_der(&bytes).map_err(|source| refused(path, source))?)
        }
    };
    let bytes = read(reply, REPLY_LEN_BYTES_MAX)?;
    let stamp = verify(reply, &bytes, note, request.as_ref(), trust)?;
    let file = reply_path(checkpoint);
    let is_new = write_new(&file, &bytes)?;
    if !is_new && read(&file, REPLY_LEN_BYTES_MAX)? != bytes {
        return Err(CliError::usage(format!(
            "{}: there is another reply already: both are evidence, move one away",
            file.display()
        )));
    }
    Ok(Attached {
        stamp,
        file,
        was_there: !is_new,
    })
}

/// Checks the reply that stands beside a checkpoint; `None` where there is none.
pub(crate) fn check(checkpoint: &Path, note: &[u8], trust: &Trust<'_>) -> Result<Option<Stamp>> {
    let file = reply_path(checkpoint);
    match read(&file, REPLY_LEN_BYTES_MAX) {
        Ok(bytes) => verify(&file, &bytes, note, None, trust).map(Some),
        Err(CliError::File { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn verify(
    path: &Path,
    reply: &[u8],
    note: &[u8],
    request: Option<&Request>,
    trust: &Trust<'_>,
) -> Result<Stamp> {
    let roots = certificates(trust.roots)?;
    let intermediates = certificates(trust.intermediates)?;
    let options = Options {
        policy: trust.policy,
        intermediates: Some(&intermediates),
    };
    blocknet_timestamp::verify(reply, note, request, &roots, &options)
        .map_err(|source| refused(path, source))
}

fn certificates(files: &[PathBuf]) -> Result<Certificates> {
    let mut certificates = Certificates::default();
    for path in files {
        let bytes = read(path, CERTIFICATES_LEN_BYTES_MAX)?;
        certificates
            .add(&bytes)
            .map_err(|source| refused(path, source))?;
    }
    Ok(certificates)
}

fn refused(path: &Path, source: blocknet_timestamp::Error) -> CliError {
    CliError::Timestamp {
        path: path.to_owned(),
        source,
    }
}

/// A file's bytes, or so many that it is seen to be too long.
fn read(path: &Path, len_bytes_max: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(len_bytes_max as u64 + 1).read_to_end(&mut bytes))
        .map_err(failed("read", path))?;
    Ok(bytes)
}

/// Makes a file, whole and durable, unless there is one: then returns `false` and changes nothing.
fn write_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    // What is written is public; the process's mask still takes away what it takes from all files.
    let mut file = tempfile::Builder::new()
        .prefix(".timestamp-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(dir)
        .map_err(failed("write", path))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed("write", path))?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(failed("write", path)(error.error)),
    }
    // The name is durable with its directory.
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed("write", path))?;
    Ok(true)
}

fn failed(operation: &'static str, path: &Path) -> impl Fn(std::io::Error) -> CliError {
    move |source| CliError::File {
        operation,
        path: path.to_owned(),
        source,
    }
}

/// What a stamp states, for `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct StampJson<'s> {
    /// UTC, RFC 3339.
    time: String,
    /// In either direction; `null` where the authority does not say.
    accuracy_seconds: Option<f64>,
    /// Whether the authority's stamps are ordered by time, whatever the accuracy.
    ordered: bool,
    /// The authority's number of the stamp, hexadecimal.
    serial: &'s str,
    policy: &'s str,
    /// The name in the stamp.
    authority: Option<&'s str>,
    /// Subject of the certificate that signed.
    certificate: &'s str,
    certificate_sha256: &'s str,
    certificate_until: String,
    /// Subject of the root it leads to.
    root: &'s str,
    /// Whether it was compared with the request.
    answers_request: bool,
    not_proven: Vec<&'static str>,
}

impl<'s> From<&'s Stamp> for StampJson<'s> {
    fn from(stamp: &'s Stamp) -> Self {
        Self {
            time: stamp.time_text(),
            accuracy_seconds: stamp.accuracy.map(|accuracy| accuracy.as_secs_f64()),
            ordered: stamp.ordering,
            serial: &stamp.serial,
            policy: &stamp.policy,
            authority: stamp.tsa.as_deref(),
            certificate: &stamp.certificate,
            certificate_sha256: &stamp.certificate_sha256,
            certificate_until: stamp.certificate_until_text(),
            root: &stamp.root,
            answers_request: stamp.answers_request,
            not_proven: stamp.not_proven(),
        }
    }
}

/// Prints what a stamp states and what it does not.
pub(crate) fn print(stamp: &Stamp, io: &mut Io<'_>) -> Result<()> {
    let accuracy = match stamp.accuracy {
        None => "of unstated accuracy".to_owned(),
        Some(accuracy) => format!("\u{b1} {} s", accuracy.as_secs_f64()),
    };
    let mut rows = vec![
        ("stamped", format!("{}, {accuracy}", stamp.time_text())),
        (
            "by",
            stamp
                .tsa
                .clone()
                .unwrap_or_else(|| "an authority without a name".to_owned()),
        ),
        (
            "certificate",
            format!(
                "{}, valid until {}",
                stamp.certificate,
                stamp.certificate_until_text()
            ),
        ),
        ("root", stamp.root.clone()),
        (
            "stamp",
            format!("number {}, policy {}", stamp.serial, stamp.policy),
        ),
    ];
    rows.extend(
        stamp
            .not_proven()
            .into_iter()
            .map(|text| ("not proven", text.to_owned())),
    );
    let mut table = Table::default();
    for (name, text) in rows {
        table.row([(name.to_owned(), DIM), (text, anstyle::Style::new())]);
    }
    table.print(io, "")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What `timestamp/tests/fixtures/make.sh` made.
    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../timestamp/tests/fixtures")
            .join(name)
    }

    struct Scene {
        dir: tempfile::TempDir,
        note: Vec<u8>,
        roots: Vec<PathBuf>,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                dir: tempfile::tempdir().unwrap(),
                note: fs::read(fixture("note.txt")).unwrap(),
                roots: vec![fixture("root_rsa.pem"), fixture("root_ec.pem")],
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn trust(&self) -> Trust<'_> {
            Trust {
                roots: &self.roots,
                ..Trust::default()
            }
        }

        fn attach(&self, reply: &str, query: Option<&str>) -> Result<Attached> {
            let query = query.map(fixture);
            let checkpoint = self.path("checkpoint");
            attach(
                &checkpoint,
                &self.note,
                &fixture(reply),
                query.as_deref(),
                &self.trust(),
            )
        }

        fn files(&self) -> usize {
            fs::read_dir(self.dir.path()).unwrap().count()
        }
    }

    #[test]
    fn a_query_is_over_the_note_and_not_written_over_another() {
        let scene = Scene::new();
        let file = scene.path("checkpoint.tsq");
        write_query(&scene.note, Some("1.2.3.4"), &file).unwrap();
        let bytes = fs::read(&file).unwrap();
        assert!(Request::from_der(&bytes).unwrap().is_over(&scene.note));
        let error = write_query(&scene.note, None, &file).unwrap_err();
        assert!(error.to_string().contains("already"), "{error}");
        assert_eq!(fs::read(&file).unwrap(), bytes);
        assert_eq!(scene.files(), 1);

        let error = write_query(&scene.note, Some("best"), &scene.path("other.tsq")).unwrap_err();
        assert!(matches!(error, CliError::Timestamp { .. }), "{error}");
        let nowhere = scene.path("nowhere/other.tsq");
        assert!(matches!(
            write_query(&scene.note, None, &nowhere),
            Err(CliError::File { .. })
        ));
        assert_eq!(scene.files(), 1);
    }

    #[test]
    fn a_reply_is_checked_and_then_stored() {
        let scene = Scene::new();
        let checkpoint = scene.path("checkpoint");
        assert_eq!(
            check(&checkpoint, &scene.note, &scene.trust()).unwrap(),
            None
        );

        let first = scene.attach("ec.tsr", Some("ec.tsq")).unwrap();
        assert!(!first.was_there && first.stamp.answers_request);
        assert_eq!(first.file, scene.path("checkpoint.tsr"));
        assert_eq!(
            fs::read(&first.file).unwrap(),
            fs::read(fixture("ec.tsr")).unwrap()
        );
        let again = scene.attach("ec.tsr", None).unwrap();
        assert!(again.was_there && !again.stamp.answers_request);

        let found = check(&checkpoint, &scene.note, &scene.trust())
            .unwrap()
            .unwrap();
        assert_eq!(found.time, first.stamp.time);
        let error = check(&checkpoint, b"another note", &scene.trust()).unwrap_err();
        assert!(error.to_string().contains("other bytes"), "{error}");
        let error = check(&checkpoint, &scene.note, &Trust::default()).unwrap_err();
        assert!(error.to_string().contains("no path"), "{error}");

        // Another good reply does not take its place.
        let error = scene.attach("rsa.tsr", None).unwrap_err();
        assert!(error.to_string().contains("another reply"), "{error}");
        assert_eq!(
            fs::read(&first.file).unwrap(),
            fs::read(fixture("ec.tsr")).unwrap()
        );
        assert_eq!(scene.files(), 1);
    }

    #[test]
    fn a_bad_reply_is_not_stored() {
        let scene = Scene::new();
        for (reply, query) in [
            ("old.tsr", None),
            ("rejected.tsr", None),
            ("expired.tsr", None),
            ("no_eku.tsr", None),
            ("again.tsr", Some("ec.tsq")),
            ("note.txt", None),
            ("ec.tsr", Some("note.txt")),
        ] {
            let error = scene.attach(reply, query).unwrap_err();
            assert!(
                matches!(error, CliError::Timestamp { .. }),
                "{reply}: {error}"
            );
        }
        let missing = scene.attach("missing.tsr", None).unwrap_err();
        assert!(matches!(missing, CliError::File { .. }), "{missing}");
        assert_eq!(scene.files(), 0);
    }

    #[test]
    fn what_is_printed_says_what_is_not_proven() {
        let scene = Scene::new();
        let stamp = scene.attach("ec.tsr", Some("ec.tsq")).unwrap().stamp;
        let mut out = Vec::new();
        {
            let mut io = Io::plain(&mut out, std::io::sink());
            print(&stamp, &mut io).unwrap();
            io.flush().unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        for part in [
            "\u{b1} 1.5001 s",
            "CN=ec,O=Town",
            "CN=root_ec",
            "policy 1.2.3.4.2",
            "revoked",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let json = serde_json::to_value(StampJson::from(&stamp)).unwrap();
        assert_eq!(json["policy"], "1.2.3.4.2");
        assert_eq!(json["accuracy_seconds"], 1.5001);
        assert_eq!(json["answers_request"], true);
        assert_eq!(json["not_proven"].as_array().unwrap().len(), 2);
    }
}
