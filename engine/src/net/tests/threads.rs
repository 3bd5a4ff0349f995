use super::{newest, one, payload};
use crate::testing::{create, day, reopen};
use crate::{AsOf, LayerId};
use blocknet_wal::{EnvOp, MemEnv};
use std::collections::BTreeSet;
use std::sync::Barrier;

const THREADS: usize = 8;
const COMMITS: usize = 50;

fn name(thread: usize, number: usize) -> String {
    format!("{thread}-{number}")
}

#[test]
fn commits_of_many_threads_are_all_there_and_numbered_without_gaps() {
    let env = MemEnv::new(1);
    let net = create(&env);
    let first = newest(&net) + 1;
    let numbers: Vec<(u64, String)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let net = &net;
                scope.spawn(move || {
                    let commit = |number| {
                        let id = name(thread, number);
                        let commit = net.commit(&one(&id, &id)).unwrap().commit.unwrap();
                        // Acknowledged is visible, and to oneself at once.
                        assert_eq!(payload(net, &id).as_ref(), Some(&id));
                        (commit, id)
                    };
                    (0..COMMITS).map(commit).collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let found: BTreeSet<u64> = numbers.iter().map(|(number, _)| *number).collect();
    let expected: BTreeSet<u64> = (first..).take(THREADS * COMMITS).collect();
    assert_eq!(found, expected);
    // Power fails: the commits are on disk under the same numbers.
    let crashed = env.crash(1);
    drop(net);
    let net = reopen(&crashed);
    let view = net.view(AsOf::Newest, day(1)).unwrap();
    assert_eq!(view.newest_commit(), first + found.len() as u64 - 1);
    for (number, id) in numbers {
        let record = view.get(LayerId::MAIN, &id).unwrap().unwrap();
        assert_eq!(record.version.commit, number);
    }
}

#[test]
fn commits_that_wait_together_share_a_sync() {
    let env = MemEnv::new(1);
    let net = create(&env);
    let before = env.count(EnvOp::SYNCS);
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (net, barrier) = (&net, &barrier);
            scope.spawn(move || {
                for number in 0..COMMITS {
                    let id = name(thread, number);
                    let ticket = net.submit(&one(&id, "")).unwrap();
                    barrier.wait();
                    ticket.wait().unwrap();
                }
            });
        }
    });
    // One for each round, and a few where a segment of the journal ends.
    let syncs = env.count(EnvOp::SYNCS) - before;
    let commits = (THREADS * COMMITS) as u64;
    assert_eq!(newest(&net), 1 + commits);
    assert!(syncs < commits / 2, "{syncs} syncs for {commits} commits");
}

#[test]
fn a_dropped_ticket_leaves_its_commit_to_the_next_that_waits_or_to_closing() {
    let env = MemEnv::new(1);
    let net = create(&env);
    drop(net.submit(&one("a", "dropped")).unwrap());
    assert_eq!(payload(&net, "a"), None, "nobody has waited");
    net.submit(&one("b", "waited for")).unwrap().wait().unwrap();
    assert_eq!(payload(&net, "a").as_deref(), Some("dropped"));
    drop(net.submit(&one("c", "left to closing")).unwrap());
    net.close().unwrap();
    let net = reopen(&env.crash(1));
    assert!(net.report().clean);
    assert_eq!(payload(&net, "c").as_deref(), Some("left to closing"));
    drop(net.submit(&one("d", "left to sync")).unwrap());
    net.sync().unwrap();
    assert_eq!(payload(&net, "d").as_deref(), Some("left to sync"));
}

#[test]
fn tickets_may_be_waited_for_in_any_order_and_see_those_before_them() {
    let env = MemEnv::new(1);
    let net = create(&env);
    let tickets: Vec<_> = (0..10)
        .map(|number| net.submit(&one("a", &format!("{number}"))).unwrap())
        .collect();
    let numbers: Vec<_> = tickets.iter().map(super::super::Ticket::commit).collect();
    assert_eq!(numbers, (2..12).map(Some).collect::<Vec<_>>());
    // The one before wrote the same: the next sees it before it is durable.
    let again = net.submit(&one("a", "9")).unwrap();
    assert_eq!(again.commit(), None);
    assert_eq!(again.wait().unwrap().commit, None);
    for ticket in tickets.into_iter().rev() {
        ticket.wait().unwrap();
        assert_eq!(newest(&net), 11);
    }
    let view = net.view(AsOf::Newest, day(1)).unwrap();
    assert_eq!(view.history(LayerId::MAIN, "a").unwrap().len(), 10);
}

#[test]
fn a_view_stays_as_it_was_while_others_commit() {
    let env = MemEnv::new(1);
    let net = create(&env);
    net.commit(&one("a", "before")).unwrap();
    let view = net.view(AsOf::Newest, day(1)).unwrap();
    net.commit(&one("a", "after")).unwrap();
    net.commit(&one("b", "after")).unwrap();
    let found = view.get(LayerId::MAIN, "a").unwrap().unwrap();
    assert_eq!(found.payload, "before");
    assert_eq!(view.get(LayerId::MAIN, "b").unwrap(), None);
    assert_eq!(payload(&net, "a").as_deref(), Some("after"));
}

#[test]
fn what_is_called_unchanged_stands_after_a_crash() {
    let env = MemEnv::new(5);
    let net = create(&env);
    // Not waited for: in the queue, and not on disk.
    drop(net.submit(&one("a", "x")).unwrap());
    let receipt = net.commit(&one("a", "x")).unwrap();
    assert_eq!(receipt.commit, None, "it says what was said already");
    let after = env.crash(1);
    drop(net);
    let net = reopen(&after);
    assert_eq!(payload(&net, "a").as_deref(), Some("x"));
}
