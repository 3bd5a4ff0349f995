//! Pictures of simulated nets.

use std::collections::HashMap;
use std::fmt::Display;
use std::io;

use blocknet_engine::{Dimensions, NetGraph, SimulatedNet, Simulation};
use blocknet_geocode::Block;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::super::text::{counted, grouped};
use super::report::SourceJson;
use super::simulate::title;

/// Squares along a side of the picture: grids with more blocks are drawn coarser.
const SQUARES_MAX: u32 = 250;
/// Blocks along a side up to which links are drawn.
const LINKED_MAX: u32 = 40;
/// Shades of a hue.
const SHADES: u32 = 48;
/// Sources named beside the picture.
const NAMED_MAX: usize = 14;

const GRID_PIXELS: u32 = 800;
const SQUARE_PIXELS_MAX: u32 = 96;
const MARGIN: i32 = 24;
const HEAD: i32 = 100;
const LEGEND_WIDTH: i32 = 250;
const LEGEND_STEP: i32 = 44;

const INK: RGBColor = RGBColor(38, 38, 46);
const FAINT: RGBColor = RGBColor(105, 105, 115);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Where things are drawn.
struct Layout {
    /// Squares along a side.
    squares: u32,
    /// Blocks along a side of a square.
    step: u32,
    /// Pixels along a side of a square.
    pixels: i32,
    /// Blocks along a side of the grid.
    size: u32,
    /// The layer drawn.
    layer: u32,
}

impl Layout {
    fn new(simulation: &Simulation) -> Self {
        let step = simulation.size.div_ceil(SQUARES_MAX);
        let squares = simulation.size.div_ceil(step);
        let pixels = (GRID_PIXELS / squares).clamp(3, SQUARE_PIXELS_MAX);
        Self {
            squares,
            step,
            pixels: number(pixels),
            size: simulation.size,
            layer: match simulation.dimensions {
                Dimensions::Two => 0,
                Dimensions::Three => simulation.size / 2,
            },
        }
    }

    /// The coordinate of the block that a square along an axis shows.
    fn shown(&self, square: u32) -> u32 {
        (square * self.step + self.step / 2).min(self.size - 1)
    }

    /// Upper left corner of a square; rows count upward from the south.
    fn corner(&self, column: u32, row: u32) -> (i32, i32) {
        let down = number(self.squares - 1 - row);
        (
            MARGIN + number(column) * self.pixels,
            HEAD + down * self.pixels,
        )
    }

    fn centre(&self, column: u32, row: u32) -> (i32, i32) {
        let (x, y) = self.corner(column, row);
        (x + self.pixels / 2, y + self.pixels / 2)
    }

    fn side(&self) -> i32 {
        number(self.squares) * self.pixels
    }
}

/// A number of squares or pixels.
fn number(small: u32) -> i32 {
    i32::try_from(small).expect("a picture has at most some hundred squares of some pixels")
}

/// The net as an SVG document: one square a block or several, hue by source, light far from it.
///
/// Of three dimensions the middle layer is drawn, and other sources are marked below or above it.
pub(crate) fn svg(
    simulation: &Simulation,
    net: &SimulatedNet,
    sources: &[SourceJson],
) -> io::Result<String> {
    let mut text = String::new();
    draw(simulation, net, sources, &mut text)
        .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(text)
}

type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

fn draw(
    simulation: &Simulation,
    net: &SimulatedNet,
    sources: &[SourceJson],
    text: &mut String,
) -> Drawn {
    let layout = Layout::new(simulation);
    let named = number(u32::try_from(sources.len().min(NAMED_MAX) + 1).unwrap_or(0));
    let width = MARGIN + layout.side() + MARGIN + LEGEND_WIDTH;
    let height = HEAD + layout.side().max(named * LEGEND_STEP) + MARGIN;
    let pixels = |length: i32| u32::try_from(length).unwrap_or(0);
    let area = SVGBackend::with_string(text, (pixels(width), pixels(height))).into_drawing_area();
    area.fill(&WHITE)?;
    write(&area, (MARGIN, 20), 24, INK, title(simulation))?;
    for (line, row) in captions(simulation, &layout).into_iter().zip(0..) {
        write(&area, (MARGIN, 52 + 18 * row), 16, FAINT, line)?;
    }
    let numbers: HashMap<Block, u32> = net.graph().sources().iter().copied().zip(0..).collect();
    draw_squares(&area, &layout, net, &numbers)?;
    if simulation.size <= LINKED_MAX {
        draw_links(&area, &layout, net)?;
    }
    draw_sources(&area, &layout, net)?;
    draw_legend(&area, &layout, simulation, sources)?;
    area.present()
}

fn captions(simulation: &Simulation, layout: &Layout) -> Vec<String> {
    let mut what = "Hue: source. The lighter, the more rounds from it.".to_owned();
    if simulation.size <= LINKED_MAX {
        what.push_str(" Arrows: links.");
    }
    let mut which = Vec::new();
    if simulation.dimensions == Dimensions::Three {
        which.push(format!(
            "Layer {} of 0 to {}.",
            layout.layer,
            layout.size - 1
        ));
        if simulation.sources > 1 {
            which.push("Rings: sources of other layers.".to_owned());
        }
    }
    if layout.step > 1 {
        which.push(format!(
            "A square stands for {0} by {0} blocks and shows the middle one.",
            layout.step
        ));
    }
    vec![what, which.join(" ")]
}

fn write(
    area: &Area<'_>,
    at: (i32, i32),
    size: i32,
    colour: RGBColor,
    text: impl Display,
) -> Drawn {
    let style = ("sans-serif", size).into_font().color(&colour);
    area.draw_text(&text.to_string(), &style, at)
}

/// Hues far apart from each other for numbers that follow each other: steps of the golden ratio.
fn colour(source: u32, shade: u32) -> HSLColor {
    let hue = (0.58 + f64::from(source) * 0.618_033_988_75).fract();
    let light = 0.40 + 0.48 * f64::from(shade) / f64::from(SHADES);
    HSLColor(hue, 0.62, light)
}

fn draw_squares(
    area: &Area<'_>,
    layout: &Layout,
    net: &SimulatedNet,
    numbers: &HashMap<Block, u32>,
) -> Drawn {
    let graph = net.graph();
    let rounds = (0..graph.blocks().len()).map(|index| graph.round(index));
    let shades = rounds.max().unwrap_or(0) + 1;
    let side = layout.squares as usize;
    let mut squares = vec![(0, 0); side * side];
    for (index, block) in graph.blocks().iter().enumerate() {
        let [x, y, z] = net.coordinates(&block);
        let (column, row) = (x / layout.step, y / layout.step);
        if z == layout.layer && layout.shown(column) == x && layout.shown(row) == y {
            let shade = u64::from(graph.round(index)) * u64::from(SHADES) / u64::from(shades);
            let shade = u32::try_from(shade).unwrap_or(SHADES);
            let source = numbers[&graph.source(index)];
            squares[row as usize * side + column as usize] = (source, shade);
        }
    }
    // Where squares can be told apart they are, and where not equal ones are drawn as one.
    let apart = i32::from(layout.size <= LINKED_MAX);
    for (row, squares) in (0..).zip(squares.chunks(side)) {
        let mut column = 0;
        for run in squares.chunk_by(|a, b| apart == 0 && a == b) {
            let (source, shade) = run[0];
            let len = u32::try_from(run.len()).unwrap_or(0);
            let (left, top) = layout.corner(column, row);
            let right = left + number(len) * layout.pixels - apart;
            let corners = [(left, top), (right, top + layout.pixels - apart)];
            area.draw(&Rectangle::new(corners, colour(source, shade).filled()))?;
            column += len;
        }
    }
    Ok(())
}

fn draw_links(area: &Area<'_>, layout: &Layout, net: &SimulatedNet) -> Drawn {
    let graph: &NetGraph = net.graph();
    let style = INK.mix(0.8);
    for (index, block) in graph.blocks().iter().enumerate() {
        let [x, y, z] = net.coordinates(&block);
        if z != layout.layer {
            continue;
        }
        for successor in graph.successors(index) {
            let [to_x, to_y, to_z] = net.coordinates(&graph.blocks().get(successor));
            if to_z != z {
                continue;
            }
            // Across the side that both share, clear of the middles where sources are marked.
            let (from, to) = (layout.centre(x, y), layout.centre(to_x, to_y));
            let (along_x, along_y) = ((to.0 - from.0).signum(), (to.1 - from.1).signum());
            let reach = (layout.pixels * 3 / 10).max(2);
            let tail = (from.0 + along_x * reach, from.1 + along_y * reach);
            let tip = (to.0 - along_x * reach, to.1 - along_y * reach);
            let head = (layout.pixels / 8).max(5);
            let base = (tip.0 - along_x * head, tip.1 - along_y * head);
            let (wing_x, wing_y) = (along_y * head * 3 / 5, along_x * head * 3 / 5);
            area.draw(&PathElement::new(vec![tail, base], style.stroke_width(1)))?;
            let wings = vec![
                tip,
                (base.0 + wing_x, base.1 + wing_y),
                (base.0 - wing_x, base.1 - wing_y),
            ];
            area.draw(&Polygon::new(wings, style.filled()))?;
        }
    }
    Ok(())
}

fn draw_sources(area: &Area<'_>, layout: &Layout, net: &SimulatedNet) -> Drawn {
    let radius = (layout.pixels / 4).max(5);
    for source in net.graph().sources() {
        let [x, y, z] = net.coordinates(source);
        let centre = layout.centre(x / layout.step, y / layout.step);
        if z == layout.layer {
            area.draw(&Circle::new(centre, radius, WHITE.filled()))?;
            area.draw(&Circle::new(centre, radius, INK.stroke_width(2)))?;
        } else {
            area.draw(&Circle::new(centre, radius, WHITE.stroke_width(2)))?;
        }
    }
    Ok(())
}

fn draw_legend(
    area: &Area<'_>,
    layout: &Layout,
    simulation: &Simulation,
    sources: &[SourceJson],
) -> Drawn {
    let left = MARGIN + layout.side() + MARGIN;
    let mut top = HEAD;
    for (number, source) in (0_u32..).zip(sources).take(NAMED_MAX) {
        let swatch = [(left, top), (left + 16, top + 16)];
        area.draw(&Rectangle::new(swatch, colour(number, 0).filled()))?;
        let speed = simulation.speeds.get(number as usize);
        let speed = speed.map_or_else(String::new, |speed| format!(", speed {speed}"));
        let name = format!("{}: {}{speed}", number + 1, source.block);
        write(area, (left + 24, top + 1), 17, INK, name)?;
        let figures = format!(
            "{}, safety within {:.1}",
            counted(source.territory, "block", "blocks"),
            source.safety_within_territory_mean
        );
        write(area, (left + 24, top + 21), 15, FAINT, figures)?;
        top += LEGEND_STEP;
    }
    let more = sources.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        let more = format!("and {} more", grouped(more as u64));
        write(area, (left + 24, top + 1), 15, FAINT, more)?;
    }
    Ok(())
}
