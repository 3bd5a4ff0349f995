//! Places to geocodes and cells, and back to degrees and metres.

use crate::axis::{Edge, check_degrees, degrees_of, fraction_of_turn, index_of};
use crate::cell::{Cell, Geocode};
use crate::error::Error;
use crate::spec::NetSpec;

/// A place: degrees of longitude and latitude, and metres of altitude where that is known.
///
/// The numbers are taken as they are: which datum they refer to is the caller's business.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Metres above the vertical datum; `None` if unknown, which is not zero.
    pub altitude: Option<f64>,
}

/// The edges of a cell in degrees: `west < east`, `south < north`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Western edge, -180 to below 180. Places on it belong to the cell.
    pub west: f64,
    /// Southern edge, -90 to below 90. Places on it belong to the cell.
    pub south: f64,
    /// Eastern edge, above -180 to 180. Places on it belong to the next cell east.
    pub east: f64,
    /// Northern edge, above -90 to 90. Places on it belong to the next cell north, except at the
    /// pole.
    pub north: f64,
}

/// The four cells of the same depth that share a side with a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbours {
    /// The cell to the west, across the antimeridian from the first column. The root, one column
    /// wide, is its own western and eastern neighbour.
    pub west: Cell,
    /// The cell to the east, across the antimeridian from the last column.
    pub east: Cell,
    /// The cell to the south; `None` in the row at the South Pole.
    pub south: Option<Cell>,
    /// The cell to the north; `None` in the row at the North Pole.
    pub north: Option<Cell>,
}

impl Neighbours {
    /// The two to four neighbours: west, east, then south and north where they exist.
    pub fn iter(&self) -> impl Iterator<Item = Cell> + use<> {
        [Some(self.west), Some(self.east), self.south, self.north]
            .into_iter()
            .flatten()
    }
}

const LONGITUDE: (&str, &str) = ("longitude", "longitude in degrees");
const LATITUDE: (&str, &str) = ("latitude", "latitude in degrees");

impl NetSpec {
    /// The geocode of a place.
    ///
    /// Longitude 180 is the same meridian as -180 and gets the same code, in column 0. A pole is
    /// one place: at latitude 90 and -90 the longitude is checked, then ignored, and the code is
    /// that of column 0. A net without altitude digits ignores the altitude, if finite.
    ///
    /// The cell's bounds contain the place exactly, for up to 60 digits. Beyond about 26 digits
    /// neighbouring `f64` degrees are more than a cell apart; the code is still deterministic.
    ///
    /// # Errors
    /// * [`Error::NotFinite`]: a NaN or infinite coordinate.
    /// * [`Error::OutOfRange`]: longitude outside -180 to 180, latitude outside -90 to 90, or
    ///   altitude outside [`NetSpec::altitude_range_metres`].
    pub fn encode(&self, position: &Position) -> Result<Geocode, Error> {
        let planar = self.cell_at(position.longitude, position.latitude, self.planar_digits())?;
        let altitude = position
            .altitude
            .map(|metres| self.altitude_code(metres))
            .transpose()?;
        Ok(Geocode::new(
            planar,
            altitude.filter(|_| self.altitude_digits() > 0),
        ))
    }

    /// The geocode of a column and row at full depth and of an altitude code: fixed-point input,
    /// for codes finer than `f64` degrees, or for spaces other than the Earth.
    ///
    /// Columns count from the west (-180), rows from the south (-90). Nothing is folded: the rows
    /// at the poles keep their columns apart. A net without altitude digits takes no altitude
    /// code but 0, and keeps none.
    ///
    /// # Errors
    /// * [`Error::Index`]: `column` or `row` above `4^planar_digits - 1`, or `altitude` above
    ///   `16^altitude_digits - 1`.
    pub fn encode_indices(
        &self,
        column: u128,
        row: u128,
        altitude: Option<u64>,
    ) -> Result<Geocode, Error> {
        let planar = self.cell_of_indices(column, row, self.planar_digits())?;
        if let Some(code) = altitude {
            check_index("altitude code", u128::from(code), self.altitude_bits())?;
        }
        Ok(Geocode::new(
            planar,
            altitude.filter(|_| self.altitude_digits() > 0),
        ))
    }

    /// The middle of the box that a geocode stands for; the altitude is `None` where the
    /// geocode's is.
    ///
    /// For a code of 26 digits or more this is the nearest that `f64` can express.
    pub fn centre(&self, geocode: &Geocode) -> Position {
        let cell = geocode.planar();
        let (column, row) = self.indices(&cell);
        let bits = axis_bits(cell.digits());
        Position {
            longitude: degrees_of(column, bits, Edge::Middle),
            latitude: degrees_of(row, bits, Edge::Middle) / 2.0,
            altitude: geocode
                .altitude()
                .map(|code| self.altitude_at(code, Edge::Middle)),
        }
    }

    /// The cell of `digits` digits around a place: a prefix of the place's planar code.
    ///
    /// # Errors
    /// * [`Error::NotFinite`], [`Error::OutOfRange`]: as for [`NetSpec::encode`].
    /// * [`Error::Depth`]: more digits than the net's planar codes have.
    pub fn cell_at(&self, longitude: f64, latitude: f64, digits: u8) -> Result<Cell, Error> {
        let column = self.column(longitude, digits)?;
        let row = self.row(latitude, digits)?;
        // A pole is one place, whatever the longitude.
        let column = if latitude.abs() < 90.0 { column } else { 0 };
        Ok(self.curve().curve().cell(column, row, digits))
    }

    /// The cell of `digits` digits at a column, counted from the west, and a row, counted from
    /// the south.
    ///
    /// # Errors
    /// * [`Error::Depth`]: more digits than the net's planar codes have.
    /// * [`Error::Index`]: `column` or `row` above `4^digits - 1`.
    pub fn cell_of_indices(&self, column: u128, row: u128, digits: u8) -> Result<Cell, Error> {
        self.check_depth("cell", digits)?;
        check_index("column", column, axis_bits(digits))?;
        check_index("row", row, axis_bits(digits))?;
        Ok(self.curve().curve().cell(column, row, digits))
    }

    /// Column from the west and row from the south of a cell, at its own depth: `2 * digits` bits
    /// each.
    pub fn indices(&self, cell: &Cell) -> (u128, u128) {
        self.curve().curve().indices(cell)
    }

    /// The column that a longitude falls in at a depth of `digits` digits; 180 falls in column 0,
    /// as -180 does.
    ///
    /// For the ends of a window use [`NetSpec::window_columns`], which never folds.
    ///
    /// # Errors
    /// * [`Error::NotFinite`], [`Error::OutOfRange`]: not a longitude of -180 to 180 degrees.
    /// * [`Error::Depth`]: more digits than the net's planar codes have.
    pub fn column(&self, longitude: f64, digits: u8) -> Result<u128, Error> {
        check_degrees(LONGITUDE, longitude, 180.0)?;
        self.check_depth("column", digits)?;
        Ok(index_of(
            fraction_of_turn(longitude).unwrap_or(0),
            axis_bits(digits),
        ))
    }

    /// The row that a latitude falls in at a depth of `digits` digits; 90 falls in the last row.
    /// Never decreases as the latitude grows.
    ///
    /// # Errors
    /// * [`Error::NotFinite`], [`Error::OutOfRange`]: not a latitude of -90 to 90 degrees.
    /// * [`Error::Depth`]: more digits than the net's planar codes have.
    pub fn row(&self, latitude: f64, digits: u8) -> Result<u128, Error> {
        check_degrees(LATITUDE, latitude, 90.0)?;
        self.check_depth("row", digits)?;
        Ok(window_index(2.0 * latitude, digits))
    }

    /// The first and last column of a window from `west` to `east`, both included.
    ///
    /// Ends outside -180 to 180 are moved to the nearer of the two, infinities too; 180 is in the
    /// last column here. Places *at* 180 or at a pole are filed in column 0 all the same: see
    /// [`NetSpec::window_meets_seam`]. A window across the antimeridian is two windows.
    ///
    /// # Errors
    /// * [`Error::NotFinite`]: an end is NaN.
    /// * [`Error::Order`]: `west` is greater than `east`.
    /// * [`Error::Depth`]: more digits than the net's planar codes have.
    pub fn window_columns(&self, west: f64, east: f64, digits: u8) -> Result<(u128, u128), Error> {
        self.check_depth("window", digits)?;
        check_window(("longitude", "window from west to east"), west, east)?;
        let index = |degrees: f64| window_index(degrees.clamp(-180.0, 180.0), digits);
        Ok((index(west), index(east)))
    }

    /// The first and last row of a window from `south` to `north`, both included.
    ///
    /// Ends outside -90 to 90 are moved to the nearer of the two, infinities too; 90 is in the
    /// last row.
    ///
    /// # Errors
    /// * [`Error::NotFinite`]: an end is NaN.
    /// * [`Error::Order`]: `south` is greater than `north`.
    /// * [`Error::Depth`]: more digits than the net's planar codes have.
    pub fn window_rows(&self, south: f64, north: f64, digits: u8) -> Result<(u128, u128), Error> {
        self.check_depth("window", digits)?;
        check_window(("latitude", "window from south to north"), south, north)?;
        let index = |degrees: f64| window_index(2.0 * degrees.clamp(-90.0, 90.0), digits);
        Ok((index(south), index(north)))
    }

    /// Whether a window holds places that [`NetSpec::encode`] files in column 0, outside the
    /// window's own columns: those at longitude 180 and at the poles.
    ///
    /// Such a window has to visit column 0 as well, in the window's rows. `false` for NaN.
    pub fn window_meets_seam(&self, south: f64, east: f64, north: f64) -> bool {
        east >= 180.0 || south <= -90.0 || north >= 90.0
    }

    /// The edges of a cell in degrees. For cells of more than 60 digits, those of the 60-digit
    /// cell around (2.7e-34 degrees wide).
    pub fn bounds(&self, cell: &Cell) -> Bounds {
        let (column, row) = self.indices(cell);
        let bits = axis_bits(cell.digits());
        Bounds {
            west: degrees_of(column, bits, Edge::Low),
            south: degrees_of(row, bits, Edge::Low) / 2.0,
            east: degrees_of(column, bits, Edge::High),
            north: degrees_of(row, bits, Edge::High) / 2.0,
        }
    }

    /// The cells of the same depth that share a side with a cell, across the antimeridian but not
    /// across a pole. Mutual: a cell is the western neighbour of its eastern one, and so on.
    pub fn neighbours(&self, cell: &Cell) -> Neighbours {
        let curve = self.curve().curve();
        let digits = cell.digits();
        let (column, row) = self.indices(cell);
        let last = last_index(digits);
        Neighbours {
            // The curve drops the bits above its columns, which is the wrap.
            west: curve.cell(column.wrapping_sub(1), row, digits),
            east: curve.cell(column.wrapping_add(1), row, digits),
            south: row
                .checked_sub(1)
                .map(|row| curve.cell(column, row, digits)),
            north: (row < last).then(|| curve.cell(column, row + 1, digits)),
        }
    }
}

/// Bits per axis of a cell of `digits` digits.
fn axis_bits(digits: u8) -> u32 {
    2 * u32::from(digits)
}

/// The last column or row of the cells of `digits` digits.
fn last_index(digits: u8) -> u128 {
    index_of(u128::MAX, axis_bits(digits))
}

/// The index of an angle from -180 to 180 where 180 belongs to the last cell.
fn window_index(degrees: f64, digits: u8) -> u128 {
    index_of(
        fraction_of_turn(degrees).unwrap_or(u128::MAX),
        axis_bits(digits),
    )
}

fn check_index(what: &'static str, index: u128, bits: u32) -> Result<(), Error> {
    if index.checked_shr(bits).unwrap_or(0) != 0 {
        return Err(Error::Index { what, index, bits });
    }
    Ok(())
}

fn check_window(what: (&'static str, &'static str), low: f64, high: f64) -> Result<(), Error> {
    let (axis, window) = what;
    for value in [low, high] {
        if value.is_nan() {
            return Err(Error::NotFinite { what: axis, value });
        }
    }
    if low > high {
        return Err(Error::Order { what: window });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
