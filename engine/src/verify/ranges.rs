//! Sets of commit numbers, kept as ranges.

use std::collections::BTreeMap;

/// A set of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    /// First to last of each range; they neither touch nor overlap.
    ranges: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Adds the numbers from `first` to `last`; those that were in the set stay.
    pub(crate) fn insert(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let (mut first, mut last) = (first, last);
        let touching: Vec<u64> = self
            .ranges
            .range(..=last.saturating_add(1))
            .rev()
            .take_while(|(_, end)| end.saturating_add(1) >= first)
            .map(|(start, _)| *start)
            .collect();
        for start in touching {
            if let Some(end) = self.ranges.remove(&start) {
                first = first.min(start);
                last = last.max(end);
            }
        }
        self.ranges.insert(first, last);
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        let below = self.ranges.range(..=number).next_back();
        below.is_some_and(|(_, last)| number <= *last)
    }

    /// Whether any number from `first` to `last` is in the set.
    pub(crate) fn meets(&self, first: u64, last: u64) -> bool {
        let below = self.ranges.range(..=last).next_back();
        below.is_some_and(|(_, end)| *end >= first)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, rising.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().map(|(first, last)| (*first, *last))
    }

    /// The numbers from 1 to `last` that are not in the set.
    pub(crate) fn missing_until(&self, last: u64) -> Self {
        let mut missing = Self::default();
        let mut next = 1;
        for (start, end) in self.iter() {
            missing.insert(next, last.min(start.saturating_sub(1)));
            next = end.saturating_add(1);
        }
        missing.insert(next, last);
        missing
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use quickcheck::quickcheck;

    use super::*;

    quickcheck! {
        fn is_the_set_it_stands_for(parts: Vec<(u8, u8)>, until: u8) -> bool {
            let mut ranges = Ranges::default();
            let mut model = BTreeSet::new();
            for (first, len) in parts {
                let (first, last) = (u64::from(first), u64::from(first) + u64::from(len % 9));
                ranges.insert(first, last);
                model.extend(first..=last);
            }
            let listed: BTreeSet<u64> = ranges.iter().flat_map(|(a, b)| a..=b).collect();
            let apart = ranges.iter().zip(ranges.iter().skip(1)).all(|(a, b)| a.1 + 1 < b.0);
            let missing = ranges.missing_until(u64::from(until));
            let missing: BTreeSet<u64> = missing.iter().flat_map(|(a, b)| a..=b).collect();
            let absent = (1..=u64::from(until)).filter(|n| !model.contains(n)).collect();
            listed == model
                && apart
                && (0..300).all(|n| ranges.contains(n) == model.contains(&n))
                && (0..300).all(|n| ranges.meets(n, n + 3) == (n..=n + 3).any(|m| model.contains(&m)))
                && missing == absent
        }
    }
}
