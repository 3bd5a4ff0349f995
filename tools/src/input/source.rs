//! The bytes of one input file: unpacked, with lines counted and the length of each value bounded.

#![warn(clippy::indexing_slicing)]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};

use flate2::read::MultiGzDecoder;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use super::json::{message, scalar_text};
use super::reader::InputFault;
use super::{crs, excerpt};

/// The longest Feature that is read, bytes: 64 MiB.
pub const FEATURE_LEN_BYTES_MAX: u64 = 64 << 20;

const BUFFER_LEN_BYTES: usize = 64 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// ASCII record separator: begins each text of an RFC 8142 sequence.
const RECORD_SEPARATOR: u8 = 0x1e;

/// A file read from its start. As a `Read` it gives at most what is left of the allowance, so that
/// the JSON reader above it cannot gather more.
pub(super) struct Source {
    inner: BufReader<Box<dyn Read + Send>>,
    /// Lines begun so far, from 1.
    line: u64,
    allowance_bytes: u64,
    allowance_spent: bool,
}

impl Source {
    /// Reads a file from its start, unpacking gzip by its first two bytes.
    pub(super) fn open(mut file: File) -> io::Result<Self> {
        file.rewind()?;
        let mut magic = Vec::new();
        (&mut file).take(2).read_to_end(&mut magic)?;
        file.rewind()?;
        let inner: Box<dyn Read + Send> = if magic == GZIP_MAGIC {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let inner = BufReader::with_capacity(BUFFER_LEN_BYTES, inner);
        let mut source = Self {
            inner,
            line: 1,
            allowance_bytes: 0,
            allowance_spent: false,
        };
        if source.inner.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
            source.inner.consume(BYTE_ORDER_MARK.len());
        }
        Ok(source)
    }

    /// The line of the next byte, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.inner.fill_buf()?.first().copied())
    }

    fn skip_byte(&mut self, byte: u8) {
        self.line += u64::from(byte == b'\n');
        self.inner.consume(1);
    }

    /// Skips white space and record separators; returns the byte after them without taking it.
    pub(super) fn skip_space(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.peek()? {
                Some(byte @ (b' ' | b'\t' | b'\r' | b'\n' | RECORD_SEPARATOR)) => {
                    self.skip_byte(byte);
                }
                other => return Ok(other),
            }
        }
    }

    /// Takes white space and then one of the given bytes.
    pub(super) fn expect(&mut self, one_of: &[u8], what: &str) -> Result<u8, InputFault> {
        match self.skip_space()? {
            Some(byte) if one_of.contains(&byte) => {
                self.skip_byte(byte);
                Ok(byte)
            }
            Some(byte) => Err(InputFault::Json(format!(
                "expected {what}, found `{}`",
                char::from(byte).escape_default()
            ))),
            None => Err(InputFault::Json(format!(
                "the file ends where {what} should be"
            ))),
        }
    }

    /// Reads a string, array, object, `true`, `false` or `null` and stops right behind it. These
    /// delimit themselves, so that the JSON reader takes no byte too many; numbers do not.
    pub(super) fn value<T: DeserializeOwned>(&mut self) -> Result<T, InputFault> {
        self.allowance_bytes = FEATURE_LEN_BYTES_MAX;
        self.allowance_spent = false;
        let value = T::deserialize(&mut serde_json::Deserializer::from_reader(&mut *self));
        value.map_err(|error| {
            if self.allowance_spent {
                InputFault::TooLong
            } else if error.is_io() {
                InputFault::from(io::Error::from(error))
            } else if error.is_eof() {
                InputFault::Json("the file ends within a value".to_owned())
            } else {
                InputFault::Json(message(&error))
            }
        })
    }

    /// Reads a value of any kind as text.
    pub(super) fn raw_value(&mut self) -> Result<Box<RawValue>, InputFault> {
        if !matches!(self.skip_space()?, Some(b'-' | b'0'..=b'9')) {
            return self.value();
        }
        let mut number = String::new();
        while let Some(byte @ (b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) = self.peek()? {
            if number.len() as u64 >= FEATURE_LEN_BYTES_MAX {
                return Err(InputFault::TooLong);
            }
            number.push(char::from(byte));
            self.inner.consume(1);
        }
        RawValue::from_string(number).map_err(|error| InputFault::Json(message(&error)))
    }

    /// The next line without white space and record separators around it; blank lines are
    /// skipped. `None` at the end. The line's number is returned with it.
    ///
    /// After [`InputFault::TooLong`] and [`InputFault::NotUtf8`] reading goes on with the line
    /// after.
    pub(super) fn text_line(&mut self) -> (u64, Result<Option<String>, InputFault>) {
        loop {
            let line = self.line;
            let bytes = match self.line_bytes() {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return (line, Ok(None)),
                Err(fault) => return (line, Err(fault)),
            };
            let text = match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    return (line, Err(InputFault::NotUtf8 { at }));
                }
            };
            let trimmed = text.trim_matches([' ', '\t', '\r', '\n', char::from(RECORD_SEPARATOR)]);
            if trimmed.is_empty() {
                continue;
            }
            if trimmed.len() as u64 > FEATURE_LEN_BYTES_MAX {
                return (line, Err(InputFault::TooLong));
            }
            let json = if trimmed.len() == text.len() {
                text
            } else {
                trimmed.to_owned()
            };
            return (line, Ok(Some(json)));
        }
    }

    /// The next line, without its end; `None` at the end of the file.
    fn line_bytes(&mut self) -> Result<Option<Vec<u8>>, InputFault> {
        // Room for the line's end, which is not part of the Feature.
        let limit = FEATURE_LEN_BYTES_MAX + 2;
        let mut bytes = Vec::new();
        if (&mut self.inner)
            .take(limit)
            .read_until(b'\n', &mut bytes)?
            == 0
        {
            return Ok(None);
        }
        self.line += 1;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if bytes.len() as u64 == limit {
            self.inner.skip_until(b'\n')?;
            return Err(InputFault::TooLong);
        }
        Ok(Some(bytes))
    }
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.inner.fill_buf()?;
        if available.is_empty() {
            return Ok(0);
        }
        let len = available.len().min(buf.len());
        let allowed = usize::try_from(self.allowance_bytes)
            .unwrap_or(usize::MAX)
            .min(len);
        if allowed == 0 && len > 0 {
            self.allowance_spent = true;
            return Ok(0);
        }
        let mut taken = 0;
        for (to, from) in buf.iter_mut().zip(available).take(allowed) {
            *to = *from;
            self.line += u64::from(*from == b'\n');
            taken += 1;
        }
        self.allowance_bytes -= taken as u64;
        self.inner.consume(taken);
        Ok(taken)
    }
}

/// What the first JSON value of a file is, found without keeping it.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Its `type`, where it is an object with one.
    pub(super) kind: Option<String>,
    /// Whether it has a `features` array.
    pub(super) has_features: bool,
    /// Lines on which it begins and ends.
    pub(super) first_line: u64,
    pub(super) last_line: u64,
    /// Why it could not be read to its end.
    pub(super) fault: Option<InputFault>,
    /// Set when a `crs` member of it names something else than WGS 84.
    pub(super) crs_fault: Option<InputFault>,
    /// Features before the fault.
    pub(super) features: u64,
}

impl Survey {
    /// Whether the value is a `FeatureCollection`, as far as it could be read.
    pub(super) fn is_collection(&self) -> bool {
        match &self.kind {
            Some(kind) => kind == "FeatureCollection",
            None => self.has_features,
        }
    }

    /// Reads the first value to its end. Of a collection everything is read and checked to be
    /// JSON, the `crs` member in particular, wherever it stands.
    pub(super) fn of(source: &mut Source) -> Self {
        let mut survey = Self::default();
        let result = survey.walk(source);
        survey.last_line = source.line();
        survey.fault = result.err();
        survey
    }

    fn walk(&mut self, source: &mut Source) -> Result<(), InputFault> {
        source.skip_space()?;
        self.first_line = source.line();
        let mut walk = Walk::begin(source)?;
        while let Some(name) = walk.member(source)? {
            match name.as_str() {
                "features" if self.has_features => {
                    return Err(InputFault::Json("a second features member".to_owned()));
                }
                "features" if source.skip_space()? == Some(b'[') => {
                    self.has_features = true;
                    let mut elements = Elements::begin(source)?;
                    while elements.next(source)? {
                        source.value::<IgnoredAny>()?;
                        self.features += 1;
                    }
                }
                "crs" => {
                    let value = source.raw_value()?;
                    self.crs_fault = self
                        .crs_fault
                        .take()
                        .or(crs::check(&value).err().map(InputFault::Crs));
                }
                "type" => {
                    let value = source.raw_value()?;
                    let text = scalar_text(&value).unwrap_or_default();
                    self.kind = Some(excerpt(&text));
                }
                _ => skip(source)?,
            }
        }
        Ok(())
    }
}

/// Reads past a value of any kind.
pub(super) fn skip(source: &mut Source) -> Result<(), InputFault> {
    match source.skip_space()? {
        Some(b'-' | b'0'..=b'9') => source.raw_value().map(drop),
        _ => source.value::<IgnoredAny>().map(drop),
    }
}

/// The members of an object, one at a time; the caller takes each value before the next.
#[derive(Debug, Default)]
pub(super) struct Walk {
    started: bool,
}

impl Walk {
    pub(super) fn begin(source: &mut Source) -> Result<Self, InputFault> {
        source.expect(b"{", "an object")?;
        Ok(Self::default())
    }

    /// The name of the next member; `None` when the object was closed.
    pub(super) fn member(&mut self, source: &mut Source) -> Result<Option<String>, InputFault> {
        if self.started {
            if source.expect(b",}", "`,` or `}`")? == b'}' {
                return Ok(None);
            }
        } else if source.skip_space()? == Some(b'}') {
            source.expect(b"}", "`}`")?;
            return Ok(None);
        }
        self.started = true;
        if source.skip_space()? != Some(b'"') {
            source.expect(b"", "a member name")?;
        }
        let name = source.value()?;
        source.expect(b":", "`:`")?;
        Ok(Some(name))
    }
}

/// The elements of an array of objects, one at a time.
#[derive(Debug, Default)]
pub(super) struct Elements {
    started: bool,
}

impl Elements {
    pub(super) fn begin(source: &mut Source) -> Result<Self, InputFault> {
        source.expect(b"[", "an array")?;
        Ok(Self::default())
    }

    /// Whether another object follows, which the caller then takes; `false` when the array was
    /// closed.
    pub(super) fn next(&mut self, source: &mut Source) -> Result<bool, InputFault> {
        if self.started {
            if source.expect(b",]", "`,` or `]`")? == b']' {
                return Ok(false);
            }
        } else if source.skip_space()? == Some(b']') {
            source.expect(b"]", "`]`")?;
            return Ok(false);
        }
        self.started = true;
        if source.skip_space()? != Some(b'{') {
            source.expect(b"", "a Feature")?;
        }
        Ok(true)
    }
}
