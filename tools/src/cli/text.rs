//! Numbers and columns for people.

use anstyle::Style;

use super::error::Result;
use super::io::{HEADING, Io};

/// A count with its thousands apart: `13,098`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length in bytes with a unit: `512 B`, `1.4 MiB`.
pub(crate) fn length(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = bytes.saturating_mul(10);
    let mut unit = None;
    for name in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = Some(name);
    }
    match unit {
        None => format!("{bytes} B"),
        Some(unit) => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

/// `1 feature`, `2 features`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        grouped(number),
        if number == 1 { one } else { many }
    )
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |nibble: u8| DIGITS[usize::from(nibble)];
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Rows in aligned columns.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<(String, Style)>>,
    right: Vec<usize>,
}

impl Table {
    /// A table whose first row is a heading.
    pub(crate) fn headed(heading: &[&str]) -> Self {
        let mut table = Self::default();
        table.row(heading.iter().map(|text| ((*text).to_owned(), HEADING)));
        table
    }

    /// Sets columns, from 0, flush right.
    pub(crate) fn right(mut self, columns: &[usize]) -> Self {
        self.right.extend_from_slice(columns);
        self
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = (String, Style)>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// A row without styles.
    pub(crate) fn plain(&mut self, cells: impl IntoIterator<Item = String>) {
        self.row(cells.into_iter().map(|text| (text, Style::new())));
    }

    pub(crate) fn print(&self, io: &mut Io<'_>, indent: &str) -> Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|(text, _)| text.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = indent.to_owned();
            for (column, (text, style)) in row.iter().enumerate() {
                let gap = widths[column] - text.chars().count();
                let painted = io.paint(*style, text);
                let is_last = column + 1 == row.len();
                let (before, after) = if self.right.contains(&column) {
                    (gap, 2)
                } else if is_last {
                    (0, 0)
                } else {
                    (0, gap + 2)
                };
                let after = if is_last { 0 } else { after };
                line.push_str(&" ".repeat(before));
                line.push_str(&painted);
                line.push_str(&" ".repeat(after));
            }
            io.line(line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (13_098_000, "13,098,000"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn lengths_have_one_digit_after_the_point() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_500_000, "1.4 MiB"),
            (u64::MAX, "1677721.5 TiB"),
        ] {
            assert_eq!(length(bytes), text);
        }
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::headed(&["name", "n"]).right(&[1]);
        table.plain(["a".into(), "12".into()]);
        table.plain(["bcdef".into(), "3".into()]);
        let mut out = Vec::new();
        let mut io = Io::plain(&mut out, std::io::sink());
        table.print(&mut io, "  ").unwrap();
        drop(io);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "  name    n\n  a      12\n  bcdef   3\n"
        );
    }
}
