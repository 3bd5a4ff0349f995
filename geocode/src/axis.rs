//! Degrees to fixed-point fractions of a turn and back, and the altitude axis.

use crate::error::Error;
use crate::spec::NetSpec;

/// Bits after the point to which degrees are read: as many as leave 360 degrees room in 128 bits.
const DEGREE_BITS: u32 = 119;
/// Bits of a turn that survive: 2^119 parts of a degree, 360 of them, divided by 45.
const TURN_BITS: u32 = DEGREE_BITS + 3;

/// Where `degrees`, -180 to 180, lies on its way from -180 to 180, as a fraction of the whole in
/// units of 2^-128; `None` at 180, which is the whole.
///
/// Exact, rounded down, to 2^-122 of the turn, so an index cut from it is the true floor for up
/// to 61 digits, whatever the value: no place falls on the wrong side of a cell's edge, and the
/// index at a coarse depth is a prefix of the one at a fine depth. Dividing in `f64` would round
/// a place up to 2^-45 degrees (3 nm) west of an edge over it.
pub(crate) fn fraction_of_turn(degrees: f64) -> Option<u128> {
    #[expect(clippy::cast_precision_loss, reason = "a power of two is exact")]
    const SCALE: f64 = (1_u128 << DEGREE_BITS) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an integer of at most 180 * 2^119"
    )]
    let from_zero = (degrees * SCALE).floor() as i128;
    let turn = (180_u128 << DEGREE_BITS).saturating_add_signed(from_zero) / 45;
    (turn >> TURN_BITS == 0).then_some(turn << (128 - TURN_BITS))
}

/// The first `bits` (0 to 128) bits of a fraction: the index of the cell it lies in.
pub(crate) fn index_of(fraction: u128, bits: u32) -> u128 {
    fraction.checked_shr(128 - bits).unwrap_or(0)
}

/// An edge or the middle of a cell, on an axis from -180 to 180.
#[derive(Clone, Copy)]
pub(crate) enum Edge {
    Low = 0,
    Middle = 1,
    High = 2,
}

/// Degrees of an edge or the middle of cell `index` of the `2^bits` on an axis from -180 to 180.
///
/// Rounded once, to the nearest `f64`. Beyond 120 bits the answer is that for the 120-bit cell
/// around, of 2.7e-34 degrees.
pub(crate) fn degrees_of(index: u128, bits: u32, edge: Edge) -> f64 {
    // Cells of up to 28 digits, in half the width and a fraction of the time: 45 times what lies
    // at most 2^57 from the middle fits in 63 bits.
    if bits <= 56
        && let Ok(index) = i64::try_from(index)
    {
        let from_middle = (index << 1) + edge as i64 - (1 << bits);
        #[expect(
            clippy::cast_precision_loss,
            reason = "the one rounding; the divisor is exact"
        )]
        let quarters = (from_middle * 45) as f64 / (1_i64 << bits) as f64;
        return quarters * 4.0;
    }
    let dropped = bits.saturating_sub(120);
    let bits = bits - dropped;
    let half_cells = ((index >> dropped) << 1) + edge as u128;
    // At most 2^121 either way from the middle, and 45 times that fits.
    let from_middle = half_cells.cast_signed() - (1_i128 << bits);
    #[expect(
        clippy::cast_precision_loss,
        reason = "the one rounding; the divisor is exact"
    )]
    let quarters = (from_middle * 45) as f64 / (1_u128 << bits) as f64;
    quarters * 4.0
}

/// Refuses what is not a finite number from `-limit` to `limit`.
pub(crate) fn check_degrees(
    what: (&'static str, &'static str),
    value: f64,
    limit: f64,
) -> Result<(), Error> {
    let (name, name_and_unit) = what;
    if !value.is_finite() {
        return Err(Error::NotFinite { what: name, value });
    }
    if value.abs() > limit {
        return Err(Error::OutOfRange {
            what: name_and_unit,
            value,
            low: -limit,
            high: limit,
        });
    }
    Ok(())
}

/// Altitude is read to the micrometre, so that 12.29 m, which `f64` stores a little short of
/// that, falls in the step that begins at 12.29 m.
const MICROMETRES_PER_METRE: f64 = 1e6;
const MICROMETRES_PER_MILLIMETRE: i128 = 1000;

impl NetSpec {
    fn altitude_floor_micrometres(&self) -> i128 {
        i128::from(self.altitude_floor_millimetres()) * MICROMETRES_PER_MILLIMETRE
    }

    fn altitude_step_micrometres(&self) -> i128 {
        i128::from(self.altitude_step_millimetres()) * MICROMETRES_PER_MILLIMETRE
    }

    /// Upper edge of the altitude axis; `None` where that cannot be counted, which no finished
    /// spec allows.
    pub(crate) fn altitude_top_micrometres(&self) -> Option<i128> {
        let steps = i128::from(self.altitude_code_max()) + 1;
        let height = self.altitude_step_micrometres().checked_mul(steps)?;
        self.altitude_floor_micrometres().checked_add(height)
    }

    /// The lowest and highest altitude that the net takes, in metres, both included; rounded as
    /// in [`NetSpec::altitude_bounds`].
    ///
    /// Minus and plus infinity if the net has no altitude digits: it takes every altitude, and
    /// keeps none.
    pub fn altitude_range_metres(&self) -> (f64, f64) {
        (
            self.altitude_bounds(0).0,
            self.altitude_bounds(self.altitude_code_max()).1,
        )
    }

    /// The altitude code of a height in metres: the number of whole steps from the floor.
    ///
    /// Read to the nearest micrometre. Never decreases as `metres` grows. The top of the range
    /// belongs to the last step. 0 if the net has no altitude digits.
    ///
    /// # Errors
    /// * [`Error::NotFinite`]: NaN or infinite.
    /// * [`Error::OutOfRange`]: outside [`NetSpec::altitude_range_metres`].
    pub fn altitude_code(&self, metres: f64) -> Result<u64, Error> {
        if !metres.is_finite() {
            return Err(Error::NotFinite {
                what: "altitude",
                value: metres,
            });
        }
        if self.altitude_digits() == 0 {
            return Ok(0);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "saturates, and is refused below"
        )]
        let micrometres = (metres * MICROMETRES_PER_METRE).round() as i128;
        let step = self.altitude_step_micrometres();
        let offset = micrometres.saturating_sub(self.altitude_floor_micrometres());
        let max = self.altitude_code_max();
        match u64::try_from(offset.div_euclid(step)) {
            Ok(code) if code <= max => Ok(code),
            // The top itself, where the step above would begin.
            _ if offset == step * (i128::from(max) + 1) => Ok(max),
            _ => {
                let (low, high) = self.altitude_range_metres();
                let what = "altitude in metres";
                Err(Error::OutOfRange {
                    what,
                    value: metres,
                    low,
                    high,
                })
            }
        }
    }

    /// Lower and upper edge of an altitude step, in metres, each rounded to the nearest `f64`
    /// while it is less than 9e9 m from zero.
    ///
    /// Minus and plus infinity if the net has no altitude digits. Codes above the net's highest
    /// are answered as if the axis went on.
    pub fn altitude_bounds(&self, code: u64) -> (f64, f64) {
        if self.altitude_digits() == 0 {
            return (f64::NEG_INFINITY, f64::INFINITY);
        }
        (
            self.altitude_at(code, Edge::Low),
            self.altitude_at(code, Edge::High),
        )
    }

    pub(crate) fn altitude_at(&self, code: u64, edge: Edge) -> f64 {
        let half_steps = 2 * i128::from(code) + edge as i128;
        let height = (self.altitude_step_micrometres() / 2).saturating_mul(half_steps);
        #[expect(clippy::cast_precision_loss, reason = "metres are answered in f64")]
        let micrometres = self.altitude_floor_micrometres().saturating_add(height) as f64;
        micrometres / MICROMETRES_PER_METRE
    }
}
