//! A net is held against the oracle.

use std::collections::BTreeMap;

use blocknet_engine::{AsOf, Hash, LayerId, Moment, Net, View};
use blocknet_geocode::Cell;

use crate::oracle::{FOREVER, Oracle};
use crate::seed::Rng;
use crate::story::{DAYS, IDS, PLACES, day, first_recorded};
use crate::tally::Tally;

/// The layers of a net, in order of their numbers.
pub(crate) fn layers(net: &Net) -> Vec<LayerId> {
    let view = net
        .view(AsOf::Newest, Moment::LAST)
        .unwrap_or_else(|error| panic!("no view: {error}"));
    view.layers().map(|(layer, _)| layer).collect()
}

fn answered<T>(result: blocknet_engine::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("a sound net does not answer: {error}"))
}

fn valid_time(rng: &mut Rng) -> i64 {
    match rng.below(8) {
        0 => first_recorded(),
        1 => day(-1),
        2 => Moment::LAST.as_micros(),
        _ => day(i64::try_from(rng.below(DAYS + 1)).expect("small")),
    }
}

/// Everything that the net says is what the oracle knows, and nothing in it disagrees.
pub(crate) fn check_all(net: &Net, oracle: &mut Oracle, rng: &mut Rng, tally: &mut Tally) {
    check_commits(net, oracle);
    let mut findings = Vec::new();
    let audit = answered(net.audit(|finding| findings.push(finding.to_string())));
    tally.audits += 1;
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(audit.commits, oracle.newest());
    assert_eq!(audit.versions, oracle.facts().count() as u64);
    for _ in 0..2 {
        check_view(net, oracle, rng, tally, AsOf::Newest);
    }
    let as_of = AsOf::Commit(rng.below(oracle.newest() + 1));
    check_view(net, oracle, rng, tally, as_of);
    let recorded = first_recorded() + i64::try_from(rng.below(1 << 36)).expect("small");
    let as_of = AsOf::Recorded(Moment::from_micros(recorded));
    check_view(net, oracle, rng, tally, as_of);
}

/// The commits are those of the oracle, each once and in order, and their hashes are a chain.
fn check_commits(net: &Net, oracle: &mut Oracle) {
    let view = answered(net.view(AsOf::Newest, Moment::LAST));
    assert_eq!(view.newest_commit(), oracle.newest());
    let mut previous = Hash::ZERO;
    for (number, entry) in (1..).zip(&mut oracle.entries) {
        let info = answered(view.commit(number));
        assert_eq!(info.number, number);
        assert_eq!(info.author, entry.author, "commit {number}");
        assert_eq!(info.assertions as usize, entry.facts.len());
        if let Some(recorded) = entry.recorded {
            assert_eq!(info.recorded, Moment::from_micros(recorded));
        }
        assert_eq!(info.previous, previous, "commit {number}");
        let known = *entry.hash.get_or_insert(info.hash);
        assert_eq!(info.hash, known, "commit {number} is another than before");
        previous = info.hash;
    }
    let names: Vec<&str> = view
        .layers()
        .map(|(_, layer)| layer.def.name.as_str())
        .collect();
    assert_eq!(names, oracle.layers().collect::<Vec<_>>());
    for (layer, state) in view.layers() {
        assert_eq!((state.entities, state.versions), oracle.counts(layer));
    }
    assert_eq!(view.block_count(), oracle.blocks().count() as u64);
}

fn check_view(net: &Net, oracle: &Oracle, rng: &mut Rng, tally: &mut Tally, as_of: AsOf) {
    let t = valid_time(rng);
    let view = answered(net.view(as_of, Moment::from_micros(t)));
    tally.views += 1;
    let bound = |layer: LayerId| match as_of {
        AsOf::Newest => oracle.newest(),
        AsOf::Commit(number) => number,
        AsOf::Recorded(moment) => oracle.bound(layer, moment.as_micros()),
    };
    let what = || format!("{as_of:?} at {t}");
    // By place: what the live heads, the history and its closing rows say.
    let expected = oracle.states(t, bound);
    let mut found = BTreeMap::new();
    for record in answered(view.in_cell(&Cell::ROOT)) {
        let record = answered(record);
        let key = (record.layer, record.id.clone());
        assert!(found.insert(key, record).is_none(), "twice, {}", what());
    }
    let keys = |(layer, id): &(LayerId, &'static str)| (*layer, (*id).to_owned());
    let expected_keys: Vec<_> = expected.keys().map(keys).collect();
    assert_eq!(
        found.keys().cloned().collect::<Vec<_>>(),
        expected_keys,
        "{}",
        what()
    );
    for (record, fact) in found.values().zip(expected.values()) {
        assert_eq!(record.version, fact.version, "{}", what());
        assert_eq!(record.payload, fact.payload);
        assert_eq!(record.extent, fact.extent());
    }
    // In one block.
    let block = oracle.block(rng.index(PLACES));
    let found = answered(view.in_block(&block)).map(|record| {
        let record = answered(record);
        (record.layer, record.id)
    });
    let there = expected
        .iter()
        .filter(|(_, fact)| fact.place.is_some_and(|place| oracle.block(place) == block));
    let mut found: Vec<_> = found.collect();
    found.sort();
    let there: Vec<_> = there.map(|(key, _)| keys(key)).collect();
    assert_eq!(found, there, "{}", what());
    // By name.
    for (layer, _) in view.layers() {
        for id in IDS {
            let found = answered(view.get(layer, id)).map(|record| record.version);
            let state = expected.get(&(layer, id)).map(|fact| fact.version);
            assert_eq!(found, state, "{}, {layer:?} {id:?}", what());
        }
    }
    let view_layers: Vec<LayerId> = view.layers().map(|(layer, _)| layer).collect();
    let layer = rng.pick(&view_layers);
    check_history(&view, oracle, layer, rng.pick(&IDS), bound(layer));
}

fn check_history(view: &View<'_>, oracle: &Oracle, layer: LayerId, id: &'static str, bound: u64) {
    let found = answered(view.history(layer, id));
    let expected = oracle.history(layer, id, bound);
    assert_eq!(
        found.len(),
        expected.len(),
        "{layer:?} {id:?} up to {bound}"
    );
    for (record, fact) in found.iter().zip(expected) {
        assert_eq!(record.version, fact.version);
        assert_eq!(record.valid.from, Moment::from_micros(fact.from));
        assert_eq!(record.valid.to == Moment::MAX, fact.to == FOREVER);
        assert!(fact.to == FOREVER || record.valid.to.as_micros() == fact.to);
        assert_eq!(record.from_asserted, fact.from_known);
        assert_eq!(record.extent, fact.extent());
        assert_eq!(record.payload, fact.payload);
    }
}

/// One answer, and that nothing is visible that is not acknowledged.
pub(crate) fn check_one(net: &Net, oracle: &Oracle, rng: &mut Rng) {
    let t = valid_time(rng);
    let view = answered(net.view(AsOf::Newest, Moment::from_micros(t)));
    assert_eq!(view.newest_commit(), oracle.acked(), "what is visible");
    let layers: Vec<LayerId> = view.layers().map(|(layer, _)| layer).collect();
    let (layer, id) = (rng.pick(&layers), rng.pick(&IDS));
    let found = answered(view.get(layer, id)).map(|record| record.version);
    let expected = oracle
        .answer(layer, id, oracle.acked(), t)
        .filter(|fact| fact.place.is_some());
    assert_eq!(
        found,
        expected.map(|fact| fact.version),
        "{layer:?} {id:?} at {t}"
    );
}
