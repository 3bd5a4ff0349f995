//! The gate: random assertions, removals, moves and corrections, several per commit, out of order,
//! in two layers, with reopening and crashes between commits. Every answer, at every (commit,
//! valid time), equals that of a model which holds a plain list of assertions per entity.
//!
//! Valid and recorded times are whole days, so the model finds changes by asking for every day.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use blocknet::geocode::NetSpec;
use blocknet::journal::MemEnv;
use blocknet::query::{
    Axis, ByteCompare, Change, Compare as _, Kind, Match, Selection, Span, UnknownHeight, Window,
    diff, replay, search, transients,
};
use blocknet::{
    AsOf, Assertion, ChangeKind, Clock, Commit, End, ErrorKind, Extent, LayerDef, LayerId, Moment,
    Net, NetBuilder, Outcome, Precondition, Record, Recorded, Valid, Version, View,
};
use quickcheck::{Arbitrary, Gen, QuickCheck, TestResult};

/// Valid times run over these days; the horizon checks what lies after all of them.
const DAYS: i64 = 12;
const HORIZON: i64 = DAYS + 2;
const IDS: [&str; 4] = ["1", "12", "a\u{0}b", "zz"];

fn day(day: i64) -> Moment {
    // 2000-01-01 and so many days.
    Moment::from_micros((10_957 + day) * 86_400_000_000)
}

/// Recorded times run over their own days, long after the valid ones.
fn recorded_day(number: i64) -> Moment {
    day(1000 + number)
}

/// Places that meet each other in different ways: in one block, in neighbouring blocks, across the
/// antimeridian, at a pole, large ones, and with every combination of known floor and top.
fn extent(index: usize) -> Extent {
    match index % 10 {
        0 => Extent::flat(6.1, 52.0, 6.1001, 52.0001),
        1 => Extent::flat(6.100_05, 52.000_05, 6.1002, 52.0002).between(0.0, 9.5),
        2 => Extent {
            floor: Some(2.0),
            ..Extent::flat(6.11, 52.0, 6.1101, 52.0001)
        },
        3 => Extent::flat(5.9, 51.9, 6.3, 52.1),
        4 => Extent::point(180.0, 0.0),
        5 => Extent::flat(-180.0, -0.0001, -179.9999, 0.0001).between(-3.0, 3.0),
        6 => Extent::flat(-180.0, -90.0, 180.0, 90.0),
        7 => Extent::point(100.0, 90.0).between(100.0, 100.0),
        8 => Extent {
            top: Some(30.0),
            ..Extent::flat(6.1, 52.0, 6.101, 52.0005)
        },
        _ => Extent::flat(179.9, -0.1, 180.0, 0.1),
    }
}

fn windows() -> Vec<Window> {
    let exclude = UnknownHeight::Exclude;
    vec![
        Window::flat(-180.0, -90.0, 180.0, 90.0),
        Window::flat(6.0999, 51.9999, 6.1003, 52.0003),
        Window::flat(6.1001, 52.0001, 6.1001, 52.0001),
        Window::flat(6.05, 51.95, 6.2, 52.05).between(9.5, 20.0),
        Window {
            unknown_height: exclude,
            ..Window::flat(6.05, 51.95, 6.2, 52.05).between(0.0, 9.0)
        },
        Window::flat(179.95, -1.0, -179.95, 1.0),
        Window::flat(180.0, -0.00005, 180.0, 0.0),
        Window::flat(-10.0, 89.0, 10.0, 90.0),
        Window::flat(99.0, 89.5, 101.0, 90.0).between(50.0, 150.0),
        Window::flat(20.0, 20.0, 21.0, 21.0),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Commit {
        recorded: Option<i64>,
        assertions: Vec<Said>,
    },
    Reopen,
    Crash,
}

/// One assertion, by small numbers.
#[derive(Clone, Debug)]
struct Said {
    layer: bool,
    id: usize,
    place: Option<usize>,
    payload: u8,
    from: Option<i64>,
    end: SaidEnd,
    correct: bool,
    expect: Expect,
}

#[derive(Clone, Copy, Debug)]
enum SaidEnd {
    UntilNext,
    Forever,
    /// So many days after `from`.
    After(i64),
}

#[derive(Clone, Copy, Debug)]
enum Expect {
    Nothing,
    Right,
    Wrong,
}

fn pick<T: Clone>(g: &mut Gen, choices: &[T]) -> T {
    g.choose(choices).expect("there are choices").clone()
}

impl Arbitrary for Said {
    fn arbitrary(g: &mut Gen) -> Self {
        let places: Vec<_> = (0..10).collect();
        let days: Vec<_> = (0..DAYS).collect();
        Self {
            layer: pick(g, &[false, false, true]),
            id: pick(g, &[0, 0, 1, 2, 3]),
            place: if pick(g, &[true, true, true, false]) {
                Some(pick(g, &places))
            } else {
                None
            },
            payload: pick(g, &[0, 1, 2, 3]),
            from: if pick(g, &[true, true, true, true, true, false]) {
                Some(pick(g, &days))
            } else {
                None
            },
            end: match pick(g, &[0, 0, 0, 1, 2, 2]) {
                0 => SaidEnd::UntilNext,
                1 => SaidEnd::Forever,
                _ => SaidEnd::After(pick(g, &[0, 1, 2, 3, 5])),
            },
            correct: bool::arbitrary(g),
            expect: pick(
                g,
                &[
                    Expect::Nothing,
                    Expect::Nothing,
                    Expect::Nothing,
                    Expect::Nothing,
                    Expect::Right,
                    Expect::Right,
                    Expect::Wrong,
                ],
            ),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let simple = |change: fn(&mut Self)| {
            let mut said = self.clone();
            change(&mut said);
            said
        };
        let candidates = vec![
            simple(|said| said.expect = Expect::Nothing),
            simple(|said| said.end = SaidEnd::UntilNext),
            simple(|said| said.payload = 1),
            simple(|said| said.layer = false),
            simple(|said| said.correct = false),
            simple(|said| said.place = said.place.map(|_| 0)),
        ];
        let own = format!("{self:?}");
        Box::new(
            candidates
                .into_iter()
                .filter(move |said| format!("{said:?}") != own),
        )
    }
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        match pick(g, &[0, 0, 0, 0, 0, 1, 2]) {
            0 => {
                let count = pick(g, &[1, 1, 1, 2, 3, 5]);
                let again: Vec<Said> = (0..count).map(|_| Said::arbitrary(g)).collect();
                Self::Commit {
                    recorded: pick(g, &[None, None, Some(0), Some(1), Some(2), Some(-1)]),
                    assertions: again,
                }
            }
            1 => Self::Reopen,
            _ => Self::Crash,
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        match self {
            Self::Commit {
                recorded,
                assertions,
            } => {
                let recorded = *recorded;
                Box::new(
                    assertions
                        .shrink()
                        .filter(|assertions| !assertions.is_empty())
                        .map(move |assertions| Self::Commit {
                            recorded,
                            assertions,
                        }),
                )
            }
            _ => Box::new(std::iter::empty()),
        }
    }
}

/// A stored assertion in the model.
#[derive(Clone, Debug)]
struct Fact {
    version: Version,
    recorded: i64,
    asserted: bool,
    from: i64,
    from_known: bool,
    to: i64,
    end: u8,
    place: Option<usize>,
    payload: u8,
}

const FOREVER: i64 = i64::MAX;

impl Fact {
    fn holds(&self, t: i64) -> bool {
        self.from <= t && t < self.to
    }
}

#[derive(Default)]
struct Model {
    entities: BTreeMap<(LayerId, &'static str), Vec<Fact>>,
    /// (recorded day, commit) of each layer.
    commits: BTreeMap<LayerId, Vec<(i64, u64)>>,
    newest: u64,
    now: i64,
}

impl Model {
    fn facts(&self, layer: LayerId, id: &'static str) -> &[Fact] {
        self.entities.get(&(layer, id)).map_or(&[], Vec::as_slice)
    }

    fn answer(&self, layer: LayerId, id: &'static str, commit: u64, t: i64) -> Option<&Fact> {
        self.facts(layer, id)
            .iter()
            .rev()
            .find(|fact| fact.version.commit <= commit && fact.holds(t))
    }

    fn bound(&self, layer: LayerId, recorded: i64) -> u64 {
        let commits = self.commits.get(&layer).map_or(&[][..], Vec::as_slice);
        commits
            .iter()
            .filter(|(day, _)| *day <= recorded)
            .map(|(_, c)| *c)
            .max()
            .unwrap_or(0)
    }
}

/// What the model expects of one commit.
enum Verdict {
    Written(Vec<Option<Version>>),
    Refused(ErrorKind),
}

impl Model {
    fn say(&mut self, recorded: Option<i64>, said: &[(LayerId, &Said)]) -> Verdict {
        let layers: BTreeSet<LayerId> = said.iter().map(|(layer, _)| *layer).collect();
        let newest_of = |layer: &LayerId| {
            self.commits
                .get(layer)
                .and_then(|commits| commits.last())
                .map(|(day, _)| *day)
        };
        let latest = layers.iter().filter_map(newest_of).max();
        let (recorded, asserted) = match recorded {
            None => (
                latest.map_or(self.now, |latest| latest.max(self.now)),
                false,
            ),
            // Relative to the newest of the layers, or to today when there is none.
            Some(delta) => (latest.unwrap_or(self.now - 3) + delta, true),
        };
        if asserted && recorded > self.now {
            return Verdict::Refused(ErrorKind::Invalid);
        }
        if said
            .iter()
            .any(|(_, said)| matches!(said.expect, Expect::Wrong))
        {
            return Verdict::Refused(ErrorKind::Conflict);
        }
        let commit = self.newest + 1;
        let mut order: Vec<usize> = (0..said.len()).collect();
        order.sort_by_key(|&index| (said[index].0, IDS[said[index].1.id]));
        let mut outcome = vec![None; said.len()];
        let mut staged = self.entities.clone();
        let mut count = 0;
        for index in order {
            let (layer, said) = said[index];
            let before_layer = newest_of(&layer);
            let facts = staged.entry((layer, IDS[said.id])).or_default();
            let from = said.from.unwrap_or(1000 + recorded);
            let next = facts
                .iter()
                .map(|fact| fact.from)
                .filter(|f| *f > from)
                .min();
            let (to, end) = match said.end {
                SaidEnd::UntilNext => (next.unwrap_or(FOREVER), 0),
                SaidEnd::Forever => (FOREVER, 1),
                SaidEnd::After(days) => (from + days, 2),
            };
            let same = |fact: &Fact| fact.place == said.place && fact.payload == said.payload;
            let known_from = facts.iter().any(|fact| fact.from == from);
            let mut edges: BTreeSet<i64> =
                facts.iter().flat_map(|fact| [fact.from, fact.to]).collect();
            edges.insert(from);
            let answers_alike = edges.range(from..to).all(|&t| {
                let now = facts.iter().rev().find(|fact| fact.holds(t));
                match (now, said.place) {
                    (None, place) => place.is_none(),
                    (Some(fact), None) => fact.place.is_none(),
                    (Some(fact), Some(_)) => same(fact),
                }
            });
            let unchanged = if from == to {
                facts
                    .iter()
                    .any(|fact| fact.from == from && fact.from == fact.to && same(fact))
            } else {
                answers_alike && (known_from || said.from.is_none())
            };
            let stands = asserted
                && before_layer.is_some_and(|before| recorded <= before)
                && facts.iter().any(|fact| {
                    // Versions of this very commit are not in the history yet.
                    fact.version.commit < commit
                        && fact.from == from
                        && fact.end == end
                        && (end != 2 || fact.to == to)
                        && fact.asserted
                        && fact.recorded == recorded
                        && same(fact)
                });
            if unchanged || stands {
                continue;
            }
            if before_layer.is_some_and(|before| recorded < before) {
                return Verdict::Refused(ErrorKind::Invalid);
            }
            outcome[index] = Some(());
            facts.push(Fact {
                version: Version {
                    commit,
                    index: count,
                },
                recorded,
                asserted,
                from,
                from_known: said.from.is_some(),
                to,
                end,
                place: said.place,
                payload: said.payload,
            });
            count += 1;
        }
        let versions: Vec<Option<Version>> = {
            // In canonical order the versions were numbered one after the other.
            let mut order: Vec<usize> = (0..said.len()).collect();
            order.sort_by_key(|&index| (said[index].0, IDS[said[index].1.id]));
            let mut versions = vec![None; said.len()];
            let mut next = 0;
            for index in order {
                if outcome[index].is_some() {
                    versions[index] = Some(Version {
                        commit,
                        index: next,
                    });
                    next += 1;
                }
            }
            versions
        };
        if count > 0 {
            self.newest = commit;
            for (index, (layer, _)) in said.iter().enumerate() {
                let commits = self.commits.entry(*layer).or_default();
                if outcome[index].is_some() && commits.last().is_none_or(|(_, c)| *c != commit) {
                    commits.push((recorded, commit));
                }
            }
            self.entities = staged;
        }
        Verdict::Written(versions)
    }
}

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
                (Expect::Right, None) => base.expect(Precondition::IsNew),
                (Expect::Wrong, Some(_)) => base.expect(Precondition::IsNew),
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
            for window in windows() {
                for matching in [Match::Meets, Match::Within] {
                    let selection = Selection {
                        matching,
                        ..Selection::window(window)
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
                            let taken = window.takes(&extent(fact.place?), matching);
                            taken.then(|| (layer, id.to_owned(), fact.version, vec![fact.payload]))
                        })
                        .collect();
                    assert_eq!(
                        found, expected,
                        "{as_of:?} at day {t}, {window:?} {matching:?}"
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

/// Presence for the tests of changes: two of the four payloads.
fn present(record: &Record) -> bool {
    record.payload[0] % 2 == 0
}

fn check_changes(net: &Net, model: &Model, second: LayerId) {
    let window = Window::flat(6.05, 51.95, 6.2, 52.05);
    let newest = net.view(AsOf::Newest, day(DAYS / 2)).unwrap();
    let middle = net
        .view(AsOf::Commit(model.newest / 2 + 1), day(3))
        .unwrap();
    for selection in [
        Selection::default(),
        Selection::window(window),
        Selection::window(window).present_when(&present),
        Selection::default().present_when(&present).of_id(IDS[0]),
        Selection::default().in_layers(&[LayerId::MAIN]),
    ] {
        for view in [&newest, &middle] {
            for (from, to) in [(-1, HORIZON), (2, 7), (4, 4)] {
                let span = Span {
                    from: day(from),
                    to: day(to),
                    axis: Axis::Valid,
                };
                let courses = valid_courses(view, model, second, &selection, from, to);
                compare_changes(view, &selection, span, &courses);
            }
            for (from, to) in [(-5, model.now), (1, model.now / 2 + 1)] {
                let axis = Axis::Recorded;
                let span = Span {
                    from: recorded_day(from),
                    to: recorded_day(to),
                    axis,
                };
                let courses = recorded_courses(view, model, second, &selection, from, to);
                compare_changes(view, &selection, span, &courses);
            }
        }
    }
}

/// An entity's answer at every day of a span, the first one being the start.
struct Course {
    layer: LayerId,
    id: &'static str,
    answers: Vec<(Moment, Option<Fact>)>,
}

fn selected<'m>(
    second: LayerId,
    selection: &'m Selection<'_>,
) -> impl Iterator<Item = (LayerId, &'static str)> + 'm {
    entities(second).into_iter().filter(|(layer, id)| {
        selection.layers.is_none_or(|layers| layers.contains(layer))
            && selection.id.is_none_or(|only| only == *id)
    })
}

fn valid_courses(
    view: &View<'_>,
    model: &Model,
    second: LayerId,
    selection: &Selection<'_>,
    from: i64,
    to: i64,
) -> Vec<Course> {
    let answers = |layer, id| {
        (from..=to)
            .map(|t| {
                (
                    day(t),
                    model.answer(layer, id, view.bound(layer), t).cloned(),
                )
            })
            .collect()
    };
    selected(second, selection)
        .map(|(layer, id)| Course {
            layer,
            id,
            answers: answers(layer, id),
        })
        .collect()
}

fn recorded_courses(
    view: &View<'_>,
    model: &Model,
    second: LayerId,
    selection: &Selection<'_>,
    from: i64,
    to: i64,
) -> Vec<Course> {
    let t = (view.valid_at().as_micros() - day(0).as_micros()) / 86_400_000_000;
    let answers = |layer, id| {
        (from..=to)
            .map(|recorded| {
                let bound = model.bound(layer, recorded).min(view.bound(layer));
                (
                    recorded_day(recorded),
                    model.answer(layer, id, bound, t).cloned(),
                )
            })
            .collect()
    };
    selected(second, selection)
        .map(|(layer, id)| Course {
            layer,
            id,
            answers: answers(layer, id),
        })
        .collect()
}

/// A change as the model sees it: time, layer, id, kind, versions before and after, until.
type Seen = (
    Moment,
    LayerId,
    String,
    Kind,
    Option<Version>,
    Option<Version>,
    Option<Moment>,
);

fn seen(change: &Change) -> Seen {
    (
        change.time,
        change.layer,
        change.id.clone(),
        change.kind,
        change.before.as_ref().map(|record| record.version),
        change.after.as_ref().map(|record| record.version),
        change.until,
    )
}

fn compare_changes(view: &View<'_>, selection: &Selection<'_>, span: Span, courses: &[Course]) {
    let context = format!("{selection:?} {span:?}");
    let in_selection = |fact: &Option<Fact>| {
        fact.as_ref().is_some_and(|fact| {
            fact.place.is_some_and(|place| match selection.area {
                blocknet::query::Area::Everywhere => true,
                blocknet::query::Area::Window(window) => window.takes(&extent(place), Match::Meets),
            }) && (selection.present.is_none() || fact.payload % 2 == 0)
        })
    };
    let alike = |a: &Option<Fact>, b: &Option<Fact>| match (a, b) {
        (Some(a), Some(b)) => a.place == b.place && a.payload == b.payload,
        _ => false,
    };
    let version = |fact: &Option<Fact>| fact.as_ref().map(|fact| fact.version);
    let step = |before: &Option<Fact>, after: &Option<Fact>| match (
        in_selection(before),
        in_selection(after),
    ) {
        (false, false) => None,
        (false, true) => Some(Kind::Appeared),
        (true, false) => Some(Kind::Disappeared),
        (true, true) if alike(before, after) => None,
        (true, true) => Some(Kind::Changed),
    };
    let mut replayed: Vec<Seen> = Vec::new();
    let mut differing: Vec<Seen> = Vec::new();
    let mut transient: Vec<Seen> = Vec::new();
    for Course { layer, id, answers } in courses {
        let (start, end) = (&answers[0].1, &answers[answers.len() - 1].1);
        let mut last_step = None;
        for pair in answers.windows(2) {
            let ((_, before), (time, after)) = (&pair[0], &pair[1]);
            if version(before) == version(after) {
                continue;
            }
            last_step = Some(*time);
            if let Some(kind) = step(before, after) {
                let versions = (version(before), version(after));
                replayed.push((
                    *time,
                    *layer,
                    (*id).into(),
                    kind,
                    versions.0,
                    versions.1,
                    None,
                ));
            }
        }
        if let (Some(time), Some(kind)) = (last_step, step(start, end)) {
            differing.push((
                time,
                *layer,
                (*id).into(),
                kind,
                version(start),
                version(end),
                None,
            ));
        }
        let other = |fact: &Option<Fact>| {
            in_selection(fact) != in_selection(start) || in_selection(fact) && !alike(start, fact)
        };
        if !other(end)
            && let Some(came) = answers.iter().position(|(_, fact)| other(fact))
        {
            let until = answers[came..].iter().find(|(_, fact)| !other(fact));
            transient.push((
                answers[came].0,
                *layer,
                (*id).into(),
                if in_selection(start) {
                    Kind::Reverted
                } else {
                    Kind::Vanished
                },
                version(&answers[came - 1].1),
                version(&answers[came].1),
                until.map(|(time, _)| *time),
            ));
        }
    }
    for list in [&mut replayed, &mut differing, &mut transient] {
        list.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
    }
    let found = |changes: Vec<Change>| changes.iter().map(seen).collect::<Vec<_>>();
    assert_eq!(
        found(replay(view, selection, span, &ByteCompare).unwrap()),
        replayed,
        "replay {context}"
    );
    assert_eq!(
        found(diff(view, selection, span, &ByteCompare).unwrap()),
        differing,
        "diff {context}"
    );
    let changes = transients(view, selection, span, &ByteCompare).unwrap();
    for change in &changes {
        for other in &change.replaced_by {
            assert!(other.covered > 0.0 && other.covered <= 1.0, "{other:?}");
            assert!(other.at_from || other.at_to);
        }
        if let (Some(before), Some(after)) = (&change.before, &change.after) {
            assert_eq!(
                before.payload != after.payload,
                ByteCompare.aspects(before, after).last()
                    == Some(&blocknet::query::Aspect::Properties)
            );
        }
    }
    assert_eq!(found(changes), transient, "transients {context}");
}

/// Number of random histories; BLOCKNET_RUNS overrides it. quickcheck prints a failing history,
/// shrunk, which is all that is needed to run it again.
fn runs(default: u64) -> u64 {
    std::env::var("BLOCKNET_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok())
        .unwrap_or(default)
}

#[test]
fn a_net_in_memory_answers_like_the_model() {
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
