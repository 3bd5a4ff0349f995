//! Cells: the nodes of the 16-ary tree over the plane, each a prefix of planar codes.

#![warn(clippy::indexing_slicing)]

use crate::bits::{Bits, PackedDigits};
use crate::error::Error;
use std::fmt;

/// A cell in the bytes of its digits, as [`Cell::to_packed`] makes them.
pub type PackedCell = PackedDigits;

/// A cell of the planar tree: a prefix, of 0 to 64 hexadecimal digits, of planar codes.
///
/// Which part of the Earth that is depends on the curve of the net: see
/// [`NetSpec::bounds`](crate::NetSpec::bounds). Cells order along the curve, a parent before its
/// children (pre-order of the tree). Printed as its digits, the root as `*`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    // The order of the fields makes the derived order the pre-order of the tree: a parent's code
    // equals that of its first child, and has fewer digits. Zero after the digits.
    code: Bits,
    digits: u8,
}

impl Cell {
    /// The whole plane: the cell of no digits.
    pub const ROOT: Self = Self {
        code: Bits::ZERO,
        digits: 0,
    };

    /// The largest number of digits of a cell.
    pub const DIGITS_MAX: u8 = 64;

    /// The cell of the first `digits` digits of `code`; more than 64 count as 64.
    pub(crate) fn new(code: Bits, digits: u8) -> Self {
        let digits = digits.min(Self::DIGITS_MAX);
        Self {
            code: code.prefix(4 * u32::from(digits)),
            digits,
        }
    }

    pub(crate) fn code(&self) -> Bits {
        self.code
    }

    /// The highest code of a place in the cell, all 64 digits of it.
    pub(crate) fn code_max(&self) -> Bits {
        self.code | Bits::ones(4 * u32::from(self.digits), 256)
    }

    /// Number of digits, 0 to 64: the depth in the tree.
    pub fn digits(&self) -> u8 {
        self.digits
    }

    /// The digit (0 to 15) at `index`, counted from 0 at the coarse end; `None` past the last.
    pub fn digit(&self, index: u8) -> Option<u8> {
        (index < self.digits).then(|| self.code.digit(u32::from(index)))
    }

    /// The cell one digit coarser; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        Some(self.ancestor(self.digits.checked_sub(1)?))
    }

    /// The sub-cell `digit`; `None` if `digit` is above 15 or the cell has 64 digits already.
    pub fn child(&self, digit: u8) -> Option<Self> {
        if digit > 15 || self.digits >= Self::DIGITS_MAX {
            return None;
        }
        let code = self.code.with_digit(u32::from(self.digits), digit);
        Some(Self {
            code,
            digits: self.digits + 1,
        })
    }

    /// The 16 sub-cells along the curve; none if the cell has 64 digits already.
    pub fn children(&self) -> impl Iterator<Item = Self> + use<> {
        let cell = *self;
        (0..16).filter_map(move |digit| cell.child(digit))
    }

    /// The cell of the same depth that follows along the curve; `None` after the last.
    pub fn successor(&self) -> Option<Self> {
        let last = (4 * u32::from(self.digits)).checked_sub(1)?;
        Some(Self {
            code: self.code.checked_increment(last)?,
            digits: self.digits,
        })
    }

    /// The cell cut to its first `digits` digits; the cell itself if it has no more than that.
    #[must_use]
    pub fn ancestor(&self, digits: u8) -> Self {
        Self::new(self.code, digits.min(self.digits))
    }

    /// Whether `other` is this cell or one below it.
    pub fn contains(&self, other: &Self) -> bool {
        other.ancestor(self.digits) == *self
    }

    /// The digits packed two to a byte, the last half byte zero if their number is odd.
    ///
    /// Cells of one depth order as their packed bytes do. Across depths the bytes alone do not
    /// tell `1` from `10`: keep [`Cell::digits`] beside them.
    pub fn to_packed(&self) -> PackedCell {
        self.code.pack(u32::from(self.digits))
    }

    /// Reads what [`Cell::to_packed`] wrote for a cell of `digits` digits.
    ///
    /// # Errors
    /// * [`Error::Depth`]: more than 64 digits.
    /// * [`Error::Length`]: not just the bytes that so many digits take.
    /// * [`Error::NotZero`]: the unused half of the last byte is not zero.
    pub fn from_packed(bytes: &[u8], digits: u8) -> Result<Self, Error> {
        const WHAT: &str = "packed cell";
        if digits > Self::DIGITS_MAX {
            return Err(Error::Depth {
                what: WHAT,
                digits,
                max: Self::DIGITS_MAX,
            });
        }
        let wrong_length = Error::Length {
            what: WHAT,
            len: bytes.len(),
            expected: usize::from(digits).div_ceil(2),
        };
        if bytes.len() != usize::from(digits).div_ceil(2) {
            return Err(wrong_length);
        }
        let code = Bits::from_bytes(bytes).ok_or(wrong_length)?;
        let cell = Self::new(code, digits);
        if cell.code == code {
            Ok(cell)
        } else {
            Err(Error::NotZero {
                what: "padding of a cell",
            })
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits == 0 {
            return f.write_str("*");
        }
        (0..u32::from(self.digits)).try_for_each(|index| write!(f, "{:x}", self.code.digit(index)))
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cell({self})")
    }
}

/// The hash geocode of a place: its cell at the net's full depth, and its altitude code.
///
/// Geocodes come from a [`NetSpec`](crate::NetSpec) and have meaning only with it. They order by
/// planar code, then altitude, an unknown altitude first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Geocode {
    planar: Cell,
    altitude: Option<u64>,
}

impl Geocode {
    pub(crate) fn new(planar: Cell, altitude: Option<u64>) -> Self {
        Self { planar, altitude }
    }

    /// The planar code: the cell at the net's full depth.
    pub fn planar(&self) -> Cell {
        self.planar
    }

    /// The altitude code in steps from the net's floor; `None` if the altitude is unknown or the
    /// net has no altitude axis.
    pub fn altitude(&self) -> Option<u64> {
        self.altitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{AnyCell, cell};
    use quickcheck::{TestResult, quickcheck};

    #[test]
    fn tree_has_a_root_and_ends_at_64_digits() {
        assert_eq!(Cell::ROOT.parent(), None);
        assert_eq!(Cell::ROOT.successor(), None);
        assert_eq!(Cell::ROOT.digit(0), None);
        assert_eq!(Cell::ROOT.child(16), None);
        assert_eq!(Cell::ROOT.children().count(), 16);
        assert_eq!(Cell::ROOT.to_packed().as_bytes(), [0_u8; 0]);
        let deepest = cell(&"a".repeat(64));
        assert_eq!(deepest.child(0), None);
        assert_eq!(deepest.children().count(), 0);
        assert_eq!(
            deepest.successor().map(|next| next.digit(63)),
            Some(Some(0xb))
        );
        assert_eq!(cell("1ff").successor(), Some(cell("200")));
        assert_eq!(cell("fff").successor(), None);
        assert_eq!(format!("{} {:?}", Cell::ROOT, cell("1f")), "* Cell(1f)");
    }

    #[test]
    fn parents_sort_before_their_children_and_after_the_cells_before() {
        let sorted = ["0", "0f", "0fff", "1", "10", "100", "101", "1f", "2"].map(cell);
        assert!(sorted.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn packed_cells_are_checked() {
        assert_eq!(Cell::from_packed(&[0x12, 0x30], 3), Ok(cell("123")));
        assert_eq!(Cell::from_packed(&[], 0), Ok(Cell::ROOT));
        assert_eq!(
            Cell::from_packed(&[0x12, 0x34], 3),
            Err(Error::NotZero {
                what: "padding of a cell"
            })
        );
        for bytes in [&[0x12][..], &[0x12, 0x30, 0]] {
            let expected = Error::Length {
                what: "packed cell",
                len: bytes.len(),
                expected: 2,
            };
            assert_eq!(Cell::from_packed(bytes, 3), Err(expected));
        }
        assert_eq!(
            Cell::from_packed(&[0; 33], 65),
            Err(Error::Depth {
                what: "packed cell",
                digits: 65,
                max: 64
            })
        );
    }

    quickcheck! {
        fn parent_contains_child(parent: AnyCell, digit: u8) -> TestResult {
            let parent = parent.0;
            let Some(child) = parent.child(digit % 16) else { return TestResult::discard() };
            TestResult::from_bool(
                parent.contains(&child)
                    && !child.contains(&parent)
                    && parent < child
                    && child.parent() == Some(parent)
                    && child.digit(parent.digits()) == Some(digit % 16),
            )
        }

        fn packed_round_trip(any: AnyCell) -> bool {
            Cell::from_packed(any.0.to_packed().as_bytes(), any.0.digits()) == Ok(any.0)
        }

        fn order_of_cells_is_order_of_their_text(a: AnyCell, b: AnyCell) -> TestResult {
            if a.0 == Cell::ROOT || b.0 == Cell::ROOT {
                return TestResult::discard();
            }
            TestResult::from_bool(a.0.cmp(&b.0) == a.0.to_string().cmp(&b.0.to_string()))
        }

        fn order_at_one_depth_is_byte_order(a: AnyCell, b: AnyCell) -> bool {
            let digits = a.0.digits().min(b.0.digits());
            let (a, b) = (a.0.ancestor(digits), b.0.ancestor(digits));
            a.cmp(&b) == a.to_packed().as_bytes().cmp(b.to_packed().as_bytes())
        }

        fn hostile_bytes_are_refused_or_round_trip(bytes: Vec<u8>, digits: u8) -> bool {
            Cell::from_packed(&bytes, digits)
                .map_or(true, |cell| cell.to_packed().as_bytes() == bytes)
        }
    }
}
