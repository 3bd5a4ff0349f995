//! Random stories of a net: small numbers that stand for places, ids and days.

use blocknet::query::{Altitude, UnknownHeight, Window};
use blocknet::{Extent, Moment};
use quickcheck::{Arbitrary, Gen};

/// Valid times run over these days; the horizon checks what lies after all of them.
pub(super) const DAYS: i64 = 12;
pub(super) const HORIZON: i64 = DAYS + 2;
pub(super) const IDS: [&str; 4] = ["1", "12", "a\u{0}b", "zz"];

pub(super) fn day(day: i64) -> Moment {
    // 2000-01-01 and so many days.
    Moment::from_micros((10_957 + day) * 86_400_000_000)
}

/// Recorded times run over their own days, long after the valid ones.
pub(super) fn recorded_day(number: i64) -> Moment {
    day(1000 + number)
}

/// Places that meet each other in different ways: in one block, in neighbouring blocks, across the
/// antimeridian, at a pole, large ones, and with every combination of known floor and top.
pub(super) fn extent(index: usize) -> Extent {
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

pub(super) fn windows() -> Vec<(Window, Option<Altitude>)> {
    let between = |lowest, highest| Some(Altitude::between(lowest, highest));
    let town = Window::flat(6.05, 51.95, 6.2, 52.05);
    let known = Altitude {
        unknown: UnknownHeight::Exclude,
        ..Altitude::between(0.0, 9.0)
    };
    vec![
        (Window::flat(-180.0, -90.0, 180.0, 90.0), None),
        (Window::flat(6.0999, 51.9999, 6.1003, 52.0003), None),
        (Window::flat(6.1001, 52.0001, 6.1001, 52.0001), None),
        (town, between(9.5, 20.0)),
        (town, Some(known)),
        (Window::flat(179.95, -1.0, -179.95, 1.0), None),
        (Window::flat(180.0, -0.00005, 180.0, 0.0), None),
        (Window::flat(-10.0, 89.0, 10.0, 90.0), None),
        (Window::flat(99.0, 89.5, 101.0, 90.0), between(50.0, 150.0)),
        (Window::flat(20.0, 20.0, 21.0, 21.0), None),
    ]
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Commit {
        recorded: Option<i64>,
        assertions: Vec<Said>,
    },
    Reopen,
    Crash,
}

/// One assertion, by small numbers.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) layer: bool,
    pub(super) id: usize,
    pub(super) place: Option<usize>,
    pub(super) payload: u8,
    pub(super) from: Option<i64>,
    pub(super) end: SaidEnd,
    pub(super) correct: bool,
    pub(super) expect: Expect,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum SaidEnd {
    UntilNext,
    Forever,
    /// So many days after `from`.
    After(i64),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Expect {
    Nothing,
    Right,
    Wrong,
}

pub(super) fn pick<T: Clone>(g: &mut Gen, choices: &[T]) -> T {
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
