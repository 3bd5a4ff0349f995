//! Writes that are applied together.

use bytes::Bytes;

use crate::Table;

/// A list of writes, applied all or none, in order: of two writes to one key the later wins.
///
/// Cloning it shares the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    rows: Vec<(Table, Bytes, Option<Bytes>)>,
    len_bytes: u64,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.push(
            table,
            Bytes::from(key.into()),
            Some(Bytes::from(value.into())),
        );
    }

    /// Removes `key`; it need not be there.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.push(table, Bytes::from(key.into()), None);
    }

    fn push(&mut self, table: Table, key: Bytes, value: Option<Bytes>) {
        let row_bytes = key
            .len()
            .saturating_add(value.as_ref().map_or(0, Bytes::len));
        self.len_bytes = self.len_bytes.saturating_add(row_bytes as u64);
        self.rows.push((table, key, value));
    }

    /// Moves all writes of `other` behind those of this batch and leaves `other` empty.
    pub fn append(&mut self, other: &mut Self) {
        self.rows.append(&mut other.rows);
        self.len_bytes = self.len_bytes.saturating_add(other.len_bytes);
        other.len_bytes = 0;
    }

    /// Forgets all writes and keeps the memory for more.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.len_bytes = 0;
    }

    /// Number of writes, deletions and overwritten ones included.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no writes.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of all keys and values together.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// The writes in order: table, key, and the value or, for a deletion, `None`.
    pub fn iter(&self) -> Rows<'_> {
        Rows(self.rows.iter())
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = (Table, &'a Bytes, Option<&'a Bytes>);
    type IntoIter = Rows<'a>;

    fn into_iter(self) -> Rows<'a> {
        self.iter()
    }
}

/// The writes of a [`Batch`] in order.
#[derive(Clone, Debug)]
pub struct Rows<'a>(std::slice::Iter<'a, (Table, Bytes, Option<Bytes>)>);

impl<'a> Iterator for Rows<'a> {
    type Item = (Table, &'a Bytes, Option<&'a Bytes>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0
            .next()
            .map(|(table, key, value)| (*table, key, value.as_ref()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Rows<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_bytes_are_counted_through_append_and_clear() {
        let mut batch = Batch::new();
        batch.put(Table(0), "key", "value");
        batch.delete(Table(1), "gone");
        assert_eq!((batch.len(), batch.len_bytes()), (2, 12));

        let mut more = Batch::new();
        more.put(Table(0), "key", "v");
        batch.append(&mut more);
        assert!(more.is_empty());
        assert_eq!(
            (more.len_bytes(), batch.len(), batch.len_bytes()),
            (0, 3, 16)
        );
        let last = batch
            .iter()
            .last()
            .map(|(table, key, value)| (table, key.to_vec(), value.map(|bytes| bytes.to_vec())));
        assert_eq!(last, Some((Table(0), b"key".to_vec(), Some(b"v".to_vec()))));

        batch.clear();
        assert_eq!((batch.len(), batch.len_bytes()), (0, 0));
    }
}
