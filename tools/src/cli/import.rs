//! `blocknet import`.

mod feed;
mod plan;

use std::path::{Path, PathBuf};

use blocknet_engine::{Commit, Cost, LayerDef, LayerId, Moment, Net, Outcome, Receipt, Recorded};
use blocknet_geocode::NetSpec;
use serde::Serialize;

use super::args::{HeightIs, Signature, Statement, Until, time_zone};
use super::error::{CliError, Result};
use super::io::Io;
use super::text::{Table, counted, grouped, length};
use super::write::{CostJson, cost_text};
use super::{DONE, store};
use crate::input::{self, Rules};

pub(crate) use plan::{Plan, Refusal};

/// Import Features from files
///
/// Every Feature becomes an assertion about the entity of its id: its geometry and the Feature as
/// it came hold from --valid-from until --valid-to or, without, until the entity's next known
/// valid-from. A null geometry asserts absence. Without --valid-from an assertion holds from when
/// the store learned it. What the store holds already counts as unchanged and writes nothing, so
/// an import that was stopped is continued by running it again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    /// Files, `-` for standard input: one document or one Feature per line, plain or gzip
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Create the store if there is none, and the layer (of kind other, in --time-zone)
    #[arg(long)]
    create: bool,
    /// Into this layer
    #[arg(long, value_name = "NAME", default_value = "main")]
    layer: String,
    /// How Features stand in the files
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Properties that identify an entity, joined by `/` [default: the Feature's id]
    #[arg(long, value_name = "PROP[+PROP...]")]
    id: Option<String>,
    /// Property: from when on it is true
    #[arg(long, value_name = "PROP", help_heading = "Time")]
    valid_from: Option<String>,
    /// Property: until when, excluded; null leaves it to --until
    #[arg(long, value_name = "PROP", help_heading = "Time")]
    valid_to: Option<String>,
    /// How long an assertion without an end holds
    #[arg(long, value_enum, default_value_t, help_heading = "Time")]
    until: Until,
    /// Property: when this was recorded; sorts the import into one commit per such time
    #[arg(long, value_name = "PROP", help_heading = "Time")]
    recorded_at: Option<String>,
    /// Zone of times and dates without an offset [default: UTC]
    #[arg(long, value_name = "IANA", help_heading = "Time")]
    time_zone: Option<String>,
    /// A Feature asserts absence when this property has one of these values
    #[arg(long, value_name = "PROP=V[,V...]")]
    removed_when: Option<String>,
    /// Property: altitude of the floor, metres
    #[arg(long, value_name = "PROP", help_heading = "Height")]
    floor: Option<String>,
    /// Property: height, metres
    #[arg(long, value_name = "PROP", help_heading = "Height")]
    height: Option<String>,
    /// What --height means
    #[arg(long, value_enum, default_value_t, help_heading = "Height")]
    height_is: HeightIs,
    /// What to do with a Feature that cannot be stored
    #[arg(long, value_enum, default_value_t)]
    on_error: OnError,
    #[command(flatten)]
    signature: Signature,
    #[command(flatten)]
    statement: Statement,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Told from the contents
    #[default]
    Auto,
    /// One document: a collection of Features, or a Feature
    Geojson,
    /// One Feature per line
    Geojsonl,
}

impl From<Format> for input::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Auto => Self::Auto,
            Format::Geojson => Self::GeoJson,
            Format::Geojsonl => Self::GeoJsonLines,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum OnError {
    /// Stop the import
    #[default]
    Stop,
    /// Report it on standard error and go on
    Skip,
}

/// What an import did.
#[derive(Debug, Default, Serialize)]
struct Summary {
    features: u64,
    versions: u64,
    removals: u64,
    unchanged: u64,
    entities: u64,
    blocks: u64,
    commits: u64,
    invalid_geometries: u64,
    skipped: u64,
    bytes_payload: u64,
    seconds: f64,
    cost: CostJson,
}

/// What came of the commits acknowledged so far.
#[derive(Debug, Default)]
struct Tally {
    versions: u64,
    unchanged: u64,
    removals: u64,
    entities: u64,
    blocks: u64,
    commits: u64,
    overridden: u64,
    bytes_payload: u64,
    cost: Cost,
    /// The last commit and its recorded time.
    last: Option<(u64, Moment)>,
}

impl Tally {
    fn add(&mut self, receipt: &Receipt) {
        for outcome in &receipt.outcomes {
            match outcome {
                Outcome::Written { overrides, .. } => {
                    self.versions += 1;
                    self.overridden += overrides.len() as u64;
                }
                Outcome::Unchanged => self.unchanged += 1,
            }
        }
        self.removals += receipt.removals;
        self.entities += receipt.new_entities;
        self.blocks += receipt.new_blocks;
        self.bytes_payload += receipt.payload_bytes;
        self.cost += receipt.cost;
        if let Some(number) = receipt.commit {
            self.commits += 1;
            self.last = Some((number, receipt.recorded));
        }
    }

    /// What an import that stopped leaves, in words.
    fn stored(&self) -> String {
        match self.last {
            None => "nothing was stored".to_owned(),
            Some((number, recorded)) => {
                format!(
                    "the last commit stored is {number}, recorded {recorded}; importing the same \
                     files again continues"
                )
            }
        }
    }
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the command line is the rim: it says how long it took"
    )]
    let started = std::time::Instant::now();
    let zone = time_zone(args.time_zone.as_deref())?;
    let mut tally = Tally::default();
    // Arguments first: nothing is created for a command line that cannot be run.
    let rules = args.rules()?;
    let removed_when = args.removed_when.as_deref().map(str::parse).transpose()?;
    let net = open(args, io)?;
    tally.cost += net.report().cost;
    let layer = layer(args, &net, &mut tally)?;
    note_zone(args, &net, layer, io)?;
    let plan = Plan {
        layer,
        spec: *net.spec(),
        rules,
        valid_from: args.valid_from.clone(),
        valid_to: args.valid_to.clone(),
        until: args.until,
        recorded_at: args.recorded_at.clone(),
        removed_when,
        zone,
        kind: args.statement.kind(),
        now: net.now(),
    };
    let mut commit = args.signature.commit(Recorded::Now);
    if args.signature.source.is_none() {
        commit.source = file_names(&args.files);
    }
    let files: Vec<PathBuf> = args.files.iter().map(|file| input_path(file)).collect();
    let run = feed::Run {
        net: &net,
        plan: &plan,
        commit,
        files: &files,
        format: args.format.into(),
        skip: args.on_error == OnError::Skip,
    };
    let counts = match run.feed(&mut tally, io) {
        Ok(counts) => counts,
        // A pipe closed on us is no failure of the import's.
        Err(error @ CliError::Output(_)) => return Err(error),
        Err(error) => {
            return Err(CliError::Stopped {
                cause: Box::new(error),
                stored: tally.stored(),
            });
        }
    };
    net.close()?;
    let summary = Summary {
        features: counts.features,
        versions: tally.versions,
        removals: tally.removals,
        unchanged: tally.unchanged,
        entities: tally.entities,
        blocks: tally.blocks,
        commits: tally.commits,
        invalid_geometries: counts.invalid_geometries,
        skipped: counts.skipped,
        bytes_payload: tally.bytes_payload,
        seconds: started.elapsed().as_secs_f64(),
        cost: tally.cost.into(),
    };
    if tally.overridden > 0 {
        io.note(format_args!(
            "--until forever overrides {} about later times",
            counted(tally.overridden, "version", "versions")
        ))?;
    }
    if counts.unreadable_heights > 0 {
        io.warn(format_args!(
            "{} with a floor or height that is no number of metres, or a top below the floor: \
             stored as unknown",
            counted(counts.unreadable_heights, "Feature", "Features")
        ))?;
    }
    let zone = args.zone_text();
    if io.is_json() {
        if let Some(zone) = zone {
            io.note(zone)?;
        }
        io.object(&summary)?;
    } else {
        print_summary(args, &summary, &tally, zone, io)?;
    }
    Ok(DONE)
}

impl Args {
    /// In which zone times were read, where any were.
    fn zone_text(&self) -> Option<String> {
        let times = [&self.valid_from, &self.valid_to, &self.recorded_at];
        times.into_iter().flatten().next()?;
        Some(match &self.time_zone {
            Some(name) => format!("times without an offset read in {name}"),
            None => "times without an offset read in UTC (default)".to_owned(),
        })
    }

    fn rules(&self) -> Result<Rules> {
        let mut rules = Rules::default();
        if let Some(id) = &self.id {
            rules = rules.with_id(id)?;
        }
        if let Some(floor) = &self.floor {
            rules = rules.with_floor(floor);
        }
        if let Some(height) = &self.height {
            rules = rules.with_height(height, self.height_is.into());
        }
        Ok(rules)
    }
}

/// Opens the net, or creates it where `--create` allows it and there is none.
fn open(args: &Args, io: &mut Io<'_>) -> Result<Net> {
    if !args.create || !Net::is_free(&args.dir)? {
        return store::write(&args.dir, io);
    }
    let signature = &args.signature;
    let source = signature.source.clone().unwrap_or_default();
    let mut main = LayerDef::new("main");
    if let Some(zone) = &args.time_zone {
        main.time_zone.clone_from(zone);
    }
    Ok(store::builder()
        .signed(signature.author(), &signature.reason, source)
        .main_layer(main)
        .create(&args.dir, NetSpec::city())?)
}

fn layer(args: &Args, net: &Net, tally: &mut Tally) -> Result<LayerId> {
    let found = net.now_view()?.layer_named(&args.layer);
    match found {
        Err(error) if error.kind() == blocknet_engine::ErrorKind::NotFound && args.create => {
            let mut def = LayerDef::new(args.layer.clone());
            if let Some(zone) = &args.time_zone {
                def.time_zone.clone_from(zone);
            }
            let commit: Commit = args.signature.commit(Recorded::Now);
            let (layer, receipt) = net.define_layer(def, &commit)?;
            tally.add(&receipt);
            Ok(layer)
        }
        Err(error) if error.kind() == blocknet_engine::ErrorKind::NotFound => Err(CliError::usage(
            format!("{error}; make one with `blocknet layer add` or --create"),
        )),
        found => Ok(found?),
    }
}

/// Says so where dates of the files are none in the layer's zone.
fn note_zone(args: &Args, net: &Net, layer: LayerId, io: &mut Io<'_>) -> Result<()> {
    let Some(zone) = args
        .time_zone
        .as_ref()
        .filter(|_| args.zone_text().is_some())
    else {
        return Ok(());
    };
    let view = net.now_view()?;
    let found = view.layers().find(|(id, _)| *id == layer);
    match found.map(|(_, state)| &state.def.time_zone) {
        Some(own) if own != zone => io.note(format_args!(
            "layer `{}` is in {own}: dates of {zone} are printed back as dates only with \
             --time-zone {zone}",
            args.layer
        )),
        _ => Ok(()),
    }
}

/// The file an argument names; `-` is standard input.
pub(crate) fn input_path(argument: &Path) -> PathBuf {
    if argument == Path::new("-") {
        "/dev/stdin".into()
    } else {
        argument.to_path_buf()
    }
}

/// The files' names without their directories: where the data come from, if nobody says.
fn file_names(files: &[PathBuf]) -> String {
    let names = files
        .iter()
        .filter_map(|file| file.file_name())
        .map(|name| name.to_string_lossy());
    let names = names.collect::<Vec<_>>().join(", ");
    if names.len() <= blocknet_engine::limit::TEXT_LEN_BYTES_MAX {
        names
    } else {
        format!("{} files", files.len())
    }
}

fn print_summary(
    args: &Args,
    summary: &Summary,
    tally: &Tally,
    zone: Option<String>,
    io: &mut Io<'_>,
) -> Result<()> {
    io.line(format_args!(
        "imported into layer `{}` of {}",
        args.layer,
        args.dir.display()
    ))?;
    let mut table = Table::default();
    let mut row = |what: &str, value: String, remark: String| {
        table.plain([what.to_owned(), value, remark]);
    };
    let count = |number: u64| grouped(number);
    row("features", count(summary.features), "read".into());
    row(
        "versions",
        count(summary.versions),
        format!("written, {} of them absences", count(summary.removals)),
    );
    row(
        "unchanged",
        count(summary.unchanged),
        "known already".into(),
    );
    row("entities", count(summary.entities), "new".into());
    row("blocks", count(summary.blocks), "new".into());
    let last = tally.last.map_or_else(String::new, |(number, recorded)| {
        format!("the last is {number}, recorded {recorded}")
    });
    row("commits", count(summary.commits), last);
    if summary.invalid_geometries > 0 {
        row(
            "invalid",
            count(summary.invalid_geometries),
            "geometries, stored as they are".into(),
        );
    }
    if summary.skipped > 0 {
        row(
            "skipped",
            count(summary.skipped),
            "features, listed above".into(),
        );
    }
    table.right(&[1]).print(io, "  ")?;
    io.line(format_args!(
        "  {} of payload in {:.1} s; {}",
        length(summary.bytes_payload),
        summary.seconds,
        cost_text(&tally.cost)
    ))?;
    zone.map_or(Ok(()), |zone| io.line(format_args!("  {zone}")))
}
