//! `blocknet explain`.

use std::path::PathBuf;

use blocknet_query::explain_changes;

use super::args::{self, AxisArg, ViewArgs};
use super::error::{CliError, Result};
use super::io::Io;
use super::query::{AnswerArgs, is_by_place};
use super::select::{PlanArgs, SelectArgs};
use super::{DONE, store};

/// Print how a query would be answered: the plan, its key ranges, and what it would cost
///
/// Takes the arguments of `query`. With --from and --to it says how `replay`, `diff` and
/// `transients` would find the entities whose changes they look at. Estimates are in microseconds
/// and rows; --analyze adds what was read.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    /// Answer it as well, and say what that took
    #[arg(long)]
    analyze: bool,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    view: ViewArgs,
    /// Start of the changes to look for
    #[arg(
        long,
        value_name = "TIME",
        requires = "to",
        conflicts_with_all = ["order", "nearest", "limit"],
        help_heading = "Time"
    )]
    from: Option<String>,
    /// End of the changes to look for
    #[arg(long, value_name = "TIME", requires = "from", help_heading = "Time")]
    to: Option<String>,
    /// Along which time the changes are
    #[arg(long, value_enum, requires = "from", help_heading = "Time")]
    axis: Option<AxisArg>,
    #[command(flatten)]
    answer: AnswerArgs,
    #[command(flatten)]
    plan: PlanArgs,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let net = store::read(&args.dir, io)?;
    let when = args.view.resolve(&net)?;
    let view = net.view(when.as_of, when.valid)?;
    let explain = if let (Some(from), Some(to)) = (&args.from, &args.to) {
        let axis = args.axis.unwrap_or_default();
        let span = args::span((from, to), axis, &args.view, &when, &net)?;
        let choice = args.select.of_changes(&view)?;
        let query = args.plan.query(choice.selection());
        explain_changes(&view, query, span, args.analyze)?
    } else {
        let order = args.answer.order(args.select.near)?;
        let choice = args.select.of_states(&view, is_by_place(order))?;
        let query = args.answer.query(choice.selection(), order, args.plan);
        if args.analyze {
            query.analyze(&view)?
        } else {
            query.explain(&view)?
        }
    };
    if io.is_json() {
        // As the query crate writes it: it is a contract of its own, with a version.
        let json =
            serde_json::to_string(&explain).map_err(|error| CliError::Output(error.into()))?;
        io.line(json)?;
    } else {
        io.line(explain.to_string().trim_end())?;
    }
    Ok(DONE)
}
