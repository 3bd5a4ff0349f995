//! `blocknet put` and `blocknet remove`: one assertion from the command line.

use std::path::PathBuf;

use blocknet_engine::{
    Assertion, End, LayerId, Moment, Net, Precondition, Recorded, Valid, Version,
};
use jiff::tz::TimeZone;

use super::args::{HeightIs, Signature, Statement, Until, instant, time_zone};
use super::error::{CliError, Result};
use super::import::{Plan, input_path};
use super::io::Io;
use super::write::print_receipt;
use super::{DONE, store};
use crate::input::{DayEdge, Feature, FeatureReader, Format, Instant, Rules};

/// When an assertion holds, and under which condition it is accepted.
#[derive(Debug, clap::Args)]
struct AssertArgs {
    /// In this layer
    #[arg(long, value_name = "NAME", default_value = "main")]
    layer: String,
    /// From when on it is true [default: from when it is recorded]
    #[arg(long, value_name = "TIME", help_heading = "Time")]
    valid_from: Option<String>,
    /// Until when, excluded [default: --until]
    #[arg(long, value_name = "TIME", help_heading = "Time")]
    valid_to: Option<String>,
    /// How long it holds without --valid-to
    #[arg(long, value_enum, default_value_t, help_heading = "Time")]
    until: Until,
    /// When it was recorded, if not now; never before what its layer holds
    #[arg(long, value_name = "TIME", help_heading = "Time")]
    recorded_at: Option<String>,
    /// Zone of times and dates without an offset [default: UTC]
    #[arg(long, value_name = "IANA", help_heading = "Time")]
    time_zone: Option<String>,
    /// Refuse unless the entity's newest version is this one, for example 12.0
    #[arg(long, value_name = "COMMIT.INDEX", value_parser = version, conflicts_with = "if_new")]
    if_version: Option<Version>,
    /// Refuse if the entity has a version
    #[arg(long)]
    if_new: bool,
    #[command(flatten)]
    signature: Signature,
    #[command(flatten)]
    statement: Statement,
}

/// Store the state of one entity
#[derive(Debug, clap::Args)]
pub(crate) struct PutArgs {
    /// The store's directory
    dir: PathBuf,
    /// A Feature: a file, `-` for standard input, or the text itself
    #[arg(value_name = "FEATURE")]
    feature: String,
    /// The entity's id [default: the Feature's id]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Property: altitude of the floor, metres
    #[arg(long, value_name = "PROP", help_heading = "Height")]
    floor: Option<String>,
    /// Property: height, metres
    #[arg(long, value_name = "PROP", help_heading = "Height")]
    height: Option<String>,
    /// What --height means
    #[arg(long, value_enum, default_value_t, help_heading = "Height")]
    height_is: HeightIs,
    #[command(flatten)]
    assert: AssertArgs,
}

/// Store that an entity is not there
///
/// Nothing is erased: what was known stays in the history.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    /// The store's directory
    dir: PathBuf,
    /// The entity's id
    #[arg(allow_negative_numbers = true)]
    id: String,
    #[command(flatten)]
    assert: AssertArgs,
}

/// A version as `history` prints it.
pub(crate) fn version(text: &str) -> Result<Version, String> {
    text.split_once('.')
        .and_then(|(commit, index)| {
            Some(Version {
                commit: commit.parse().ok()?,
                index: index.parse().ok()?,
            })
        })
        .ok_or_else(|| "write COMMIT.INDEX as `history` prints it, for example 12.0".to_owned())
}

pub(crate) fn put(args: &PutArgs, io: &mut Io<'_>) -> Result<u8> {
    let json = read_feature(&args.feature)?;
    let net = store::write(&args.dir, io)?;
    let layer = net.now_view()?.layer_named(&args.assert.layer)?;
    let mut rules = Rules::default();
    if let Some(floor) = &args.floor {
        rules = rules.with_floor(floor);
    }
    if let Some(height) = &args.height {
        rules = rules.with_height(height, args.height_is.into());
    }
    // Of two members of one name the last counts, so the id of the command line wins in what is
    // read, and what is stored stays as it came.
    let named = args
        .id
        .as_deref()
        .map(|id| with_id(&json, id))
        .transpose()?;
    let plan = Plan {
        rules,
        ..Plan::new(layer, &net)
    };
    let refused = |reason| CliError::Refused {
        place: "the Feature".to_owned(),
        reason: Box::new(reason),
    };
    let feature = Feature::parse(named.as_deref().unwrap_or(&json), &plan.rules)
        .map_err(|reason| refused(reason.into()))?;
    let planned = plan.assertion(&feature, &json).map_err(refused)?;
    write(&args.assert, &net, planned.assertion, "stored", io)?;
    net.close()?;
    Ok(DONE)
}

pub(crate) fn remove(args: &RemoveArgs, io: &mut Io<'_>) -> Result<u8> {
    let net = store::write(&args.dir, io)?;
    let layer: LayerId = net.now_view()?.layer_named(&args.assert.layer)?;
    write(
        &args.assert,
        &net,
        Assertion::absence(layer, args.id.as_str()),
        "absence stored",
        io,
    )?;
    net.close()?;
    Ok(DONE)
}

/// The text of the one Feature an argument names.
fn read_feature(argument: &str) -> Result<String> {
    if argument.trim_start().starts_with('{') {
        return Ok(argument.trim().to_owned());
    }
    let path = input_path(argument.as_ref());
    let mut reader = FeatureReader::open(&path, Format::Auto)?;
    let path = path.display();
    let first = reader.next().transpose()?;
    let first = first.ok_or_else(|| CliError::usage(format!("{path}: there is no Feature")))?;
    if reader.next().transpose()?.is_some() {
        return Err(CliError::usage(format!(
            "{path}: there is more than one Feature; store several with `blocknet import`"
        )));
    }
    Ok(first.json)
}

fn with_id(json: &str, id: &str) -> Result<String> {
    let open = json.trim_end().strip_suffix('}').map(str::trim_end);
    let open = open.ok_or_else(|| CliError::usage("the Feature is no JSON object"))?;
    let comma = if open.ends_with('{') { "" } else { "," };
    let id = serde_json::to_string(id).map_err(|error| CliError::Output(error.into()))?;
    Ok(format!("{open}{comma}\"id\":{id}}}"))
}

fn write(
    args: &AssertArgs,
    net: &Net,
    assertion: Assertion,
    what: &str,
    io: &mut Io<'_>,
) -> Result<()> {
    let zone = time_zone(args.time_zone.as_deref())?;
    let time = |flag, text: &Option<String>| -> Result<Option<Instant>> {
        let text = text.as_deref();
        text.map(|text| instant(flag, text, &zone, DayEdge::Start, net.now()))
            .transpose()
    };
    let recorded = match time("--recorded-at", &args.recorded_at)? {
        Some(recorded) => Recorded::At(Moment::from_micros(recorded.micros())),
        None => Recorded::Now,
    };
    let from = time("--valid-from", &args.valid_from)?;
    let to = time("--valid-to", &args.valid_to)?;
    let assertion = Assertion {
        valid: Valid {
            from: from.map(|from| Moment::from_micros(from.micros())),
            from_day: from.is_some_and(Instant::is_day),
            end: match (to, args.until) {
                (Some(to), _) => End::At(Moment::from_micros(to.micros())),
                (None, Until::Next) => End::UntilNext,
                (None, Until::Forever) => End::Forever,
            },
            to_day: to.is_some_and(Instant::is_day),
        },
        kind: args.statement.kind(),
        precondition: match (args.if_version, args.if_new) {
            (Some(version), _) => Some(Precondition::IsAt(version)),
            (None, true) => Some(Precondition::IsNew),
            (None, false) => None,
        },
        ..assertion
    };
    let id = assertion.id.clone();
    let mut commit = args.signature.commit(recorded);
    commit.assertions.push(assertion);
    let receipt = net.commit(&commit)?;
    print_receipt(&receipt, &args.layer, &id, what, io)
}

impl Plan {
    /// A plan for a Feature whose times come from elsewhere.
    fn new(layer: LayerId, net: &Net) -> Self {
        Self {
            layer,
            spec: *net.spec(),
            rules: Rules::default(),
            valid_from: None,
            valid_to: None,
            recorded_at: None,
            until: Until::Next,
            removed_when: None,
            zone: TimeZone::UTC,
            kind: blocknet_engine::ChangeKind::Change,
            now: net.now(),
        }
    }
}
