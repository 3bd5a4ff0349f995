//! A string of 256 bits, counted from its most significant end, and the bytes it is packed into.

use std::fmt;
use std::ops::{BitOr, Shl, Shr};

/// 256 bits. Position 0 is the most significant: a code starts there and is padded with zeros, so
/// that comparing two strings compares the codes digit by digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bits {
    high: u128,
    low: u128,
}

impl Bits {
    pub(crate) const ZERO: Self = Self::new(0, 0);
    const ONES: Self = Self::new(u128::MAX, u128::MAX);

    pub(crate) const fn new(high: u128, low: u128) -> Self {
        Self { high, low }
    }

    pub(crate) const fn high(self) -> u128 {
        self.high
    }

    pub(crate) const fn low(self) -> u128 {
        self.low
    }

    /// Ones at positions `start..end`, zeros elsewhere.
    pub(crate) fn ones(start: u32, end: u32) -> Self {
        (Self::ONES >> start).prefix(end)
    }

    /// The first `len` bits; zeros after them.
    pub(crate) fn prefix(self, len: u32) -> Self {
        let mask = Self::ONES << (256 - len.min(256));
        Self::new(self.high & mask.high, self.low & mask.low)
    }

    /// The bits from position `start` on; zeros before them.
    pub(crate) fn suffix(self, start: u32) -> Self {
        let mask = Self::ONES >> start;
        Self::new(self.high & mask.high, self.low & mask.low)
    }

    /// The four bits that are the hexadecimal digit `index`, from 0.
    pub(crate) fn digit(self, index: u32) -> u8 {
        u8::try_from((self << (4 * index)).high >> 124).expect("four bits fit in a byte")
    }

    /// The `len` bits (0 to 64) from position `start` on, as a number.
    pub(crate) fn number(self, start: u32, len: u32) -> u64 {
        let bits = u64::try_from((self << start).high >> 64).expect("64 bits are left");
        bits.checked_shr(64 - len).unwrap_or(0)
    }

    /// The string with `digit` (0 to 15) put at the zero digit `index`.
    pub(crate) fn with_digit(self, index: u32, digit: u8) -> Self {
        self | (Self::new(u128::from(digit) << 124, 0) >> (4 * index))
    }

    /// The string plus one at position `last`, or `None` where that overflows.
    pub(crate) fn checked_increment(self, last: u32) -> Option<Self> {
        let step = Self::new(1 << 127, 0) >> last;
        let (low, carry) = self.low.overflowing_add(step.low);
        let high = self
            .high
            .checked_add(step.high)?
            .checked_add(u128::from(carry))?;
        Some(Self { high, low })
    }

    /// The string as a number, rounded to the precision of `f64`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "rounding is what the caller asks for"
    )]
    pub(crate) fn to_f64(self) -> f64 {
        const HIGH_UNIT: f64 = (1_u128 << 64) as f64 * (1_u128 << 64) as f64;
        self.high as f64 * HIGH_UNIT + self.low as f64
    }

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let (high, low) = bytes.split_at_mut(16);
        high.copy_from_slice(&self.high.to_be_bytes());
        low.copy_from_slice(&self.low.to_be_bytes());
        bytes
    }

    /// Reads at most 32 bytes; missing ones count as zero, or `None` if there are more.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut high = [0; 16];
        let mut low = [0; 16];
        let (start, rest) = bytes.split_at(bytes.len().min(16));
        high.get_mut(..start.len())?.copy_from_slice(start);
        low.get_mut(..rest.len())?.copy_from_slice(rest);
        Some(Self::new(
            u128::from_be_bytes(high),
            u128::from_be_bytes(low),
        ))
    }

    /// The first `digits` hexadecimal digits as bytes.
    pub(crate) fn pack(self, digits: u32) -> PackedDigits {
        let len_bytes = u8::try_from(digits.min(64).div_ceil(2)).expect("at most 32 bytes");
        PackedDigits {
            bytes: self.prefix(4 * digits).to_bytes(),
            len_bytes,
        }
    }
}

impl BitOr for Bits {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self::new(self.high | other.high, self.low | other.low)
    }
}

/// Towards position 0. Shifts of 256 and more leave zeros.
impl Shl<u32> for Bits {
    type Output = Self;

    fn shl(self, count: u32) -> Self {
        match count {
            0 => self,
            1..128 => Self::new(
                self.high << count | self.low >> (128 - count),
                self.low << count,
            ),
            _ => Self::new(self.low.checked_shl(count - 128).unwrap_or(0), 0),
        }
    }
}

/// Away from position 0. Shifts of 256 and more leave zeros.
impl Shr<u32> for Bits {
    type Output = Self;

    fn shr(self, count: u32) -> Self {
        match count {
            0 => self,
            1..128 => Self::new(
                self.high >> count,
                self.low >> count | self.high << (128 - count),
            ),
            _ => Self::new(0, self.high.checked_shr(count - 128).unwrap_or(0)),
        }
    }
}

/// Hexadecimal digits packed two to a byte, the first in the high half; at most 32 bytes.
///
/// An odd number of digits leaves a last half byte of zero. The order is that of the bytes, as
/// slices compare.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackedDigits {
    // Zero from `len_bytes` on, so that the derived order is the order of the slices.
    bytes: [u8; 32],
    len_bytes: u8,
}

impl PackedDigits {
    /// The packed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len_bytes)]
    }
}

impl AsRef<[u8]> for PackedDigits {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for PackedDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PackedDigits(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    fn bits(text: &str) -> Bits {
        text.bytes()
            .enumerate()
            .fold(Bits::ZERO, |bits, (index, digit)| {
                let digit = char::from(digit).to_digit(16).expect("a digit");
                bits.with_digit(u32::try_from(index).unwrap(), u8::try_from(digit).unwrap())
            })
    }

    #[test]
    fn shifts_cross_the_middle_and_run_out() {
        let one = Bits::new(0, 1);
        assert_eq!(one << 255, Bits::new(1 << 127, 0));
        assert_eq!(one << 128, Bits::new(1, 0));
        assert_eq!(one << 256, Bits::ZERO);
        assert_eq!(Bits::new(1 << 127, 0) >> 255, one);
        assert_eq!(Bits::new(1, 0) >> 1, Bits::new(0, 1 << 127));
        assert_eq!(Bits::ONES >> 256, Bits::ZERO);
        assert_eq!(Bits::ones(4, 8), bits("0f"));
        assert_eq!(Bits::ones(0, 256), Bits::ONES);
        assert_eq!(Bits::ones(256, 256), Bits::ZERO);
        assert_eq!(bits("12345").number(4, 12), 0x234);
        assert_eq!(Bits::ONES.number(192, 64), u64::MAX);
        assert_eq!(Bits::ONES.number(256, 0), 0);
        assert_eq!(
            Bits::new(1, 3).to_f64().to_bits(),
            2.0_f64.powi(128).to_bits()
        );
    }

    #[test]
    fn increment_carries_and_stops_at_the_end() {
        assert_eq!(
            Bits::new(0, u128::MAX).checked_increment(255),
            Some(Bits::new(1, 0))
        );
        assert_eq!(Bits::ONES.checked_increment(255), None);
        assert_eq!(bits("0f").checked_increment(7), Some(bits("1")));
        assert_eq!(bits("ff").checked_increment(7), None);
    }

    #[test]
    fn packing_pads_with_zero_digits() {
        assert_eq!(bits("abc").pack(3).as_bytes(), [0xab, 0xc0]);
        assert_eq!(bits("abc").pack(2).as_bytes(), [0xab]);
        assert_eq!(bits("abc").pack(0).as_bytes(), [0_u8; 0]);
        assert_eq!(Bits::ONES.pack(64).as_bytes(), [0xff; 32]);
        assert_eq!(format!("{:?}", bits("abc").pack(3)), "PackedDigits(abc0)");
        assert_eq!(Bits::from_bytes(&[0xab, 0xc0]), Some(bits("abc")));
        assert_eq!(Bits::from_bytes(&[0; 33]), None);
    }

    quickcheck! {
        fn bytes_round_trip_in_order(a: (u128, u128), b: (u128, u128)) -> bool {
            let (a, b) = (Bits::new(a.0, a.1), Bits::new(b.0, b.1));
            Bits::from_bytes(&a.to_bytes()) == Some(a) && a.cmp(&b) == a.to_bytes().cmp(&b.to_bytes())
        }

        fn prefix_and_suffix_make_the_whole(high: u128, low: u128, at: u8) -> bool {
            let (all, at) = (Bits::new(high, low), u32::from(at));
            all.prefix(at) | all.suffix(at) == all && all.prefix(at).suffix(at) == Bits::ZERO
        }
    }
}
