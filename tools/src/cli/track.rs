//! `blocknet track`.

use std::path::PathBuf;

use anstyle::Style;
use blocknet_engine::{End, Interval, LayerId, Moment, Record};
use blocknet_query::{Stay, stays};
use serde::Serialize;

use super::args::{ViewArgs, instant};
use super::error::{CliError, Result};
use super::io::Io;
use super::render::Renderer;
use super::select::{PlanArgs, SelectArgs};
use super::text::{Table, counted};
use super::{DONE, store};
use crate::input::{DayEdge, Instant};

/// Print who was where when: the track of an entity, or of everything that was in an area
///
/// A stay is a stretch of time in which one version of an entity answered and lay in the area, cut
/// to the interval asked for. In order of layer and id, then of time. The interval is closed at
/// --from and open at --to. A record counts as present by --present-when, else by its layer's
/// presence rule, else when it is a state.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    /// Start, included
    #[arg(long, value_name = "TIME", help_heading = "Time")]
    from: String,
    /// End, excluded
    #[arg(long, value_name = "TIME", help_heading = "Time")]
    to: String,
    /// What the store knew then: recorded time, a date meaning its end; or commit:N [default: all
    /// it knows]
    #[arg(long, value_name = "TIME", help_heading = "Time")]
    as_of: Option<String>,
    /// Zone of times and dates without an offset [default: UTC]
    #[arg(long, value_name = "IANA", help_heading = "Time")]
    time_zone: Option<String>,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    plan: PlanArgs,
    /// Print the entities only, each with when it first came and last left
    #[arg(long, help_heading = "What to print")]
    entities: bool,
    /// Stop after this many stays, or entities
    #[arg(long, value_name = "N", help_heading = "What to print")]
    limit: Option<u64>,
}

#[derive(Serialize)]
struct StayJson<'a> {
    id: &'a str,
    layer: &'a str,
    from: Option<String>,
    to: Option<String>,
    /// West, south, east, north.
    extent: Option<[f64; 4]>,
    floor: Option<f64>,
    top: Option<f64>,
    commit: u64,
}

#[derive(Serialize)]
struct EntityJson<'a> {
    id: &'a str,
    layer: &'a str,
    from: Option<String>,
    to: Option<String>,
    stays: u64,
}

/// The stays of one entity together.
struct Visit {
    layer: LayerId,
    id: String,
    from: Option<String>,
    to: Option<String>,
    stays: u64,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let net = store::read(&args.dir, io)?;
    let when = ViewArgs {
        as_of: args.as_of.clone(),
        valid_at: None,
        time_zone: args.time_zone.clone(),
    }
    .resolve(&net)?;
    let time = |flag, text: &str| instant(flag, text, &when.zone, DayEdge::Start, net.now());
    let (from, to) = (time("--from", &args.from)?, time("--to", &args.to)?);
    let window = Interval {
        from: Moment::from_micros(from.micros()),
        to: Moment::from_micros(to.micros()),
    };
    if window.from >= window.to {
        return Err(CliError::usage(format!(
            "--from {} is not before --to {}, and the end does not count: for a moment, take \
             `query`",
            args.from, args.to
        )));
    }
    let view = net.view(when.as_of, when.valid)?;
    let choice = args.select.of_changes(&view)?;
    let query = args.plan.query(choice.selection());
    let found = stays(&view, query, window)?;
    let mut printer = Printer {
        renderer: Renderer::new(&view, &when.zone),
        ends: (from, to),
        table: None,
        printed: 0,
        limit: args.limit.unwrap_or(u64::MAX),
    };
    let what = if args.entities {
        printer.entities(found, io)?;
        ("entity", "entities")
    } else {
        printer.stays(found, io)?;
        ("stay", "stays")
    };
    if let Some(table) = printer.table {
        table.print(io, "")?;
    }
    io.note(format_args!(
        "{}: from {} until {} exclusive, as of {}",
        counted(printer.printed, what.0, what.1),
        window.from,
        window.to,
        when.as_of_text()
    ))?;
    Ok(DONE)
}

struct Printer<'v, 'a> {
    renderer: Renderer<'v, 'a>,
    /// The interval asked for, as it was given.
    ends: (Instant, Instant),
    /// For people, who want columns of one width.
    table: Option<Table>,
    printed: u64,
    limit: u64,
}

impl Printer<'_, '_> {
    fn stays(
        &mut self,
        found: impl Iterator<Item = blocknet_query::Result<Stay>>,
        io: &mut Io<'_>,
    ) -> Result<()> {
        for stay in found.take(usize::try_from(self.limit).unwrap_or(usize::MAX)) {
            let stay = stay?;
            let (from, to) = self.during(&stay);
            self.printed += 1;
            self.stay(&stay.record, from, to, io)?;
        }
        Ok(())
    }

    fn stay(
        &mut self,
        record: &Record,
        from: Option<String>,
        to: Option<String>,
        io: &mut Io<'_>,
    ) -> Result<()> {
        let layer = self.renderer.layer(record.layer);
        let extent = record.extent;
        let json = StayJson {
            id: &record.id,
            layer,
            from,
            to,
            extent: extent.map(|extent| [extent.west, extent.south, extent.east, extent.north]),
            floor: extent.and_then(|extent| extent.floor),
            top: extent.and_then(|extent| extent.top),
            commit: record.version.commit,
        };
        if io.is_json() {
            return io.object(&json);
        }
        let metres = |metres: Option<f64>| metres.map_or_else(String::new, |it| it.to_string());
        let row = [
            json.from.unwrap_or_else(|| "always".to_owned()),
            json.to.unwrap_or_else(|| "forever".to_owned()),
            layer.to_owned(),
            record.id.clone(),
            json.extent.map_or_else(String::new, place),
            metres(json.floor),
            metres(json.top),
            json.commit.to_string(),
        ];
        let heading = [
            "from", "until", "layer", "id", "where", "floor", "top", "commit",
        ];
        self.row(&heading, row);
        Ok(())
    }

    fn entities(
        &mut self,
        found: impl Iterator<Item = blocknet_query::Result<Stay>>,
        io: &mut Io<'_>,
    ) -> Result<()> {
        let mut visit: Option<Visit> = None;
        for stay in found {
            let stay = stay?;
            let (from, to) = self.during(&stay);
            match &mut visit {
                Some(visit) if visit.layer == stay.record.layer && visit.id == stay.record.id => {
                    visit.to = to;
                    visit.stays += 1;
                }
                _ => {
                    if let Some(visit) = visit.take() {
                        self.entity(visit, io)?;
                    }
                    if self.printed >= self.limit {
                        return Ok(());
                    }
                    visit = Some(Visit {
                        layer: stay.record.layer,
                        id: stay.record.id,
                        from,
                        to,
                        stays: 1,
                    });
                }
            }
        }
        match visit {
            Some(visit) => self.entity(visit, io),
            None => Ok(()),
        }
    }

    fn entity(&mut self, visit: Visit, io: &mut Io<'_>) -> Result<()> {
        self.printed += 1;
        let layer = self.renderer.layer(visit.layer);
        if io.is_json() {
            return io.object(&EntityJson {
                id: &visit.id,
                layer,
                from: visit.from,
                to: visit.to,
                stays: visit.stays,
            });
        }
        let row = [
            visit.from.unwrap_or_else(|| "always".to_owned()),
            visit.to.unwrap_or_else(|| "forever".to_owned()),
            layer.to_owned(),
            visit.id,
            visit.stays.to_string(),
        ];
        self.row(&["first", "last until", "layer", "id", "stays"], row);
        Ok(())
    }

    fn row(&mut self, heading: &[&str], row: impl IntoIterator<Item = String>) {
        let cells = row.into_iter().map(|text| (text, Style::new()));
        self.table
            .get_or_insert_with(|| Table::headed(heading))
            .row(cells);
    }

    /// When a stay began and ended: as a date where the version, or the interval that cuts it, was
    /// given one.
    fn during(&self, stay: &Stay) -> (Option<String>, Option<String>) {
        let Stay { during, record } = stay;
        let cut = |end: Instant, moment: Moment| end.micros() == moment.as_micros() && end.is_day();
        let from_day = record.from_day || cut(self.ends.0, during.from);
        // An end that was resolved is another version's start.
        let resolved = record.end == End::UntilNext && record.from_day;
        let to_day = record.to_day || resolved || cut(self.ends.1, during.to);
        (
            self.renderer.moment(record.layer, during.from, from_day),
            self.renderer.moment(record.layer, during.to, to_day),
        )
    }
}

/// An extent in few words: two numbers where it is a point.
fn place([west, south, east, north]: [f64; 4]) -> String {
    if (west, south) == (east, north) {
        format!("{west},{south}")
    } else {
        format!("{west},{south},{east},{north}")
    }
}
