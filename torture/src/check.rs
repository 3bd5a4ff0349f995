//! The comparison of a store with the model.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use blocknet_engine::{AsOf, ErrorKind, LayerId, Moment, Net, OpenReport};
use blocknet_geocode::{Cell, NetSpec};

use crate::story::{Fact, Model, Rng, author, extent};
use crate::writer::builder;
use crate::{Failure, Result};

/// What the outside knows of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// What it was told to write.
    pub seed: u64,
    /// Its making was acknowledged.
    pub created: bool,
    /// The last commit acknowledged.
    pub acked: u64,
    /// The last that may be there.
    pub tried: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts that are counted"
)]
pub struct Found {
    /// Commits of the story that are there.
    pub present: u64,
    /// There is no net yet, and one can be made.
    pub free: bool,
    /// Making the net was cut off within its first commit: it is refused with advice, and made
    /// again in another directory, or here when the rest was removed by hand.
    pub unfinished: bool,
    /// What the first opening reported.
    pub replayed: u64,
    /// A torn tail was cut.
    pub cut: bool,
    /// The tables were rebuilt.
    pub rebuilt: bool,
}

/// How thorough a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Everything but what reading changes.
    Full,
    /// First opened for reading, with the bytes of all files compared before and after.
    ReadFirst,
}

pub(crate) fn violation(text: impl Into<String>) -> Failure {
    Failure::violation(text)
}

fn engine(what: &str) -> impl Fn(blocknet_engine::Error) -> Failure {
    move |error| violation(format!("{what}: {:?}: {error}", error.kind()))
}

/// Opens the store, compares everything, closes it, and opens it once more.
///
/// # Errors
/// A violation says what differs.
pub fn check(dir: &Path, expect: &Expect, depth: Depth) -> Result<Found> {
    let model = &mut Model::new(expect.seed);
    check_with(dir, expect, depth, model)
}

/// The same with a model that is kept from check to check.
///
/// # Errors
/// As for [`check`].
pub fn check_with(dir: &Path, expect: &Expect, depth: Depth, model: &mut Model) -> Result<Found> {
    catch_unwind(AssertUnwindSafe(|| check_inner(dir, expect, depth, model))).unwrap_or_else(
        |panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(violation(format!("panic: {}", text.unwrap_or("?"))))
        },
    )
}

fn check_inner(dir: &Path, expect: &Expect, depth: Depth, model: &mut Model) -> Result<Found> {
    let known = |net: &Net, model: &mut Model, what: &str| {
        compare(net, expect, model).map_err(|failure| failure.at(what))
    };
    if Net::is_free(dir).map_err(engine("is_free"))? {
        if expect.created {
            return Err(violation("the net is gone"));
        }
        let net = builder()
            .create(dir, NetSpec::city())
            .map_err(engine("create again"))?;
        known(&net, model, "created again")?;
        net.close().map_err(engine("close"))?;
        return Ok(Found {
            free: true,
            ..Found::default()
        });
    }
    let mut seen_by_reader = None;
    if depth == Depth::ReadFirst {
        let before = contents(dir)?;
        match builder().open_read_only(dir) {
            Ok(net) => {
                seen_by_reader = Some(known(&net, model, "opened for reading")?);
                net.close().map_err(engine("close"))?;
            }
            Err(error) if !expect.created && error.kind() == ErrorKind::Corrupt => {}
            Err(error) => return Err(engine("open for reading")(error)),
        }
        if let Some(changed) = difference(&before, &contents(dir)?) {
            return Err(violation(format!("reading changed {}", changed.display())));
        }
    }
    let net = match builder().open(dir) {
        Ok(net) => net,
        Err(error)
            if !expect.created
                && error.kind() == ErrorKind::Corrupt
                && error.to_string().contains("was not finished") =>
        {
            return Ok(Found {
                unfinished: true,
                ..Found::default()
            });
        }
        Err(error) => return Err(engine("open")(error)),
    };
    let OpenReport {
        replayed,
        ref cut,
        ref rebuilt,
        ..
    } = *net.report();
    let found = Found {
        replayed,
        cut: cut.is_some(),
        rebuilt: rebuilt.is_some(),
        present: known(&net, model, "opened")?,
        ..Found::default()
    };
    if seen_by_reader.is_some_and(|seen| seen != found.present) {
        let seen = seen_by_reader.unwrap_or_default();
        let present = found.present;
        return Err(violation(format!(
            "reading shows {seen} commits, writing {present}"
        )));
    }
    let mut findings = Vec::new();
    net.audit(|finding| findings.push(finding.to_string()))
        .map_err(engine("audit"))?;
    if let Some(first) = findings.first() {
        let count = findings.len();
        return Err(violation(format!("{count} findings of the audit: {first}")));
    }
    net.close().map_err(engine("close"))?;

    let again = builder().open(dir).map_err(engine("open again"))?;
    let report = again.report();
    // Tables in memory are made anew at every opening.
    let replayed = cfg!(feature = "rocks") && report.replayed > 0;
    let clean = report.clean && !replayed && report.cut.is_none();
    if !clean || report.rebuilt.is_some() {
        return Err(violation(format!("the second opening found {report:?}")));
    }
    let expect = Expect {
        acked: found.present,
        tried: found.present,
        ..*expect
    };
    compare(&again, &expect, model).map_err(|failure| failure.at("opened again"))?;
    again.close().map_err(engine("close again"))?;
    Ok(found)
}

/// Compares an open net with the model; returns how many commits of the story are there.
///
/// # Errors
/// A violation says what differs.
pub fn compare(net: &Net, expect: &Expect, model: &mut Model) -> Result<u64> {
    let read = engine("read");
    let view = net.view(AsOf::Newest, Moment::LAST).map_err(&read)?;
    let newest = view.newest_commit();
    let present = newest.saturating_sub(1);
    if newest == 0 || present < expect.acked || present > expect.tried {
        let Expect { acked, tried, .. } = *expect;
        return Err(violation(format!(
            "{present} commits are there, {acked} were acknowledged, {tried} tried"
        )));
    }
    if model.serial() > present {
        *model = Model::new(expect.seed);
    }
    model.extend_to(present);
    for serial in 1..=present {
        let found = view.commit(serial + 1).map_err(&read)?.author;
        let expected = author(expect.seed, serial);
        if found != expected {
            let number = serial + 1;
            return Err(violation(format!(
                "commit {number} is {found:?}, not {expected:?}"
            )));
        }
    }
    for (id, facts) in model.entities() {
        let history = view.history(LayerId::MAIN, id).map_err(&read)?;
        let found: Vec<Fact> = history
            .iter()
            .map(|record| Fact {
                commit: record.version.commit,
                state: !record.is_absence(),
                place: facts.get(index(record.ordinal)).and_then(|fact| {
                    let same = fact.place.map(extent) == record.extent;
                    fact.place.filter(|_| same)
                }),
                payload: record.payload.to_vec(),
                from: record.valid.from.as_micros(),
                to: record.valid.to.as_micros(),
            })
            .collect();
        if found != *facts {
            return Err(violation(format!(
                "the history of {id} has {} versions, {} expected; or they differ",
                found.len(),
                facts.len()
            )));
        }
    }
    let mut rng = Rng::of(expect.seed, newest);
    for commit in [newest, 1 + rng.below(newest), 1 + rng.below(newest)] {
        for t in Model::moments(&mut rng, 2) {
            let view = net
                .view(AsOf::Commit(commit), Moment::from_micros(t))
                .map_err(&read)?;
            let ranges = view.ranges_of(&Cell::ROOT).map_err(&read)?;
            let mut found = BTreeMap::new();
            for record in view.scan(ranges, None, |_| true) {
                let record = record.map_err(&read)?;
                if found.insert(record.id.clone(), record).is_some() {
                    return Err(violation(format!(
                        "found twice at {t}, as of commit {commit}"
                    )));
                }
            }
            let expected = model.answer(commit, t);
            let same = found.len() == expected.len()
                && found
                    .iter()
                    .all(|(id, record)| expected.get(id.as_str()) == Some(&&record.payload[..]));
            if !same {
                return Err(violation(format!(
                    "at {t}, as of commit {commit}: {} are there, {} expected; or they differ",
                    found.len(),
                    expected.len()
                )));
            }
        }
    }
    Ok(present)
}

fn index(ordinal: u64) -> usize {
    usize::try_from(ordinal).map_or(usize::MAX, |ordinal| ordinal.wrapping_sub(1))
}

pub(crate) type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// Every file of a directory with its bytes.
pub(crate) fn contents(dir: &Path) -> Result<Contents> {
    let setup = |error| Failure::setup(dir.display(), error);
    let mut files = Contents::new();
    for entry in fs::read_dir(dir).map_err(setup)? {
        let path = entry.map_err(setup)?.path();
        if path.is_dir() {
            files.extend(contents(&path)?);
        } else {
            files.insert(path.clone(), fs::read(&path).map_err(setup)?);
        }
    }
    Ok(files)
}

pub(crate) fn difference<'a>(before: &'a Contents, after: &'a Contents) -> Option<&'a Path> {
    let changed = before
        .iter()
        .find(|(path, bytes)| after.get(*path) != Some(bytes));
    let new = after.keys().find(|path| !before.contains_key(*path));
    changed
        .map(|(path, _)| path.as_path())
        .or(new.map(PathBuf::as_path))
}
