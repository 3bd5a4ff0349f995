//! `blocknet demo`: a small made-up city, and its story told with the real commands.

mod city;

use std::path::{Path, PathBuf};

use blocknet_engine::{Cost, LayerDef, LayerId, LayerKind, Net, Receipt, Recorded};
use blocknet_geocode::NetSpec;
use serde::Serialize;

use super::args::Signature;
use super::error::{CliError, Result};
use super::io::{COMMAND, DIM, HEADING, Io};
use super::text::{counted, grouped, length};
use super::write::CostJson;
use super::{DONE, FAILED, store};
use city::{City, moment};

/// Make a small made-up city and tell its story with the real commands
///
/// The city and its decades of history are the same every time. Without DIR it is kept in a
/// temporary directory and removed at the end.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to store it; stays [default: a temporary directory]
    dir: Option<PathBuf>,
    /// Do not remove the temporary directory
    #[arg(long)]
    keep: bool,
}

/// What building the city cost.
#[derive(Debug, Default)]
struct Built {
    commits: u64,
    /// Commits of a single change, and what they cost together.
    single: u64,
    single_cost: Cost,
    cost: Cost,
}

#[derive(Serialize)]
struct DemoJson {
    dir: String,
    kept: bool,
    commits: u64,
    house: &'static str,
    cost: CostJson,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let failed = |source| CliError::File {
        operation: "make a directory",
        path: std::env::temp_dir(),
        source,
    };
    let temporary = match &args.dir {
        Some(_) => None,
        None => Some(
            tempfile::Builder::new()
                .prefix("blocknet-demo-")
                .tempdir()
                .map_err(failed)?,
        ),
    };
    let dir = match (&args.dir, &temporary) {
        (Some(dir), _) => dir.clone(),
        (None, Some(temporary)) => temporary.path().join("city"),
        (None, None) => return Err(CliError::usage("there is no directory for the city")),
    };
    let city = City::new();
    let built = build(&dir, &city)?;
    let kept = args.dir.is_some() || args.keep;
    if io.is_json() {
        io.object(&DemoJson {
            dir: dir.display().to_string(),
            kept,
            commits: built.commits,
            house: city::HOUSE,
            cost: built.cost.into(),
        })?;
    } else {
        Story {
            dir: &dir,
            io: &mut *io,
        }
        .tell(&city, &built)?;
        let place = dir.display();
        io.line("")?;
        if kept {
            io.line(format_args!(
                "The city stays in {place}: ask it something else."
            ))?;
        } else {
            io.line("The city is gone again; `blocknet demo DIR` keeps it.")?;
        }
    }
    if let (true, Some(temporary)) = (args.keep, temporary) {
        drop(temporary.keep());
    }
    Ok(DONE)
}

/// Stores the city: three layers, then one commit for each thing that somebody reported.
fn build(dir: &Path, city: &City) -> Result<Built> {
    let net = store::builder()
        .signed("city archive", "a net for the old quarter", "")
        .create(dir, NetSpec::city())?;
    let mut built = Built {
        commits: 1,
        cost: net.report().cost,
        ..Built::default()
    };
    let mut layer = |name: &str, kind, source: &str| -> Result<LayerId> {
        let def = LayerDef {
            kind,
            source: source.to_owned(),
            vertical_datum: "EPSG:5773".to_owned(),
            ..LayerDef::new(name)
        };
        let commit = Signature::default().commit(Recorded::At(moment("1999-12-01")));
        let commit = blocknet_engine::Commit {
            author: "city archive".to_owned(),
            ..commit
        };
        let (layer, receipt) = net.define_layer(def, &commit)?;
        built.add(&receipt);
        Ok(layer)
    };
    let buildings = layer(
        city::BUILDINGS,
        LayerKind::Observed,
        "photo flights and reports",
    )?;
    let permits = layer(city::PERMITS, LayerKind::Permitted, "permit office")?;
    for commit in city.commits(buildings, permits) {
        built.add(&submit(&net, &commit)?);
    }
    net.close()?;
    Ok(built)
}

fn submit(net: &Net, commit: &blocknet_engine::Commit) -> Result<Receipt> {
    Ok(net.commit(commit)?)
}

impl Built {
    fn add(&mut self, receipt: &Receipt) {
        self.commits += 1;
        self.cost += receipt.cost;
        if receipt.outcomes.len() == 1 {
            self.single += 1;
            self.single_cost += receipt.cost;
        }
    }
}

/// The teller: prints what comes, then the command, then runs it.
struct Story<'s, 'o> {
    dir: &'s Path,
    io: &'s mut Io<'o>,
}

impl Story<'_, '_> {
    fn tell(&mut self, city: &City, built: &Built) -> Result<()> {
        let title = self.io.paint(HEADING, "A quarter of a city, 1955 to 2023");
        self.io.line(&title)?;
        self.say(
            "Made up, but stored like a real one: a layer of buildings as they were seen, and a \
             layer of building permits. Every change is a commit with its author, reason and \
             source.",
        )?;
        let place = self.dir.display().to_string();
        let assignment = self.io.paint(COMMAND, format_args!("$ CITY={place}"));
        self.io.line("")?;
        self.io.line(&assignment)?;
        self.then_and_now(city)?;
        self.transient()?;
        self.permit(city)?;
        self.cost(built)
    }

    fn then_and_now(&mut self, city: &City) -> Result<()> {
        let quarter = City::bounds();
        self.chapter("What stands there, now and then")?;
        for date in [city::TODAY, "1975-01-01"] {
            self.run(&[
                "query",
                "--layer",
                city::BUILDINGS,
                "--bbox",
                &quarter,
                "--count",
                "--valid-at",
                date,
            ])?;
        }
        self.chapter("What became of three street blocks in twenty years")?;
        let corner = city.street_corner();
        self.run(&[
            "diff",
            "--layer",
            city::BUILDINGS,
            "--bbox",
            &corner,
            "--from",
            "2000-02-01",
            "--to",
            "2020-01-01",
        ])
    }

    fn transient(&mut self) -> Result<()> {
        let (from, to) = (city::FIRST_INSPECTION, city::SECOND_INSPECTION);
        self.chapter("What came and went between two inspections")?;
        self.say(
            "The inspector was here on 4 March 2019 and on 2 March 2020, and found the same street \
             both times. What stood only in between?",
        )?;
        self.run(&[
            "transients",
            "--layer",
            city::BUILDINGS,
            "--from",
            from,
            "--to",
            to,
            "--reverted",
        ])?;
        self.say(
            "A site hut, and a house whose height changed and changed back: a storey was put on \
             and taken down again.",
        )?;
        self.chapter("How it is known")?;
        self.run(&["history", city::HOUSE])?;
        self.say(
            "The photo flight of June 2019 saw the storey, the one of March 2020 saw it gone. What \
             the store knew on the day of the second inspection was still the taller house:",
        )?;
        self.run(&["get", city::HOUSE, "--as-of", to, "--valid-at", to])
    }

    fn permit(&mut self, city: &City) -> Result<()> {
        self.chapter("Was it allowed?")?;
        self.say("Permits over the hut's ground, then over the house's, while they stood:")?;
        for ground in [city.hut_bounds(), city.house_bounds()] {
            self.run(&[
                "query",
                "--layer",
                city::PERMITS,
                "--bbox",
                &ground,
                "--valid-at",
                "2019-09-01",
            ])?;
        }
        self.say(
            "The hut had its permit. For the storey there is no permit found in this store: that \
             is all a store can say, and enough to go and ask.",
        )
    }

    fn cost(&mut self, built: &Built) -> Result<()> {
        self.chapter("What it all cost")?;
        self.run(&["stats"])?;
        let single = built.single.max(1);
        self.say(&format!(
            "{} of the {} changed one thing. Such a commit handed {} rows and {} to the tables and \
             {} to the journal on average, however large the city: hashes, history and all.",
            grouped(built.single),
            counted(built.commits, "commit", "commits"),
            built.single_cost.kv_writes / single,
            length(built.single_cost.kv_bytes / single),
            length(built.single_cost.journal_bytes / single),
        ))
    }

    fn chapter(&mut self, title: &str) -> Result<()> {
        let title = self.io.paint(HEADING, title);
        self.io.line("")?;
        self.io.line(&title)
    }

    /// A paragraph of prose, wrapped.
    fn say(&mut self, text: &str) -> Result<()> {
        const WIDTH: usize = 78;
        self.io.line("")?;
        let mut line = String::new();
        for word in text.split_whitespace() {
            if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
                let full = std::mem::take(&mut line);
                self.io.line(self.io.paint(DIM, full))?;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        let line = self.io.paint(DIM, line);
        self.io.line(line)
    }

    /// Prints a command line and runs it. The store's directory goes after the command's name.
    fn run(&mut self, args: &[&str]) -> Result<()> {
        let Some((name, rest)) = args.split_first() else {
            return Ok(());
        };
        let shown = rest
            .iter()
            .map(|arg| quoted(arg))
            .collect::<Vec<_>>()
            .join(" ");
        let command = format!("$ blocknet {name} $CITY {shown}");
        let command = self.io.paint(COMMAND, command.trim_end());
        self.io.line("")?;
        self.io.line(&command)?;
        let dir = self.dir.as_os_str();
        let line = ["blocknet".as_ref(), name.as_ref(), dir].into_iter();
        let line = line.chain(rest.iter().map(|arg| (*arg).as_ref()));
        match super::run(line, self.io) {
            FAILED => Err(CliError::usage(format!(
                "the demo's `blocknet {name}` failed"
            ))),
            _ => Ok(()),
        }
    }
}

/// An argument as a shell wants it.
fn quoted(arg: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.,:/=".contains(char);
    if arg.chars().all(is_plain) {
        arg.to_owned()
    } else {
        format!("'{arg}'")
    }
}
