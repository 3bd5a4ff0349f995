//! `blocknet get`.

use std::path::PathBuf;

use super::args::ViewArgs;
use super::error::Result;
use super::io::Io;
use super::render::{Renderer, feature};
use super::{DONE, FOUND, store};

/// Print the state of an entity, in every layer that has one
///
/// Prints nothing when it is absent at that moment. Exit code 1 when the id is unknown.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    /// The entity's id
    #[arg(allow_negative_numbers = true)]
    id: String,
    /// In these layers [default: all]
    #[arg(long, value_name = "NAME[,...]", value_delimiter = ',')]
    layer: Vec<String>,
    #[command(flatten)]
    view: ViewArgs,
    /// Add a member `blocknet`: layer, interval, commit, recorded and written time, geocode
    #[arg(long)]
    meta: bool,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let net = store::read(&args.dir, io)?;
    let when = args.view.resolve(&net)?;
    let view = net.view(when.as_of, when.valid)?;
    let layers = store::layers(&view, &args.layer)?;
    let mut renderer = Renderer::new(&view, &when.zone);
    let mut found = false;
    let mut known = 0;
    for layer in layers {
        match view.get(layer, &args.id)? {
            Some(record) => {
                found = true;
                if args.meta {
                    io.line(renderer.with_meta(&record, &feature(&record.lend()), None)?)?;
                } else {
                    io.bytes_line(feature(&record.lend()).as_bytes())?;
                }
            }
            None => known += view.history(layer, &args.id)?.len(),
        }
    }
    if found {
        io.note(&when)?;
        return Ok(DONE);
    }
    if known == 0 {
        io.note(format_args!(
            "`{}` is unknown, as of {}",
            args.id,
            when.as_of_text()
        ))?;
        return Ok(FOUND);
    }
    io.note(format_args!(
        "`{}` is not there: {when}; see its history",
        args.id
    ))?;
    Ok(DONE)
}
