//! The model: a plain list of assertions per entity.

use std::collections::{BTreeMap, BTreeSet};

use blocknet::{ErrorKind, LayerId, Version};

use super::story::{Expect, IDS, Said, SaidEnd};

/// A stored assertion in the model.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) version: Version,
    pub(super) recorded: i64,
    pub(super) asserted: bool,
    pub(super) from: i64,
    pub(super) from_known: bool,
    pub(super) to: i64,
    pub(super) end: u8,
    pub(super) place: Option<usize>,
    pub(super) payload: u8,
}

pub(super) const FOREVER: i64 = i64::MAX;

impl Fact {
    pub(super) fn holds(&self, t: i64) -> bool {
        self.from <= t && t < self.to
    }
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) entities: BTreeMap<(LayerId, &'static str), Vec<Fact>>,
    /// (recorded day, commit) of each layer.
    pub(super) commits: BTreeMap<LayerId, Vec<(i64, u64)>>,
    pub(super) newest: u64,
    pub(super) now: i64,
}

impl Model {
    pub(super) fn facts(&self, layer: LayerId, id: &'static str) -> &[Fact] {
        self.entities.get(&(layer, id)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn answer(
        &self,
        layer: LayerId,
        id: &'static str,
        commit: u64,
        t: i64,
    ) -> Option<&Fact> {
        self.facts(layer, id)
            .iter()
            .rev()
            .find(|fact| fact.version.commit <= commit && fact.holds(t))
    }

    pub(super) fn bound(&self, layer: LayerId, recorded: i64) -> u64 {
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
pub(super) enum Verdict {
    Written(Vec<Option<Version>>),
    Refused(ErrorKind),
}

impl Model {
    #[expect(clippy::too_many_lines, reason = "one rule, read from top to bottom")]
    pub(super) fn say(&mut self, recorded: Option<i64>, said: &[(LayerId, &Said)]) -> Verdict {
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
