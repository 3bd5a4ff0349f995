//! What can be said about a net of blocks, stored or simulated, as JSON and for people.

use std::collections::{BTreeMap, HashMap};

use anstyle::Style;
use blocknet_engine::{Measures, NetGraph, safety_within_territories};
use blocknet_geocode::Block;
use serde::Serialize;

use super::super::error::Result;
use super::super::io::{BAD, DIM, GOOD, HEADING, Io};
use super::super::text::{Table, grouped};

/// The widest bar.
const BAR_WIDTH_MAX: u32 = 30;
/// Width of one of two bars beside each other.
const BAR_WIDTH_HALF: u32 = 20;
/// Into how many rows people get distances gathered.
const DISTANCE_ROWS_MAX: u32 = 12;
/// Of how many sources people get a row.
const SOURCE_ROWS_MAX: usize = 24;

/// Figures of a net, each measured from the graph. Its fields are those of the JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) sources: Vec<SourceJson>,
    blocks: u64,
    links: u64,
    in_degree_mean: f64,
    out_degree_mean: f64,
    out_degree_zero: u64,
    registry: u64,
    two_way_pairs: u64,
    acyclic: bool,
    rounds: u32,
    islands: u64,
    cross_flow_refused: u64,
    /// How many blocks have a degree, which is the place in the list.
    in_degree: Vec<u64>,
    out_degree: Vec<u64>,
    safety: Vec<SafetyJson>,
    safety_by_distance: Vec<DistanceJson>,
    safety_by_in_degree: Vec<InDegreeJson>,
    safety_by_out_degree: Vec<OutDegreeJson>,
}

/// A source and its territory.
#[derive(Debug, Serialize)]
pub(crate) struct SourceJson {
    pub(crate) block: String,
    in_degree: usize,
    out_degree: usize,
    pub(crate) territory: u64,
    /// Mean of the longest way outward through the whole net.
    safety_mean: f64,
    /// Mean of the longest way outward that stays in the territory: rounds of this source.
    pub(crate) safety_within_territory_mean: f64,
}

#[derive(Debug, Serialize)]
struct SafetyJson {
    safety: u32,
    blocks: u64,
}

/// Of some blocks the means of the longest and of the shortest way outward.
#[derive(Clone, Copy, Debug, Serialize)]
struct MeansJson {
    blocks: u64,
    safety_mean: f64,
    shortest_mean: f64,
}

#[derive(Debug, Serialize)]
struct DistanceJson {
    /// Steps from the source: the round.
    distance: u32,
    #[serde(flatten)]
    means: MeansJson,
}

#[derive(Debug, Serialize)]
struct InDegreeJson {
    in_degree: usize,
    #[serde(flatten)]
    means: MeansJson,
}

#[derive(Debug, Serialize)]
struct OutDegreeJson {
    out_degree: usize,
    #[serde(flatten)]
    means: MeansJson,
}

/// Sums over some blocks.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    blocks: u64,
    longest: u64,
    shortest: u64,
}

impl Sums {
    fn add(&mut self, measures: &Measures, index: usize) {
        self.blocks += 1;
        self.longest += u64::from(measures.longest[index]);
        self.shortest += u64::from(measures.shortest[index]);
    }

    /// `None` for no blocks.
    fn means(self) -> Option<MeansJson> {
        (self.blocks > 0).then(|| MeansJson {
            blocks: self.blocks,
            safety_mean: ratio(self.longest, self.blocks),
            shortest_mean: ratio(self.shortest, self.blocks),
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of blocks and steps, shown to a few digits"
)]
fn float(count: u64) -> f64 {
    count as f64
}

/// A mean or share; 0 of nothing.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    float(part) / float(whole.max(1))
}

/// A bar as long as `value` is of `max`, rounded up so that only 0 has none.
pub(crate) fn bar(value: f64, max: f64, width_max: u32) -> String {
    let width = (0..width_max)
        .take_while(|&step| f64::from(step) * max < value * f64::from(width_max))
        .count();
    "█".repeat(width)
}

/// Mean degree from how many blocks have each.
fn mean_degree(blocks_by_degree: &[u64]) -> f64 {
    let ends = (0..).zip(blocks_by_degree);
    ratio(
        ends.map(|(degree, blocks)| degree * blocks).sum(),
        blocks_by_degree.iter().sum(),
    )
}

impl Report {
    /// * `registry`: blocks in the edge registry.
    /// * `name`: how a block is printed.
    pub(crate) fn new(
        graph: &NetGraph,
        measures: &Measures,
        registry: u64,
        name: impl Fn(&Block) -> String,
    ) -> Self {
        let within = safety_within_territories(graph);
        let numbers: HashMap<Block, usize> = graph
            .sources()
            .iter()
            .enumerate()
            .map(|(number, &source)| (source, number))
            .collect();
        let mut within_sums = vec![0; numbers.len()];
        let top = measures.longest.iter().max().copied().unwrap_or(0);
        let mut by_safety = vec![0; top as usize + 1];
        // A damaged store may claim any round: nothing is sized by one.
        let mut by_distance: BTreeMap<u32, Sums> = BTreeMap::new();
        let sides = if graph.spec().band_digits() > 0 { 6 } else { 4 };
        let mut by_in_degree = vec![Sums::default(); sides + 1];
        let mut by_out_degree = by_in_degree.clone();
        for index in 0..graph.blocks().len() {
            within_sums[numbers[&graph.source(index)]] += u64::from(within[index]);
            by_safety[measures.longest[index] as usize] += 1;
            by_distance
                .entry(graph.round(index))
                .or_default()
                .add(measures, index);
            by_in_degree[graph.predecessors(index).count()].add(measures, index);
            by_out_degree[graph.successors(index).count()].add(measures, index);
        }
        let sources = measures.territories.iter().map(|territory| SourceJson {
            block: name(&territory.source),
            in_degree: territory.in_degree,
            out_degree: territory.out_degree,
            territory: territory.blocks,
            safety_mean: ratio(territory.safety_sum, territory.blocks),
            safety_within_territory_mean: ratio(
                within_sums[numbers[&territory.source]],
                territory.blocks,
            ),
        });
        let in_degree = measures.in_degree[..=sides].to_vec();
        let out_degree = measures.out_degree[..=sides].to_vec();
        Self {
            sources: sources.collect(),
            blocks: measures.blocks,
            links: measures.links,
            in_degree_mean: mean_degree(&in_degree),
            out_degree_mean: mean_degree(&out_degree),
            out_degree_zero: out_degree[0],
            registry,
            two_way_pairs: measures.two_way_pairs,
            acyclic: measures.acyclic,
            rounds: measures.rounds,
            islands: measures.islands,
            cross_flow_refused: measures.cross_territory,
            in_degree,
            out_degree,
            safety: (0..)
                .zip(by_safety)
                .filter(|&(_, blocks)| blocks > 0)
                .map(|(safety, blocks)| SafetyJson { safety, blocks })
                .collect(),
            safety_by_distance: by_distance
                .into_iter()
                .filter_map(|(distance, sums)| {
                    let means = sums.means()?;
                    Some(DistanceJson { distance, means })
                })
                .collect(),
            safety_by_in_degree: by_in_degree
                .into_iter()
                .enumerate()
                .filter_map(|(in_degree, sums)| {
                    let means = sums.means()?;
                    Some(InDegreeJson { in_degree, means })
                })
                .collect(),
            safety_by_out_degree: by_out_degree
                .into_iter()
                .enumerate()
                .filter_map(|(out_degree, sums)| {
                    let means = sums.means()?;
                    Some(OutDegreeJson { out_degree, means })
                })
                .collect(),
        }
    }

    /// Prints everything for people.
    pub(crate) fn print(&self, io: &mut Io<'_>) -> Result<()> {
        self.print_counts(io)?;
        self.print_degrees(io)?;
        self.print_sources(io)?;
        self.print_distances(io)?;
        self.print_out_degrees(io)
    }

    fn print_counts(&self, io: &mut Io<'_>) -> Result<()> {
        let mut table = Table::default().right(&[1]);
        let plain = Style::new();
        let sound = |is_sound: bool| if is_sound { GOOD } else { BAD };
        let cycles = if self.acyclic { "none" } else { "found" };
        for (what, text, style) in [
            ("blocks", grouped(self.blocks), plain),
            ("links", grouped(self.links), plain),
            (
                "mean in-degree",
                format!("{:.3}", self.in_degree_mean),
                plain,
            ),
            (
                "mean out-degree",
                format!("{:.3}", self.out_degree_mean),
                plain,
            ),
            ("rounds", grouped(self.rounds.into()), plain),
            ("islands", grouped(self.islands), plain),
            ("out-degree 0", grouped(self.out_degree_zero), plain),
            ("in the edge registry", grouped(self.registry), plain),
            (
                "cross flow refused",
                grouped(self.cross_flow_refused),
                plain,
            ),
            (
                "linked both ways",
                grouped(self.two_way_pairs),
                sound(self.two_way_pairs == 0),
            ),
            ("cycles", cycles.to_owned(), sound(self.acyclic)),
        ] {
            table.row([(what.to_owned(), plain), (text, style)]);
        }
        table.print(io, "")
    }

    fn print_degrees(&self, io: &mut Io<'_>) -> Result<()> {
        heading(
            io,
            "Degrees",
            "how many blocks have so many neighbours before and after them",
        )?;
        let mut table =
            Table::headed(&["degree", "before (in)", "", "after (out)", ""]).right(&[0, 1, 3]);
        let counts = self.in_degree.iter().chain(&self.out_degree);
        let most = float(counts.max().copied().unwrap_or(0));
        let bar = |blocks: u64| bar(float(blocks), most, BAR_WIDTH_HALF);
        for (degree, (&before, &after)) in self.in_degree.iter().zip(&self.out_degree).enumerate() {
            table.row([
                (degree.to_string(), Style::new()),
                (grouped(before), Style::new()),
                (bar(before), GOOD),
                (grouped(after), Style::new()),
                (bar(after), GOOD),
            ]);
        }
        table.print(io, "  ")
    }

    fn print_sources(&self, io: &mut Io<'_>) -> Result<()> {
        heading(
            io,
            "Sources",
            "safety is the mean of longest ways outward in links, through the net and within the \
             territory",
        )?;
        let mut table = Table::headed(&["", "block", "territory", "share", "", "safety", "within"])
            .right(&[0, 2, 3, 5, 6]);
        let most = self.sources.iter().map(|source| source.territory).max();
        let most = float(most.unwrap_or(0));
        let mut shown: Vec<&SourceJson> = self.sources.iter().collect();
        if shown.len() > SOURCE_ROWS_MAX {
            // Of many, those that matter; few stay in the order of their speeds.
            shown.sort_by_key(|source| std::cmp::Reverse(source.territory));
        }
        for (source, number) in shown.into_iter().zip(1..).take(SOURCE_ROWS_MAX) {
            let share = ratio(source.territory, self.blocks);
            table.row([
                (u32::to_string(&number), Style::new()),
                (source.block.clone(), Style::new()),
                (grouped(source.territory), Style::new()),
                (format!("{:.1}%", 100.0 * share), Style::new()),
                (bar(float(source.territory), most, BAR_WIDTH_HALF), GOOD),
                (format!("{:.2}", source.safety_mean), Style::new()),
                (
                    format!("{:.2}", source.safety_within_territory_mean),
                    Style::new(),
                ),
            ]);
        }
        table.print(io, "  ")?;
        let more = self.sources.len().saturating_sub(SOURCE_ROWS_MAX);
        if more > 0 {
            let text = format!("  and {} more", grouped(more as u64));
            io.line(io.paint(DIM, text))?;
        }
        Ok(())
    }

    fn print_distances(&self, io: &mut Io<'_>) -> Result<()> {
        heading(
            io,
            "Safety by distance from the source",
            "means of the longest and of the shortest way outward, in links",
        )?;
        let width = (self.rounds / DISTANCE_ROWS_MAX) + 1;
        let mut rows: Vec<(String, MeansJson)> = Vec::new();
        for first in (0..=self.rounds).step_by(width as usize) {
            let last = (first + (width - 1)).min(self.rounds);
            let within = self
                .safety_by_distance
                .iter()
                .filter(|row| (first..=last).contains(&row.distance));
            let name = if first == last {
                first.to_string()
            } else {
                format!("{first} to {last}")
            };
            if let Some(means) = gathered(within.map(|row| row.means)) {
                rows.push((name, means));
            }
        }
        print_means(io, "distance", &rows)
    }

    fn print_out_degrees(&self, io: &mut Io<'_>) -> Result<()> {
        heading(io, "Safety by out-degree", "the same means")?;
        let rows = self.safety_by_out_degree.iter();
        let rows: Vec<(String, MeansJson)> = rows
            .map(|row| (row.out_degree.to_string(), row.means))
            .collect();
        print_means(io, "out-degree", &rows)
    }
}

/// A heading after an empty line.
pub(crate) fn heading(io: &mut Io<'_>, title: &str, what: &str) -> Result<()> {
    io.line("")?;
    let title = io.paint(HEADING, title);
    let what = io.paint(DIM, what);
    io.line(format_args!("{title}: {what}"))
}

/// The means of all blocks of several groups.
fn gathered(groups: impl Iterator<Item = MeansJson>) -> Option<MeansJson> {
    let (mut blocks, mut safety, mut shortest) = (0, 0.0, 0.0);
    for group in groups {
        blocks += group.blocks;
        safety += group.safety_mean * float(group.blocks);
        shortest += group.shortest_mean * float(group.blocks);
    }
    (blocks > 0).then(|| MeansJson {
        blocks,
        safety_mean: safety / float(blocks),
        shortest_mean: shortest / float(blocks),
    })
}

fn print_means(io: &mut Io<'_>, what: &str, rows: &[(String, MeansJson)]) -> Result<()> {
    let mut table =
        Table::headed(&[what, "blocks", "longest", "shortest", ""]).right(&[0, 1, 2, 3]);
    let most = rows.iter().map(|(_, means)| means.safety_mean);
    let most = most.fold(0.0, f64::max);
    for (name, means) in rows {
        table.row([
            (name.clone(), Style::new()),
            (grouped(means.blocks), Style::new()),
            (format!("{:.2}", means.safety_mean), Style::new()),
            (format!("{:.2}", means.shortest_mean), Style::new()),
            (bar(means.safety_mean, most, BAR_WIDTH_MAX), GOOD),
        ]);
    }
    table.print(io, "  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_share_and_only_nothing_has_none() {
        for (value, max, width) in [
            (0.0, 5.0, 0),
            (0.001, 5.0, 1),
            (2.5, 5.0, 15),
            (5.0, 5.0, 30),
            (0.0, 0.0, 0),
        ] {
            let drawn = bar(value, max, BAR_WIDTH_MAX);
            assert_eq!(drawn.chars().count(), width, "{value} of {max}");
        }
    }

    #[test]
    fn degrees_have_a_mean() {
        assert!((mean_degree(&[1, 2, 1]) - 1.0).abs() < 1e-12);
        assert!(mean_degree(&[0, 0]).abs() < 1e-12);
    }
}
