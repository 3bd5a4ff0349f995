//! `blocknet query`.

use std::ops::ControlFlow;
use std::path::PathBuf;

use blocknet_engine::{ErrorKind, RecordRef};
use blocknet_geocode::Position;
use blocknet_query::{Order, Query, Selection};
use clap::ValueEnum;
use serde::Serialize;

use super::args::{ViewArgs, When};
use super::error::{CliError, Result};
use super::io::Io;
use super::render::{FieldArgs, Renderer, feature};
use super::select::{PlanArgs, SelectArgs};
use super::text::{counted, grouped};
use super::{DONE, FAILED, store};

/// Print what is in an area at a moment, one Feature per line
///
/// A record is a state that holds at --valid-at, as far as the store knew --as-of. It matches when
/// its geometry meets the closed area and its height the band. Without --present-when every state
/// counts.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    view: ViewArgs,
    #[command(flatten)]
    answer: AnswerArgs,
    #[command(flatten)]
    plan: PlanArgs,
    /// Print the number of records only
    #[arg(long, help_heading = "What to print")]
    count: bool,
    /// Add a member `blocknet`: layer, interval, commit, recorded and written time, geocode, and
    /// the distance where records are ordered by it
    #[arg(long, conflicts_with = "count", help_heading = "What to print")]
    meta: bool,
    #[command(flatten)]
    fields: FieldArgs,
}

/// Which records come first, and how many.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[command(next_help_heading = "Order")]
pub(crate) struct AnswerArgs {
    /// Which records come first [default: distance with --nearest, else stored]
    #[arg(long, value_name = "ORDER", value_enum)]
    order: Option<OrderArg>,
    /// The K records nearest to --near: along the ground, with an altitude in space
    #[arg(long, value_name = "K", requires = "near", conflicts_with = "limit")]
    nearest: Option<u64>,
    /// Stop after this many records
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OrderArg {
    /// As they are stored, along the geocodes
    Stored,
    /// The nearest to --near first
    Distance,
    /// By the logical distance of geocodes from --near
    Logical,
    /// Those that hold longest first, by the start of their interval
    ValidFrom,
}

impl AnswerArgs {
    /// The order asked for.
    pub(crate) fn order(self, near: Option<Position>) -> Result<Order> {
        let order = match (self.order, self.nearest) {
            (None, None) => OrderArg::Stored,
            (None | Some(OrderArg::Distance), Some(_)) => OrderArg::Distance,
            (Some(order), None) => order,
            (Some(_), Some(_)) => {
                return Err(CliError::usage(
                    "--nearest goes by distance: leave out --order, or give --limit in place of \
                     --nearest",
                ));
            }
        };
        let place = |name: &str| {
            near.ok_or_else(|| {
                CliError::usage(format!(
                    "--order {name} needs a place: add --near LON,LAT or --near LON,LAT,ALT"
                ))
            })
        };
        Ok(match order {
            OrderArg::Stored => Order::Stored,
            OrderArg::Distance => Order::Distance(place("distance")?),
            OrderArg::Logical => Order::LogicalDistance(place("logical")?),
            OrderArg::ValidFrom => Order::ValidFrom,
        })
    }

    /// A query with an order, cut off where it was asked to.
    pub(crate) fn query(self, selection: Selection<'_>, order: Order, plan: PlanArgs) -> Query<'_> {
        Query {
            order,
            limit: self.nearest.or(self.limit),
            ..plan.query(selection)
        }
    }
}

/// Whether an order goes by a place.
pub(crate) fn is_by_place(order: Order) -> bool {
    matches!(order, Order::Distance(_) | Order::LogicalDistance(_))
}

#[derive(Serialize)]
struct CountJson {
    #[serde(rename = "count")]
    records: u64,
    unknown_height: u64,
    as_of: String,
    valid_at: String,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let net = store::read(&args.dir, io)?;
    let when = args.view.resolve(&net)?;
    let view = net.view(when.as_of, when.valid)?;
    let order = args.answer.order(args.select.near)?;
    let choice = args.select.of_states(&view, is_by_place(order))?;
    let query = args.answer.query(choice.selection(), order, args.plan);
    if args.count {
        let count = query.count(&view)?;
        if io.is_json() {
            io.object(&CountJson {
                records: count.records,
                unknown_height: count.unknown_height,
                as_of: when.as_of_text(),
                valid_at: when.valid.to_string(),
            })?;
            return Ok(DONE);
        }
        io.line(count.records)?;
        return remark(count.records, count.unknown_height, &when, io);
    }
    let mut renderer = Renderer::new(&view, &when.zone);
    let mut print = |record: &RecordRef<'_>, io: &mut Io<'_>| -> Result<()> {
        let feature = args.fields.cut(feature(record));
        if args.meta {
            let distance = distance(order, record);
            io.line(renderer.with_meta(&record.to_record(), &feature, distance)?)
        } else {
            io.bytes_line(feature.as_bytes())
        }
    };
    let (mut count, mut exit) = (0, DONE);
    let mut found = query.run(&view)?;
    loop {
        let mut printed = Ok(());
        let seen = found.visit(|record| {
            count += 1;
            printed = print(record, io);
            if printed.is_ok() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        printed?;
        match seen {
            Ok(()) => break,
            // Stands for one record: the others follow.
            Err(error) if error.kind() == ErrorKind::Lost => {
                io.flush()?;
                io.error(&error.into());
                exit = FAILED;
            }
            Err(error) => return Err(error.into()),
        }
    }
    remark(count, found.unknown_height(), &when, io)?;
    Ok(exit)
}

/// How far a record is from the place that records are ordered by.
fn distance(order: Order, record: &RecordRef<'_>) -> Option<f64> {
    match order {
        Order::Distance(place) => Some(blocknet_query::distance(&place, record.extent.as_ref()?)),
        Order::Stored | Order::LogicalDistance(_) | Order::ValidFrom => None,
    }
}

fn remark(count: u64, unknown_height: u64, when: &When, io: &mut Io<'_>) -> Result<u8> {
    let unknown = match unknown_height {
        0 => String::new(),
        unknown => format!(", {} of them of unknown height", grouped(unknown)),
    };
    io.note(format_args!(
        "{}: {when}{unknown}",
        counted(count, "record", "records")
    ))?;
    Ok(DONE)
}
