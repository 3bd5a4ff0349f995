//! The parameters of a net, fixed when it is created, and their bytes.

#![warn(clippy::indexing_slicing)]

use crate::cell::Geocode;
use crate::curve::CurveKind;
use crate::error::Error;

/// The geocoding of one net: curve, number of digits, altitude axis and block depth.
///
/// Always valid: made by [`NetSpec::city`], by [`NetSpec::builder`] or from bytes. Two specs are
/// equal exactly if they give every place the same geocode, block and stored key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetSpec {
    curve: CurveKind,
    planar_digits: u8,
    altitude_digits: u8,
    block_digits: u8,
    band_digits: u8,
    altitude_floor_millimetres: i64,
    altitude_step_millimetres: u64,
}

impl NetSpec {
    /// Length of [`NetSpec::to_bytes`].
    pub const LEN_BYTES: usize = 24;

    /// The version of the byte format that [`NetSpec::to_bytes`] writes.
    pub const FORMAT_VERSION: u8 = 1;

    /// The default, for cities: Morton order, 16 planar digits (32 bits per axis, the paper's
    /// figure 3), 6 altitude digits (24 bits) in steps of a centimetre, blocks of 9 digits.
    ///
    /// The finest cell is 9.3 mm by 4.7 mm at the equator, a block 153 m by 76 m. Altitudes run
    /// from -1,000 m, well below the lowest dry land (-430 m, the Dead Sea shore) and the
    /// basements under it, to 166,772.16 m. Deep mines and the sea floor want another floor: see
    /// [`NetSpecBuilder::altitude_floor_millimetres`].
    pub fn city() -> Self {
        Self {
            curve: CurveKind::Morton,
            planar_digits: 16,
            altitude_digits: 6,
            block_digits: 9,
            band_digits: 0,
            altitude_floor_millimetres: -1_000_000,
            altitude_step_millimetres: 10,
        }
    }

    /// A builder that starts from the values of [`NetSpec::city`].
    pub fn builder() -> NetSpecBuilder {
        NetSpecBuilder {
            spec: Self::city(),
            block_digits: None,
        }
    }

    /// The curve that numbers the cells.
    pub fn curve(&self) -> CurveKind {
        self.curve
    }

    /// Digits of a planar code, 1 to 64: two bits of longitude and two of latitude each.
    pub fn planar_digits(&self) -> u8 {
        self.planar_digits
    }

    /// Digits of an altitude code, 0 to 16. With 0 the net is planar and ignores altitudes.
    pub fn altitude_digits(&self) -> u8 {
        self.altitude_digits
    }

    /// Digits of a block, 1 to [`NetSpec::planar_digits`].
    #[inline]
    pub fn block_digits(&self) -> u8 {
        self.block_digits
    }

    /// Leading altitude digits that name a block's band, 0 to [`NetSpec::altitude_digits`]. With
    /// 0 a block is a whole cell, at all altitudes.
    pub fn band_digits(&self) -> u8 {
        self.band_digits
    }

    /// Lower edge of the lowest altitude step, in millimetres; 0 if there are no altitude digits.
    pub fn altitude_floor_millimetres(&self) -> i64 {
        self.altitude_floor_millimetres
    }

    /// Height of an altitude step, in millimetres; 1 if there are no altitude digits.
    pub fn altitude_step_millimetres(&self) -> u64 {
        self.altitude_step_millimetres
    }

    /// Number of bits of an altitude code, 0 to 64.
    pub(crate) fn altitude_bits(&self) -> u32 {
        4 * u32::from(self.altitude_digits)
    }

    /// Number of digits of a whole geocode, 1 to 64.
    #[inline]
    pub(crate) fn total_digits(&self) -> u8 {
        self.planar_digits + self.altitude_digits
    }

    /// The highest altitude code; 0 if there are no altitude digits.
    pub(crate) fn altitude_code_max(&self) -> u64 {
        u64::MAX.checked_shr(64 - self.altitude_bits()).unwrap_or(0)
    }

    pub(crate) fn check_depth(&self, what: &'static str, digits: u8) -> Result<(), Error> {
        if digits > self.planar_digits {
            return Err(Error::Depth {
                what,
                digits,
                max: self.planar_digits,
            });
        }
        Ok(())
    }

    /// Stops a geocode of another net before it is written or compared as one of this net.
    pub(crate) fn assert_own(&self, geocode: &Geocode) {
        assert!(
            geocode.planar().digits() == self.planar_digits
                && geocode
                    .altitude()
                    .is_none_or(|code| code <= self.altitude_code_max()),
            "the geocode belongs to another net"
        );
    }

    /// The spec in bytes. Format: DESIGN.md "Net spec, format 1".
    ///
    /// | offset | size | field | range |
    /// |---|---|---|---|
    /// | 0 | 1 | format version | 1 |
    /// | 1 | 1 | curve | 0 Morton, 1 Hilbert |
    /// | 2 | 1 | planar digits | 1 to 64 |
    /// | 3 | 1 | altitude digits | 0 to 16, with the planar ones at most 64 |
    /// | 4 | 1 | block digits | 1 to the planar digits |
    /// | 5 | 1 | band digits | 0 to the altitude digits |
    /// | 6 | 2 | reserved | 0 |
    /// | 8 | 8 | altitude floor, millimetres, signed little-endian | 0 without altitude digits |
    /// | 16 | 8 | altitude step, millimetres, little-endian | at least 1; 1 without altitude digits |
    pub fn to_bytes(&self) -> [u8; Self::LEN_BYTES] {
        let mut bytes = [0; Self::LEN_BYTES];
        let (head, numbers) = bytes.split_at_mut(8);
        let (floor, step) = numbers.split_at_mut(8);
        let fields = [
            Self::FORMAT_VERSION,
            match self.curve {
                CurveKind::Morton => 0,
                CurveKind::Hilbert => 1,
            },
            self.planar_digits,
            self.altitude_digits,
            self.block_digits,
            self.band_digits,
            0,
            0,
        ];
        head.copy_from_slice(&fields);
        floor.copy_from_slice(&self.altitude_floor_millimetres.to_le_bytes());
        step.copy_from_slice(&self.altitude_step_millimetres.to_le_bytes());
        bytes
    }

    /// Reads what [`NetSpec::to_bytes`] wrote.
    ///
    /// # Errors
    /// * [`Error::Length`]: not [`NetSpec::LEN_BYTES`] bytes.
    /// * [`Error::Unknown`]: a format version or curve that this version does not know.
    /// * [`Error::NotZero`]: reserved bytes, or an altitude axis without digits.
    /// * the errors of [`NetSpecBuilder::build`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let wrong_length = Error::Length {
            what: "net spec",
            len: bytes.len(),
            expected: Self::LEN_BYTES,
        };
        let Some((&[version, curve, planar, altitude, block, band, ..], numbers)) =
            bytes.split_first_chunk::<8>()
        else {
            return Err(wrong_length);
        };
        let Some((floor, step)) = numbers.split_first_chunk::<8>() else {
            return Err(wrong_length);
        };
        let step: [u8; 8] = step.try_into().map_err(|_| wrong_length)?;
        if version != Self::FORMAT_VERSION {
            return Err(Error::Unknown {
                what: "net spec format version",
                found: version,
            });
        }
        let curve = match curve {
            0 => CurveKind::Morton,
            1 => CurveKind::Hilbert,
            found => {
                return Err(Error::Unknown {
                    what: "curve",
                    found,
                });
            }
        };
        let spec = Self::builder()
            .curve(curve)
            .planar_digits(planar)
            .altitude_digits(altitude)
            .block_digits(block)
            .band_digits(band)
            .altitude_floor_millimetres(i64::from_le_bytes(*floor))
            .altitude_step_millimetres(u64::from_le_bytes(step))
            .build()?;
        // Each spec has one encoding, so whatever is left over is not ours.
        if spec.to_bytes() == bytes {
            Ok(spec)
        } else {
            Err(Error::NotZero {
                what: "reserved bytes or unused altitude axis of a net spec",
            })
        }
    }
}

/// Chooses the parameters of a [`NetSpec`]; nothing is checked before [`NetSpecBuilder::build`].
///
/// ```
/// use blocknet_geocode::{CurveKind, NetSpec};
///
/// // Molecules in a vessel: 44 planar digits, and altitude in steps of a millimetre.
/// let spec = NetSpec::builder()
///     .curve(CurveKind::Hilbert)
///     .planar_digits(44)
///     .altitude_digits(5)
///     .altitude_floor_millimetres(0)
///     .altitude_step_millimetres(1)
///     .build()?;
/// assert_eq!(spec.block_digits(), 9);
/// # Ok::<(), blocknet_geocode::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct NetSpecBuilder {
    spec: NetSpec,
    block_digits: Option<u8>,
}

impl NetSpecBuilder {
    /// The curve. Default: Morton.
    pub fn curve(mut self, curve: CurveKind) -> Self {
        self.spec.curve = curve;
        self
    }

    /// Digits of a planar code, 1 to 64. Default: 16.
    ///
    /// Degrees in `f64` are exhausted by about 26 digits; finer codes take column and row:
    /// [`NetSpec::encode_indices`].
    pub fn planar_digits(mut self, digits: u8) -> Self {
        self.spec.planar_digits = digits;
        self
    }

    /// Digits of an altitude code, 0 to 16, and with the planar ones at most 64. Default: 6.
    pub fn altitude_digits(mut self, digits: u8) -> Self {
        self.spec.altitude_digits = digits;
        self
    }

    /// Digits of a block, 1 to the planar digits. Default: 9, or the planar digits if fewer.
    pub fn block_digits(mut self, digits: u8) -> Self {
        self.block_digits = Some(digits);
        self
    }

    /// Leading altitude digits that split a block's cell into bands, 0 to the altitude digits.
    /// Default: 0, no bands. In the net of [`NetSpec::city`] 3 make bands of 41 m, 4 of 2.56 m.
    pub fn band_digits(mut self, digits: u8) -> Self {
        self.spec.band_digits = digits;
        self
    }

    /// Lower edge of the altitude axis, in millimetres. Default: -1,000,000 (-1 km).
    pub fn altitude_floor_millimetres(mut self, floor: i64) -> Self {
        self.spec.altitude_floor_millimetres = floor;
        self
    }

    /// Height of an altitude step, in millimetres, at least 1. Default: 10.
    pub fn altitude_step_millimetres(mut self, step: u64) -> Self {
        self.spec.altitude_step_millimetres = step;
        self
    }

    /// The finished spec. Without altitude digits, floor and step are set to 0 and 1, as they
    /// have no meaning then.
    ///
    /// # Errors
    /// * [`Error::Parameter`]: a parameter outside the range given at its setter.
    /// * [`Error::AltitudeSpan`]: the altitude axis ends beyond 1.7e32 m.
    pub fn build(self) -> Result<NetSpec, Error> {
        let mut spec = self.spec;
        spec.block_digits = self
            .block_digits
            .unwrap_or(NetSpec::city().block_digits.min(spec.planar_digits));
        let in_range = |what, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(Error::Parameter {
                    what,
                    value,
                    low,
                    high,
                })
            }
        };
        let (planar, altitude) = (
            u64::from(spec.planar_digits),
            u64::from(spec.altitude_digits),
        );
        in_range("planar_digits", planar, 1, 64)?;
        in_range("altitude_digits", altitude, 0, 16)?;
        in_range("planar_digits + altitude_digits", planar + altitude, 1, 64)?;
        in_range("block_digits", u64::from(spec.block_digits), 1, planar)?;
        in_range("band_digits", u64::from(spec.band_digits), 0, altitude)?;
        in_range(
            "altitude_step_millimetres",
            spec.altitude_step_millimetres,
            1,
            u64::MAX,
        )?;
        if spec.altitude_digits == 0 {
            spec.altitude_floor_millimetres = 0;
            spec.altitude_step_millimetres = 1;
        }
        if spec.altitude_top_micrometres().is_none() {
            return Err(Error::AltitudeSpan {
                step_millimetres: spec.altitude_step_millimetres,
                digits: spec.altitude_digits,
            });
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{AnySpec, hex};
    use quickcheck::quickcheck;

    /// The example of DESIGN.md "Net spec, format 1".
    const CITY: &str = "01 00 10 06 09 000000 c0bdf0ffffffffff 0a00000000000000";

    #[test]
    fn golden_bytes_of_the_city_net() {
        assert_eq!(NetSpec::city().to_bytes().to_vec(), hex(CITY));
        assert_eq!(NetSpec::from_bytes(&hex(CITY)), Ok(NetSpec::city()));
        assert_eq!(NetSpec::builder().build(), Ok(NetSpec::city()));
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let with = |offset: usize, byte: u8| {
            let mut bytes = NetSpec::city().to_bytes();
            bytes[offset] = byte;
            NetSpec::from_bytes(&bytes)
        };
        let parameter = |what, value, low, high| {
            Err(Error::Parameter {
                what,
                value,
                low,
                high,
            })
        };
        assert_eq!(
            with(0, 2),
            Err(Error::Unknown {
                what: "net spec format version",
                found: 2
            })
        );
        assert_eq!(
            with(1, 2),
            Err(Error::Unknown {
                what: "curve",
                found: 2
            })
        );
        assert_eq!(with(2, 0), parameter("planar_digits", 0, 1, 64));
        assert_eq!(with(2, 65), parameter("planar_digits", 65, 1, 64));
        assert_eq!(
            with(2, 59),
            parameter("planar_digits + altitude_digits", 65, 1, 64)
        );
        assert_eq!(with(3, 17), parameter("altitude_digits", 17, 0, 16));
        assert_eq!(with(4, 0), parameter("block_digits", 0, 1, 16));
        assert_eq!(with(4, 17), parameter("block_digits", 17, 1, 16));
        assert_eq!(with(5, 7), parameter("band_digits", 7, 0, 6));
        assert_eq!(
            with(16, 0),
            parameter("altitude_step_millimetres", 0, 1, u64::MAX)
        );
        for (offset, byte) in [(6, 1), (7, 0x80), (3, 0)] {
            let what = "reserved bytes or unused altitude axis of a net spec";
            assert_eq!(with(offset, byte), Err(Error::NotZero { what }));
        }
        for len in [0, 23, 25] {
            let expected = Error::Length {
                what: "net spec",
                len,
                expected: 24,
            };
            assert_eq!(NetSpec::from_bytes(&vec![1; len]), Err(expected));
        }
    }

    #[test]
    fn extremes_are_valid() {
        let tiny = NetSpec::builder()
            .planar_digits(1)
            .altitude_digits(0)
            .build()
            .unwrap();
        assert_eq!(
            (tiny.block_digits(), tiny.altitude_step_millimetres()),
            (1, 1)
        );
        assert_eq!(tiny.altitude_code_max(), 0);
        let widest = NetSpec::builder()
            .planar_digits(48)
            .altitude_digits(16)
            .build()
            .unwrap();
        assert_eq!(
            (widest.total_digits(), widest.altitude_code_max()),
            (64, u64::MAX)
        );
        let finest = NetSpec::builder()
            .planar_digits(64)
            .altitude_digits(0)
            .block_digits(64);
        assert_eq!(finest.build().unwrap().block_digits(), 64);
    }

    #[test]
    fn altitude_axes_too_long_to_count_are_refused() {
        let axis = |step| {
            NetSpec::builder()
                .altitude_digits(16)
                .altitude_step_millimetres(step)
                .build()
        };
        assert!(axis(1 << 52).is_ok());
        assert_eq!(
            axis(u64::MAX),
            Err(Error::AltitudeSpan {
                step_millimetres: u64::MAX,
                digits: 16
            })
        );
    }

    quickcheck! {
        fn bytes_round_trip(any: AnySpec) -> bool {
            NetSpec::from_bytes(&any.0.to_bytes()) == Ok(any.0)
        }

        fn hostile_bytes_are_refused_or_round_trip(bytes: Vec<u8>, at: usize, byte: u8) -> bool {
            let mut close = NetSpec::city().to_bytes();
            close[at % NetSpec::LEN_BYTES] = byte;
            [&bytes[..], &close[..]].iter().all(|bytes| {
                NetSpec::from_bytes(bytes).map_or(true, |spec| spec.to_bytes() == **bytes)
            })
        }
    }
}
