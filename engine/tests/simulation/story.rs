//! What is said to a net: random assertions in small numbers, and their form as a commit.

use blocknet_engine::{
    Assertion, Commit, End, Extent, LayerId, Moment, Precondition, Valid, Version,
};

use crate::seed::Rng;

pub(crate) const IDS: [&str; 5] = ["1", "12", "a\u{0}b", "zz", "\u{e9}"];
/// Valid times run over these days, from 2000-01-01 on.
pub(crate) const DAYS: u64 = 12;
pub(crate) const PLACES: usize = 14;

const DAY_MICROS: i64 = 86_400_000_000;

/// Microseconds since 1970 of midnight, so many days after 2000-01-01.
pub(crate) fn day(day: i64) -> i64 {
    (10_957 + day) * DAY_MICROS
}

/// When recorded times begin: long after all valid times that are asserted.
pub(crate) fn first_recorded() -> i64 {
    day(1000)
}

/// Places in a row and a column of neighbouring blocks, two of them in one block, one that spans
/// several, and one with an altitude.
pub(crate) fn extent(place: usize) -> Extent {
    // The width of a block of a net for a city, along the equator.
    let width = 360.0 / f64::from(1 << 18);
    let house = |east: u32, north: u32| {
        let west = (100.4 + f64::from(east)) * width;
        let south = (100.4 + f64::from(north)) * width / 2.0;
        Extent::flat(west, south, west + 0.1 * width, south + 0.05 * width)
    };
    match place {
        0 => Extent::point(100.45 * width, 50.24 * width),
        1 => house(0, 0).between(0.0, 9.5),
        2 => Extent {
            top: Some(3.0),
            ..house(2, 1)
        },
        3 => Extent::flat(100.0 * width, 50.0 * width, 104.0 * width, 52.0 * width),
        4..=7 => house(u32::try_from(place).expect("small") - 3, 0),
        _ => house(
            u32::try_from(place).expect("small") % 3,
            u32::try_from(place).expect("small") - 7,
        ),
    }
}

/// One assertion.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) layer: LayerId,
    pub(crate) id: &'static str,
    pub(crate) place: Option<usize>,
    pub(crate) payload: Vec<u8>,
    /// `None`: from the recorded time on.
    pub(crate) from: Option<i64>,
    pub(crate) end: SaidEnd,
    pub(crate) expect: Expect,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum SaidEnd {
    UntilNext,
    Forever,
    /// So many microseconds after its start, where that is known.
    After(i64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    Nothing,
    Right,
    Wrong,
}

impl Said {
    pub(crate) fn random(rng: &mut Rng, layers: &[LayerId], name: &str) -> Self {
        let from = if rng.one_in(6) {
            None
        } else {
            Some(day(i64::try_from(rng.below(DAYS)).expect("small")))
        };
        let end = match rng.below(6) {
            0 => SaidEnd::Forever,
            1 if from.is_some() => SaidEnd::After(DAY_MICROS * rng.pick(&[0, 1, 2, 3, 5])),
            _ => SaidEnd::UntilNext,
        };
        let len = match rng.below(40) {
            0 => 9000,
            1..=3 => 2500,
            _ => 300,
        };
        let payload = match rng.below(8) {
            // So that some assertions say what was said already.
            0 => b"the same".to_vec(),
            1 => Vec::new(),
            _ => {
                let filler = usize::try_from(rng.below(len)).expect("small");
                format!("{name} {}", "x".repeat(filler)).into_bytes()
            }
        };
        Self {
            layer: rng.pick(layers),
            id: rng.pick(&IDS),
            place: (!rng.one_in(5)).then(|| rng.index(PLACES)),
            payload,
            from,
            end,
            expect: match rng.below(24) {
                0..=3 => Expect::Right,
                4 => Expect::Wrong,
                _ => Expect::Nothing,
            },
        }
    }

    /// * `newest`: the entity's newest version before the commit.
    pub(crate) fn assertion(&self, newest: Option<Version>) -> Assertion {
        let base = match self.place {
            Some(place) => Assertion::state(self.layer, self.id, extent(place), ""),
            None => Assertion::absence(self.layer, self.id),
        };
        let end = match (self.end, self.from) {
            (SaidEnd::UntilNext, _) => End::UntilNext,
            (SaidEnd::Forever, _) => End::Forever,
            (SaidEnd::After(micros), from) => {
                let from = from.expect("only with a start");
                End::At(Moment::from_micros(from + micros))
            }
        };
        let valid = Valid {
            from: self.from.map(Moment::from_micros),
            end,
            ..Valid::default()
        };
        let precondition = match (self.expect, newest) {
            (Expect::Nothing, _) => None,
            (Expect::Right, Some(version)) => Some(Precondition::IsAt(version)),
            (Expect::Right, None) | (Expect::Wrong, Some(_)) => Some(Precondition::IsNew),
            (Expect::Wrong, None) => Some(Precondition::IsAt(Version {
                commit: 1,
                index: 0,
            })),
        };
        Assertion {
            payload: self.payload.clone(),
            precondition,
            ..base.valid(valid)
        }
    }
}

/// The commit of these assertions; its author is its name.
pub(crate) fn commit(
    author: &str,
    said: &[Said],
    newest: impl Fn(LayerId, &'static str) -> Option<Version>,
) -> Commit {
    let assertions = said
        .iter()
        .map(|said| said.assertion(newest(said.layer, said.id)))
        .collect();
    Commit::new(author, assertions)
}
