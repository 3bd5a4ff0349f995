//! Bugs planted on purpose, each in a copy of the sources, to see that the tests catch them: a suite
//! that never failed has proved nothing. The bugs are the files in `planted/`.
//!
//! `make planted` runs them all, or those whose names contain `BLOCKNET_PLANTED`. An ordinary run
//! of the tests only looks whether each still fits the sources.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The suites, in the order in which they run, with what they are to cargo.
const SUITES: [(&str, &[&str]); 3] = [
    ("wal", &["-p", "blocknet-wal", "--lib", "--tests"]),
    (
        "engine",
        &[
            "-p",
            "blocknet-engine",
            "--no-default-features",
            "--lib",
            "net::",
        ],
    ),
    (
        "simulation",
        &[
            "-p",
            "blocknet-engine",
            "--no-default-features",
            "--test",
            "simulation",
        ],
    ),
];

/// One bug: some lines of a file, and what stands there instead.
struct Bug {
    name: String,
    what: String,
    /// Relative to the root of the workspace.
    file: PathBuf,
    /// The suites that have to catch it, each by itself.
    suites: Vec<String>,
    find: String,
    replace: String,
}

fn root() -> PathBuf {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR"));
    engine.parent().expect("a member").to_owned()
}

fn bugs() -> Vec<Bug> {
    let entries = fs::read_dir(root().join("planted")).expect("the directory of bugs");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a name").path()).collect();
    paths.retain(|path| path.extension() == Some(OsStr::new("bug")));
    paths.sort();
    paths.iter().map(|path| Bug::read(path)).collect()
}

impl Bug {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().expect("a name").to_string_lossy();
        let text = fs::read_to_string(path).expect("a text");
        let (head, find, replace) = text
            .strip_suffix("--- end\n")
            .and_then(|text| text.split_once("--- find\n"))
            .and_then(|(head, rest)| {
                let (find, replace) = rest.split_once("--- replace\n")?;
                Some((head, find, replace))
            })
            .unwrap_or_else(|| panic!("{name}: not in three parts"));
        let field = |key: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_else(|| panic!("{name}: no line `{key}`"))
                .trim()
        };
        let suites: Vec<String> = field("suite:").split(' ').map(Into::into).collect();
        for suite in &suites {
            let known = SUITES.iter().any(|(known, _)| known == suite);
            assert!(known, "{name}: there is no suite `{suite}`");
        }
        Self {
            what: field("what:").to_owned(),
            file: field("file:").into(),
            suites,
            find: find.to_owned(),
            replace: replace.to_owned(),
            name: name.into(),
        }
    }

    fn is_for(&self, suite: &str) -> bool {
        self.suites.iter().any(|own| own == suite)
    }

    /// The file with the bug in it.
    fn planted(&self, root: &Path) -> String {
        let path = root.join(&self.file);
        let text = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {}: {error}", self.name, path.display()));
        let times = text.matches(&self.find).count();
        assert_eq!(
            times,
            1,
            "{}: its text stands {times} times in {}; bring the bug up to the sources",
            self.name,
            self.file.display()
        );
        text.replacen(&self.find, &self.replace, 1)
    }
}

#[test]
fn every_planted_bug_still_fits_the_sources() {
    let bugs = bugs();
    assert!(bugs.len() >= 10, "{} bugs", bugs.len());
    for bug in bugs {
        let planted = bug.planted(&root());
        assert!(!bug.what.is_empty() && bug.find != bug.replace);
        assert!(!planted.is_empty());
    }
}

/// Copies the sources: all that does not begin with a dot, except what cargo made.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory for the copy");
    for entry in fs::read_dir(from).expect("a directory of sources") {
        let entry = entry.expect("a name");
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') || name == "target" {
            continue;
        }
        let (path, copied) = (entry.path(), to.join(&name));
        if entry.file_type().expect("a kind").is_dir() {
            copy(&path, &copied);
        } else {
            fs::copy(&path, &copied).expect("a copy");
        }
    }
}

/// What came of a suite.
enum Outcome {
    Passed,
    /// By these tests, or by something that has no name.
    Failed(Vec<String>),
    DoesNotCompile(String),
}

fn run(suite: &[&str], sources: &Path) -> Outcome {
    let cargo = |tail: &[&str]| {
        // A bug may make a test wait for ever.
        let output = Command::new("timeout")
            .args(["1200", env!("CARGO"), "test", "--offline", "--no-fail-fast"])
            .args(suite)
            .args(tail)
            .current_dir(sources)
            .env("CARGO_TARGET_DIR", sources.with_file_name("target"))
            // Each bug is compiled for a single run, so that takes longer than the run.
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
            .env("CARGO_TERM_COLOR", "never")
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("cargo runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        (output.status.success(), text)
    };
    let (compiles, text) = cargo(&["--no-run"]);
    if !compiles {
        return Outcome::DoesNotCompile(text);
    }
    let (passed, text) = cargo(&[]);
    if passed {
        return Outcome::Passed;
    }
    let failed = text.lines().filter_map(|line| {
        let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
        Some(name.to_owned())
    });
    Outcome::Failed(failed.collect())
}

#[test]
#[ignore = "compiles and runs the suites once for each bug: `make planted`"]
fn every_planted_bug_is_caught() {
    let only = std::env::var("BLOCKNET_PLANTED").unwrap_or_default();
    let base = std::env::var_os("BLOCKNET_PLANTED_DIR").map_or_else(
        || std::env::temp_dir().join("blocknet-planted"),
        PathBuf::from,
    );
    let sources = base.join("sources");
    if sources.exists() {
        fs::remove_dir_all(&sources).expect("the copy made before goes");
    }
    copy(&root(), &sources);
    let bugs: Vec<Bug> = bugs()
        .into_iter()
        .filter(|bug| bug.name.contains(&only))
        .collect();
    for (suite, arguments) in SUITES {
        if !bugs.iter().any(|bug| bug.is_for(suite)) {
            continue;
        }
        match run(arguments, &sources) {
            Outcome::Passed => println!("without a bug, {suite}: passes"),
            Outcome::Failed(tests) => panic!("without a bug, {suite} fails: {tests:?}"),
            Outcome::DoesNotCompile(text) => panic!("without a bug: {text}"),
        }
    }
    let (mut caught, mut missed) = (0, Vec::new());
    for bug in &bugs {
        #[expect(
            clippy::disallowed_methods,
            reason = "how long a bug took is only printed"
        )]
        let start = std::time::Instant::now();
        let path = sources.join(&bug.file);
        let whole = fs::read_to_string(&path).expect("a source");
        fs::write(&path, bug.planted(&sources)).expect("a planted bug");
        println!("{}: {}", bug.name, bug.what);
        let mut sound = true;
        for (suite, arguments) in SUITES {
            if !bug.is_for(suite) {
                continue;
            }
            match run(arguments, &sources) {
                Outcome::Failed(tests) => {
                    let first = tests.first().map_or("something", String::as_str);
                    let more = tests.len().saturating_sub(1);
                    println!("    {suite}: caught by {first} and {more} more");
                }
                Outcome::Passed => {
                    println!("    {suite}: MISSED");
                    sound = false;
                }
                Outcome::DoesNotCompile(text) => panic!("{}: {text}", bug.name),
            }
        }
        println!("    {} s", start.elapsed().as_secs());
        fs::write(&path, whole).expect("the source as it was");
        if sound {
            caught += 1;
        } else {
            missed.push(bug.name.clone());
        }
    }
    println!("{caught} caught, {} missed", missed.len());
    assert!(missed.is_empty(), "missed: {missed:?}");
}
