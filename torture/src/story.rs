//! What a seed says: commit after commit, each a function of the seed and its number; and the model
//! that answers for them.

use std::collections::BTreeMap;

use blocknet_engine::{Assertion, Commit, End, Extent, LayerId, Moment, Valid};

/// `SplitMix64`.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw().checked_rem(bound).unwrap_or(0)
    }

    /// A generator of its own for a part of the work.
    #[must_use]
    pub fn of(seed: u64, part: u64) -> Self {
        let mut rng = Self(seed ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93));
        rng.draw();
        rng
    }
}

/// How an assertion ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// With the next known valid-from.
    Next,
    /// Never.
    Forever,
    /// At a moment.
    At(i64),
}

/// One assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The entity.
    pub id: String,
    /// Which of the places it stands at; `None` for an absence.
    pub place: Option<u64>,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Valid-from in microseconds; no two of a story are equal, so that none is dropped as unchanged.
    pub from: i64,
    /// How it ends.
    pub ends: Ends,
}

/// Entities that are asserted again and again.
const ENTITIES: u64 = 24;
/// Places to stand at.
const PLACES: u64 = 60;
/// Valid-froms lie within so many seconds.
const SPAN_S: u64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The author of a commit: its name.
pub fn author(seed: u64, serial: u64) -> String {
    format!("{seed:x}-{serial}")
}

/// The assertions of commit `serial`, counted from 1.
pub fn said(seed: u64, serial: u64) -> Vec<Said> {
    let mut rng = Rng::of(seed, serial);
    let count = match rng.below(20) {
        0 => 5 + rng.below(16),
        _ => 1 + rng.below(4),
    };
    (0..count)
        .map(|index| {
            let id = match rng.below(6) {
                0 => format!("once-{serial}-{index}"),
                _ => format!("e{:02}", rng.below(ENTITIES)),
            };
            let place = (rng.below(6) > 0).then(|| rng.below(PLACES));
            let len = match rng.below(25) {
                // Longer than a segment of the journal, and for the tables a blob.
                0 => 17_000 + rng.below(5_000),
                1 => 4_000 + rng.below(5_000),
                _ => rng.below(300),
            };
            let mut payload = format!("{}/{index} ", author(seed, serial)).into_bytes();
            while (payload.len() as u64) < len {
                payload.extend(rng.draw().to_le_bytes());
            }
            let second = signed(rng.below(SPAN_S));
            let from = second * SECOND + signed(serial * 32 + index);
            let ends = match rng.below(10) {
                0 => Ends::Forever,
                1 | 2 => Ends::At(from + 1 + signed(rng.below(SPAN_S / 10)) * SECOND),
                _ => Ends::Next,
            };
            Said {
                id,
                place,
                payload,
                from,
                ends,
            }
        })
        .collect()
}

/// FNV-1a over everything a commit says.
pub fn digest(said: &[Said]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for one in said {
        eat(one.id.as_bytes());
        eat(&[u8::from(one.place.is_some())]);
        eat(&one.place.unwrap_or(0).to_le_bytes());
        eat(&one.payload);
        eat(&one.from.to_le_bytes());
        eat(format!("{:?}", one.ends).as_bytes());
    }
    hash
}

/// Where place `n` is: a street of houses, some with altitudes.
pub fn extent(n: u64) -> Extent {
    let step = |n: u64| f64::from(u32::try_from(n).unwrap_or(0)) * 0.0007;
    let (west, south) = (6.1 + step(n % 10), 52.0 + step(n / 10));
    let flat = Extent::flat(west, south, west + 0.0002, south + 0.0002);
    if n.is_multiple_of(3) {
        flat.between(2.0, 9.5)
    } else {
        flat
    }
}

/// The request for commit `serial`.
pub fn commit(seed: u64, serial: u64) -> Commit {
    let assertions = said(seed, serial)
        .into_iter()
        .map(|said| {
            let base = match said.place {
                Some(place) => Assertion::state(LayerId::MAIN, said.id, extent(place), Vec::new()),
                None => Assertion::absence(LayerId::MAIN, said.id),
            };
            let end = match said.ends {
                Ends::Next => End::UntilNext,
                Ends::Forever => End::Forever,
                Ends::At(to) => End::At(Moment::from_micros(to)),
            };
            let valid = Valid {
                end,
                ..Valid::from(Moment::from_micros(said.from))
            };
            Assertion {
                payload: said.payload,
                ..base.valid(valid)
            }
        })
        .collect();
    Commit::new(author(seed, serial), assertions)
}

/// A stored assertion in the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The commit's number in the store: 1 made the net.
    pub commit: u64,
    /// Whether it is a state.
    pub state: bool,
    /// Its extent, where it is one.
    pub place: Option<u64>,
    /// Its payload.
    pub payload: Vec<u8>,
    /// From when.
    pub from: i64,
    /// Until when.
    pub to: i64,
}

/// What is there at one moment: id and payload.
pub type Answer<'a> = BTreeMap<&'a str, &'a [u8]>;

/// A plain list of assertions per entity.
#[derive(Clone, Debug)]
pub struct Model {
    seed: u64,
    serial: u64,
    entities: BTreeMap<String, Vec<Fact>>,
}

impl Model {
    /// Of a net without a commit but its own.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            serial: 0,
            entities: BTreeMap::new(),
        }
    }

    /// The number of commits it holds.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Every entity with its assertions in their order.
    pub fn entities(&self) -> &BTreeMap<String, Vec<Fact>> {
        &self.entities
    }

    /// Lets it hold the first `serial` commits; it never holds fewer than before.
    pub fn extend_to(&mut self, serial: u64) {
        while self.serial < serial {
            self.serial += 1;
            for said in said(self.seed, self.serial) {
                let facts = self.entities.entry(said.id).or_default();
                let next = facts
                    .iter()
                    .map(|fact| fact.from)
                    .filter(|from| *from > said.from)
                    .min();
                let to = match said.ends {
                    Ends::Next => next.unwrap_or(i64::MAX),
                    Ends::Forever => i64::MAX,
                    Ends::At(to) => to,
                };
                facts.push(Fact {
                    commit: self.serial + 1,
                    state: said.place.is_some(),
                    place: said.place,
                    payload: said.payload,
                    from: said.from,
                    to,
                });
            }
        }
    }

    /// What is there at valid time `t`, as of a commit of the store.
    pub fn answer(&self, commit: u64, t: i64) -> Answer<'_> {
        self.entities
            .iter()
            .filter_map(|(id, facts)| {
                facts
                    .iter()
                    .rev()
                    .find(|fact| fact.commit <= commit && fact.from <= t && t < fact.to)
                    .filter(|fact| fact.state)
                    .map(|fact| (id.as_str(), fact.payload.as_slice()))
            })
            .collect()
    }

    /// Moments worth asking about: both ends of time, and some between.
    pub fn moments(rng: &mut Rng, count: u64) -> Vec<i64> {
        let mut moments = vec![-1, signed(SPAN_S) * SECOND * 2];
        moments.extend((0..count).map(|_| signed(rng.below(SPAN_S)) * SECOND + 500_000));
        moments
    }
}
