//! Records as text: stored Features, times as they were given, and what the store adds.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use blocknet_engine::{CommitInfo, End, LayerId, Moment, Record, RecordRef, View};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::value::RawValue;

use super::error::{CliError, Result};
use super::text::hex;
use crate::input::{DayEdge, Instant, Members, lookup, zone};

/// Commits remembered: records that lie together mostly come from few.
const COMMITS_HELD_MAX: usize = 10_000;

/// Names and zones of the layers, and the commits looked up so far.
pub(crate) struct Renderer<'v, 'a> {
    view: &'v View<'a>,
    layers: BTreeMap<LayerId, (String, TimeZone)>,
    zone: TimeZone,
    commits: HashMap<u64, CommitInfo>,
}

impl<'v, 'a> Renderer<'v, 'a> {
    /// * `zone`: the user's, for dates that are none in their layer's zone.
    pub(crate) fn new(view: &'v View<'a>, user_zone: &TimeZone) -> Self {
        let layers = view.layers().map(|(id, state)| {
            let zone = zone(&state.def.time_zone).unwrap_or(TimeZone::UTC);
            (id, (state.def.name.clone(), zone))
        });
        let layers = layers.collect();
        Self {
            view,
            layers,
            zone: user_zone.clone(),
            commits: HashMap::new(),
        }
    }

    pub(crate) fn layer(&self, layer: LayerId) -> &str {
        self.layers.get(&layer).map_or("?", |(name, _)| name)
    }

    pub(crate) fn commit(&mut self, number: u64) -> Result<CommitInfo> {
        if let Some(info) = self.commits.get(&number) {
            return Ok(info.clone());
        }
        let info = self.view.commit(number)?;
        if self.commits.len() >= COMMITS_HELD_MAX {
            self.commits.clear();
        }
        self.commits.insert(number, info.clone());
        Ok(info)
    }

    /// A moment as it was given: a date where it is the start of a day in the layer's zone or in
    /// the user's, else RFC 3339 in UTC. `None` for an end that there is none of.
    pub(crate) fn moment(&self, layer: LayerId, moment: Moment, day: bool) -> Option<String> {
        if !moment.is_date() {
            return None;
        }
        let layer_zone = self.layers.get(&layer).map(|(_, zone)| zone);
        let zones = layer_zone.into_iter().chain([&self.zone]).filter(|_| day);
        let date = zones.into_iter().find_map(|zone| date_of(moment, zone));
        Some(date.unwrap_or_else(|| moment.to_string()))
    }

    pub(crate) fn valid_from(&self, record: &Record) -> Option<String> {
        self.moment(record.layer, record.valid.from, record.from_day)
    }

    pub(crate) fn valid_to(&self, record: &Record) -> Option<String> {
        // An end that was resolved is another version's valid-from; `moment` shows it as a day
        // only where it is the start of one.
        let resolved = record.end == End::UntilNext && record.from_day;
        self.moment(record.layer, record.valid.to, record.to_day || resolved)
    }

    /// What the store knows of a version beside its payload.
    pub(crate) fn meta(&mut self, record: &Record) -> Result<Meta> {
        let info = self.commit(record.version.commit)?;
        let own = |own: &Option<String>, commit: &str| own.clone().unwrap_or(commit.to_owned());
        Ok(Meta {
            layer: self.layer(record.layer).to_owned(),
            id: record.id.clone(),
            version: record.version.to_string(),
            valid_from: self.valid_from(record),
            valid_to: self.valid_to(record),
            until: until(record.end),
            kind: record.kind.name(),
            commit: info.number,
            recorded: info.recorded.to_string(),
            basis: info.basis.name(),
            written: info.written.to_string(),
            author: own(&record.author, &info.author),
            reason: own(&record.reason, &info.reason),
            source: own(&record.source, &info.source),
            geocode: record
                .geocode(self.view.spec())
                .map(|geocode| self.view.spec().format(&geocode)),
            extent: record
                .extent
                .map(|extent| [extent.west, extent.south, extent.east, extent.north]),
            floor: record.extent.and_then(|extent| extent.floor),
            top: record.extent.and_then(|extent| extent.top),
            erased_by: record.erased,
            distance: None,
        })
    }

    /// A record's Feature, as it is printed, with [`Meta`] as its last member.
    pub(crate) fn with_meta(
        &mut self,
        record: &Record,
        feature: &str,
        distance: Option<f64>,
    ) -> Result<String> {
        let meta = Meta {
            distance,
            ..self.meta(record)?
        };
        let meta = serde_json::to_string(&meta).map_err(|error| CliError::Output(error.into()))?;
        let open = feature
            .trim_end()
            .strip_suffix('}')
            .unwrap_or("{")
            .trim_end();
        let comma = if open.ends_with('{') { "" } else { "," };
        Ok(format!("{open}{comma}\"blocknet\":{meta}}}"))
    }
}

/// The date of which a moment is the start in a zone.
fn date_of(moment: Moment, zone: &TimeZone) -> Option<String> {
    let date = Instant::from_micros(moment.as_micros(), true)?.format(zone);
    let start = Instant::parse(&date, zone, DayEdge::Start).ok()?;
    (start.micros() == moment.as_micros()).then_some(date)
}

/// How an end was meant.
pub(crate) fn until(end: End) -> &'static str {
    match end {
        End::UntilNext => "next",
        End::Forever => "forever",
        End::At(_) => "given",
    }
}

/// The member `blocknet` of `--meta`, and the front of a line of `history`.
#[derive(Debug, Serialize)]
pub(crate) struct Meta {
    pub(crate) layer: String,
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) valid_from: Option<String>,
    pub(crate) valid_to: Option<String>,
    pub(crate) until: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) commit: u64,
    pub(crate) recorded: String,
    pub(crate) basis: &'static str,
    pub(crate) written: String,
    pub(crate) author: String,
    pub(crate) reason: String,
    pub(crate) source: String,
    pub(crate) geocode: Option<String>,
    pub(crate) extent: Option<[f64; 4]>,
    pub(crate) floor: Option<f64>,
    pub(crate) top: Option<f64>,
    /// The commit that had the payload erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) erased_by: Option<u64>,
    /// Metres from the place that records are ordered by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) distance: Option<f64>,
}

/// The payload as one line of JSON: byte for byte as it was stored when it is an object on one
/// line, as other programs than the importer may have stored anything.
pub(crate) fn feature<'r>(record: &RecordRef<'r>) -> Cow<'r, str> {
    #[derive(Serialize)]
    struct Wrapped<'a> {
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        payload_hex: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        erased_by: Option<u64>,
    }

    let text = str::from_utf8(record.payload).ok();
    if let Some(text) = text
        && let Ok(value) = serde_json::from_str::<&RawValue>(text)
        && value.get().starts_with('{')
    {
        return if text.contains(['\n', '\r']) {
            Cow::Owned(on_one_line(value.get()))
        } else {
            Cow::Borrowed(text)
        };
    }
    let wrapped = Wrapped {
        id: record.id,
        payload: text.filter(|_| record.erased.is_none()),
        erased_by: record.erased,
        payload_hex: text.is_none().then(|| hex(record.payload)),
    };
    Cow::Owned(serde_json::to_string(&wrapped).expect("text and text alone can be written"))
}

/// The same JSON without line breaks: well-formed JSON has them only between its tokens.
fn on_one_line(json: &str) -> String {
    json.chars()
        .filter(|char| !matches!(char, '\n' | '\r'))
        .collect()
}

/// What of a Feature is printed.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "What to print")]
pub(crate) struct FieldArgs {
    /// Of the properties only these, by name or dotted path, and of the other members only `type`,
    /// `id` and `geometry`
    #[arg(
        long,
        value_name = "NAME[,...]",
        value_delimiter = ',',
        conflicts_with = "count"
    )]
    fields: Option<Vec<String>>,
    /// A null geometry in place of the shape
    #[arg(long, conflicts_with = "count")]
    no_geometry: bool,
}

impl FieldArgs {
    /// What is to be printed of a Feature, as one line of JSON.
    pub(crate) fn cut<'r>(&self, feature: Cow<'r, str>) -> Cow<'r, str> {
        if self.fields.is_none() && !self.no_geometry {
            return feature;
        }
        match Members::parse(&feature) {
            Ok(members) => Cow::Owned(self.cut_members(&members)),
            Err(_) => feature,
        }
    }

    fn cut_members(&self, members: &Members<'_>) -> String {
        let mut object = Object::default();
        for (name, value) in members.iter() {
            match (name, &self.fields) {
                ("geometry", _) if self.no_geometry => object.add(name, "null"),
                ("properties", Some(fields)) => match Members::parse(value.get()) {
                    Ok(properties) => {
                        let mut cut = Object::default();
                        for field in fields {
                            if let Some(value) = lookup(&properties, field) {
                                cut.add(field, value.get());
                            }
                        }
                        object.add(name, &cut.close());
                    }
                    Err(_) => object.add(name, value.get()),
                },
                ("type" | "id" | "geometry", _) | (_, None) => object.add(name, value.get()),
                (_, Some(_)) => {}
            }
        }
        object.close()
    }
}

/// A JSON object as it is written.
#[derive(Debug, Default)]
struct Object(String);

impl Object {
    fn add(&mut self, name: &str, json: &str) {
        let name = serde_json::to_string(name).expect("text can be written");
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&name);
        self.0.push(':');
        self.0.push_str(json);
    }

    fn close(self) -> String {
        if self.0.is_empty() {
            return "{}".to_owned();
        }
        self.0 + "}"
    }
}

/// The payload of a state as JSON inside JSON; null for an absence.
pub(crate) fn state(record: Option<&Record>) -> Option<Box<RawValue>> {
    let record = record.filter(|record| !record.is_absence())?;
    let json = feature(&record.lend()).into_owned();
    Some(RawValue::from_string(json).expect("`feature` gives one JSON object"))
}

/// The Feature of a version as it came, also where it asserts absence; `None` where none came.
pub(crate) fn stored(record: &Record) -> Option<Box<RawValue>> {
    let json = (!record.payload.is_empty()).then(|| feature(&record.lend()).into_owned())?;
    Some(RawValue::from_string(json).expect("`feature` gives one JSON object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_only_where_it_starts_a_day() {
        let amsterdam = zone("Europe/Amsterdam").unwrap();
        let start = Instant::parse("2017-03-21", &amsterdam, DayEdge::Start).unwrap();
        let moment = Moment::from_micros(start.micros());
        assert_eq!(date_of(moment, &amsterdam).as_deref(), Some("2017-03-21"));
        assert_eq!(date_of(moment, &TimeZone::UTC), None);
    }

    #[test]
    fn a_feature_is_cut_down_to_the_fields_asked_for() {
        let feature = r#"{"type":"Feature","bbox":[1],"id":7,"geometry":{"type":"Point"},"properties":{"a":1.50,"t.x":"l","t":{"x":2,"y":null},"ä":[]}}"#;
        let cut = |fields: &[&str], no_geometry| {
            let args = FieldArgs {
                fields: Some(fields.iter().map(|field| (*field).to_owned()).collect()),
                no_geometry,
            };
            args.cut(Cow::Borrowed(feature)).into_owned()
        };
        assert_eq!(
            cut(&["t.y", "a", "none", "t.x", "ä"], false),
            r#"{"type":"Feature","id":7,"geometry":{"type":"Point"},"properties":{"t.y":null,"a":1.50,"t.x":"l","ä":[]}}"#
        );
        assert_eq!(
            cut(&[], true),
            r#"{"type":"Feature","id":7,"geometry":null,"properties":{}}"#
        );
        let whole = FieldArgs {
            no_geometry: true,
            ..FieldArgs::default()
        };
        assert_eq!(
            whole.cut(Cow::Borrowed(feature)),
            feature.replace(r#"{"type":"Point"}"#, "null")
        );
        assert_eq!(
            whole.cut(Cow::Borrowed(r#"{"properties":null}"#)),
            r#"{"properties":null}"#
        );
    }

    #[test]
    fn line_breaks_between_tokens_go() {
        assert_eq!(
            on_one_line("{\n  \"a\": \"b\\n\"\r\n}"),
            "{  \"a\": \"b\\n\"}"
        );
    }
}
