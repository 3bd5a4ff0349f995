//! Where a command writes: data, everything else, and in which form.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::error::{CliError, Result};
use super::{DONE, FAILED};

pub(crate) const HEADING: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const CHANGED: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const COMMAND: Style = AnsiColor::Cyan.on_default().bold();

const BUFFER_LEN_BYTES: usize = 64 << 10;

/// The two streams of a command.
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts about two streams"
)]
pub struct Io<'a> {
    out: BufWriter<Box<dyn Write + 'a>>,
    err: Box<dyn Write + 'a>,
    json: bool,
    /// Whether the streams take colours.
    out_styled: bool,
    err_styled: bool,
    /// Whether a person watches standard error, so that progress is worth showing.
    watched: bool,
}

impl std::fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io")
            .field("json", &self.json)
            .finish_non_exhaustive()
    }
}

impl Io<'static> {
    /// Standard output and standard error, in colour on a terminal that takes it (`NO_COLOR` and
    /// its kin are respected).
    pub fn standard() -> Self {
        let styled = |choice| choice != ColorChoice::Never;
        Self {
            out_styled: styled(AutoStream::choice(&io::stdout())),
            err_styled: styled(AutoStream::choice(&io::stderr())),
            watched: io::stderr().is_terminal(),
            ..Self::plain(io::stdout(), io::stderr())
        }
    }
}

impl<'a> Io<'a> {
    /// Other streams, without colour.
    pub fn plain(out: impl Write + 'a, err: impl Write + 'a) -> Self {
        Self {
            out: BufWriter::with_capacity(BUFFER_LEN_BYTES, Box::new(out)),
            err: Box::new(err),
            json: false,
            out_styled: false,
            err_styled: false,
            watched: false,
        }
    }

    pub(crate) fn set_json(&mut self, json: bool) {
        self.json = json;
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    /// A line of data.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<()> {
        writeln!(self.out, "{text}").map_err(CliError::Output)
    }

    /// A line of data that need not be text.
    pub(crate) fn bytes_line(&mut self, bytes: &[u8]) -> Result<()> {
        self.out
            .write_all(bytes)
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(CliError::Output)
    }

    /// A JSON object on a line of its own.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.out, object)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(CliError::Output)
    }

    /// Text for standard output, in a style where colours are taken.
    pub(crate) fn paint(&self, style: Style, text: impl Display) -> String {
        paint(self.out_styled, style, text)
    }

    /// A remark beside the data.
    pub(crate) fn note(&mut self, text: impl Display) -> Result<()> {
        // What was printed before a remark stays before it when both go to one place.
        self.flush()?;
        let text = paint(self.err_styled, DIM, text);
        self.remark(&text);
        Ok(())
    }

    /// A remark that asks for attention.
    pub(crate) fn warn(&mut self, text: impl Display) -> Result<()> {
        self.flush()?;
        let label = paint(self.err_styled, CHANGED.bold(), "warning:");
        self.remark(&format!("{label} {text}"));
        Ok(())
    }

    /// Standard error may be closed; what was asked for goes to standard output all the same.
    fn remark(&mut self, text: &str) {
        drop(writeln!(self.err, "{text}"));
    }

    pub(crate) fn error(&mut self, error: &CliError) {
        let label = paint(self.err_styled, BAD.bold(), "error:");
        self.remark(&format!("{label} {error}"));
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(CliError::Output)
    }

    /// Prints help, the version, or what is wrong with the arguments.
    pub(crate) fn clap(&mut self, error: &clap::Error) -> Result<u8> {
        let text = error.render();
        let is_error = error.use_stderr();
        let styled = if is_error {
            self.err_styled
        } else {
            self.out_styled
        };
        let text = if styled {
            text.ansi().to_string()
        } else {
            text.to_string()
        };
        if is_error {
            self.remark(text.trim_end());
            return Ok(FAILED);
        }
        self.out
            .write_all(text.as_bytes())
            .map_err(CliError::Output)?;
        self.flush()?;
        Ok(DONE)
    }
}

fn paint(styled: bool, style: Style, text: impl Display) -> String {
    if styled {
        format!("{style}{text}{style:#}")
    } else {
        text.to_string()
    }
}
