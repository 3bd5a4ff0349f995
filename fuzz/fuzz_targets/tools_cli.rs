//! The command line: a command, its store, and hostile arguments; a file of hostile bytes stands for
//! `@f`. It ends with one of three exit codes, says what is wrong when it fails, prints JSON with
//! `--json`, and a command that reads changes no byte of the store.
//!
//! Everything happens in a temporary directory of its own: arguments that could name another place
//! are left out, and so are simulations and the demonstration, which take as long as they are told.
#![no_main]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use blocknet_tools::cli::{DONE, FAILED, FOUND, Io, run};
use libfuzzer_sys::{Corpus, fuzz_target};

/// Commands, and whether they change the store.
const COMMANDS: [(&[&str], bool); 22] = [
    (&["get"], false),
    (&["query"], false),
    (&["explain"], false),
    (&["history"], false),
    (&["replay"], false),
    (&["diff"], false),
    (&["transients"], false),
    (&["track"], false),
    (&["stats"], false),
    (&["net", "stats"], false),
    (&["net", "walk"], false),
    (&["net", "edges"], false),
    (&["net", "block"], false),
    (&["geocode", "encode", "--store"], false),
    (&["geocode", "decode", "--store"], false),
    (&["geocode", "neighbours", "--store"], false),
    (&["layer", "list"], false),
    (&["layer", "add"], true),
    (&["put"], true),
    (&["remove"], true),
    (&["import"], true),
    (&["create"], true),
];

const FEATURES: &str = r#"{"type":"Feature","id":"a","properties":{"h":3,"s":"in use","v":"2019-05-01"},"geometry":{"type":"Polygon","coordinates":[[[4.895,52.37],[4.8952,52.37],[4.8952,52.3702],[4.895,52.3702],[4.895,52.37]]]}}
{"type":"Feature","id":"b","properties":{"h":7.5,"s":"built","v":"2020-01-01"},"geometry":{"type":"Point","coordinates":[4.9,52.38,2]}}
{"type":"Feature","id":"a","properties":{"h":4,"s":"in use","v":"2021-02-03"},"geometry":{"type":"Point","coordinates":[4.896,52.371]}}
{"type":"Feature","id":"b","properties":{"v":"2022-02-03"},"geometry":null}
"#;

struct Place {
    dir: tempfile::TempDir,
    /// The store: what its directory holds.
    store: Vec<(PathBuf, Vec<u8>)>,
}

fn command(args: &[OsString]) -> (u8, Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(args.iter().cloned(), &mut Io::plain(&mut out, &mut err));
    (code, out, err)
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("our own directory") {
            let path = entry.expect("our own directory").path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.push((path.clone(), fs::read(path).expect("our own file")));
            }
        }
    }
    found.sort();
    found
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let base = if Path::new("/dev/shm").is_dir() {
        "/dev/shm".into()
    } else {
        std::env::temp_dir()
    };
    let dir = tempfile::tempdir_in(base).expect("a writable temporary directory");
    std::env::set_current_dir(dir.path()).expect("just made");
    fs::write("features", FEATURES).expect("just made");
    for args in [
        &["blocknet", "create", "store"][..],
        &[
            "blocknet",
            "import",
            "store",
            "features",
            "--valid-from",
            "v",
            "--height",
            "h",
        ][..],
    ] {
        let args: Vec<OsString> = args.iter().map(Into::into).collect();
        let (code, _, err) = command(&args);
        assert_eq!(code, DONE, "{}", String::from_utf8_lossy(&err));
    }
    let store = files(Path::new("store"));
    Place { dir, store }
});

/// Whether an argument can only name something in the working directory.
fn is_harmless(text: &str) -> bool {
    let outside = text.starts_with('/') || text.contains("=/") || text.contains("..");
    let short = text.starts_with('-') && text.contains('/');
    let heavy = ["simulate", "demo", "--create"]
        .iter()
        .any(|word| text.contains(word));
    // `-` is standard input.
    !outside && !short && !heavy && text != "-" && !text.contains('\0')
}

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let place = &*PLACE;
    assert!(std::env::current_dir().is_ok_and(|dir| dir == place.dir.path()));
    let Some((choice, rest)) = bytes.split_first() else {
        return Corpus::Reject;
    };
    // Arguments end at a zero byte, one to a line; the file follows.
    let end = rest
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(rest.len());
    let Ok(text) = std::str::from_utf8(&rest[..end]) else {
        return Corpus::Reject;
    };
    let file = rest.get(end + 1..).unwrap_or_default();
    if !text.split('\n').all(is_harmless) {
        return Corpus::Reject;
    }
    let (name, writes) = COMMANDS[usize::from(*choice) % COMMANDS.len()];
    fs::write("file", file).expect("our own directory");
    let is_new = name == ["create"];
    let store = if writes { "changed" } else { "store" };
    if writes && !is_new {
        for (path, bytes) in &place.store {
            let path = Path::new(store).join(path.strip_prefix("store").expect("under it"));
            fs::create_dir_all(path.parent().expect("under it")).expect("our own directory");
            fs::write(path, bytes).expect("our own directory");
        }
    }
    let mut args: Vec<OsString> = vec!["blocknet".into()];
    args.extend(name.iter().map(Into::into));
    args.push(store.into());
    let given = text.split('\n').filter(|arg| !arg.is_empty()).take(24);
    args.extend(given.map(|arg| if arg == "@f" { "file" } else { arg }.into()));

    let (code, out, err) = command(&args);
    assert!([DONE, FOUND, FAILED].contains(&code), "exit code {code}");
    if code == FAILED {
        assert!(!err.is_empty(), "what is wrong is said");
    }
    let asks_json = args.iter().any(|arg| arg == "--json");
    let asks_help = args.iter().any(|arg| {
        let arg = arg.to_string_lossy();
        arg.starts_with("-h") || arg == "--help" || arg.starts_with("-V") || arg == "--version"
    });
    if asks_json && !asks_help && code != FAILED {
        for line in out
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let object = serde_json::from_slice::<serde_json::Value>(line);
            // A payload is printed as it came, so a line need not be one whole object.
            if name == ["stats"] || name == ["layer", "list"] {
                assert!(object.is_ok(), "{}", String::from_utf8_lossy(line));
            }
        }
    }
    if writes {
        drop(fs::remove_dir_all(store));
    } else {
        assert!(
            files(Path::new("store")) == place.store,
            "a reader changed the store"
        );
    }
    Corpus::Keep
});
