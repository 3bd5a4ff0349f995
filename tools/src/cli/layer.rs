//! `blocknet layer add` and `blocknet layer list`.

use std::path::PathBuf;

use blocknet_engine::{LayerDef, LayerKind, LayerState, Recorded};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::args::Signature;
use super::error::Result;
use super::io::Io;
use super::text::{Table, grouped};
use super::write::{CostJson, cost_text};
use super::{DONE, store};
use crate::input::Predicate;

/// Add or list layers
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a layer; its definition stays as it is
    Add(AddArgs),
    /// List the layers
    List {
        /// The store's directory
        dir: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// The store's directory
    dir: PathBuf,
    /// The layer's name, without commas
    name: String,
    /// What kind of statement its records make
    #[arg(long, value_enum, default_value_t)]
    kind: KindArg,
    /// Where its data come from
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    data_source: String,
    /// Vertical datum of its altitudes, for example NAP or EPSG:5773 [default: unknown]
    #[arg(
        long,
        value_name = "DATUM",
        default_value = "",
        hide_default_value = true
    )]
    datum: String,
    /// Zone of its local times
    #[arg(long, value_name = "IANA", default_value = "UTC")]
    time_zone: String,
    /// A record counts as present when this property has one of these values [default: always]
    #[arg(long, value_name = "PROP=V[,V...]")]
    present_when: Option<String>,
    #[command(flatten)]
    signature: Signature,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum KindArg {
    /// What was seen to stand: surveys, traced maps, crowd-sourced data
    Observed,
    /// What may stand: permits and plans
    Permitted,
    /// What an authority has on its books
    Register,
    /// Anything else
    #[default]
    Other,
}

impl From<KindArg> for LayerKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Observed => Self::Observed,
            KindArg::Permitted => Self::Permitted,
            KindArg::Register => Self::Register,
            KindArg::Other => Self::Other,
        }
    }
}

/// A layer as it is listed.
#[derive(Debug, Serialize)]
pub(crate) struct LayerJson {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) source: String,
    pub(crate) datum: String,
    pub(crate) time_zone: String,
    pub(crate) present_when: String,
    pub(crate) entities: u64,
    pub(crate) versions: u64,
    pub(crate) live: u64,
    pub(crate) commit: Option<u64>,
    pub(crate) recorded: Option<String>,
}

impl From<&LayerState> for LayerJson {
    fn from(state: &LayerState) -> Self {
        Self {
            name: state.def.name.clone(),
            kind: state.def.kind.name(),
            source: state.def.source.clone(),
            datum: state.def.vertical_datum.clone(),
            time_zone: state.def.time_zone.clone(),
            present_when: state.def.presence.clone(),
            entities: state.entities,
            versions: state.versions,
            live: state.live,
            commit: (state.commit > 0).then_some(state.commit),
            recorded: state.recorded.is_date().then(|| state.recorded.to_string()),
        }
    }
}

/// A table of layers.
pub(crate) fn print_layers(layers: &[LayerJson], io: &mut Io<'_>) -> Result<()> {
    let heading = [
        "layer",
        "kind",
        "entities",
        "versions",
        "live",
        "last recorded",
    ];
    let mut table = Table::headed(&heading).right(&[2, 3, 4]);
    for layer in layers {
        table.plain([
            layer.name.clone(),
            layer.kind.to_owned(),
            grouped(layer.entities),
            grouped(layer.versions),
            grouped(layer.live),
            layer.recorded.clone().unwrap_or_else(|| "never".to_owned()),
        ]);
    }
    table.print(io, "")
}

#[derive(Serialize)]
struct Added {
    layer: String,
    number: u16,
    commit: Option<u64>,
    recorded: String,
    cost: CostJson,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    match &args.command {
        Command::Add(args) => add(args, io),
        Command::List { dir } => {
            let net = store::read(dir, io)?;
            let view = net.now_view()?;
            let layers: Vec<LayerJson> = view.layers().map(|(_, state)| state.into()).collect();
            if io.is_json() {
                layers.iter().try_for_each(|layer| io.object(layer))?;
            } else {
                print_layers(&layers, io)?;
                for layer in &layers {
                    let about = [
                        ("source", &layer.source),
                        ("datum", &layer.datum),
                        ("present when", &layer.present_when),
                    ];
                    let about = about.iter().filter(|(_, text)| !text.is_empty());
                    for (what, text) in about {
                        io.line(format_args!("  {}: {what}: {text}", layer.name))?;
                    }
                    if layer.time_zone != "UTC" {
                        io.line(format_args!(
                            "  {}: time zone: {}",
                            layer.name, layer.time_zone
                        ))?;
                    }
                }
            }
            Ok(DONE)
        }
    }
}

fn add(args: &AddArgs, io: &mut Io<'_>) -> Result<u8> {
    if let Some(rule) = &args.present_when {
        // A rule that cannot be read would be found only when somebody asks.
        let _: Predicate = rule.parse()?;
    }
    let net = store::write(&args.dir, io)?;
    let def = LayerDef {
        kind: args.kind.into(),
        source: args.data_source.clone(),
        vertical_datum: args.datum.clone(),
        time_zone: args.time_zone.clone(),
        presence: args.present_when.clone().unwrap_or_default(),
        ..LayerDef::new(args.name.clone())
    };
    let (layer, receipt) = net.define_layer(def, &args.signature.commit(Recorded::Now))?;
    net.close()?;
    if io.is_json() {
        io.object(&Added {
            layer: args.name.clone(),
            number: layer.number(),
            commit: receipt.commit,
            recorded: receipt.recorded.to_string(),
            cost: receipt.cost.into(),
        })?;
    } else {
        io.line(format_args!(
            "added layer `{}`, number {}; cost: {}",
            args.name,
            layer.number(),
            cost_text(&receipt.cost)
        ))?;
    }
    Ok(DONE)
}
