//! `blocknet replay`, `blocknet diff` and `blocknet transients`.

use std::path::PathBuf;

use anstyle::Style;
use blocknet_engine::{CommitInfo, Moment, Record, View};
use blocknet_query::{Axis, Change, Compare, Kind, Query, Span};
use serde::Serialize;
use serde_json::value::RawValue;

use super::args::{self, AxisArg, ViewArgs, When};
use super::compare::FeatureCompare;
use super::error::Result;
use super::io::{BAD, CHANGED, DIM, GOOD, Io};
use super::render::{Renderer, state};
use super::select::{PlanArgs, SelectArgs};
use super::text::{Table, counted};
use super::{DONE, FOUND, store};

/// What the three commands have in common.
#[derive(Debug, clap::Args)]
struct SpanArgs {
    /// The store's directory
    dir: PathBuf,
    /// Start: its state counts, changes at it do not
    #[arg(long, value_name = "TIME", help_heading = "Time")]
    from: String,
    /// End: changes at it count
    #[arg(long, value_name = "TIME", help_heading = "Time")]
    to: String,
    /// Along which time: when something was true, or when the store learned it
    #[arg(long, value_enum, default_value_t, help_heading = "Time")]
    axis: AxisArg,
    #[command(flatten)]
    view: ViewArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    plan: PlanArgs,
}

const INTERVALS: &str = "\
The interval is open at --from and closed at --to: the state at --from is where it starts, a \
change at exactly --to is in. A date is the start of its day along the valid axis, and its end \
along the recorded one.

Along the valid axis the changes are those of the world, as the store knew it --as-of (default: \
all it knows now). Along the recorded axis they are those of the store's knowledge about --valid-at \
(default: now).

A record counts as present by --present-when, else by its layer's presence rule, else when it is a \
state.";

/// Print every change in an area, or of an entity, in order of time
#[derive(Debug, clap::Args)]
#[command(after_long_help = INTERVALS)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    span: SpanArgs,
}

/// Print what differs between two moments: at most one change per entity
#[derive(Debug, clap::Args)]
#[command(after_long_help = INTERVALS)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    span: SpanArgs,
    /// Exit with 1 when there is a difference
    #[arg(long)]
    exit_code: bool,
}

/// Print what came and went between two moments
///
/// Vanished: present at neither moment, present between. Reverted: the same at both, different
/// between. With each, what stands in its place at either moment and which share of its footprint
/// that covers, since a building whose id changed looks like one that vanished.
#[derive(Debug, clap::Args)]
#[command(after_long_help = INTERVALS)]
pub(crate) struct TransientsArgs {
    #[command(flatten)]
    span: SpanArgs,
    /// Print the reverted as well
    #[arg(long)]
    reverted: bool,
    /// Exit with 1 when something was printed
    #[arg(long)]
    exit_code: bool,
}

type Changes =
    fn(&View<'_>, &Query<'_>, Span, &dyn Compare) -> blocknet_engine::Result<Vec<Change>>;

pub(crate) fn replay(args: &ReplayArgs, io: &mut Io<'_>) -> Result<u8> {
    args.span.run(
        |view, query, span, compare| blocknet_query::replay(view, query, span, compare),
        |_| true,
        false,
        io,
    )?;
    Ok(DONE)
}

pub(crate) fn diff(args: &DiffArgs, io: &mut Io<'_>) -> Result<u8> {
    let found = args.span.run(
        |view, query, span, compare| blocknet_query::diff(view, query, span, compare),
        |_| true,
        false,
        io,
    )?;
    Ok(if found && args.exit_code { FOUND } else { DONE })
}

pub(crate) fn transients(args: &TransientsArgs, io: &mut Io<'_>) -> Result<u8> {
    let wanted = |kind| kind == Kind::Vanished || args.reverted;
    let found = args.span.run(
        |view, query, span, compare| blocknet_query::transients(view, query, span, compare),
        wanted,
        true,
        io,
    )?;
    Ok(if found && args.exit_code { FOUND } else { DONE })
}

#[derive(Serialize)]
struct ChangeJson {
    time: Option<String>,
    layer: String,
    id: String,
    kind: &'static str,
    changed: Vec<&'static str>,
    commit: Option<u64>,
    recorded: Option<String>,
    written: Option<String>,
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
    statement: Option<&'static str>,
    author: Option<String>,
    reason: Option<String>,
    source: Option<String>,
}

#[derive(Serialize)]
struct TransientJson {
    #[serde(flatten)]
    change: ChangeJson,
    until: Option<String>,
    replaced_by: Vec<ReplacementJson>,
}

#[derive(Serialize)]
struct ReplacementJson {
    id: String,
    covered: f64,
    layer: String,
    at_from: bool,
    at_to: bool,
}

impl SpanArgs {
    /// Prints the changes; says whether there were any.
    fn run(
        &self,
        changes: Changes,
        wanted: impl Fn(Kind) -> bool,
        transients: bool,
        io: &mut Io<'_>,
    ) -> Result<bool> {
        let net = store::read(&self.dir, io)?;
        let when = self.view.resolve(&net)?;
        let span = args::span((&self.from, &self.to), self.axis, &self.view, &when, &net)?;
        let view = net.view(when.as_of, when.valid)?;
        let choice = self.select.of_changes(&view)?;
        let asked = self.plan.query(choice.selection());
        let changes = changes(&view, &asked, span, &FeatureCompare)?;
        let changes: Vec<Change> = changes
            .into_iter()
            .filter(|change| wanted(change.kind))
            .collect();
        let renderer = Renderer::new(&view, &when.zone);
        let mut printer = Printer {
            view: &view,
            renderer,
            axis: span.axis,
            transients,
        };
        if io.is_json() {
            changes
                .iter()
                .try_for_each(|change| printer.json(change, io))?;
        } else if !changes.is_empty() {
            printer.text(&changes, io)?;
        }
        io.note(format_args!(
            "{}: {}",
            counted(changes.len() as u64, "change", "changes"),
            describe(span, &when)
        ))?;
        Ok(!changes.is_empty())
    }
}

/// The span and the view of the other axis, resolved.
fn describe(span: Span, when: &When) -> String {
    let Span { from, to, axis } = span;
    match axis {
        Axis::Valid => {
            format!(
                "true after {from} until {to} inclusive, as of {}",
                when.as_of_text()
            )
        }
        Axis::Recorded => {
            format!(
                "recorded after {from} until {to} inclusive, valid at {}",
                when.valid
            )
        }
    }
}

/// Prints changes of one view.
struct Printer<'v, 'a> {
    view: &'v View<'a>,
    renderer: Renderer<'v, 'a>,
    axis: Axis,
    transients: bool,
}

impl Printer<'_, '_> {
    /// A time of a change, as a date where a version on either side of it was given one.
    fn time<'r>(
        &self,
        change: &Change,
        time: Moment,
        versions: impl IntoIterator<Item = &'r Record>,
    ) -> Option<String> {
        let day = self.axis == Axis::Valid
            && versions.into_iter().any(|version| {
                (version.from_day && version.valid.from == time)
                    || (version.to_day && version.valid.to == time)
            });
        self.renderer.moment(change.layer, time, day)
    }

    fn came(&self, change: &Change) -> Option<String> {
        let sides = change.before.iter().chain(&change.after);
        self.time(change, change.time, sides)
    }

    /// When a transient was gone again. The version that says so is in its history only.
    fn until(&self, change: &Change) -> Result<Option<String>> {
        let Some(until) = change.until else {
            return Ok(None);
        };
        let history = self.view.history(change.layer, &change.id)?;
        Ok(self.time(change, until, &history))
    }

    fn json(&mut self, change: &Change, io: &mut Io<'_>) -> Result<()> {
        let info = change
            .commit()
            .map(|number| self.renderer.commit(number))
            .transpose()?;
        // The version that made the change says who said so and why, where it differs from the
        // commit's own words.
        let record = change.after.as_ref().or(change.before.as_ref());
        let said = |own: fn(&Record) -> &Option<String>, commit: fn(&CommitInfo) -> &String| {
            let own = record.and_then(|record| own(record).clone());
            own.or_else(|| info.as_ref().map(|info| commit(info).clone()))
        };
        let json = ChangeJson {
            time: self.came(change),
            layer: self.renderer.layer(change.layer).to_owned(),
            id: change.id.clone(),
            kind: change.kind.name(),
            changed: aspects(change),
            commit: change.commit(),
            recorded: info.as_ref().map(|info| info.recorded.to_string()),
            written: info.as_ref().map(|info| info.written.to_string()),
            before: state(change.before.as_ref()),
            after: state(change.after.as_ref()),
            statement: record.map(|record| record.kind.name()),
            author: said(|record| &record.author, |info| &info.author),
            reason: said(|record| &record.reason, |info| &info.reason),
            source: said(|record| &record.source, |info| &info.source),
        };
        if !self.transients {
            return io.object(&json);
        }
        let replaced_by = change.replaced_by.iter().map(|other| ReplacementJson {
            id: other.id.clone(),
            covered: other.covered,
            layer: self.renderer.layer(other.layer).to_owned(),
            at_from: other.at_from,
            at_to: other.at_to,
        });
        let replaced_by = replaced_by.collect();
        io.object(&TransientJson {
            change: json,
            until: self.until(change)?,
            replaced_by,
        })
    }

    fn text(&mut self, changes: &[Change], io: &mut Io<'_>) -> Result<()> {
        let heading: &[&str] = if self.transients {
            &[
                "from",
                "until",
                "what",
                "layer",
                "id",
                "differs in",
                "commit",
                "author",
                "in its place",
            ]
        } else {
            &["time", "what", "layer", "id", "changed", "commit", "author"]
        };
        let mut table = Table::headed(heading);
        let plain = Style::new();
        for change in changes {
            let style = match change.kind {
                Kind::Appeared => GOOD,
                Kind::Disappeared | Kind::Vanished => BAD,
                _ => CHANGED,
            };
            let mut row = vec![(self.came(change).unwrap_or_default(), plain)];
            if self.transients {
                row.push((self.until(change)?.unwrap_or_default(), plain));
            }
            row.extend([
                (change.kind.name().to_owned(), style),
                (self.renderer.layer(change.layer).to_owned(), plain),
                (change.id.clone(), plain),
                (aspects(change).join(", "), plain),
                (
                    change
                        .commit()
                        .map_or_else(String::new, |number| number.to_string()),
                    plain,
                ),
                (self.author(change)?, plain),
            ]);
            if self.transients {
                row.push((self.in_its_place(change), DIM));
            }
            table.row(row);
        }
        table.print(io, "")
    }

    /// Who made the change: that of the version itself, else of its commit.
    fn author(&mut self, change: &Change) -> Result<String> {
        let Some(version) = change.after.as_ref().or(change.before.as_ref()) else {
            return Ok(String::new());
        };
        match &version.author {
            Some(own) => Ok(own.clone()),
            None => Ok(self.renderer.commit(version.version.commit)?.author),
        }
    }

    /// What covers most of a transient's footprint, in words.
    fn in_its_place(&self, change: &Change) -> String {
        let Some((most, more)) = change.replaced_by.split_first() else {
            return "nothing".to_owned();
        };
        let ends = match (most.at_from, most.at_to) {
            (true, true) => "before and after",
            (true, false) => "before",
            _ => "after",
        };
        let more = match more.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let layer = self.renderer.layer(most.layer);
        format!(
            "{layer}/{} on {:.0} % {ends}{more}",
            most.id,
            most.covered * 100.0
        )
    }
}

fn aspects(change: &Change) -> Vec<&'static str> {
    change.changed.iter().map(|aspect| aspect.name()).collect()
}
