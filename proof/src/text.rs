//! Lines and tokens of text files, read strictly: LF only, one space between tokens, decimals
//! without leading zeros, standard base64 with padding and no slack bits.
#![warn(clippy::indexing_slicing)]

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::error::{Error, Result};
use crate::hash::{Hash, Path};

/// Stands for no bytes at all, so that a token is never empty.
pub(crate) const NONE: &str = "-";

pub(crate) fn base64(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        NONE.to_owned()
    } else {
        BASE64_STANDARD.encode(bytes)
    }
}

/// Appends a line of tokens, each of which stands for something or is [`NONE`].
pub(crate) fn push_line<T: AsRef<str>>(text: &mut String, tokens: &[T]) {
    for (index, token) in tokens.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(token.as_ref());
    }
    text.push('\n');
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('?');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The text of a file that is not too long and ends with a newline.
pub(crate) fn checked(bytes: &[u8], limit: usize) -> Result<&str> {
    if bytes.len() > limit {
        return Err(Error::Limit {
            what: "length of the file in bytes",
            found: bytes.len() as u64,
            limit: limit as u64,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Error::Line {
        line: line_of(bytes, error.valid_up_to()),
        what: "not UTF-8",
    })?;
    if !text.ends_with('\n') {
        return Err(Error::Line {
            line: line_of(bytes, bytes.len()),
            what: "the file does not end with a newline",
        });
    }
    Ok(text)
}

fn line_of(bytes: &[u8], end: usize) -> usize {
    1 + bytes
        .iter()
        .take(end)
        .filter(|byte| **byte == b'\n')
        .count()
}

/// The lines of a text, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Lines<'a> {
    rest: &'a str,
    /// Number of the line last taken, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    /// `text` ends with a newline, see [`checked`].
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            number: 0,
        }
    }

    pub(crate) fn error(&self, what: &'static str) -> Error {
        Error::Line {
            line: self.number,
            what,
        }
    }

    pub(crate) fn next(&mut self) -> Result<&'a str> {
        self.number += 1;
        let (line, rest) = self
            .rest
            .split_once('\n')
            .ok_or_else(|| self.error("the file ends early"))?;
        self.rest = rest;
        Ok(line)
    }

    pub(crate) fn peek(&self) -> Option<&'a str> {
        self.rest.split_once('\n').map(|(line, _)| line)
    }

    /// The tokens of the next line, which begins with `keyword`.
    pub(crate) fn tokens(&mut self, keyword: &'static str) -> Result<Tokens<'a>> {
        let line = self.next()?;
        let mut tokens = Tokens {
            rest: Some(line),
            line: self.number,
        };
        if tokens.word()? != keyword {
            return Err(self.error("another keyword is due here"));
        }
        Ok(tokens)
    }

    /// The next line as a hash in base64.
    pub(crate) fn hash(&mut self) -> Result<Hash> {
        let line = self.next()?;
        let mut tokens = Tokens {
            rest: Some(line),
            line: self.number,
        };
        let hash = tokens.array()?;
        tokens.finish()?;
        Ok(hash)
    }

    pub(crate) fn expect(&mut self, line: &str, what: &'static str) -> Result<()> {
        if self.next()? == line {
            Ok(())
        } else {
            Err(self.error(what))
        }
    }

    /// Everything that is left, and the number of the lines before it.
    pub(crate) fn rest(self) -> (&'a str, usize) {
        (self.rest, self.number)
    }
}

/// The tokens of a line, separated by single spaces.
#[derive(Clone, Debug)]
pub(crate) struct Tokens<'a> {
    rest: Option<&'a str>,
    line: usize,
}

impl<'a> Tokens<'a> {
    pub(crate) fn error(&self, what: &'static str) -> Error {
        Error::Line {
            line: self.line,
            what,
        }
    }

    pub(crate) fn word(&mut self) -> Result<&'a str> {
        let rest = self
            .rest
            .take()
            .ok_or_else(|| self.error("the line ends early"))?;
        let word = if let Some((word, rest)) = rest.split_once(' ') {
            self.rest = Some(rest);
            word
        } else {
            rest
        };
        if word.is_empty() {
            return Err(self.error("one space stands between two values"));
        }
        Ok(word)
    }

    pub(crate) fn decimal(&mut self) -> Result<u64> {
        let word = self.word()?;
        decimal(word).ok_or_else(|| self.error("a decimal number without leading zeros is due"))
    }

    pub(crate) fn bytes(&mut self, limit: usize) -> Result<Vec<u8>> {
        let word = self.word()?;
        if word == NONE {
            return Ok(Vec::new());
        }
        // Three bytes from four characters.
        if word.len() / 4 * 3 > limit + 2 {
            return Err(Error::Limit {
                what: "length of a value in bytes",
                found: (word.len() / 4 * 3) as u64,
                limit: limit as u64,
            });
        }
        BASE64_STANDARD
            .decode(word)
            .ok()
            .filter(|bytes| bytes.len() <= limit)
            .ok_or_else(|| self.error("not base64 in its canonical form"))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.bytes(N)?
            .try_into()
            .map_err(|_| self.error("a value has the wrong length"))
    }

    pub(crate) fn hashes(&mut self, limit: usize) -> Result<Vec<Hash>> {
        let bytes = self.bytes(limit * 32)?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        if rest.is_empty() {
            Ok(hashes.to_vec())
        } else {
            Err(self.error("hashes have 32 bytes each"))
        }
    }

    pub(crate) fn path(&mut self) -> Result<Path> {
        let bytes = self.bytes(Path::LEN_BYTES_MAX)?;
        Path::decode(&bytes).ok_or_else(|| self.error("not a path in a tree"))
    }

    pub(crate) fn finish(self) -> Result<()> {
        match self.rest {
            None => Ok(()),
            Some(_) => Err(self.error("the line is too long")),
        }
    }
}

/// A decimal as it is written: no sign, no leading zeros.
pub(crate) fn decimal(word: &str) -> Option<u64> {
    let canonical = word == "0" || !word.starts_with('0');
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| word.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_one_form() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("18446744073709551615"), Some(u64::MAX));
        for wrong in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1_0",
            "18446744073709551616",
        ] {
            assert_eq!(decimal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn base64_has_one_form() {
        let read = |text: &str| {
            Tokens {
                rest: Some(text),
                line: 1,
            }
            .bytes(4)
        };
        assert_eq!(read("-").unwrap(), b"");
        assert_eq!(read("AA==").unwrap(), [0]);
        // Slack bits, missing padding, the other alphabet, inner newline, too long.
        for wrong in [
            "AB==", "AA", "AA=", "_w==", "A\nA==", "AAAAAAAA", "=", "====",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
