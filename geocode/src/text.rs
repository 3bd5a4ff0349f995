//! The printed form of geocodes and cells, and its parser.

#![warn(clippy::indexing_slicing)]

use crate::bits::Bits;
use crate::cell::{Cell, Geocode};
use crate::error::Error;
use crate::spec::NetSpec;

impl NetSpec {
    /// The printed geocode: the planar digits, a hyphen, the altitude digits, in lower case; only
    /// the planar digits if the altitude is unknown or the net has none.
    pub fn format(&self, geocode: &Geocode) -> String {
        let planar = geocode.planar();
        let width = usize::from(self.altitude_digits());
        match geocode.altitude() {
            Some(code) => format!("{planar}-{code:0width$x}"),
            None => planar.to_string(),
        }
    }

    /// Reads what [`NetSpec::format`] writes, in lower or upper case, with nothing around it.
    ///
    /// # Errors
    /// * [`Error::Digit`]: a character that is not a hexadecimal digit.
    /// * [`Error::Length`]: not the net's number of planar or altitude digits.
    /// * [`Error::NoAltitudeAxis`]: an altitude part, but the net has no altitude digits.
    pub fn parse(&self, text: &str) -> Result<Geocode, Error> {
        let (planar_text, altitude_text) = match text.split_once('-') {
            Some((planar, altitude)) => (planar, Some(altitude)),
            None => (text, None),
        };
        let planar = read_digits(planar_text, 0)?;
        check_len("planar digits", planar_text, self.planar_digits())?;
        let planar = Cell::new(planar, self.planar_digits());
        let Some(altitude_text) = altitude_text else {
            return Ok(Geocode::new(planar, None));
        };
        if self.altitude_digits() == 0 {
            return Err(Error::NoAltitudeAxis);
        }
        let altitude = read_digits(altitude_text, planar_text.len() + 1)?;
        check_len("altitude digits", altitude_text, self.altitude_digits())?;
        let altitude = altitude.number(0, self.altitude_bits());
        Ok(Geocode::new(planar, Some(altitude)))
    }

    /// The printed cell: its digits in lower case, or `*` for the root.
    pub fn format_cell(&self, cell: &Cell) -> String {
        cell.to_string()
    }

    /// Reads what [`NetSpec::format_cell`] writes, in lower or upper case.
    ///
    /// # Errors
    /// * [`Error::Digit`]: a character that is not a hexadecimal digit.
    /// * [`Error::Length`]: no digits, or more than the net's planar codes have.
    pub fn parse_cell(&self, text: &str) -> Result<Cell, Error> {
        if text == "*" {
            return Ok(Cell::ROOT);
        }
        let code = read_digits(text, 0)?;
        let wrong_length = Error::Length {
            what: "cell digits",
            len: text.len(),
            expected: usize::from(self.planar_digits()),
        };
        match u8::try_from(text.len()) {
            Ok(digits) if (1..=self.planar_digits()).contains(&digits) => {
                Ok(Cell::new(code, digits))
            }
            _ => Err(wrong_length),
        }
    }
}

/// Reads hexadecimal digits from the start of the code on; those after the 64th are only checked.
/// `offset_bytes` is where `text` lies in what the caller was given.
fn read_digits(text: &str, offset_bytes: usize) -> Result<Bits, Error> {
    let mut code = Bits::ZERO;
    for (index, found) in text.char_indices() {
        let digit = found
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok());
        let digit = digit.ok_or(Error::Digit {
            offset_bytes: offset_bytes + index,
            found,
        })?;
        code = match u32::try_from(index) {
            Ok(index @ 0..64) => code.with_digit(index, digit),
            _ => code,
        };
    }
    Ok(code)
}

fn check_len(what: &'static str, text: &str, digits: u8) -> Result<(), Error> {
    let expected = usize::from(digits);
    if text.len() == expected {
        Ok(())
    } else {
        Err(Error::Length {
            what,
            len: text.len(),
            expected,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::CurveKind;
    use crate::place::Position;
    use crate::testing::{AnyGeocode, cell, net};
    use quickcheck::quickcheck;

    #[test]
    fn worked_example_of_the_design_document() {
        let spec = NetSpec::city();
        let position = Position {
            longitude: 6.1389,
            latitude: 52.0128,
            altitude: Some(10.42),
        };
        let geocode = spec.encode(&position).unwrap();
        assert_eq!(spec.format(&geocode), DESIGN_GEOCODE);
        assert_eq!(spec.parse(DESIGN_GEOCODE), Ok(geocode));
        assert_eq!(spec.indices(&geocode.planar()), (DESIGN_COLUMN, DESIGN_ROW));
        assert_eq!(geocode.altitude(), Some(101_042));
        assert_eq!(spec.block(&geocode).cell(), cell(&DESIGN_GEOCODE[..9]));
        let centre = spec.centre(&geocode);
        assert!((centre.longitude - position.longitude).abs() <= 360.0 / 2.0_f64.powi(33));
        assert!((centre.latitude - position.latitude).abs() <= 180.0 / 2.0_f64.powi(33));
        assert_eq!(centre.altitude, Some(10.425));
        assert_eq!(
            spec.stored(&geocode, 9).as_bytes(),
            crate::testing::hex(DESIGN_STORED)
        );
    }

    const DESIGN_GEOCODE: &str = "d06177e390e23b93-018ab2";
    const DESIGN_COLUMN: u128 = 0x845d_8d79;
    const DESIGN_ROW: u128 = 0xc9f9_4855;
    const DESIGN_STORED: &str = "d06177e39018ab20e23b93";

    #[test]
    fn both_cases_are_read_and_lower_case_is_written() {
        let spec = NetSpec::city();
        let geocode = spec.parse("0123456789ABCDEF-0186A0").unwrap();
        assert_eq!(spec.format(&geocode), "0123456789abcdef-0186a0");
        assert_eq!(geocode.altitude(), Some(100_000));
        assert_eq!(spec.centre(&geocode).altitude, Some(0.005));
        assert_eq!(spec.parse("0123456789abcdef").unwrap().altitude(), None);
    }

    #[test]
    fn malformed_geocodes_are_refused_where_they_go_wrong() {
        let spec = NetSpec::city();
        let length = |what, len, expected| {
            Err(Error::Length {
                what,
                len,
                expected,
            })
        };
        let digit = |offset_bytes, found| {
            Err(Error::Digit {
                offset_bytes,
                found,
            })
        };
        for (text, expected) in [
            ("", length("planar digits", 0, 16)),
            ("0123456789abcde", length("planar digits", 15, 16)),
            ("0123456789abcdef0", length("planar digits", 17, 16)),
            (&"0".repeat(300), length("planar digits", 300, 16)),
            ("0123456789abcdef-", length("altitude digits", 0, 6)),
            ("0123456789abcdef-0186a", length("altitude digits", 5, 6)),
            ("0123456789abcdef-0186a00", length("altitude digits", 7, 6)),
            ("0123456789abcdef--186a0", digit(17, '-')),
            ("0123456789abcdef-+186a0", digit(17, '+')),
            ("0123456789abcdeg-0186a0", digit(15, 'g')),
            (" 123456789abcdef", digit(0, ' ')),
            ("012345\u{661}", digit(6, '\u{661}')),
        ] {
            assert_eq!(spec.parse(text), expected, "{text:?}");
        }
        let flat = net(CurveKind::Morton, 2, 0);
        assert_eq!(flat.parse("ab-"), Err(Error::NoAltitudeAxis));
        assert_eq!(
            flat.parse("ab").map(|geocode| flat.format(&geocode)),
            Ok("ab".to_owned())
        );
    }

    #[test]
    fn cells_print_as_their_digits_and_the_root_as_a_star() {
        let spec = NetSpec::city();
        assert_eq!(spec.format_cell(&Cell::ROOT), "*");
        assert_eq!(spec.parse_cell("*"), Ok(Cell::ROOT));
        assert_eq!(spec.parse_cell("01F"), Ok(cell("01f")));
        for text in ["", &"0".repeat(17), &"0".repeat(256), &"0".repeat(257)] {
            let expected = Error::Length {
                what: "cell digits",
                len: text.len(),
                expected: 16,
            };
            assert_eq!(spec.parse_cell(text), Err(expected));
        }
        assert_eq!(
            spec.parse_cell("0*"),
            Err(Error::Digit {
                offset_bytes: 1,
                found: '*'
            })
        );
    }

    quickcheck! {
        fn printed_round_trip(any: AnyGeocode, digits: u8) -> bool {
            let text = any.spec.format(&any.geocode);
            let cell = any.geocode.planar().ancestor(digits);
            any.spec.parse(&text) == Ok(any.geocode)
                && any.spec.parse(&text.to_uppercase()) == Ok(any.geocode)
                && any.spec.parse_cell(&any.spec.format_cell(&cell)) == Ok(cell)
        }

        fn hostile_text_is_refused_or_round_trips(any: AnyGeocode, text: String) -> bool {
            let parsed = any.spec.parse(&text);
            parsed.map_or(true, |geocode| any.spec.format(&geocode) == text.to_lowercase())
                && any.spec.parse_cell(&text).map_or(true, |cell| cell.to_string() == text.to_lowercase())
        }
    }
}
