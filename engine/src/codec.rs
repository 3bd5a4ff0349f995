//! Fixed-width little-endian fields and length-prefixed strings, written and read with bounds
//! checked. Nothing here allocates by a length it has not compared with the bytes at hand.
#![warn(clippy::indexing_slicing)]

use crate::error::Fault;

/// Appends fields to a buffer.
#[derive(Debug, Default)]
pub(crate) struct Encoder(pub(crate) Vec<u8>);

impl Encoder {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn f64(&mut self, value: f64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A `u64` length and the bytes, as in hash inputs.
    pub(crate) fn long(&mut self, bytes: &[u8]) -> &mut Self {
        self.u64(bytes.len() as u64).raw(bytes)
    }

    /// A `u16` length and the bytes. Callers have checked the length against their limit.
    pub(crate) fn short(&mut self, bytes: &[u8]) -> &mut Self {
        let len = u16::try_from(bytes.len()).expect("limits keep short fields below 64 KiB");
        self.u16(len).raw(bytes)
    }
}

/// Takes fields off the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder<'a>(pub(crate) &'a [u8]);

impl<'a> Decoder<'a> {
    #[inline]
    pub(crate) fn raw(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(Fault::Truncated {
            need: len,
            have: self.0.len(),
        })?;
        self.0 = tail;
        Ok(head)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.array_ref().copied()
    }

    #[inline]
    pub(crate) fn array_ref<const N: usize>(&mut self) -> Result<&'a [u8; N], Fault> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(Fault::Truncated {
            need: N,
            have: self.0.len(),
        })?;
        self.0 = tail;
        Ok(head)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    pub(crate) fn i64(&mut self) -> Result<i64, Fault> {
        self.array().map(i64::from_le_bytes)
    }

    #[inline]
    pub(crate) fn f64(&mut self) -> Result<f64, Fault> {
        self.array().map(f64::from_le_bytes)
    }

    #[inline]
    pub(crate) fn short(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.u16()?;
        self.raw(usize::from(len))
    }

    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.short()?).map_err(|_| Fault::Value { what: "text" })
    }

    /// A count of items that each take at least `item_len_min` bytes: refused when the bytes left
    /// cannot hold them, so that it may size an allocation.
    pub(crate) fn count(&mut self, item_len_min: usize) -> Result<usize, Fault> {
        let count = self.u32()? as usize;
        let need = count.saturating_mul(item_len_min);
        if need > self.0.len() {
            return Err(Fault::Truncated {
                need,
                have: self.0.len(),
            });
        }
        Ok(count)
    }

    #[inline]
    pub(crate) fn finish(self) -> Result<(), Fault> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Fault::Trailing {
                bytes: self.0.len(),
            })
        }
    }
}
