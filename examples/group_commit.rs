//! Many durable commits: tickets, and threads that share syncs.
//!
//! Run with `cargo run --example group_commit`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::thread;

use blocknet::geocode::NetSpec;
use blocknet::query::{Selection, search};
use blocknet::{Assertion, Commit, Extent, LayerId, Net};

const THREADS: u32 = 4;
const COMMITS: u32 = 25;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let temporary = tempfile::tempdir()?;
    let net = Net::create(temporary.path().join("city"), NetSpec::city())?;

    // One thread: `submit` returns at once, so that the next commit is made while the disk works.
    // A commit is acknowledged, and visible, only when `wait` returns.
    let mut tickets = Vec::new();
    for n in 0..COMMITS {
        tickets.push(net.submit(&reading(100, n))?);
    }
    let mut numbers = Vec::new();
    for ticket in tickets {
        numbers.extend(ticket.wait()?.commit);
    }
    println!(
        "one thread: commits {} to {}, in the order of submission",
        numbers.first().unwrap_or(&0),
        numbers.last().unwrap_or(&0)
    );

    // Several threads: a net is shared by reference. Whoever waits first syncs for all whose
    // commits are in the journal by then.
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let net = &net;
                scope.spawn(move || {
                    (0..COMMITS).try_for_each(|n| net.commit(&reading(thread, n)).map(drop))
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;

    let view = net.now_view()?;
    let selection = Selection::default();
    let entities = search(&view, &selection)?
        .collect::<Result<Vec<_>, _>>()?
        .len();
    println!(
        "{THREADS} threads: the net is at commit {} and holds {entities} sensors",
        view.newest_commit()
    );
    Ok(())
}

/// One commit about one sensor.
fn reading(sensor: u32, n: u32) -> Commit {
    let place = Extent::point(6.13 + 0.001 * f64::from(sensor), 52.01);
    let payload = format!("{{\"n\":{n}}}");
    Commit::new(
        "gateway",
        vec![Assertion::state(
            LayerId::MAIN,
            format!("sensor-{sensor}"),
            place,
            payload,
        )],
    )
}
