//! What a net does as a whole, on a disk in memory that fails when it is told to.

mod attack;
mod clock;
mod cost;
mod crash;
mod erase;
mod faults;
mod limits;
mod linking;
mod requests;
mod threads;

use crate::testing::day;
use crate::{AsOf, Assertion, Commit, Extent, LayerId, Net, Valid};

/// A house that is one of many in a row along the equator, a block to each.
fn house(number: u32) -> Extent {
    let west = -170.0 + f64::from(number) * 0.002;
    Extent::flat(west, 0.0, west + 0.0001, 0.0001)
}

/// `id` with a payload, at the first house, from day 0 on.
fn state(id: &str, payload: &str) -> Assertion {
    Assertion::state(LayerId::MAIN, id, house(0), payload).valid(Valid::from(day(0)))
}

/// A commit of one such state.
fn one(id: &str, payload: &str) -> Commit {
    Commit::new("test", vec![state(id, payload)])
}

/// The payload of an entity at the newest commit, on day 1.
fn payload(net: &Net, id: &str) -> Option<String> {
    let view = net.view(AsOf::Newest, day(1)).unwrap();
    let found = view.get(LayerId::MAIN, id).unwrap()?;
    Some(String::from_utf8(found.payload.to_vec()).unwrap())
}

fn newest(net: &Net) -> u64 {
    net.view(AsOf::Newest, day(1)).unwrap().newest_commit()
}
