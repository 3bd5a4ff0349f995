//! Dumps of nets in memory, whole and damaged.

use std::collections::BTreeSet;
use std::path::Path;

use blocknet_geocode::NetSpec;
use blocknet_wal::MemEnv;

use super::*;
use crate::testing::{DIR, builder, day};
use crate::{Assertion, Commit, Extent, LayerId, Net, Valid};

/// Many commits in several segments: changes, moves, absences.
fn street(env: &MemEnv) -> Net {
    let net = builder(env).create(DIR, NetSpec::city()).unwrap();
    for round in 0..40 {
        let assertions = (0..6_i32).map(|n| {
            let from = Valid::from(day(i64::from(round)));
            if n == 3 && round % 4 == 3 {
                return Assertion::absence(LayerId::MAIN, "3").valid(from);
            }
            let west = f64::from(n * (round % 3)) * 0.002;
            let house = Extent::flat(west, 0.1, west + 0.0001, 0.1001).between(1.0, 9.0);
            let payload = if n == 0 {
                vec![0xff, 0]
            } else {
                format!("{n} {round}").into()
            };
            Assertion::state(LayerId::MAIN, n.to_string(), house, payload).valid(from)
        });
        net.commit(&Commit::new("registrar", assertions.collect()))
            .unwrap();
    }
    net
}

fn journal(env: &MemEnv, selection: &JournalSelection) -> Vec<Entry> {
    let mut entries = Vec::new();
    builder(env)
        .dump_journal(DIR, selection, &mut |entry| {
            entries.push(entry);
            ControlFlow::Continue(())
        })
        .unwrap();
    entries
}

fn table(env: &MemEnv, selection: &TableSelection) -> Vec<Entry> {
    let mut entries = Vec::new();
    builder(env)
        .dump_table(DIR, selection, &mut |entry| {
            entries.push(entry);
            ControlFlow::Continue(())
        })
        .unwrap();
    entries
}

fn number(entry: &Entry) -> Option<u64> {
    let found = entry.fields.iter().find(|(name, _)| *name == "number")?;
    match found.1 {
        Value::Number(number) => Some(number),
        _ => None,
    }
}

fn flip(env: &MemEnv, file: &str, offset: u64) {
    let path = Path::new(DIR).join(file);
    let file = blocknet_wal::Env::open(env, &path, blocknet_wal::Access::ReadWrite).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, offset).unwrap();
    file.write_at(&[byte[0] ^ 1], offset).unwrap();
}

#[test]
fn every_byte_of_the_journal_belongs_to_an_entry_and_every_frame_is_decoded() {
    let env = MemEnv::new(1);
    street(&env).close().unwrap();
    let entries = journal(&env, &JournalSelection::default());
    let commits: Vec<u64> = entries.iter().filter_map(number).collect();
    assert_eq!(commits, (1..=41).collect::<Vec<_>>());
    let mut at: Option<(&str, u64)> = None;
    for entry in &entries {
        assert!(!entry.kind.starts_with("undecoded"), "{entry:?}");
        let file = entry.file.as_deref().unwrap();
        let offset = match at {
            Some((same, offset)) if same == file => offset,
            _ => 0,
        };
        assert_eq!(entry.offset_bytes, Some(offset), "{entry:?}");
        at = Some((file, offset + entry.len_bytes.unwrap()));
    }
    let kinds: BTreeSet<&str> = entries.iter().map(|entry| entry.kind).collect();
    for kind in ["page", "commit", "footer", "clean mark"] {
        assert!(kinds.contains(kind), "{kind} of {kinds:?}");
    }
    let bare = JournalSelection {
        payloads: false,
        ..JournalSelection::default()
    };
    let text = format!("{:?}", journal(&env, &bare));
    assert!(!text.contains("\"payload\"") && text.contains("commitment"));
}

#[test]
fn every_row_of_every_table_is_decoded() {
    let env = MemEnv::new(1);
    street(&env).close().unwrap();
    for name in table_names() {
        let entries = table(&env, &TableSelection::of(name));
        assert!(!entries.is_empty(), "{name}");
        for entry in &entries {
            assert_eq!(entry.kind, "row", "{entry:?}");
            let names: Vec<_> = entry.fields.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, ["key", "value"]);
        }
        let limited = TableSelection {
            limit: Some(1),
            prefix: entries[0].key.clone().unwrap(),
            ..TableSelection::of(name)
        };
        assert_eq!(table(&env, &limited), entries[..1]);
        let none = TableSelection {
            limit: Some(0),
            ..TableSelection::of(name)
        };
        assert!(table(&env, &none).is_empty());
    }
    let error = builder(&env)
        .dump_table(DIR, &TableSelection::of("rows"), &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap_err();
    assert!(error.to_string().contains("records, history"), "{error}");
}

#[test]
fn a_list_that_is_cut_within_an_item_is_decoded_over_its_rows() {
    let env = MemEnv::new(1);
    let net = builder(&env).create(DIR, NetSpec::city()).unwrap();
    let assertions = (0..3_000_i32).map(|n| {
        let west = f64::from(n) * 0.0001;
        let id = format!("{n:0width$}", width = 9 + usize::try_from(n).unwrap() % 40);
        Assertion::state(LayerId::MAIN, id, Extent::point(west, 0.1), "x")
    });
    net.commit(&Commit::new("registrar", assertions.collect()))
        .unwrap();
    net.close().unwrap();
    let all = table(&env, &TableSelection::of("commits"));
    let items = |entries: &[Entry]| -> usize {
        let values = entries
            .iter()
            .filter_map(|entry| match entry.fields.last() {
                Some((_, Value::Map(value))) => match value.first() {
                    Some(("touched", Value::List(items))) => Some(items.len()),
                    _ => None,
                },
                _ => None,
            });
        values.sum()
    };
    assert!(all.len() > 5 && all.iter().all(|entry| entry.kind == "row"));
    assert!(items(&all) >= 3_000);
    // A row shown alone asks those before it where it begins.
    for entry in &all {
        let alone = TableSelection {
            prefix: entry.key.clone().unwrap(),
            ..TableSelection::of("commits")
        };
        assert_eq!(table(&env, &alone), std::slice::from_ref(entry));
    }
}

#[test]
fn damage_is_shown_and_passed_over() {
    let env = MemEnv::new(1);
    street(&env).close().unwrap();
    let sound = journal(&env, &JournalSelection::default());
    let place = |commit| {
        let entry = sound
            .iter()
            .find(|entry| number(entry) == Some(commit))
            .unwrap();
        (
            entry.file.clone().unwrap(),
            entry.offset_bytes.unwrap(),
            entry.len_bytes.unwrap(),
        )
    };
    // The body of one commit, the header of another, a page.
    let (file, offset, _) = place(7);
    flip(&env, &file, offset + 100);
    let (file, offset, len) = place(9);
    flip(&env, &file, offset + 8);
    flip(&env, "journal/0000000000000003.wal", 20);
    let found = journal(&env, &JournalSelection::default());
    let commits: Vec<u64> = found
        .iter()
        .filter(|entry| entry.kind == "commit")
        .filter_map(number)
        .collect();
    assert_eq!(
        commits,
        (1..=41).filter(|n| ![7, 9].contains(n)).collect::<Vec<_>>()
    );
    let damages: Vec<&Entry> = found
        .iter()
        .filter(|entry| entry.kind == "damage")
        .collect();
    assert_eq!(damages.len(), 3, "{damages:?}");
    assert_eq!(number(damages[0]), Some(7));
    assert_eq!(
        (damages[1].offset_bytes, damages[1].len_bytes),
        (Some(offset), Some(len))
    );
    assert_eq!(damages[2].offset_bytes, Some(0));

    // Only the stretches in which the commits may have stood are shown with them.
    let of = |commits| {
        let selection = JournalSelection {
            commits: Some(commits),
            bytes: true,
            ..JournalSelection::default()
        };
        journal(&env, &selection)
    };
    let kinds = |entries: &[Entry]| entries.iter().map(|entry| entry.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&of(7..=7)), ["damage"]);
    assert_eq!(kinds(&of(9..=9)), ["damage"]);
    assert_eq!(kinds(&of(8..=8)), ["commit"]);
    assert_eq!(
        kinds(&of(6..=10)),
        ["commit", "damage", "commit", "damage", "commit"]
    );
    assert!(of(100..=200).is_empty());
    for entry in of(6..=10) {
        let shown = entry.fields.iter().find_map(|(name, value)| match value {
            Value::Hex(bytes) if *name == "bytes" => Some(bytes.len() as u64),
            _ => None,
        });
        assert_eq!(shown, entry.len_bytes);
    }
}

#[test]
fn a_net_whose_first_commit_is_damaged_still_shows_what_needs_no_spec() {
    let env = MemEnv::new(1);
    street(&env).close().unwrap();
    flip(&env, "journal/0000000000000001.wal", 4096 + 100);
    let found = journal(&env, &JournalSelection::default());
    // Tables in memory cannot be built past it, so no copy of the spec is left.
    let undecoded = found
        .iter()
        .filter(|entry| entry.kind == "undecoded commit")
        .count();
    assert_eq!(undecoded, 40);
    let text = format!("{:?}", found.last_chunk::<4>().unwrap());
    assert!(text.contains("registrar"), "{text}");
}

#[test]
fn what_takes_entries_may_stop() {
    let env = MemEnv::new(1);
    street(&env).close().unwrap();
    let mut taken = 0;
    builder(&env)
        .dump_table(DIR, &TableSelection::of("history"), &mut |_| {
            taken += 1;
            if taken == 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
    assert_eq!(taken, 3);
    builder(&env)
        .dump_journal(DIR, &JournalSelection::default(), &mut |_| {
            taken += 1;
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(taken, 4);
}
