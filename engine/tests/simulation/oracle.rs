//! What is known outside the store: every commit that was handed to it, which of them were
//! acknowledged, and from a plain list of assertions what it has to answer.

use std::collections::{BTreeMap, BTreeSet};

use blocknet_engine::{Extent, Hash, LayerId, Version};
use blocknet_geocode::{Block, NetSpec};

use crate::story::{Expect, Said, SaidEnd, extent};

/// A stored assertion.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) layer: LayerId,
    pub(crate) id: &'static str,
    pub(crate) version: Version,
    pub(crate) from: i64,
    pub(crate) from_known: bool,
    pub(crate) to: i64,
    pub(crate) place: Option<usize>,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const FOREVER: i64 = i64::MAX;

impl Fact {
    fn holds(&self, t: i64) -> bool {
        self.from <= t && t < self.to
    }

    fn says(&self, said: &Said) -> bool {
        self.place == said.place && self.payload == said.payload
    }

    pub(crate) fn extent(&self) -> Option<Extent> {
        self.place.map(extent)
    }
}

/// A commit, the first of the list being number 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) author: String,
    /// `None` where no layer's recorded time depends on it.
    pub(crate) recorded: Option<i64>,
    pub(crate) facts: Vec<Fact>,
    /// The name of the layer it defines.
    pub(crate) layer: Option<String>,
    /// Blocks new to the net.
    pub(crate) blocks: BTreeSet<Block>,
    /// Its hash, once the store has shown it.
    pub(crate) hash: Option<Hash>,
}

#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    spec: NetSpec,
    pub(crate) entries: Vec<Entry>,
    /// All commits up to this number must be there.
    acked: u64,
    /// The numbers up to which earlier acknowledgements reached, rising.
    steps: Vec<u64>,
}

/// What must come of a commit.
pub(crate) enum Verdict {
    /// The versions of its assertions; nothing is written where there are none.
    Written(Entry, Vec<Option<Version>>),
    /// A precondition does not hold.
    Conflict,
}

impl Oracle {
    pub(crate) fn new(spec: NetSpec) -> Self {
        Self {
            spec,
            entries: Vec::new(),
            acked: 0,
            steps: vec![0],
        }
    }

    pub(crate) fn newest(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }

    /// All commits up to this number are durable.
    pub(crate) fn acknowledge(&mut self, number: u64) {
        assert!(number <= self.newest());
        if self.acked < number {
            self.steps.push(self.acked);
            self.acked = number;
        }
    }

    /// Where the acknowledgement before the last one ended: damage to one group of commits at the
    /// end cannot be told from a tear, and takes no more than that.
    pub(crate) fn acked_before_last(&self) -> u64 {
        self.steps.last().copied().unwrap_or(0)
    }

    /// The store was found to end here: what came after is lost, and what is there is durable.
    pub(crate) fn found(&mut self, newest: u64) {
        let len = usize::try_from(newest).expect("small");
        assert!(len <= self.entries.len());
        self.entries.truncate(len);
        if newest < self.acked {
            self.steps.retain(|step| *step < newest);
            self.acked = newest;
        }
        self.acknowledge(newest);
    }

    pub(crate) fn facts(&self) -> impl DoubleEndedIterator<Item = &Fact> {
        self.entries.iter().flat_map(|entry| &entry.facts)
    }

    fn facts_of(&self, layer: LayerId, id: &str) -> impl DoubleEndedIterator<Item = &Fact> {
        self.facts()
            .filter(move |fact| fact.layer == layer && fact.id == id)
    }

    pub(crate) fn newest_version(&self, layer: LayerId, id: &str) -> Option<Version> {
        self.facts_of(layer, id)
            .next_back()
            .map(|fact| fact.version)
    }

    pub(crate) fn history(&self, layer: LayerId, id: &str, bound: u64) -> Vec<&Fact> {
        self.facts_of(layer, id)
            .filter(|fact| fact.version.commit <= bound)
            .collect()
    }

    /// The version that answers for an entity; an absence counts as one.
    pub(crate) fn answer(&self, layer: LayerId, id: &str, bound: u64, t: i64) -> Option<&Fact> {
        self.facts_of(layer, id)
            .rev()
            .find(|fact| fact.version.commit <= bound && fact.holds(t))
    }

    /// The last commit in which the layer was written, recorded no later than this; 0 for none.
    pub(crate) fn bound(&self, layer: LayerId, recorded: i64) -> u64 {
        let numbered = (1..).zip(&self.entries);
        let of_layer = numbered.filter(|(_, entry)| {
            entry.facts.iter().any(|fact| fact.layer == layer)
                && entry.recorded.is_some_and(|at| at <= recorded)
        });
        of_layer.map(|(number, _)| number).last().unwrap_or(0)
    }

    fn recorded_of(&self, layer: LayerId) -> Option<i64> {
        let of_layer = self
            .entries
            .iter()
            .filter(|entry| entry.facts.iter().any(|fact| fact.layer == layer));
        of_layer.filter_map(|entry| entry.recorded).max()
    }

    /// Names of the layers, in order of their numbers.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &str> {
        let named = self.entries.iter().filter_map(|e| e.layer.as_deref());
        std::iter::once("main").chain(named)
    }

    /// (entities, versions) of a layer.
    pub(crate) fn counts(&self, layer: LayerId) -> (u64, u64) {
        let of_layer = || self.facts().filter(move |fact| fact.layer == layer);
        let ids: BTreeSet<&str> = of_layer().map(|fact| fact.id).collect();
        (ids.len() as u64, of_layer().count() as u64)
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.entries.iter().flat_map(|entry| &entry.blocks)
    }

    pub(crate) fn new_blocks(&self, blocks: impl IntoIterator<Item = Block>) -> BTreeSet<Block> {
        let known: BTreeSet<&Block> = self.blocks().collect();
        blocks
            .into_iter()
            .filter(|block| !known.contains(block))
            .collect()
    }

    pub(crate) fn block(&self, place: usize) -> Block {
        extent(place).block(&self.spec).expect("a place on earth")
    }

    /// What must come of a commit of these assertions after all that was said before, with the
    /// clock at `now`.
    pub(crate) fn verdict(&self, author: &str, now: i64, said: &[Said]) -> Verdict {
        if said.iter().any(|said| matches!(said.expect, Expect::Wrong)) {
            return Verdict::Conflict;
        }
        let latest = said.iter().filter_map(|said| self.recorded_of(said.layer));
        let recorded = latest.max().map_or(now, |latest| latest.max(now));
        let commit = self.newest() + 1;
        let mut order: Vec<usize> = (0..said.len()).collect();
        order.sort_by_key(|&index| (said[index].layer, said[index].id));
        let mut versions = vec![None; said.len()];
        let mut added: Vec<Fact> = Vec::new();
        for at in order {
            let said = &said[at];
            let own = added
                .iter()
                .filter(|fact| fact.layer == said.layer && fact.id == said.id);
            let facts: Vec<&Fact> = self.facts_of(said.layer, said.id).chain(own).collect();
            let from = said.from.unwrap_or(recorded);
            let to = match said.end {
                SaidEnd::UntilNext => {
                    let later = facts.iter().map(|fact| fact.from).filter(|f| *f > from);
                    later.min().unwrap_or(FOREVER)
                }
                SaidEnd::Forever => FOREVER,
                SaidEnd::After(micros) => from + micros,
            };
            if is_unchanged(&facts, said, from, to) {
                continue;
            }
            let version = Version {
                commit,
                index: u32::try_from(added.len()).expect("few"),
            };
            versions[at] = Some(version);
            added.push(Fact {
                layer: said.layer,
                id: said.id,
                version,
                from,
                from_known: said.from.is_some(),
                to,
                place: said.place,
                payload: said.payload.clone(),
            });
        }
        let places = added.iter().filter_map(|fact| fact.place);
        let blocks = self.new_blocks(places.map(|place| self.block(place)));
        let entry = Entry {
            author: author.to_owned(),
            recorded: Some(recorded),
            facts: added,
            blocks,
            ..Entry::default()
        };
        Verdict::Written(entry, versions)
    }

    /// All states as of a commit of each layer at a valid time.
    pub(crate) fn states(
        &self,
        t: i64,
        bound: impl Fn(LayerId) -> u64,
    ) -> BTreeMap<(LayerId, &'static str), &Fact> {
        let mut states = BTreeMap::new();
        for fact in self.facts() {
            if fact.version.commit <= bound(fact.layer) && fact.holds(t) {
                states.insert((fact.layer, fact.id), fact);
            }
        }
        states.retain(|_, fact| fact.place.is_some());
        states
    }
}

/// Whether an assertion changes no answer, now or later.
fn is_unchanged(facts: &[&Fact], said: &Said, from: i64, to: i64) -> bool {
    if from == to {
        return facts
            .iter()
            .any(|fact| fact.from == from && fact.from == fact.to && fact.says(said));
    }
    let edges = facts.iter().flat_map(|fact| [fact.from, fact.to]);
    let edges = edges.chain([from]).filter(|t| from <= *t && *t < to);
    let same = edges.into_iter().all(|t| {
        let answer = facts.iter().rev().find(|fact| fact.holds(t));
        match (answer, said.place) {
            (None, place) => place.is_none(),
            (Some(fact), None) => fact.place.is_none(),
            (Some(fact), Some(_)) => fact.says(said),
        }
    });
    same && (said.from.is_none() || facts.iter().any(|fact| fact.from == from))
}
