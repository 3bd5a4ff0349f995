//! The two orders in which the cells of a level are numbered.

use crate::bits::Bits;
use crate::cell::Cell;
use std::fmt;

/// Which curve numbers the cells of a net.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CurveKind {
    /// Bits of longitude and latitude in turn (Z-order): see [`Morton`].
    Morton,
    /// The Hilbert curve, whose consecutive cells share a side: see [`Hilbert`].
    Hilbert,
}

impl CurveKind {
    /// The curve itself.
    pub fn curve(self) -> &'static dyn Curve {
        match self {
            Self::Morton => &Morton,
            Self::Hilbert => &Hilbert,
        }
    }
}

impl fmt::Display for CurveKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Morton => "morton",
            Self::Hilbert => "hilbert",
        })
    }
}

/// A numbering of the plane by a 16-ary tree: the digits of a cell name its place on the curve,
/// and a prefix of them names a cell that contains it.
///
/// A cell of `d` digits is one of `4^d` columns, counted from the west, and `4^d` rows, counted
/// from the south.
pub trait Curve: fmt::Debug + Send + Sync {
    /// Which curve this is.
    fn kind(&self) -> CurveKind;

    /// The cell of `digits` digits at `column` and `row`.
    ///
    /// Only the low `2 * digits` bits of both count: the plane repeats. More than 64 digits count
    /// as 64.
    fn cell(&self, column: u128, row: u128, digits: u8) -> Cell;

    /// Column and row of a cell at its own depth: the inverse of [`Curve::cell`].
    fn indices(&self, cell: &Cell) -> (u128, u128);
}

/// Morton order (Z-order): bits of column and row in turn, the column's first.
///
/// One digit is two bits of longitude and two of latitude. The column takes the high bit of each
/// pair because cells are wider than high on the ground below 60 degrees of latitude: a window
/// that is square in metres is then tall in cells, and needs about a fifth fewer ranges.
#[derive(Clone, Copy, Debug, Default)]
pub struct Morton;

impl Curve for Morton {
    fn kind(&self) -> CurveKind {
        CurveKind::Morton
    }

    fn cell(&self, column: u128, row: u128, digits: u8) -> Cell {
        let digits = digits.min(Cell::DIGITS_MAX);
        Cell::new(
            interleave(align(column, digits), align(row, digits)),
            digits,
        )
    }

    fn indices(&self, cell: &Cell) -> (u128, u128) {
        unaligned(cell.code(), cell.digits())
    }
}

/// The Hilbert curve: consecutive cells of any depth share a side.
///
/// One digit covers two levels of the 2 by 2 construction. At the root the curve runs from the
/// south-western corner to the south-eastern one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hilbert;

impl Curve for Hilbert {
    fn kind(&self) -> CurveKind {
        CurveKind::Hilbert
    }

    fn cell(&self, column: u128, row: u128, digits: u8) -> Cell {
        let morton = Morton.cell(column, row, digits);
        Cell::new(relabel(&morton, &FROM_MORTON), morton.digits())
    }

    fn indices(&self, cell: &Cell) -> (u128, u128) {
        unaligned(relabel(cell, &TO_MORTON), cell.digits())
    }
}

/// Moves the low `2 * digits` bits of an axis integer to its high end.
fn align(index: u128, digits: u8) -> u128 {
    index.checked_shl(128 - 2 * u32::from(digits)).unwrap_or(0)
}

/// Column and row, at the low end again, of a Morton code of `digits` digits.
fn unaligned(code: Bits, digits: u8) -> (u128, u128) {
    let (column, row) = deinterleave(code);
    let shift = 128 - 2 * u32::from(digits);
    (
        column.checked_shr(shift).unwrap_or(0),
        row.checked_shr(shift).unwrap_or(0),
    )
}

/// The bits of `column` at even positions, those of `row` at odd ones.
pub(crate) fn interleave(column: u128, row: u128) -> Bits {
    let half = |shift: u32| spread(column >> shift) << 1 | spread(row >> shift);
    Bits::new(half(64), half(0))
}

/// The inverse of [`interleave`].
pub(crate) fn deinterleave(code: Bits) -> (u128, u128) {
    let half = |half: u128| (gather(half >> 1), gather(half));
    let high = half(code.high());
    // Most cells have at most 32 digits.
    let low = if code.low() == 0 {
        (0, 0)
    } else {
        half(code.low())
    };
    (high.0 << 64 | low.0, high.1 << 64 | low.1)
}

const EVERY_2ND: u128 = u128::MAX / 0x3;
const PAIRS: u128 = u128::MAX / 0x5;
const NIBBLES: u128 = u128::MAX / 0x11;
const BYTES: u128 = u128::MAX / 0x101;
const WORDS: u128 = u128::MAX / 0x1_0001;
const DOUBLE_WORDS: u128 = u128::MAX / 0x1_0000_0001;
const LOW_HALF: u128 = u128::MAX >> 64;

/// Puts a zero before each of the low 64 bits, dropping the others.
fn spread(bits: u128) -> u128 {
    let mut x = bits & LOW_HALF;
    x = (x | x << 32) & DOUBLE_WORDS;
    x = (x | x << 16) & WORDS;
    x = (x | x << 8) & BYTES;
    x = (x | x << 4) & NIBBLES;
    x = (x | x << 2) & PAIRS;
    (x | x << 1) & EVERY_2ND
}

/// Keeps every second bit, from the lowest on: the inverse of [`spread`].
fn gather(bits: u128) -> u128 {
    let mut x = bits & EVERY_2ND;
    x = (x | x >> 1) & PAIRS;
    x = (x | x >> 2) & NIBBLES;
    x = (x | x >> 4) & BYTES;
    x = (x | x >> 8) & WORDS;
    x = (x | x >> 16) & DOUBLE_WORDS;
    (x | x >> 32) & LOW_HALF
}

/// For each orientation of the curve and each digit, the digit of the other curve and the
/// orientation of the curve inside that cell.
type Relabelling = [[(u8, u8); 16]; 4];

// The Hilbert curve visits a cell's sub-cells in one of four orientations, so that its digits are
// Morton's under one of four permutations. An orientation is two bits: 1 swaps column and row,
// 2 turns by half a circle. Applying one after the other is an exclusive or.
const FROM_MORTON: Relabelling = from_morton();
const TO_MORTON: Relabelling = inverse(&FROM_MORTON);

/// One 2 by 2 level: the place on the curve (0 to 3) of a quadrant, and the orientation inside.
///
/// Unturned, the curve goes (0, 0), (0, 1), (1, 1), (1, 0) in (column, row), swapped in the first
/// quadrant and swapped and turned in the last.
const fn quadrant(orientation: u8, column: u8, row: u8) -> (u8, u8) {
    const INSIDE: [u8; 4] = [1, 0, 0, 3];
    let turn = orientation >> 1;
    let (column, row) = (column ^ turn, row ^ turn);
    let (column, row) = if orientation & 1 == 1 {
        (row, column)
    } else {
        (column, row)
    };
    let place = (3 * column) ^ row;
    (place, orientation ^ INSIDE[place as usize])
}

const fn from_morton() -> Relabelling {
    let mut table = [[(0, 0); 16]; 4];
    let mut orientation = 0;
    while orientation < 4 {
        let mut digit = 0;
        while digit < 16 {
            let (coarse, inner) = quadrant(orientation, digit >> 3, digit >> 2 & 1);
            let (fine, inside) = quadrant(inner, digit >> 1 & 1, digit & 1);
            table[orientation as usize][digit as usize] = (coarse << 2 | fine, inside);
            digit += 1;
        }
        orientation += 1;
    }
    table
}

const fn inverse(forward: &Relabelling) -> Relabelling {
    let mut table = [[(0, 0); 16]; 4];
    let mut orientation = 0;
    while orientation < 4 {
        let mut digit = 0;
        while digit < 16 {
            let (image, inside) = forward[orientation][digit as usize];
            table[orientation][image as usize] = (digit, inside);
            digit += 1;
        }
        orientation += 1;
    }
    table
}

/// Replaces each digit of a cell by the table's, carrying the orientation down.
fn relabel(cell: &Cell, table: &Relabelling) -> Bits {
    let replace = |half: u128, digits: u32, mut orientation: u8| {
        let mut out = 0;
        for index in 0..digits {
            let shift = 124 - 4 * index;
            let (digit, inside) = table[usize::from(orientation)][(half >> shift & 0xf) as usize];
            out |= u128::from(digit) << shift;
            orientation = inside;
        }
        (out, orientation)
    };
    let digits = u32::from(cell.digits());
    let (high, orientation) = replace(cell.code().high(), digits.min(32), 0);
    let (low, _) = replace(cell.code().low(), digits.saturating_sub(32), orientation);
    Bits::new(high, low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{AnyCell, cell};
    use quickcheck::{TestResult, quickcheck};

    const CURVES: [CurveKind; 2] = [CurveKind::Morton, CurveKind::Hilbert];

    fn share_a_side(a: (u128, u128), b: (u128, u128)) -> bool {
        matches!((a.0.abs_diff(b.0), a.1.abs_diff(b.1)), (0, 1) | (1, 0))
    }

    #[test]
    fn first_digit_lies_as_documented() {
        // Rows from the north down, as on a map.
        let map = |kind: CurveKind| {
            [3, 2, 1, 0].map(|row| {
                let digit = |column| kind.curve().cell(column, row, 1).to_string();
                (0..4).map(digit).collect::<String>()
            })
        };
        assert_eq!(map(CurveKind::Morton), ["57df", "46ce", "139b", "028a"]);
        assert_eq!(map(CurveKind::Hilbert), ["569a", "478b", "32dc", "01ef"]);
    }

    #[test]
    fn each_cell_of_three_levels_is_visited_once_and_keeps_its_indices() {
        for kind in CURVES {
            let curve = kind.curve();
            assert_eq!(curve.kind(), kind);
            for digits in 0..=3_u8 {
                let side = 1_u128 << (2 * digits);
                let mut cells = Vec::new();
                for column in 0..side {
                    for row in 0..side {
                        let cell = curve.cell(column, row, digits);
                        assert_eq!(curve.indices(&cell), (column, row));
                        cells.push(cell);
                    }
                }
                cells.sort();
                let mut next = Some(curve.cell(0, 0, digits));
                for cell in cells {
                    assert_eq!(Some(cell), next);
                    next = cell.successor();
                }
                assert_eq!(next, None);
            }
        }
    }

    #[test]
    fn hilbert_runs_from_the_south_west_to_the_south_east() {
        for digits in [1, 2, 9, 16, 32, 33, 64] {
            let last = u128::MAX >> (128 - 2 * u32::from(digits));
            assert_eq!(Hilbert.indices(&Hilbert.cell(0, 0, digits)), (0, 0));
            assert_eq!(
                Hilbert.cell(0, 0, digits).to_string(),
                "0".repeat(usize::from(digits))
            );
            assert_eq!(
                Hilbert.cell(last, 0, digits).to_string(),
                "f".repeat(usize::from(digits))
            );
        }
    }

    #[test]
    fn whole_curve_of_three_digits_has_no_jump_under_hilbert() {
        let mut cell = Hilbert.cell(0, 0, 3);
        while let Some(next) = cell.successor() {
            assert!(
                share_a_side(Hilbert.indices(&cell), Hilbert.indices(&next)),
                "{cell} {next}"
            );
            cell = next;
        }
    }

    #[test]
    fn high_bits_repeat_the_plane_and_depth_is_capped() {
        for kind in CURVES {
            assert_eq!(kind.curve().cell(4, 17, 1), kind.curve().cell(0, 1, 1));
            assert_eq!(kind.curve().cell(7, 9, 200), kind.curve().cell(7, 9, 64));
            assert_eq!(kind.curve().cell(7, 9, 0), Cell::ROOT);
            assert_eq!(kind.curve().indices(&Cell::ROOT), (0, 0));
        }
        assert_eq!(Morton.indices(&cell("8")), (2, 0));
    }

    quickcheck! {
        fn hilbert_neighbours_on_the_curve_share_a_side(any: AnyCell) -> TestResult {
            let Some(next) = any.0.successor() else { return TestResult::discard() };
            TestResult::from_bool(share_a_side(Hilbert.indices(&any.0), Hilbert.indices(&next)))
        }

        fn indices_name_the_cell(any: AnyCell) -> bool {
            CURVES.iter().all(|kind| {
                let (column, row) = kind.curve().indices(&any.0);
                kind.curve().cell(column, row, any.0.digits()) == any.0
            })
        }

        fn a_prefix_is_the_cell_around(any: AnyCell, digits: u8) -> bool {
            let parent = any.0.ancestor(digits);
            let shift = 2 * u32::from(any.0.digits() - parent.digits());
            CURVES.iter().all(|kind| {
                let (column, row) = kind.curve().indices(&any.0);
                let coarse = |index: u128| index.checked_shr(shift).unwrap_or(0);
                kind.curve().indices(&parent) == (coarse(column), coarse(row))
            })
        }

        fn interleaving_is_bit_by_bit(column: u128, row: u128) -> bool {
            let code = interleave(column, row);
            let bit = |of: u128, at: u32| of >> (127 - at) & 1;
            let right = (0..128).all(|at| {
                let pair = (code << (2 * at)).high() >> 126;
                pair == bit(column, at) << 1 | bit(row, at)
            });
            right && deinterleave(code) == (column, row)
        }
    }
}
