//! Blocks: the cells of the bottom layer, whole or split into altitude bands.

#![warn(clippy::indexing_slicing)]

use std::fmt;

use crate::bits::{Bits, PackedDigits};
use crate::cell::{Cell, Geocode};
use crate::error::Error;
use crate::spec::NetSpec;

/// A block of a net: a cell at block depth and, where the net has altitude bands, one band of it.
///
/// Its digits are those of the cell followed by the first digits of the altitude code: a prefix
/// of the stored code of everything in it, so that blocks order as stored keys do. Comes from a
/// [`NetSpec`] and has meaning only with it. Printed as the cell's digits and, with bands, a
/// hyphen and the band's digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    code: Bits,
    cell_digits: u8,
    band_digits: u8,
}

impl Block {
    /// The cell at block depth.
    pub fn cell(&self) -> Cell {
        Cell::new(self.code, self.cell_digits)
    }

    /// Number of the altitude band, counted from the net's floor; `None` in a net without bands.
    pub fn band(&self) -> Option<u64> {
        (self.band_digits > 0).then(|| self.band_number())
    }

    fn band_number(&self) -> u64 {
        let (start, len) = (
            4 * u32::from(self.cell_digits),
            4 * u32::from(self.band_digits),
        );
        self.code.number(start, len)
    }

    /// The digits of cell and band, two to a byte, the last half byte zero if their number is
    /// odd: [`NetSpec::block_len_bytes`] bytes. Blocks of one net order as these bytes do.
    pub fn to_packed(&self) -> PackedDigits {
        self.code
            .pack(u32::from(self.cell_digits) + u32::from(self.band_digits))
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cell())?;
        match self.band() {
            Some(band) => write!(f, "-{band:0width$x}", width = usize::from(self.band_digits)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({self})")
    }
}

impl NetSpec {
    /// The block that a geocode lies in: its cell at block depth and, where the net has bands,
    /// the band of its altitude. What has an unknown altitude lies in the lowest band.
    pub fn block(&self, geocode: &Geocode) -> Block {
        let altitude = geocode.altitude().unwrap_or(0);
        let unused = self.altitude_bits() - 4 * u32::from(self.band_digits());
        self.block_of(
            geocode.planar().ancestor(self.block_digits()),
            altitude.checked_shr(unused).unwrap_or(0),
        )
    }

    /// `band` has at most the bits that bands have.
    fn block_of(&self, cell: Cell, band: u64) -> Block {
        let end = 4 * (u32::from(self.block_digits()) + u32::from(self.band_digits()));
        Block {
            code: cell.code() | Bits::new(0, u128::from(band)) << (256 - end),
            cell_digits: self.block_digits(),
            band_digits: self.band_digits(),
        }
    }

    /// Length of a packed block: 1 to 32 bytes.
    pub fn block_len_bytes(&self) -> usize {
        (usize::from(self.block_digits()) + usize::from(self.band_digits())).div_ceil(2)
    }

    /// Reads what [`Block::to_packed`] wrote for a block of this net.
    ///
    /// # Errors
    /// * [`Error::Length`]: not [`NetSpec::block_len_bytes`] bytes.
    /// * [`Error::NotZero`]: the unused half of the last byte is not zero.
    pub fn block_from_packed(&self, bytes: &[u8]) -> Result<Block, Error> {
        let wrong_length = Error::Length {
            what: "packed block",
            len: bytes.len(),
            expected: self.block_len_bytes(),
        };
        if bytes.len() != self.block_len_bytes() {
            return Err(wrong_length);
        }
        let code = Bits::from_bytes(bytes).ok_or(wrong_length)?;
        let digits = u32::from(self.block_digits()) + u32::from(self.band_digits());
        if code.suffix(4 * digits) != Bits::ZERO {
            return Err(Error::NotZero {
                what: "padding of a block",
            });
        }
        Ok(Block {
            code,
            cell_digits: self.block_digits(),
            band_digits: self.band_digits(),
        })
    }

    /// Reads the printed form of a block, in lower or upper case.
    ///
    /// # Errors
    /// * [`Error::Digit`]: a character that is not a hexadecimal digit.
    /// * [`Error::Length`]: not the net's number of block or band digits.
    pub fn parse_block(&self, text: &str) -> Result<Block, Error> {
        // Without bands a hyphen is no part of any block, not even at the end.
        let parts = text.split_once('-').filter(|_| self.band_digits() > 0);
        let (cell_text, band_text) = parts.unwrap_or((text, ""));
        let cell = self.parse_cell(cell_text)?;
        if cell.digits() != self.block_digits() {
            return Err(Error::Length {
                what: "block digits",
                len: usize::from(cell.digits()),
                expected: usize::from(self.block_digits()),
            });
        }
        if band_text.len() != usize::from(self.band_digits()) {
            return Err(Error::Length {
                what: "band digits",
                len: band_text.len(),
                expected: usize::from(self.band_digits()),
            });
        }
        let mut band = 0;
        for (index, found) in band_text.char_indices() {
            let digit = found.to_digit(16).ok_or(Error::Digit {
                offset_bytes: cell_text.len() + 1 + index,
                found,
            })?;
            band = band << 4 | u64::from(digit);
        }
        Ok(self.block_of(cell, band))
    }

    /// Column, row and band of a block; the band is 0 in a net without bands.
    pub fn block_indices(&self, block: &Block) -> (u128, u128, u64) {
        let (column, row) = self.indices(&block.cell());
        (column, row, block.band_number())
    }

    /// The block of a column, row and band.
    ///
    /// # Errors
    /// * [`Error::Index`]: `column` or `row` above `4^block_digits - 1`, or `band` above
    ///   `16^band_digits - 1`.
    pub fn block_of_indices(&self, column: u128, row: u128, band: u64) -> Result<Block, Error> {
        let cell = self.cell_of_indices(column, row, self.block_digits())?;
        let bits = 4 * u32::from(self.band_digits());
        if band.checked_shr(bits).unwrap_or(0) != 0 {
            return Err(Error::Index {
                what: "altitude band",
                index: u128::from(band),
                bits,
            });
        }
        Ok(self.block_of(cell, band))
    }

    /// The blocks that share a side with a block, in a fixed order: west, east, south, north,
    /// below, above. West and east go on across the antimeridian and are always there; there is
    /// none beyond a pole, below the lowest band or above the highest, and none below or above at
    /// all in a net without bands.
    ///
    /// Mutual: what is west of a block has it in its east, and so on.
    pub fn block_neighbours(&self, block: &Block) -> [Option<Block>; 6] {
        let band = block.band_number();
        let around = self.neighbours(&block.cell());
        let beside = |cell: Option<Cell>| cell.map(|cell| self.block_of(cell, band));
        let above = band.checked_add(1).filter(|above| {
            above
                .checked_shr(4 * u32::from(self.band_digits()))
                .is_none_or(|rest| rest == 0)
        });
        let stacked = |band: Option<u64>| {
            band.filter(|_| self.band_digits() > 0)
                .map(|band| self.block_of(block.cell(), band))
        };
        [
            beside(Some(around.west)),
            beside(Some(around.east)),
            beside(around.south),
            beside(around.north),
            stacked(band.checked_sub(1)),
            stacked(above),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Position;
    use crate::testing::{AnyGeocode, hex};
    use quickcheck::quickcheck;

    fn banded() -> NetSpec {
        NetSpec::builder().band_digits(3).build().unwrap()
    }

    #[test]
    fn a_block_is_a_cell_and_with_bands_a_slice_of_it() {
        let spec = banded();
        let geocode = spec.parse("d06177e390e23b93-018ab2").unwrap();
        let block = spec.block(&geocode);
        assert_eq!(block.to_string(), "d06177e39-018");
        assert_eq!(block.to_packed().as_bytes(), hex("d06177e39018"));
        assert_eq!(
            (block.cell().to_string(), block.band()),
            ("d06177e39".into(), Some(0x18))
        );
        assert_eq!(spec.block_len_bytes(), 6);
        assert_eq!(spec.parse_block("D06177E39-018"), Ok(block));
        let flat = NetSpec::city().block(&geocode);
        assert_eq!((flat.to_string(), flat.band()), ("d06177e39".into(), None));
        assert_eq!(NetSpec::city().parse_block("d06177e39"), Ok(flat));
        let unknown = spec.parse("d06177e390e23b93").unwrap();
        assert_eq!(spec.block(&unknown).to_string(), "d06177e39-000");
    }

    #[test]
    fn neighbours_end_at_poles_and_at_the_ends_of_the_altitude_axis() {
        let spec = banded();
        let corner = spec.block_of_indices(0, 0, 0).unwrap();
        let [west, east, south, north, below, above] = spec.block_neighbours(&corner);
        let last = (1 << 18) - 1;
        assert_eq!(west, spec.block_of_indices(last, 0, 0).ok());
        assert_eq!(east, spec.block_of_indices(1, 0, 0).ok());
        assert_eq!((south, below), (None, None));
        assert_eq!(north, spec.block_of_indices(0, 1, 0).ok());
        assert_eq!(above, spec.block_of_indices(0, 0, 1).ok());
        let top = spec.block_of_indices(last, last, 0xfff).unwrap();
        let [west, east, south, north, below, above] = spec.block_neighbours(&top);
        assert_eq!(east, spec.block_of_indices(0, last, 0xfff).ok());
        assert_eq!(west, spec.block_of_indices(last - 1, last, 0xfff).ok());
        assert_eq!((north, above), (None, None));
        assert_eq!(south, spec.block_of_indices(last, last - 1, 0xfff).ok());
        assert_eq!(below, spec.block_of_indices(last, last, 0xffe).ok());
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let spec = banded();
        for text in [
            "",
            "*",
            "d06177e3",
            "d06177e39",
            "d06177e39-01",
            "d06177e39-01x",
        ] {
            assert!(spec.parse_block(text).is_err(), "{text}");
        }
        for text in ["d06177e39-018", "d06177e39-"] {
            assert!(NetSpec::city().parse_block(text).is_err(), "{text}");
        }
        assert!(spec.block_of_indices(1 << 18, 0, 0).is_err());
        assert!(spec.block_of_indices(0, 0, 0x1000).is_err());
        assert!(NetSpec::city().block_of_indices(0, 0, 1).is_err());
        assert_eq!(
            NetSpec::city().block_from_packed(&hex("d06177e391")),
            Err(Error::NotZero {
                what: "padding of a block"
            })
        );
        assert!(spec.block_from_packed(&hex("d06177e390")).is_err());
    }

    #[test]
    fn bands_are_steps_of_the_altitude_axis() {
        // Three of six digits: a band is 16^3 steps of a centimetre.
        let spec = banded();
        let at = |altitude| {
            let place = Position {
                longitude: 6.1389,
                latitude: 52.0128,
                altitude: Some(altitude),
            };
            spec.block(&spec.encode(&place).unwrap()).band().unwrap()
        };
        assert_eq!((at(-1000.0), at(-959.05), at(-959.04)), (0, 0, 1));
    }

    quickcheck! {
        fn neighbours_are_mutual(any: AnyGeocode) -> bool {
            let spec = any.spec;
            let block = spec.block(&any.geocode);
            let around = spec.block_neighbours(&block);
            around.iter().enumerate().all(|(side, neighbour)| {
                neighbour.is_none_or(|neighbour| {
                    neighbour != block
                        && spec.block_neighbours(&neighbour)[side ^ 1] == Some(block)
                })
            })
        }

        fn blocks_are_prefixes_of_stored_codes(any: AnyGeocode) -> bool {
            let spec = any.spec;
            let (a, b) = (spec.block(&any.geocode), spec.block(&any.other));
            let stored = |geocode| spec.stored(geocode, spec.block_digits());
            let (x, y) = (stored(&any.geocode), stored(&any.other));
            (a == b || a.cmp(&b) == x.as_bytes().cmp(y.as_bytes()))
                && a.cmp(&b) == a.to_packed().as_bytes().cmp(b.to_packed().as_bytes())
        }

        fn every_form_round_trips(any: AnyGeocode) -> bool {
            let spec = any.spec;
            let block = spec.block(&any.geocode);
            let (column, row, band) = spec.block_indices(&block);
            spec.block_of_indices(column, row, band) == Ok(block)
                && spec.block_from_packed(block.to_packed().as_bytes()) == Ok(block)
                && spec.parse_block(&block.to_string()) == Ok(block)
        }

        fn hostile_bytes_are_refused_or_round_trip(any: AnyGeocode, bytes: Vec<u8>) -> bool {
            let mut sized = bytes.clone();
            sized.resize(any.spec.block_len_bytes(), 0xa5);
            [bytes, sized].iter().all(|bytes| {
                any.spec
                    .block_from_packed(bytes)
                    .map_or(true, |block| block.to_packed().as_bytes() == bytes)
            })
        }

        fn hostile_text_is_refused_not_panicked_on(any: AnyGeocode, text: String) -> bool {
            _ = any.spec.parse_block(&text);
            true
        }
    }
}
