//! `blocknet net simulate`: the paper's own experiments.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use blocknet_engine::{Dimensions, Mode, SimulatedNet, Simulation};
use blocknet_geocode::Block;
use clap::ValueEnum;
use serde::Serialize;

use super::super::DONE;
use super::super::error::{CliError, Result};
use super::super::io::{HEADING, Io};
use super::super::text::{Table, counted, grouped};
use super::draw;
use super::report::{Report, SourceJson, heading, ratio};

const FORMAT_VERSION: u32 = 1;

/// Let sources propagate over a full grid, without a store, and measure the net
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Blocks along each side of the grid
    #[arg(long, value_name = "N")]
    size: u32,
    /// Number of sources: one in the middle, or several spread evenly
    #[arg(long, value_name = "K", default_value_t = 1)]
    sources: usize,
    /// Dimensions of the grid, 2 or 3
    #[arg(long, value_name = "D", default_value_t = 2,
          value_parser = clap::value_parser!(u8).range(2..=3))]
    dimensions: u8,
    /// Rounds of each source in a unit of time, south-west first [default: 1 each]
    #[arg(long, value_name = "S[,...]", value_delimiter = ',')]
    speeds: Vec<f64>,
    /// When sources do their rounds
    #[arg(long, value_enum, default_value_t)]
    mode: ModeArg,
    /// Draw the net into this new file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum ModeArg {
    /// All together: a fast one waits for the others, and speeds change nothing
    #[default]
    Synchronous,
    /// Each at its own speed
    Free,
}

#[derive(Serialize)]
struct SimulationJson<'a> {
    version: u32,
    size: u32,
    dimensions: u8,
    mode: ModeArg,
    speeds: &'a [f64],
    #[serde(flatten)]
    report: &'a Report,
}

/// A simulation with what came of it.
struct Simulated {
    net: SimulatedNet,
    report: Report,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    if let Some(path) = &args.svg {
        // Better now than after a long simulation.
        if path.try_exists().unwrap_or(false) {
            return Err(exists(path));
        }
    }
    let simulation = simulation(args);
    let simulated = simulate(&simulation)?;
    if let Some(path) = &args.svg {
        let picture = draw::svg(&simulation, &simulated.net, &simulated.report.sources)
            .map_err(|source| file_error("draw", path, source))?;
        write_new(path, &picture)?;
    }
    if io.is_json() {
        io.object(&SimulationJson {
            version: FORMAT_VERSION,
            size: args.size,
            dimensions: args.dimensions,
            mode: args.mode,
            speeds: &speeds(&simulation),
            report: &simulated.report,
        })?;
        return Ok(DONE);
    }
    io.line(io.paint(HEADING, title(&simulation)))?;
    io.line("")?;
    simulated.report.print(io)?;
    if simulation
        .speeds
        .iter()
        .any(|speed| speed.total_cmp(&simulation.speeds[0]).is_ne())
    {
        compare(&simulation, &simulated.report, io)?;
    }
    Ok(DONE)
}

fn simulation(args: &Args) -> Simulation {
    Simulation {
        size: args.size,
        dimensions: if args.dimensions == 3 {
            Dimensions::Three
        } else {
            Dimensions::Two
        },
        sources: args.sources,
        speeds: args.speeds.clone(),
        mode: match args.mode {
            ModeArg::Synchronous => Mode::Synchronous,
            ModeArg::Free => Mode::Free,
        },
    }
}

fn simulate(simulation: &Simulation) -> Result<Simulated> {
    let net = simulation.run()?;
    let measures = net.graph().measure();
    // Who has no successors stands in the registry: by construction in a simulated net.
    let registry = measures.out_degree[0];
    let report = Report::new(net.graph(), &measures, registry, |block| {
        place(simulation, &net, block)
    });
    Ok(Simulated { net, report })
}

/// Coordinates of a block.
fn place(simulation: &Simulation, net: &SimulatedNet, block: &Block) -> String {
    let [x, y, z] = net.coordinates(block);
    match simulation.dimensions {
        Dimensions::Two => format!("{x},{y}"),
        Dimensions::Three => format!("{x},{y},{z}"),
    }
}

/// One for each source.
fn speeds(simulation: &Simulation) -> Vec<f64> {
    let mut speeds = simulation.speeds.clone();
    speeds.resize(simulation.sources, 1.0);
    speeds
}

/// What is simulated, in a line.
pub(crate) fn title(simulation: &Simulation) -> String {
    let size = grouped(simulation.size.into());
    let grid = match simulation.dimensions {
        Dimensions::Two => format!("{size} by {size} blocks"),
        Dimensions::Three => format!("{size} by {size} by {size} blocks"),
    };
    let sources = counted(simulation.sources as u64, "source", "sources");
    let mode = match simulation.mode {
        Mode::Synchronous => "synchronous rounds",
        Mode::Free => "free propagation",
    };
    format!("{grid}, {sources}, {mode}")
}

/// Sets free propagation beside synchronous rounds.
fn compare(simulation: &Simulation, report: &Report, io: &mut Io<'_>) -> Result<()> {
    let other_mode = match simulation.mode {
        Mode::Synchronous => Mode::Free,
        Mode::Free => Mode::Synchronous,
    };
    let other = simulate(&Simulation {
        mode: other_mode,
        ..simulation.clone()
    })?;
    let (free, even) = match simulation.mode {
        Mode::Synchronous => (&other.report.sources, &report.sources),
        Mode::Free => (&report.sources, &other.report.sources),
    };
    heading(
        io,
        "Free propagation beside synchronous rounds",
        "territory, and mean safety within it",
    )?;
    let headings = ["", "speed", "free", "synchronous", "free", "synchronous"];
    let mut table = Table::headed(&headings).right(&[0, 1, 2, 3, 4, 5]);
    let rows = free.iter().zip(even).zip(&simulation.speeds);
    let safety = |source: &SourceJson| format!("{:.2}", source.safety_within_territory_mean);
    for (((free, even), speed), number) in rows.zip(1_u32..).take(24) {
        table.plain([
            number.to_string(),
            speed.to_string(),
            grouped(free.territory),
            grouped(even.territory),
            safety(free),
            safety(even),
        ]);
    }
    table.print(io, "  ")?;
    let uneven = |sources: &[SourceJson]| {
        let territories = || sources.iter().map(|source| source.territory);
        let most = territories().max().unwrap_or(0);
        ratio(most, territories().min().unwrap_or(0))
    };
    let least = |sources: &[SourceJson]| {
        let safety = sources
            .iter()
            .map(|source| source.safety_within_territory_mean);
        safety.fold(f64::INFINITY, f64::min)
    };
    io.line("")?;
    io.line(format_args!(
        "In synchronous rounds a fast source waits for the others: the largest territory is {:.2} \
         times the smallest\n(free: {:.2} times), and the least mean safety within a territory is \
         {:.2} (free: {:.2}).",
        uneven(even),
        uneven(free),
        least(even),
        least(free),
    ))
}

fn file_error(operation: &'static str, path: &Path, source: std::io::Error) -> CliError {
    CliError::File {
        operation,
        path: path.to_owned(),
        source,
    }
}

fn exists(path: &Path) -> CliError {
    CliError::usage(format!(
        "{}: the file exists; it is left as it is: name a new one",
        path.display()
    ))
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let mut file = match fs::File::create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(exists(path)),
        Err(error) => return Err(file_error("create", path, error)),
    };
    file.write_all(text.as_bytes())
        .map_err(|error| file_error("write", path, error))
}
