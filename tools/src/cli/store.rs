//! Opening stores, and what a command needs to know of their layers.

use std::collections::BTreeMap;
use std::path::Path;

use blocknet_engine::{LayerId, Net, NetBuilder, OpenReport, RecordRef, View};

use super::error::{CliError, Result};
use super::io::Io;
use crate::input::{Predicate, json_equal};

/// A test of a record that the engine cannot make.
pub(crate) type Test = Box<dyn Fn(&RecordRef<'_>) -> bool>;

/// A builder for nets whose payloads are JSON.
pub(crate) fn builder() -> NetBuilder {
    Net::builder().payload_eq(json_equal)
}

/// Opens a store; changes no byte of it.
pub(crate) fn read(dir: &Path, io: &mut Io<'_>) -> Result<Net> {
    let net = builder().open_read_only(dir)?;
    report(net.report(), io)?;
    Ok(net)
}

/// Opens a store for writing.
pub(crate) fn write(dir: &Path, io: &mut Io<'_>) -> Result<Net> {
    let net = builder().open(dir)?;
    report(net.report(), io)?;
    Ok(net)
}

fn report(report: &OpenReport, io: &mut Io<'_>) -> Result<()> {
    let text = report.to_string();
    text.lines().try_for_each(|line| io.note(line))
}

/// A test by one rule, for all layers.
pub(crate) fn presence_test(rule: Predicate) -> Test {
    Box::new(move |record| is_present(&rule, record))
}

/// Of a state whose payload is erased nobody knows what the rule would say: it is still a state.
fn is_present(rule: &Predicate, record: &RecordRef<'_>) -> bool {
    record.erased.is_some() || rule.matches(record.payload)
}

/// The presence rules of the layers; `None` when no layer has one, so that every state counts.
pub(crate) fn presence(view: &View<'_>) -> Result<Option<Test>> {
    let mut rules: BTreeMap<LayerId, Predicate> = BTreeMap::new();
    for (layer, state) in view.layers() {
        if !state.def.presence.is_empty() {
            let rule = state
                .def
                .presence
                .parse()
                .map_err(|source| CliError::PresenceRule {
                    layer: state.def.name.clone(),
                    source,
                })?;
            rules.insert(layer, rule);
        }
    }
    if rules.is_empty() {
        return Ok(None);
    }
    Ok(Some(Box::new(move |record| {
        rules
            .get(&record.layer)
            .is_none_or(|rule| is_present(rule, record))
    })))
}

/// The layers of these names; all of the store's when none is named.
pub(crate) fn layers(view: &View<'_>, names: &[String]) -> Result<Vec<LayerId>> {
    if names.is_empty() {
        return Ok(view.layers().map(|(layer, _)| layer).collect());
    }
    let layers = names.iter().map(|name| view.layer_named(name));
    let mut layers = layers.collect::<Result<Vec<_>, _>>()?;
    layers.sort_unstable();
    layers.dedup();
    Ok(layers)
}
