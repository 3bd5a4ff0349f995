//! `blocknet geocode`.

use std::path::PathBuf;

use blocknet_geocode::{Cell, NetSpec};
use clap::Subcommand;
use serde::Serialize;

use super::args::position;
use super::error::{CliError, Result};
use super::io::Io;
use super::{DONE, store};

/// Turn places into geocodes and back
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store whose geocodes are meant [default: those of a new store]
    #[arg(long, value_name = "DIR", global = true)]
    store: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The geocode of a place, and its block
    Encode {
        /// Longitude and latitude in degrees, altitude in metres
        #[arg(value_name = "LON,LAT[,ALT]", allow_hyphen_values = true)]
        place: String,
    },
    /// The place of a geocode, or of a cell: the first digits of one
    Decode {
        /// Planar digits, or all of them with a hyphen and altitude digits
        code: String,
    },
    /// The cells that share a side with a cell
    Neighbours {
        /// A cell, or a geocode for its finest one
        code: String,
    },
}

#[derive(Serialize)]
struct Encoded {
    geocode: String,
    block: String,
}

#[derive(Serialize)]
struct Decoded {
    code: String,
    digits: u8,
    /// West, south, east, north.
    bounds: [f64; 4],
    altitude: Option<[f64; 2]>,
    centre: [f64; 2],
    block: Option<String>,
}

#[derive(Serialize)]
struct Neighbouring {
    cell: String,
    west: String,
    east: String,
    south: Option<String>,
    north: Option<String>,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let spec = match &args.store {
        None => NetSpec::city(),
        Some(dir) => *store::read(dir, io)?.spec(),
    };
    match &args.command {
        Command::Encode { place } => encode(&spec, place, io)?,
        Command::Decode { code } => decode(&spec, code, io)?,
        Command::Neighbours { code } => neighbours(&spec, code, io)?,
    }
    Ok(DONE)
}

fn encode(spec: &NetSpec, place: &str, io: &mut Io<'_>) -> Result<()> {
    let position = position(place).map_err(CliError::usage)?;
    let geocode = spec.encode(&position)?;
    let encoded = Encoded {
        geocode: spec.format(&geocode),
        block: spec.block(&geocode).to_string(),
    };
    if io.is_json() {
        return io.object(&encoded);
    }
    io.line(&encoded.geocode)?;
    io.note(format_args!("block {}", encoded.block))
}

/// A cell, and the altitude code if a whole geocode was given.
fn parse(spec: &NetSpec, code: &str) -> Result<(Cell, Option<u64>)> {
    if code.contains('-') {
        let geocode = spec.parse(code)?;
        return Ok((geocode.planar(), geocode.altitude()));
    }
    Ok((spec.parse_cell(code)?, None))
}

fn decode(spec: &NetSpec, code: &str, io: &mut Io<'_>) -> Result<()> {
    let (cell, altitude) = parse(spec, code)?;
    let bounds = spec.bounds(&cell);
    let altitude = altitude.map(|code| spec.altitude_bounds(code));
    let centre = [
        f64::midpoint(bounds.west, bounds.east),
        f64::midpoint(bounds.south, bounds.north),
    ];
    // Which band a cell is in, only an altitude tells.
    let block = if code.contains('-') {
        Some(spec.block(&spec.parse(code)?).to_string())
    } else {
        let in_block = cell.digits() >= spec.block_digits() && spec.band_digits() == 0;
        in_block.then(|| cell.ancestor(spec.block_digits()).to_string())
    };
    let decoded = Decoded {
        code: code.to_ascii_lowercase(),
        digits: cell.digits(),
        bounds: [bounds.west, bounds.south, bounds.east, bounds.north],
        altitude: altitude.map(|(low, high)| [low, high]),
        centre,
        block,
    };
    if io.is_json() {
        return io.object(&decoded);
    }
    let [west, south, east, north] = decoded.bounds;
    io.line(format_args!("longitude {west} to {east}"))?;
    io.line(format_args!("latitude  {south} to {north}"))?;
    if let Some([low, high]) = decoded.altitude {
        io.line(format_args!("altitude  {low} to {high} m"))?;
    }
    if let Some(block) = &decoded.block {
        io.line(format_args!("block     {block}"))?;
    }
    Ok(())
}

fn neighbours(spec: &NetSpec, code: &str, io: &mut Io<'_>) -> Result<()> {
    let (cell, _) = parse(spec, code)?;
    let found = spec.neighbours(&cell);
    let text = |cell: Option<Cell>| cell.map(|cell| cell.to_string());
    let neighbouring = Neighbouring {
        cell: cell.to_string(),
        west: found.west.to_string(),
        east: found.east.to_string(),
        south: text(found.south),
        north: text(found.north),
    };
    if io.is_json() {
        return io.object(&neighbouring);
    }
    for (side, code) in [
        ("west ", Some(neighbouring.west)),
        ("east ", Some(neighbouring.east)),
        ("south", neighbouring.south),
        ("north", neighbouring.north),
    ] {
        io.line(format_args!(
            "{side}  {}",
            code.as_deref().unwrap_or("none: the pole")
        ))?;
    }
    Ok(())
}
