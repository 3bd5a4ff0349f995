//! Ranges of keys.

/// The keys from `start` (included) up to `end` (excluded; `None`: to the last key).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// The least key of the range; the empty key is the least of all.
    pub start: Vec<u8>,
    /// The least key above the range; `None` when there is no bound.
    pub end: Option<Vec<u8>>,
}

impl KeyRange {
    /// All keys.
    pub fn all() -> Self {
        Self::default()
    }

    /// The keys from `start` up to but without `end`; none when `end` is not above `start`.
    pub fn new(start: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> Self {
        Self {
            start: start.into(),
            end: Some(end.into()),
        }
    }

    /// The keys from `start` on.
    pub fn starting_at(start: impl Into<Vec<u8>>) -> Self {
        Self {
            start: start.into(),
            end: None,
        }
    }

    /// The keys that begin with `prefix`.
    ///
    /// The end is the prefix with its last byte below 0xFF raised by one and what follows cut
    /// off; where there is no such byte, the range is open.
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut end = prefix.to_vec();
        while let Some(byte) = end.pop() {
            if let Some(raised) = byte.checked_add(1) {
                end.push(raised);
                return Self {
                    start: prefix.to_vec(),
                    end: Some(end),
                };
            }
        }
        Self::starting_at(prefix)
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_slice() && self.is_below_end(key)
    }

    /// Whether no key at all lies in the range.
    pub fn is_empty(&self) -> bool {
        !self.is_below_end(&self.start)
    }

    pub(crate) fn is_below_end(&self, key: &[u8]) -> bool {
        self.end.as_deref().is_none_or(|end| key < end)
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    #[test]
    fn prefix_end_skips_trailing_ff_bytes() {
        assert_eq!(KeyRange::prefix(b"ab"), KeyRange::new("ab", "ac"));
        assert_eq!(
            KeyRange::prefix(b"a\xff\xff"),
            KeyRange::new(&b"a\xff\xff"[..], "b")
        );
        assert_eq!(
            KeyRange::prefix(b"\xff"),
            KeyRange::starting_at(&b"\xff"[..])
        );
        assert_eq!(KeyRange::prefix(b""), KeyRange::all());
    }

    #[test]
    fn reversed_and_equal_bounds_are_empty() {
        assert!(KeyRange::new("b", "a").is_empty());
        assert!(KeyRange::new("a", "a").is_empty());
        assert!(KeyRange::new("", "").is_empty());
        assert!(!KeyRange::all().is_empty());
    }

    quickcheck! {
        fn prefix_range_holds_exactly_the_keys_with_the_prefix(
            prefix: Vec<u8>, key: Vec<u8>, ffs: u8
        ) -> bool {
            let mut prefix = prefix;
            prefix.truncate(3);
            prefix.extend(std::iter::repeat_n(0xFF, usize::from(ffs % 3)));
            let range = KeyRange::prefix(&prefix);
            let inside = [prefix.clone(), key.clone()].concat();
            range.contains(&inside) && range.contains(&key) == key.starts_with(&prefix)
        }
    }
}
