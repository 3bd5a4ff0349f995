//! Random commits from one thread or several, a fault or a power cut at a random operation, and
//! again, several times over on the same disk. One seed decides all but how threads take turns.

use std::collections::BTreeMap;

use super::house;
use crate::testing::{DIR, Rng, builder, create, reopen, seeds};
use crate::{AsOf, Assertion, Commit, Interval, LayerId, Moment, Net, Valid};
use blocknet_wal::{EnvOp, InjectedError, Injection, MemEnv};

const ROUNDS: u64 = 3;
const IDS: [&str; 4] = ["1", "12", "a\u{0}b", "zz"];

/// A commit that was handed to the net. Its author is its name.
#[derive(Clone, Debug)]
struct Said {
    assertions: Vec<(&'static str, String, bool)>,
    /// Its number, where `submit` gave one.
    number: Option<u64>,
    acknowledged: bool,
}

type Story = BTreeMap<String, Said>;

/// What one thread does until something fails that makes the handle useless.
fn work(net: &Net, thread: u64, round: u64, mut rng: Rng, commits: u64) -> Story {
    let mut story = Story::new();
    let mut tickets = Vec::new();
    for serial in 0..commits {
        let author = format!("{round}-{thread}-{serial:04}");
        // No two valid-froms are equal, so that no assertion is dropped as unchanged.
        let from = 1 + (round * 10 + thread) * 1_000_000 + serial * 10;
        let mut assertions = Vec::new();
        let mut said = Vec::new();
        for index in 0..=rng.below(3) {
            let id = IDS[usize::try_from(rng.below(4)).unwrap()];
            let payload = format!(
                "{author}-{index}-{}",
                "x".repeat(usize::try_from(rng.below(400)).unwrap())
            );
            let gone = rng.below(5) == 0;
            let base = if gone {
                Assertion::absence(LayerId::MAIN, id)
            } else {
                let place = u32::try_from(rng.below(5)).unwrap();
                Assertion::state(LayerId::MAIN, id, house(place), "")
            };
            said.push((id, payload.clone(), gone));
            let from = Moment::from_micros(i64::try_from(from + index).unwrap());
            let base = base.valid(Valid::from(from));
            assertions.push(Assertion {
                payload: payload.into(),
                ..base
            });
        }
        let mut entry = Said {
            assertions: said,
            number: None,
            acknowledged: false,
        };
        match net.submit(&Commit::new(author.clone(), assertions)) {
            Ok(ticket) => {
                entry.number = ticket.commit();
                story.insert(author.clone(), entry);
                if rng.below(3) == 0 {
                    tickets.push((author, ticket));
                } else if ticket.wait().is_ok() {
                    story.get_mut(&author).unwrap().acknowledged = true;
                }
            }
            Err(error) => match error.kind() {
                // Nothing was written, and never will be.
                crate::ErrorKind::Io => {}
                crate::ErrorKind::OutcomeUnknown => {
                    story.insert(author, entry);
                }
                crate::ErrorKind::Poisoned => break,
                _ => panic!("{error}"),
            },
        }
        if rng.below(6) == 0 {
            for (author, ticket) in tickets.drain(..) {
                story.get_mut(&author).unwrap().acknowledged = ticket.wait().is_ok();
            }
        }
    }
    story
}

fn injection(rng: &mut Rng) -> Injection {
    let (ops, error, lasting): (&[EnvOp], _, _) = match rng.below(5) {
        0 => (EnvOp::SYNCS, InjectedError::Io, false),
        1 => (EnvOp::CHANGES, InjectedError::NoSpace, rng.below(2) == 0),
        2 => (EnvOp::CHANGES, InjectedError::Io, false),
        // The power is cut.
        _ => (&[], InjectedError::Io, true),
    };
    Injection {
        ops,
        nth: 1 + rng.below(120),
        lasting,
        error,
    }
}

/// Checks a net against all that was ever said to it; returns the authors of its commits in order.
fn check(net: &Net, story: &Story, before: &[String]) -> Vec<String> {
    let view = net.view(AsOf::Newest, Moment::LAST).unwrap();
    let authors: Vec<String> = (2..=view.newest_commit())
        .map(|number| view.commit(number).unwrap().author)
        .collect();
    assert!(authors.starts_with(before), "what was there is still there");
    for (number, author) in (2..).zip(&authors) {
        let said = story
            .get(author)
            .expect("a commit that was refused, or of nobody");
        assert!(said.number.is_none_or(|known| known == number), "{author}");
    }
    for (author, said) in story {
        let times = authors.iter().filter(|found| *found == author).count();
        assert!(times <= 1, "{author} is there {times} times");
        assert!(
            times == 1 || !said.acknowledged,
            "{author} was acknowledged"
        );
    }
    // Those of one thread in its order.
    for thread in 0..3 {
        let of_thread = |author: &&String| author.split('-').nth(1) == Some(&thread.to_string());
        assert!(authors.iter().filter(of_thread).is_sorted());
    }
    // All of a commit or nothing of it, in every table that answers.
    for id in IDS {
        let expected: Vec<(u64, &str, bool)> = (2..)
            .zip(&authors)
            .flat_map(|(number, author)| {
                let of_id = story[author].assertions.iter().filter(|said| said.0 == id);
                of_id.map(move |said| (number, said.1.as_str(), said.2))
            })
            .collect();
        let history = view.history(LayerId::MAIN, id).unwrap();
        let found: Vec<_> = history
            .iter()
            .map(|record| {
                let text = std::str::from_utf8(&record.payload).unwrap();
                (record.version.commit, text, record.is_absence())
            })
            .collect();
        assert_eq!(found, expected, "{id:?}");
        // By place it is found where its path says it is.
        let state = view.get(LayerId::MAIN, id).unwrap();
        let ranges = view.ranges_of(&blocknet_geocode::Cell::ROOT).unwrap();
        let mut scan = view.scan(ranges, None, |_| true).map(Result::unwrap);
        assert_eq!(scan.find(|record| record.id == id), state);
        let timeline = view.timeline(LayerId::MAIN, id, Interval::ALL).unwrap();
        assert!(timeline.is_sorted_by_key(|entry| entry.during.from));
    }
    authors
}

#[test]
fn whatever_fails_and_whenever_acknowledged_commits_stay() {
    let mut commits = 0;
    for seed in seeds(300) {
        println!("BLOCKNET_SEED={seed}");
        let mut rng = Rng(seed);
        let mut env = MemEnv::new(seed);
        let mut net = create(&env);
        let mut story = Story::new();
        let mut authors = Vec::new();
        for round in 0..ROUNDS {
            let threads = if seed % 4 == 0 { 3 } else { 1 };
            env.inject(injection(&mut rng));
            let count = 5 + rng.below(30);
            std::thread::scope(|scope| {
                let workers: Vec<_> = (0..threads)
                    .map(|thread| {
                        let (net, rng) = (&net, Rng(rng.next()));
                        scope.spawn(move || work(net, thread, round, rng, count))
                    })
                    .collect();
                for worker in workers {
                    story.extend(worker.join().unwrap());
                }
            });
            // What dropping the net does goes to the old machine.
            env = if rng.below(4) == 0 {
                drop(net);
                env.heal();
                env
            } else {
                let crashed = env.crash(rng.next());
                drop(net);
                crashed
            };
            let reader = builder(&env).open_read_only(DIR).unwrap();
            let seen = check(&reader, &story, &authors);
            drop(reader);
            net = reopen(&env);
            authors = check(&net, &story, &authors);
            assert_eq!(authors, seen, "reading and writing see the same");
            // What was recovered is durable, acknowledged or not.
            story.retain(|author, _| authors.contains(author));
        }
        commits += authors.len();
    }
    println!("{commits} commits survived");
}
