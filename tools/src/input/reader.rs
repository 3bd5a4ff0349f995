//! Features from a file, one at a time.

#![warn(clippy::indexing_slicing)]

use std::fmt;
use std::fs::File;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use thiserror::Error;

use super::FEATURE_LEN_BYTES_MAX;
use super::feature::FeatureError;
use super::source::{Elements, Source, Survey, Walk, skip};
use super::time::TimeError;

/// How Features stand in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A `FeatureCollection`, or one Feature that goes over several lines, is a document; anything
    /// else is lines.
    #[default]
    Auto,
    /// One document: a `FeatureCollection` or a single Feature.
    GeoJson,
    /// One Feature per line. The record separators of RFC 8142 are allowed, blank lines skipped.
    GeoJsonLines,
}

/// A Feature as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFeature {
    /// Counts the file's Features from 1, those that could not be read included.
    pub number: u64,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// One well-formed JSON object, byte for byte as in the file, without space around it.
    pub json: String,
}

/// What is wrong with an input.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InputFault {
    /// The file could not be read.
    #[error("{0}")]
    Io(io::Error),
    /// The gzip data is damaged, cut short, or followed by something else.
    #[error("its gzip data is damaged or cut short ({0}); fetch the file again")]
    Gzip(io::Error),
    /// The text is not JSON, or not the JSON that was expected here.
    #[error("not GeoJSON: {0}")]
    Json(String),
    /// Not UTF-8, the only encoding of `GeoJSON`.
    #[error("not UTF-8 from byte {at} of the line; convert the file to UTF-8")]
    NotUtf8 {
        /// Index of the first bad byte in the line, from 0.
        at: usize,
    },
    /// A Feature longer than [`FEATURE_LEN_BYTES_MAX`].
    #[error("a Feature longer than {} MiB", FEATURE_LEN_BYTES_MAX >> 20)]
    TooLong,
    /// The `crs` member names something else than WGS 84.
    #[error("the file is in {0}; convert it to WGS 84 longitude and latitude")]
    Crs(String),
    /// A document of another type.
    #[error("the document is {0}, neither a FeatureCollection nor a Feature")]
    NotFeatures(String),
    /// Something follows the document.
    #[error("something follows the document; if it is one Feature per line, say --format geojsonl")]
    Trailing,
    /// A Feature that cannot be stored.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// A time of a Feature that cannot be used.
    #[error("its property {property}: {source}")]
    Time {
        /// The property's name.
        property: String,
        /// What is wrong with it.
        source: TimeError,
    },
}

impl From<io::Error> for InputFault {
    /// The decoder reports damage as these kinds; a file itself does not.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput => Self::Gzip(error),
            _ => Self::Io(error),
        }
    }
}

/// A fault, and where it is.
#[derive(Debug)]
pub struct InputError(Box<Place>);

#[derive(Debug)]
struct Place {
    file: PathBuf,
    line: Option<u64>,
    number: Option<u64>,
    fatal: bool,
    fault: InputFault,
}

impl InputError {
    /// The file.
    pub fn file(&self) -> &Path {
        &self.0.file
    }

    /// The line, from 1, where it is known.
    pub fn line(&self) -> Option<u64> {
        self.0.line
    }

    /// The Feature's number, from 1, where the fault concerns one.
    pub fn number(&self) -> Option<u64> {
        self.0.number
    }

    /// Whether nothing more can be read from the file. After other faults the reader goes on with
    /// the next Feature.
    pub fn is_fatal(&self) -> bool {
        self.0.fatal
    }

    /// What is wrong.
    pub fn fault(&self) -> &InputFault {
        &self.0.fault
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.file.display())?;
        if let Some(line) = self.0.line {
            write!(f, ": line {line}")?;
        }
        if let Some(number) = self.0.number {
            write!(f, ": Feature {number}")?;
        }
        write!(f, ": {}", self.0.fault)
    }
}

impl std::error::Error for InputError {}

/// The Features of one file, in order.
///
/// Errors that are not [fatal](InputError::is_fatal) concern one line; after a fatal one the
/// iterator ends. A file that ends too early is an error, never a silent end.
///
/// Memory is bounded by one Feature, whatever the file's length. A document is read twice: once to
/// check that it is JSON to its end and that no `crs` member, wherever it stands, names another
/// system than WGS 84; then for its Features.
pub struct FeatureReader {
    path: PathBuf,
    /// Shares its position with the source, for [`FeatureReader::position`].
    file: File,
    len_bytes: u64,
    source: Source,
    form: Form,
    number: u64,
}

enum Form {
    Lines,
    Single,
    Collection(Elements),
    Ended,
}

impl fmt::Debug for FeatureReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureReader")
            .field("path", &self.path)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl FeatureReader {
    /// Opens a file. Gzip is recognised by its first bytes, whatever the name. What can be read
    /// only once (a pipe) is first copied to a temporary file.
    ///
    /// # Errors
    /// All fatal: the file cannot be read; or it is a document that is broken, in another
    /// reference system, or no Features.
    pub fn open(path: impl Into<PathBuf>, format: Format) -> Result<Self, InputError> {
        let path = path.into();
        let fail = |line, number, fault| {
            InputError(Box::new(Place {
                file: path.clone(),
                line,
                number,
                fatal: true,
                fault,
            }))
        };
        let in_place = |fault| fail(None, None, fault);
        let (file, len_bytes) = open_seekable(&path)
            .and_then(|file| {
                let len_bytes = file.metadata()?.len();
                Ok((file, len_bytes))
            })
            .map_err(|error| in_place(InputFault::Io(error)))?;
        let start = || {
            let source = file.try_clone().and_then(Source::open);
            source.map_err(|error| in_place(error.into()))
        };
        let mut source = start()?;
        let mut form = Form::Lines;
        if format != Format::GeoJsonLines {
            let survey = Survey::of(&mut source);
            let is_document = format == Format::GeoJson
                || survey.is_collection()
                || (survey.fault.is_none() && survey.first_line != survey.last_line);
            if is_document {
                let fault = survey.fault.or(survey.crs_fault);
                let fault = fault.or_else(|| match survey.kind.as_deref() {
                    Some("Feature") => None,
                    Some("FeatureCollection") if survey.has_features => None,
                    Some("FeatureCollection") => {
                        Some(InputFault::Json("it has no features array".to_owned()))
                    }
                    Some(kind) => Some(InputFault::NotFeatures(format!("of type {kind}"))),
                    None => Some(InputFault::NotFeatures("without a type".to_owned())),
                });
                let fault = fault.or_else(|| match source.skip_space() {
                    Ok(None) => None,
                    Ok(Some(_)) => Some(InputFault::Trailing),
                    Err(error) => Some(error.into()),
                });
                if let Some(fault) = fault {
                    let in_feature = matches!(fault, InputFault::TooLong);
                    let number = in_feature.then_some(survey.features + 1);
                    return Err(fail(Some(source.line()), number, fault));
                }
                form = Form::Single;
            }
            source = start()?;
            if is_document && survey.kind.as_deref() == Some("FeatureCollection") {
                form = Form::Collection(find_features(&mut source).map_err(in_place)?);
            }
        }
        Ok(Self {
            path,
            file,
            len_bytes,
            source,
            form,
            number: 0,
        })
    }

    /// Bytes of the file taken so far, and its length, for a progress bar. Packed bytes where the
    /// file is packed; runs ahead by up to a buffer.
    ///
    /// # Errors
    /// The position cannot be asked for.
    pub fn position(&self) -> io::Result<(u64, u64)> {
        Ok(((&self.file).stream_position()?, self.len_bytes))
    }

    /// An error at a Feature that was read but cannot be stored; not fatal.
    pub fn refuse(&self, raw: &RawFeature, fault: impl Into<InputFault>) -> InputError {
        InputError(Box::new(Place {
            file: self.path.clone(),
            line: Some(raw.line),
            number: Some(raw.number),
            fatal: false,
            fault: fault.into(),
        }))
    }

    fn fail(&mut self, line: u64, fatal: bool, fault: InputFault) -> InputError {
        if fatal {
            self.form = Form::Ended;
        }
        InputError(Box::new(Place {
            file: self.path.clone(),
            line: Some(line),
            number: Some(self.number),
            fatal,
            fault,
        }))
    }

    fn next_line(&mut self) -> Option<Result<RawFeature, InputError>> {
        let (line, text) = self.source.text_line();
        if let Ok(None) = text {
            self.form = Form::Ended;
            return None;
        }
        self.number += 1;
        let json = match text {
            Ok(text) => text.unwrap_or_default(),
            Err(fault) => {
                let fatal = matches!(fault, InputFault::Io(_) | InputFault::Gzip(_));
                return Some(Err(self.fail(line, fatal, fault)));
            }
        };
        let fault = match serde_json::from_str::<&RawValue>(&json) {
            Ok(_) if json.starts_with('{') => {
                return Some(Ok(RawFeature {
                    number: self.number,
                    line,
                    json,
                }));
            }
            Ok(_) => InputFault::Json("the line is no object".to_owned()),
            Err(error) => {
                let column = error.column();
                InputFault::Json(format!(
                    "{} at column {column}",
                    super::json::message(&error)
                ))
            }
        };
        Some(Err(self.fail(line, false, fault)))
    }

    fn next_of_document(&mut self) -> Result<Option<RawFeature>, InputFault> {
        let more = match &mut self.form {
            Form::Collection(elements) => elements.next(&mut self.source)?,
            _ => self.number == 0,
        };
        if !more {
            return Ok(None);
        }
        self.number += 1;
        self.source.skip_space()?;
        let line = self.source.line();
        let json = String::from(Box::<str>::from(self.source.raw_value()?));
        Ok(Some(RawFeature {
            number: self.number,
            line,
            json,
        }))
    }
}

impl Iterator for FeatureReader {
    type Item = Result<RawFeature, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.form {
            Form::Ended => None,
            Form::Lines => self.next_line(),
            Form::Single | Form::Collection(_) => match self.next_of_document() {
                Ok(Some(feature)) => Some(Ok(feature)),
                Ok(None) => {
                    self.form = Form::Ended;
                    None
                }
                Err(fault) => {
                    let line = self.source.line();
                    Some(Err(self.fail(line, true, fault)))
                }
            },
        }
    }
}

/// A file that can be read twice: the file itself, or a temporary copy of a pipe.
fn open_seekable(path: &Path) -> io::Result<File> {
    let mut file = File::open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut copy = tempfile::tempfile()?;
    io::copy(&mut file, &mut copy)?;
    Ok(copy)
}

/// Goes to the start of a collection's `features`.
fn find_features(source: &mut Source) -> Result<Elements, InputFault> {
    let mut walk = Walk::begin(source)?;
    while let Some(name) = walk.member(source)? {
        if name == "features" && source.skip_space()? == Some(b'[') {
            return Elements::begin(source);
        }
        skip(source)?;
    }
    Err(InputFault::Json(
        "the file changed while it was read".to_owned(),
    ))
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
