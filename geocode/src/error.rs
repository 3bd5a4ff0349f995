//! What this crate refuses, and why.

use std::fmt;

/// A place, code, cell or net that was refused.
///
/// Every variant carries the offending value; the printed form says what to do about it. Nothing
/// is ever changed by a call that fails.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// A coordinate is NaN or, where that has no meaning, infinite.
    NotFinite {
        /// Which coordinate: "longitude", "latitude" or "altitude".
        what: &'static str,
        /// The value given.
        value: f64,
    },
    /// A coordinate is outside the range of its axis.
    OutOfRange {
        /// Which coordinate, with its unit.
        what: &'static str,
        /// The value given.
        value: f64,
        /// Smallest value taken.
        low: f64,
        /// Largest value taken.
        high: f64,
    },
    /// A column, row or altitude code needs more bits than its axis has.
    Index {
        /// Which axis: "column", "row" or "altitude code".
        what: &'static str,
        /// The index given.
        index: u128,
        /// Bits the axis has.
        bits: u32,
    },
    /// A depth is outside the range that the operation takes.
    Depth {
        /// What the depth is of.
        what: &'static str,
        /// The number of digits given.
        digits: u8,
        /// The largest number of digits taken.
        max: u8,
    },
    /// The first end of a window or range lies after the last.
    Order {
        /// What was given the wrong way round.
        what: &'static str,
    },
    /// A parameter of a net is outside its range.
    Parameter {
        /// Name of the parameter.
        what: &'static str,
        /// The value given.
        value: u64,
        /// Smallest value taken.
        low: u64,
        /// Largest value taken.
        high: u64,
    },
    /// The altitude axis of a net ends beyond what can be counted in micrometres (1.7e32 m).
    AltitudeSpan {
        /// The step given, in millimetres.
        step_millimetres: u64,
        /// The number of altitude digits given.
        digits: u8,
    },
    /// Bytes or text of the wrong length.
    Length {
        /// What was to be read.
        what: &'static str,
        /// The length given: bytes, or digits where text is read.
        len: usize,
        /// The length needed, the largest one where several are possible.
        expected: usize,
    },
    /// A character that is not a hexadecimal digit where one belongs.
    Digit {
        /// Where in the text, in bytes from its start.
        offset_bytes: usize,
        /// The character found.
        found: char,
    },
    /// A geocode with an altitude part, read for a net that has no altitude axis.
    NoAltitudeAxis,
    /// Bits are set that must be zero: padding, reserved bytes, or the altitude of a place whose
    /// altitude is unknown.
    NotZero {
        /// What must be zero.
        what: &'static str,
    },
    /// A tag or version number that this version of the crate does not know.
    Unknown {
        /// What the number stands for.
        what: &'static str,
        /// The number found.
        found: u8,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite { what, value } => {
                write!(
                    f,
                    "{what} {value} is not a number on the axis: give a finite value"
                )
            }
            Self::OutOfRange {
                what,
                value,
                low,
                high,
            } => {
                write!(f, "{what} {value} is outside {low} to {high}")?;
                if what.starts_with("altitude") {
                    f.write_str(": use a net with another altitude floor, step or digits")
                } else {
                    f.write_str(": check the unit, and that longitude comes before latitude")
                }
            }
            Self::Index { what, index, bits } => {
                write!(
                    f,
                    "{what} {index} does not fit in the {bits} bits of its axis"
                )
            }
            Self::Depth { what, digits, max } => {
                write!(
                    f,
                    "{what}: {digits} digits asked for, at most {max} possible"
                )
            }
            Self::Order { what } => write!(f, "{what}: the first end lies after the last"),
            Self::Parameter {
                what,
                value,
                low,
                high,
            } => {
                write!(f, "net parameter {what} is {value}: choose {low} to {high}")
            }
            Self::AltitudeSpan {
                step_millimetres,
                digits,
            } => write!(
                f,
                "altitude axis of {digits} digits in steps of {step_millimetres} mm is too long \
                 to count: choose a smaller step or fewer digits"
            ),
            Self::Length {
                what,
                len,
                expected,
            } => {
                write!(f, "{what}: length is {len}, expected {expected}")
            }
            Self::Digit {
                offset_bytes,
                found,
            } => {
                write!(
                    f,
                    "{found:?} at byte {offset_bytes} is not a hexadecimal digit"
                )
            }
            Self::NoAltitudeAxis => f.write_str(
                "geocode has an altitude part, but this net has no altitude digits: drop the \
                 hyphen and what follows",
            ),
            Self::NotZero { what } => write!(f, "{what}: bits are set that must be zero"),
            Self::Unknown { what, found } => {
                write!(
                    f,
                    "{what} {found} is unknown: written by a newer version, or damaged"
                )
            }
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_errors_carry_the_value_and_the_remedy() {
        let error = Error::OutOfRange {
            what: "longitude in degrees",
            value: 181.5,
            low: -180.0,
            high: 180.0,
        };
        assert_eq!(
            error.to_string(),
            "longitude in degrees 181.5 is outside -180 to 180: check the unit, and that \
             longitude comes before latitude"
        );
        let error = Error::Digit {
            offset_bytes: 3,
            found: 'g',
        };
        assert_eq!(
            error.to_string(),
            "'g' at byte 3 is not a hexadecimal digit"
        );
    }
}
