//! The gate: random assertions, removals, moves and corrections, several per commit, out of order,
//! in two layers, with reopening and crashes between commits. Every answer, at every (commit,
//! valid time), equals that of a model which holds a plain list of assertions per entity.
//!
//! Valid and recorded times are whole days, so the model finds changes by asking for every day.

mod changes;
mod reference;
mod story;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use blocknet::geocode::NetSpec;
use blocknet::journal::MemEnv;
use blocknet::query::{Match, Selection, search};
use blocknet::{
    AsOf, Assertion, ChangeKind, Clock, Commit, End, Extent, LayerDef, LayerId, Moment, Net,
    NetBuilder, Outcome, Precondition, Recorded, Valid, Version, View,
};
use quickcheck::{Gen, QuickCheck, TestResult};

use changes::check_changes;
use reference::{FOREVER, Fact, Model, Verdict};
use story::{Expect, HORIZON, IDS, Said, SaidEnd, Step, day, extent, recorded_day, windows};

#[derive(Debug)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Moment {
        recorded_day(self.0.load(Ordering::Relaxed))
    }
}

/// Where the net under test lives, and how it crashes.
trait Home {
    fn builder(&self) -> NetBuilder;
    fn dir(&self) -> &Path;
    fn crash(&mut self, net: Net);
}

struct InMemory(MemEnv, u64);

impl Home for InMemory {
    fn builder(&self) -> NetBuilder {
        Net::builder().env(Arc::new(self.0.clone()))
    }
    fn dir(&self) -> &Path {
        Path::new("net")
    }
    fn crash(&mut self, net: Net) {
        // Power fails before the net is dropped: what drop writes goes to the old machine.
        self.1 += 1;
        self.0 = self.0.crash(self.1);
        drop(net);
    }
}

#[cfg(feature = "rocks")]
struct OnDisk {
    root: tempfile::TempDir,
    dir: std::path::PathBuf,
    crashes: u32,
}

#[cfg(feature = "rocks")]
impl Home for OnDisk {
    fn builder(&self) -> NetBuilder {
        Net::builder()
    }
    fn dir(&self) -> &Path {
        &self.dir
    }
    fn crash(&mut self, net: Net) {
        // A copy of the files as they are now is what a killed process leaves behind.
        self.crashes += 1;
        let copy = self.root.path().join(format!("net-{}", self.crashes));
        copy_dir(&self.dir, &copy);
        drop(net);
        std::fs::remove_dir_all(&self.dir).unwrap();
        self.dir = copy;
    }
}

#[cfg(feature = "rocks")]
fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn spec() -> NetSpec {
    NetSpec::city()
}

fn run(mut home: impl Home, steps: &[Step]) {
    let clock = Arc::new(TestClock(AtomicI64::new(0)));
    let mut net = home
        .builder()
        .clock(clock.clone())
        .create(home.dir(), spec())
        .unwrap();
    let second = net
        .create_layer(LayerDef::new("second"), "test", "")
        .unwrap();
    let mut model = Model {
        newest: 2,
        ..Model::default()
    };
    for step in steps {
        model.now += 1;
        clock.0.store(model.now, Ordering::Relaxed);
        match step {
            Step::Reopen => {
                net.close().unwrap();
                net = home
                    .builder()
                    .clock(clock.clone())
                    .open(home.dir())
                    .unwrap();
            }
            Step::Crash => {
                home.crash(net);
                net = home
                    .builder()
                    .clock(clock.clone())
                    .open(home.dir())
                    .unwrap();
            }
            Step::Commit {
                recorded,
                assertions,
            } => {
                commit(&net, &mut model, second, *recorded, assertions);
            }
        }
    }
    check(&net, &model, second);
    // The same from a store opened for reading, and from one rebuilt from the journal.
    net.close().unwrap();
    let net = home
        .builder()
        .clock(clock.clone())
        .open_read_only(home.dir())
        .unwrap();
    check_views(&net, &model, second, true);
    drop(net);
    let net = home
        .builder()
        .clock(clock)
        .tables_in_memory()
        .open(home.dir())
        .unwrap();
    check_views(&net, &model, second, true);
}

fn commit(net: &Net, model: &mut Model, second: LayerId, recorded: Option<i64>, said: &[Said]) {
    let said: Vec<(LayerId, &Said)> = said
        .iter()
        .map(|said| (if said.layer { second } else { LayerId::MAIN }, said))
        .collect();
    let layers: BTreeSet<LayerId> = said.iter().map(|(layer, _)| *layer).collect();
    let newest = layers
        .iter()
        .filter_map(|layer| model.commits.get(layer).and_then(|commits| commits.last()))
        .map(|(day, _)| *day)
        .max();
    let at = recorded.map(|delta| newest.unwrap_or(model.now - 3) + delta);
    let assertions = said
        .iter()
        .map(|(layer, said)| {
            let id = IDS[said.id];
            let newest = model.facts(*layer, id).last().map(|fact| fact.version);
            let base = match said.place {
                Some(place) => Assertion::state(*layer, id, extent(place), vec![said.payload]),
                None => Assertion {
                    payload: vec![said.payload],
                    ..Assertion::absence(*layer, id)
                },
            };
            let implied = at.unwrap_or_else(|| newest_or(newest_day(model, &layers), model.now));
            let end = match said.end {
                SaidEnd::UntilNext => End::UntilNext,
                SaidEnd::Forever => End::Forever,
                SaidEnd::After(days) => End::At(day(said.from.unwrap_or(1000 + implied) + days)),
            };
            let valid = Valid {
                from: said.from.map(day),
                end,
                ..Valid::default()
            };
            let kind = if said.correct {
                ChangeKind::Correct
            } else {
                ChangeKind::Change
            };
            let base = base.valid(valid).kind(kind);
            match (said.expect, newest) {
                (Expect::Nothing, _) => base,
                (Expect::Right, Some(version)) => base.expect(Precondition::IsAt(version)),
                (Expect::Right, None) | (Expect::Wrong, Some(_)) => {
                    base.expect(Precondition::IsNew)
                }
                (Expect::Wrong, None) => base.expect(Precondition::IsAt(Version {
                    commit: 1,
                    index: 0,
                })),
            }
        })
        .collect();
    let request = Commit {
        recorded: at.map_or(Recorded::Now, |at| Recorded::At(recorded_day(at))),
        ..Commit::new("test", assertions)
    };
    let result = net.commit(&request);
    match model.say(recorded, &said) {
        Verdict::Refused(kind) => {
            assert_eq!(
                result.expect_err("the model refuses it").kind(),
                kind,
                "{request:?}"
            );
        }
        Verdict::Written(versions) => {
            let receipt = result.unwrap_or_else(|error| panic!("{error}: {request:?}"));
            let found: Vec<Option<Version>> = receipt
                .outcomes
                .iter()
                .map(|outcome| match outcome {
                    Outcome::Written { version, .. } => Some(*version),
                    Outcome::Unchanged => None,
                })
                .collect();
            assert_eq!(found, versions, "{request:?}");
            assert_eq!(receipt.commit.is_some(), found.iter().any(Option::is_some));
        }
    }
}

fn newest_day(model: &Model, layers: &BTreeSet<LayerId>) -> Option<i64> {
    layers
        .iter()
        .filter_map(|layer| model.commits.get(layer).and_then(|commits| commits.last()))
        .map(|(day, _)| *day)
        .max()
}

fn newest_or(newest: Option<i64>, now: i64) -> i64 {
    newest.map_or(now, |newest| newest.max(now))
}

fn entities(second: LayerId) -> Vec<(LayerId, &'static str)> {
    [LayerId::MAIN, second]
        .into_iter()
        .flat_map(|layer| IDS.into_iter().map(move |id| (layer, id)))
        .collect()
}

/// Times at which anything can differ: every day, and one where implied valid-froms lie.
fn times(model: &Model) -> Vec<i64> {
    let mut times: Vec<i64> = (-1..HORIZON).collect();
    times.extend([1000 + model.now / 2, 1001 + model.now]);
    times
}

fn check(net: &Net, model: &Model, second: LayerId) {
    check_views(net, model, second, false);
    check_changes(net, model, second);
}

/// Checks views as of every commit, or with `few` only as of two.
fn check_views(net: &Net, model: &Model, second: LayerId, few: bool) {
    let mut as_ofs = vec![(AsOf::Newest, model.newest, model.newest)];
    for commit in if few {
        vec![model.newest / 2 + 1]
    } else {
        (0..=model.newest).collect()
    } {
        as_ofs.push((AsOf::Commit(commit), commit, commit));
    }
    for recorded in if few {
        vec![]
    } else {
        vec![-4, -2, model.now / 2, model.now - 1]
    } {
        let bound = |layer| model.bound(layer, recorded);
        as_ofs.push((
            AsOf::Recorded(recorded_day(recorded)),
            bound(LayerId::MAIN),
            bound(second),
        ));
    }
    for (as_of, main_bound, second_bound) in as_ofs {
        let bound = |layer: LayerId| {
            if layer == LayerId::MAIN {
                main_bound
            } else {
                second_bound
            }
        };
        for t in times(model) {
            let view = net.view(as_of, day(t)).unwrap();
            for (window, altitude) in windows() {
                for matching in [Match::Meets, Match::Within] {
                    let selection = Selection {
                        matching,
                        altitude,
                        ..Selection::of(window)
                    };
                    let found: BTreeSet<_> = search(&view, &selection)
                        .unwrap()
                        .map(|record| {
                            let record = record.unwrap();
                            (
                                record.layer,
                                record.id,
                                record.version,
                                record.payload.to_vec(),
                            )
                        })
                        .collect();
                    let expected: BTreeSet<_> = entities(second)
                        .into_iter()
                        .filter_map(|(layer, id)| {
                            let fact = model.answer(layer, id, bound(layer), t)?;
                            let extent = extent(fact.place?);
                            let taken = window.takes(&extent, matching)
                                && altitude.is_none_or(|band| band.takes(&extent, matching));
                            taken.then(|| (layer, id.to_owned(), fact.version, vec![fact.payload]))
                        })
                        .collect();
                    assert_eq!(
                        found, expected,
                        "{as_of:?} at day {t}, {window:?} {altitude:?} {matching:?}"
                    );
                }
            }
            for (layer, id) in entities(second) {
                let found = view.get(layer, id).unwrap();
                let expected = model
                    .answer(layer, id, bound(layer), t)
                    .filter(|fact| fact.place.is_some());
                assert_eq!(
                    found.map(|record| record.version),
                    expected.map(|fact| fact.version),
                    "{as_of:?} at day {t}, {layer:?} {id:?}"
                );
            }
        }
        let view = net.view(as_of, day(0)).unwrap();
        for (layer, id) in entities(second) {
            check_history(&view, model, layer, id, bound(layer));
        }
    }
}

fn check_history(view: &View<'_>, model: &Model, layer: LayerId, id: &'static str, bound: u64) {
    let found = view.history(layer, id).unwrap();
    let expected: Vec<&Fact> = model
        .facts(layer, id)
        .iter()
        .filter(|fact| fact.version.commit <= bound)
        .collect();
    assert_eq!(found.len(), expected.len(), "{layer:?} {id:?}");
    for (record, fact) in found.iter().zip(expected) {
        assert_eq!(record.version, fact.version);
        assert_eq!(record.valid.from, day(fact.from));
        let to = if fact.to == FOREVER {
            Moment::MAX
        } else {
            day(fact.to)
        };
        assert_eq!(record.valid.to, to);
        assert_eq!(record.payload, vec![fact.payload]);
        assert_eq!(record.from_asserted, fact.from_known);
        assert_eq!(
            record.extent,
            fact.place.map(|place| {
                let extent = extent(place);
                Extent {
                    west: extent.west + 0.0,
                    ..extent
                }
            })
        );
        let info = view.commit(record.version.commit).unwrap();
        assert_eq!(info.recorded, recorded_day(fact.recorded));
    }
}

/// Number of random histories; `BLOCKNET_RUNS` overrides it. quickcheck prints a failing history,
/// shrunk, which is all that is needed to run it again.
fn runs(default: u64) -> u64 {
    std::env::var("BLOCKNET_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok())
        .unwrap_or(default)
}

#[test]
fn a_net_in_memory_answers_like_the_model() {
    #[expect(clippy::needless_pass_by_value, reason = "quickcheck gives it away")]
    fn property(steps: Vec<Step>) -> TestResult {
        run(InMemory(MemEnv::new(1), 0), &steps);
        TestResult::passed()
    }
    QuickCheck::new()
        .rng(Gen::new(14))
        .tests(runs(60))
        .quickcheck(property as fn(Vec<Step>) -> TestResult);
}

#[cfg(feature = "rocks")]
#[test]
fn a_net_on_disk_answers_like_the_model() {
    #[expect(clippy::needless_pass_by_value, reason = "quickcheck gives it away")]
    fn property(steps: Vec<Step>) -> TestResult {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("net-0");
        run(
            OnDisk {
                root,
                dir,
                crashes: 0,
            },
            &steps,
        );
        TestResult::passed()
    }
    QuickCheck::new()
        .rng(Gen::new(12))
        .tests(runs(15))
        .quickcheck(property as fn(Vec<Step>) -> TestResult);
}
