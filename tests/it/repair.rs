//! Damage to either copy of a net: verify names it, repair puts it back from the other copy, and a
//! second repair finds nothing to do. Damage to both: named, and everything else stays readable.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blocknet::geocode::NetSpec;
use blocknet::journal::{FileEnv, Frame, Recovery};
use blocknet::repair::Repair;
use blocknet::verify::{Code, Depth, Remedy, Side, Verification};
use blocknet::{Net, NetBuilder, Settings};

use crate::damage::{Answers, answers, contents, copy_dir, fill};

/// Short segments and small write buffers, so that there are several files of each.
fn builder() -> NetBuilder {
    Net::builder().settings(Settings {
        segment_len_bytes_max: 48 << 10,
        write_buffer_len_bytes: 256 << 10,
        ..Settings::default()
    })
}

fn verify(store: &Path) -> Verification {
    builder().verify(store, Depth::Full, &|_| ()).unwrap()
}

fn repair(store: &Path, apply: bool) -> Repair {
    builder().repair(store, apply, "admin", &|_| ()).unwrap()
}

struct Whole {
    root: tempfile::TempDir,
    store: PathBuf,
    expected: Answers,
    commits: u64,
}

/// A closed net, and what it answers.
fn whole() -> Whole {
    let root = tempfile::tempdir().unwrap();
    let store = root.path().join("store");
    let net = builder().create(&store, NetSpec::city()).unwrap();
    fill(&net);
    let expected = answers(&net).unwrap();
    net.close().unwrap();
    let verification = verify(&store);
    assert!(
        verification.findings.is_empty(),
        "{:#?}",
        verification.findings
    );
    assert!(verification.is_clean());
    assert!(verification.segments > 3, "{}", verification.segments);
    let commits = verification.commits;
    Whole {
        root,
        store,
        expected,
        commits,
    }
}

impl Whole {
    /// A copy to damage.
    fn copy(&self) -> PathBuf {
        let copy = self.root.path().join("copy");
        if copy.exists() {
            fs::remove_dir_all(&copy).unwrap();
        }
        copy_dir(&self.store, &copy);
        copy
    }

    fn files(&self, below: &str, end: &str) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.store.join(below))
            .unwrap()
            .map(|entry| Path::new(below).join(entry.unwrap().file_name()))
            .filter(|file| file.to_string_lossy().ends_with(end))
            .collect();
        files.sort();
        assert!(!files.is_empty());
        files
    }

    /// Damages a copy, has it repaired, and judges: everything is back, once and for all.
    fn check(&self, context: &str, damage: impl FnOnce(&Path)) -> Repair {
        let copy = self.copy();
        damage(&copy);
        let damaged = contents(&copy);
        let found = verify(&copy);
        assert!(!found.is_clean(), "{context}: nothing was found");
        assert!(contents(&copy) == damaged, "{context}: verify wrote");
        let dry = repair(&copy, false);
        assert!(contents(&copy) == damaged, "{context}: a dry run wrote");
        let done = repair(&copy, true);
        assert_eq!(dry.steps.len(), done.steps.len(), "{context}");
        let findings = &done.before.findings;
        assert!(
            done.lost.is_empty() && done.left.is_empty(),
            "{context}: {done:#?}"
        );
        assert!(!done.steps.is_empty(), "{context}: {findings:#?}");
        let after = done.after.as_ref().unwrap();
        assert!(after.is_clean(), "{context}: {:#?}", after.findings);
        assert_eq!(
            after.commits,
            self.commits + 1,
            "{context}: the repair commit"
        );
        assert_eq!(done.commit, Some(self.commits + 1), "{context}");
        let repaired = contents(&copy);
        let again = repair(&copy, true);
        assert!(
            again.steps.is_empty() && again.commit.is_none(),
            "{context}"
        );
        // The lock file is opened by every writer.
        let stripped = |mut files: BTreeMap<PathBuf, Vec<u8>>| {
            files.remove(&copy.join("LOCK"));
            files
        };
        assert!(
            stripped(contents(&copy)) == stripped(repaired),
            "{context}: the second run wrote"
        );
        let net = builder().open(&copy).unwrap();
        assert!(
            answers(&net).unwrap() == self.expected,
            "{context}: answers"
        );
        net.audit(|finding| panic!("{context}: {finding}")).unwrap();
        // What was replaced is kept.
        let quarantine = copy.join("quarantine");
        assert!(quarantine.join("repair-1.txt").is_file(), "{context}");
        done
    }
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x10;
    fs::write(file, bytes).unwrap();
}

#[test]
fn deleted_tables_are_built_again() {
    let whole = whole();
    let done = whole.check("tables deleted", |copy| {
        fs::remove_dir_all(copy.join("tables")).unwrap();
    });
    assert_eq!(done.steps.len(), 1);
    whole.check("CURRENT deleted", |copy| {
        fs::remove_file(copy.join("tables/CURRENT")).unwrap();
    });
}

#[test]
fn any_segment_deleted_emptied_cut_or_flipped_is_restored() {
    let whole = whole();
    let segments = whole.files("journal", ".wal");
    for segment in &segments {
        let len = fs::metadata(whole.store.join(segment)).unwrap().len();
        let len = usize::try_from(len).unwrap();
        let name = segment.display();
        let deleted = whole.check(&format!("{name} deleted"), |copy| {
            fs::remove_file(copy.join(segment)).unwrap();
        });
        assert!(deleted.steps.iter().any(|step| step.from_tables > 0));
        whole.check(&format!("{name} emptied"), |copy| {
            fs::write(copy.join(segment), b"").unwrap();
        });
        // The end of the last one is the mark that it was closed: without it, the journal is whole.
        let near_end = if segment == segments.last().unwrap() {
            200
        } else {
            40
        };
        for at in [20, 4096 + 30, len / 3, len - near_end] {
            whole.check(&format!("{name} flipped at {at}"), |copy| {
                flip(&copy.join(segment), at);
            });
        }
        whole.check(&format!("{name} cut in the middle"), |copy| {
            let bytes = fs::read(copy.join(segment)).unwrap();
            fs::write(copy.join(segment), &bytes[..len / 2]).unwrap();
        });
    }
    whole.check("two segments swapped", |copy| {
        let (one, two) = (copy.join(&segments[1]), copy.join(&segments[2]));
        let aside = copy.join("aside");
        fs::rename(&one, &aside).unwrap();
        fs::rename(&two, &one).unwrap();
        fs::rename(&aside, &two).unwrap();
    });
    whole.check("the whole journal deleted", |copy| {
        fs::remove_dir_all(copy.join("journal")).unwrap();
    });
    whole.check("a directory in the place of a segment", |copy| {
        fs::remove_file(copy.join(&segments[1])).unwrap();
        fs::create_dir(copy.join(&segments[1])).unwrap();
    });
}

#[test]
fn a_flipped_byte_in_any_table_file_is_named_and_restored_or_changes_no_answer() {
    let whole = whole();
    let (mut found, mut inert) = (0, 0);
    for file in whole.files("tables", ".sst") {
        let len = fs::metadata(whole.store.join(&file)).unwrap().len();
        let len = usize::try_from(len).unwrap();
        for at in [len / 10, len / 2] {
            let copy = whole.copy();
            flip(&copy.join(&file), at);
            if verify(&copy).is_clean() {
                // A filter that RocksDB passes over when it is damaged: reads are only slower.
                let net = builder().open_read_only(&copy).unwrap();
                assert!(answers(&net).unwrap() == whole.expected);
                net.audit(|finding| panic!("{finding}")).unwrap();
                inert += 1;
                continue;
            }
            let done = whole.check(&format!("{} flipped at {at}", file.display()), |copy| {
                flip(&copy.join(&file), at);
            });
            let name = file.file_name().unwrap().to_str().unwrap();
            let named = done.before.errors().any(|finding| {
                let text = finding.to_string();
                // Where RocksDB does not open, it does not always say which file is to blame.
                finding.side == Side::Tables
                    && (text.contains(name) || finding.code == Code::TablesUnusable)
            });
            assert!(named, "{name} at {at}: {:#?}", done.before.findings);
            found += 1;
        }
    }
    println!("flips of table files: {found} named and restored, {inert} without effect");
    assert!(found > 3 * inert, "{found} found, {inert} without effect");
}

#[test]
fn a_commit_that_both_copies_lost_is_named_and_the_rest_stays_readable() {
    let whole = whole();
    let copy = whole.copy();
    let segments = whole.files("journal", ".wal");
    // Commit 2, the first with houses, in the journal.
    flip(&copy.join(&segments[0]), 4096 + 2000);
    let before = verify(&copy);
    let damaged: Vec<u64> = before
        .errors()
        .filter_map(|finding| finding.commit)
        .collect();
    assert!(!damaged.is_empty(), "{:#?}", before.findings);
    // And the tables altogether.
    fs::remove_dir_all(copy.join("tables")).unwrap();
    let found = verify(&copy);
    let lost: Vec<_> = found
        .errors()
        .filter(|finding| finding.remedy == Remedy::Unprovable && finding.code == Code::CommitLost)
        .collect();
    assert_eq!(lost.len(), 1, "{:#?}", found.findings);
    assert_eq!(lost[0].commit, Some(damaged[0]));
    let done = repair(&copy, true);
    assert_eq!(done.lost, [(damaged[0], damaged[0])]);
    let again = repair(&copy, true);
    assert!(again.steps.is_empty(), "{:#?}", again.steps);
    assert_eq!(again.lost, done.lost);

    // All other commits are there as they were, and what was found in its place.
    let frames = |store: &Path| -> Vec<Frame> {
        let recovery = Recovery::scan(Arc::new(FileEnv), &store.join("journal")).unwrap();
        recovery.frames(1).unwrap().map(Result::unwrap).collect()
    };
    let (whole_frames, left) = (frames(&whole.store), frames(&copy));
    assert_eq!(left.len(), whole_frames.len());
    for (was, is) in whole_frames.iter().zip(&left) {
        assert_eq!((is.seq, is.chain), (was.seq, was.chain));
        assert_eq!(is.lost, is.seq == damaged[0]);
        if is.lost {
            assert!(!is.body.is_empty(), "the evidence");
        } else {
            assert_eq!((&is.body, &is.erasable), (&was.body, &was.erasable));
        }
    }
}
