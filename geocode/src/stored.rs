//! Stored key order: block or coarser cell, altitude, rest of the planar code.
//!
//! The printed geocode ends with the altitude. As a key that order would be blind to altitude:
//! at full depth nearly every object has a planar code of its own, so a range of keys spans all
//! heights. With the altitude after the first `level` digits, the objects of one cell lie sorted
//! by height.

#![warn(clippy::indexing_slicing)]

use crate::bits::{Bits, PackedDigits};
use crate::cell::{Cell, Geocode};
use crate::error::Error;
use crate::spec::NetSpec;

/// A geocode in stored key order, at most 32 bytes: see [`NetSpec::stored`].
pub type StoredCode = PackedDigits;

impl NetSpec {
    /// Length of every stored code of the net: 1 to 32 bytes.
    #[inline]
    pub fn stored_len_bytes(&self) -> usize {
        usize::from(self.total_digits()).div_ceil(2)
    }

    /// The geocode in stored key order for a level: the first `level` planar digits, the altitude
    /// digits, the remaining planar digits.
    ///
    /// Two digits to a byte, the first in the high half, and a last half byte of zero if their
    /// number is odd: bytes compare as digits do. An unknown altitude is stored as 0; the caller
    /// keeps note of that, and hands it to [`NetSpec::from_stored`]. Codes of different levels
    /// are not comparable: keep the level in front of them.
    ///
    /// # Panics
    /// If the geocode belongs to another net, or `level` is above the planar digits.
    pub fn stored(&self, geocode: &Geocode, level: u8) -> StoredCode {
        self.assert_own(geocode);
        assert!(
            level <= self.planar_digits(),
            "the level is deeper than the planar code"
        );
        let split = 4 * u32::from(level);
        let planar = geocode.planar().code();
        let altitude = u128::from(geocode.altitude().unwrap_or(0));
        // The code's bits at the low end of 256, then moved up to end where the altitude ends.
        let altitude_end = split + self.altitude_bits();
        let code = planar.prefix(split)
            | Bits::new(0, altitude) << (256 - altitude_end)
            | planar.suffix(split) >> self.altitude_bits();
        code.pack(u32::from(self.total_digits()))
    }

    /// Reads what [`NetSpec::stored`] wrote for a level. With `altitude_known` false, or in a net
    /// without altitude digits, the geocode has no altitude.
    ///
    /// # Errors
    /// * [`Error::Depth`]: `level` is above the planar digits.
    /// * [`Error::Length`]: not [`NetSpec::stored_len_bytes`] bytes.
    /// * [`Error::NotZero`]: the unused half of the last byte, or an unknown altitude.
    pub fn from_stored(
        &self,
        bytes: &[u8],
        level: u8,
        altitude_known: bool,
    ) -> Result<Geocode, Error> {
        const WHAT: &str = "stored geocode";
        self.check_depth(WHAT, level)?;
        let wrong_length = Error::Length {
            what: WHAT,
            len: bytes.len(),
            expected: self.stored_len_bytes(),
        };
        if bytes.len() != self.stored_len_bytes() {
            return Err(wrong_length);
        }
        let code = Bits::from_bytes(bytes).ok_or(wrong_length)?;
        if code.suffix(4 * u32::from(self.total_digits())) != Bits::ZERO {
            return Err(Error::NotZero {
                what: "padding of a stored geocode",
            });
        }
        let split = 4 * u32::from(level);
        let planar = code.prefix(split) | (code << self.altitude_bits()).suffix(split);
        let altitude = code.number(split, self.altitude_bits());
        if !altitude_known && altitude != 0 {
            return Err(Error::NotZero {
                what: "unknown altitude of a stored geocode",
            });
        }
        let known = altitude_known && self.altitude_digits() > 0;
        Ok(Geocode::new(
            Cell::new(planar, self.planar_digits()),
            known.then_some(altitude),
        ))
    }

    /// The lowest and highest stored code, both included, of all places in the cells from `first`
    /// to `last` along the curve, at any altitude.
    ///
    /// A place in none of these cells has no stored code in the range: for the same level, the
    /// range is exact. `last` may be a cell inside `first`.
    ///
    /// # Errors
    /// * [`Error::Depth`]: `level` is above the planar digits, or a cell is deeper than `level`.
    /// * [`Error::Order`]: `last` comes before `first`.
    pub fn stored_range(
        &self,
        first: &Cell,
        last: &Cell,
        level: u8,
    ) -> Result<(StoredCode, StoredCode), Error> {
        self.check_depth("level of a stored range", level)?;
        for digits in [first.digits(), last.digits()] {
            if digits > level {
                return Err(Error::Depth {
                    what: "cell of a stored range",
                    digits,
                    max: level,
                });
            }
        }
        if last < first {
            return Err(Error::Order {
                what: "stored range",
            });
        }
        let total = u32::from(self.total_digits());
        Ok((
            first.code().pack(total),
            first.code_max().max(last.code_max()).pack(total),
        ))
    }

    /// The lowest and highest stored code, both included, of all places in a cell at least as deep
    /// as `level`, between two altitude codes.
    ///
    /// With one altitude code, or a cell of just `level` digits, the range is exact. Otherwise it
    /// also holds other places of the level's cell, at the altitudes between.
    ///
    /// # Errors
    /// * [`Error::Depth`]: `cell` has fewer digits than `level`, or more than planar codes have.
    /// * [`Error::Order`]: the second altitude code is below the first.
    pub fn stored_slab(
        &self,
        cell: &Cell,
        level: u8,
        (lowest, highest): (u64, u64),
    ) -> Result<(StoredCode, StoredCode), Error> {
        const WHAT: &str = "cell of a stored slab";
        self.check_depth(WHAT, cell.digits())?;
        if cell.digits() < level {
            return Err(Error::Depth {
                what: WHAT,
                digits: cell.digits(),
                max: level,
            });
        }
        if highest < lowest {
            return Err(Error::Order {
                what: "altitudes of a stored slab",
            });
        }
        let split = 4 * u32::from(level);
        let altitude_end = split + self.altitude_bits();
        let total = u32::from(self.total_digits());
        let code = |planar: Bits, altitude: u64| {
            let code = planar.prefix(split)
                | Bits::new(0, u128::from(altitude)) << (256 - altitude_end)
                | planar.suffix(split) >> self.altitude_bits();
            code.prefix(4 * total).pack(total)
        };
        let top = self.altitude_code_max();
        Ok((
            code(cell.code(), lowest.min(top)),
            code(cell.code_max(), highest.min(top)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::CurveKind;
    use crate::testing::{AnyGeocode, cell, hex, net};
    use quickcheck::quickcheck;

    /// The digits in stored order, taken from the printed form.
    fn digits_in_order(spec: &NetSpec, geocode: &Geocode, level: u8) -> String {
        let planar = geocode.planar().to_string();
        let width = usize::from(spec.altitude_digits());
        let altitude = match geocode.altitude() {
            Some(code) => format!("{code:0width$x}"),
            None => "0".repeat(width),
        };
        let (head, tail) = planar.split_at(usize::from(level));
        format!("{head}{altitude}{tail}")
    }

    #[test]
    fn altitude_stands_after_the_level() {
        let spec = NetSpec::city();
        let geocode = spec.parse("0123456789abcdef-0186a0").unwrap();
        let stored = |level| spec.stored(&geocode, level).as_bytes().to_vec();
        assert_eq!(stored(9), hex("012345678 0186a0 9abcdef"));
        assert_eq!(stored(0), hex("0186a0 0123456789abcdef"));
        assert_eq!(stored(16), hex("0123456789abcdef 0186a0"));
        assert_eq!(spec.stored_len_bytes(), 11);
        let odd = net(CurveKind::Morton, 2, 1);
        let geocode = odd.parse("ab-c").unwrap();
        assert_eq!(odd.stored(&geocode, 1).as_bytes(), [0xac, 0xb0]);
    }

    #[test]
    fn damaged_codes_are_refused() {
        let spec = net(CurveKind::Morton, 2, 1);
        let read = |bytes: &[u8], level, known| spec.from_stored(bytes, level, known);
        assert_eq!(
            read(&[0xac, 0xb0], 1, true),
            Ok(spec.parse("ab-c").unwrap())
        );
        assert_eq!(read(&[0xa0, 0xb0], 1, false), Ok(spec.parse("ab").unwrap()));
        assert_eq!(
            read(&[0xa0, 0xb0], 1, true),
            Ok(spec.parse("ab-0").unwrap())
        );
        let not_zero = |what| Err(Error::NotZero { what });
        assert_eq!(
            read(&[0xac, 0xb0], 1, false),
            not_zero("unknown altitude of a stored geocode")
        );
        assert_eq!(
            read(&[0xac, 0xb1], 1, true),
            not_zero("padding of a stored geocode")
        );
        assert_eq!(
            read(&[0xac, 0xb0], 3, true),
            Err(Error::Depth {
                what: "stored geocode",
                digits: 3,
                max: 2
            })
        );
        for len in [0, 1, 3, 64] {
            let expected = Error::Length {
                what: "stored geocode",
                len,
                expected: 2,
            };
            assert_eq!(read(&vec![0; len], 1, true), Err(expected));
        }
    }

    #[test]
    fn ranges_reject_what_they_cannot_cover() {
        let spec = NetSpec::city();
        let range =
            |first: &str, last: &str, level| spec.stored_range(&cell(first), &cell(last), level);
        let (low, high) = range("12", "13f", 3).unwrap();
        assert_eq!(low.as_bytes(), hex("1200000000000000000000"));
        assert_eq!(high.as_bytes(), hex("13ffffffffffffffffffff"));
        assert_eq!(range("1", "12", 3), range("1", "1", 3));
        assert_eq!(
            range("13", "12", 3),
            Err(Error::Order {
                what: "stored range"
            })
        );
        assert_eq!(
            range("12", "1234", 3),
            Err(Error::Depth {
                what: "cell of a stored range",
                digits: 4,
                max: 3
            })
        );
        assert_eq!(
            range("12", "13", 17),
            Err(Error::Depth {
                what: "level of a stored range",
                digits: 17,
                max: 16
            })
        );
    }

    #[test]
    #[should_panic(expected = "another net")]
    fn geocodes_of_another_net_are_not_stored() {
        let other = net(CurveKind::Morton, 2, 1).parse("ab-c").unwrap();
        let _code = NetSpec::city().stored(&other, 1);
    }

    quickcheck! {
        fn stored_round_trip(any: AnyGeocode, level: u8) -> bool {
            let (spec, geocode) = (any.spec, any.geocode);
            let level = level % (spec.planar_digits() + 1);
            let stored = spec.stored(&geocode, level);
            let known = geocode.altitude().is_some();
            stored.as_bytes().len() == spec.stored_len_bytes()
                && spec.from_stored(stored.as_bytes(), level, known) == Ok(geocode)
        }

        fn stored_bytes_are_the_digits_in_order(any: AnyGeocode, level: u8) -> bool {
            let level = level % (any.spec.planar_digits() + 1);
            let stored = any.spec.stored(&any.geocode, level);
            stored.as_bytes() == hex(&digits_in_order(&any.spec, &any.geocode, level))
        }

        fn order_of_prefixes_is_byte_order(any: AnyGeocode, level: u8) -> bool {
            let spec = any.spec;
            let level = level % (spec.planar_digits() + 1);
            let (a, b) = (any.geocode, any.other);
            let by_bytes =
                spec.stored(&a, level).as_bytes().cmp(spec.stored(&b, level).as_bytes());
            let by_digits =
                digits_in_order(&spec, &a, level).cmp(&digits_in_order(&spec, &b, level));
            let (cell_a, cell_b) = (a.planar().ancestor(level), b.planar().ancestor(level));
            let by_cell = cell_a.cmp(&cell_b);
            by_bytes == by_digits && (by_cell.is_eq() || by_bytes == by_cell)
        }

        fn ranges_hold_just_their_cells(any: AnyGeocode, level: u8, digits: (u8, u8)) -> bool {
            let spec = any.spec;
            let level = level % (spec.planar_digits() + 1);
            let a = any.geocode.planar().ancestor(digits.0 % (level + 1));
            let b = any.other.planar().ancestor(digits.1 % (level + 1));
            let (first, last) = (a.min(b), a.max(b));
            let (low, high) = spec.stored_range(&first, &last, level).unwrap();
            [any.geocode, any.other, any.third].iter().all(|geocode| {
                let planar = geocode.planar();
                let inside = first.contains(&planar)
                    || last.contains(&planar)
                    || (first < planar && planar < last);
                inside == (low..=high).contains(&spec.stored(geocode, level))
            })
        }

        fn slabs_hold_just_their_places(any: AnyGeocode, level: u8, digits: u8, altitudes: (u64, u64)) -> bool {
            let spec = any.spec;
            let level = level % (spec.planar_digits() + 1);
            let deeper = level + digits % (spec.planar_digits() - level + 1);
            let cell = any.geocode.planar().ancestor(deeper);
            let (lowest, highest) = (altitudes.0.min(altitudes.1), altitudes.0.max(altitudes.1));
            let one = any.geocode.altitude().unwrap_or(0);
            [(lowest, highest), (one, one)].iter().all(|&(lowest, highest)| {
                let (low, high) = spec.stored_slab(&cell, level, (lowest, highest)).unwrap();
                let top = spec.altitude_code_max();
                let exact = lowest == highest || deeper == level;
                [any.geocode, any.other, any.third].iter().all(|geocode| {
                    let altitude = geocode.altitude().unwrap_or(0);
                    let inside = cell.contains(&geocode.planar())
                        && (lowest.min(top)..=highest.min(top)).contains(&altitude);
                    let found = (low..=high).contains(&spec.stored(geocode, level));
                    if exact { inside == found } else { !inside || found }
                })
            })
        }

        fn hostile_bytes_are_refused_or_round_trip(any: AnyGeocode, bytes: Vec<u8>, level: u8) -> bool {
            let spec = any.spec;
            let mut sized = bytes.clone();
            sized.resize(spec.stored_len_bytes(), 0xa5);
            [bytes, sized].iter().all(|bytes| {
                [true, false].into_iter().all(|known| {
                    spec.from_stored(bytes, level, known).map_or(true, |geocode| {
                        spec.stored(&geocode, level).as_bytes() == bytes
                    })
                })
            })
        }
    }
}
