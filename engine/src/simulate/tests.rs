use std::collections::BTreeSet;

use quickcheck::{Arbitrary, Gen, quickcheck};

use super::*;
use crate::error::ErrorKind;
use crate::graph::Measures;

impl Arbitrary for Simulation {
    fn arbitrary(g: &mut Gen) -> Self {
        let (dimensions, size) = if bool::arbitrary(g) {
            (Dimensions::Two, 1 + u32::from(u8::arbitrary(g)) % 24)
        } else {
            (Dimensions::Three, 1 + u32::from(u8::arbitrary(g)) % 8)
        };
        let blocks = (size as usize).pow(u32::from(dimensions.count()));
        let sources = (1 + usize::from(u8::arbitrary(g)) % 9).min(blocks);
        // Speeds of few values meet at the same time often, other speeds hardly ever.
        let mut speed = || match u8::arbitrary(g) {
            few @ 0..128 => f64::from(1 + few % 4),
            other => f64::from(other) / 100.0 + f64::from(u16::arbitrary(g)) / 7e4,
        };
        let mut speeds: Vec<f64> = (0..sources).map(|_| speed()).collect();
        if u8::arbitrary(g) < 32 {
            speeds.clear();
        }
        Self {
            size,
            dimensions,
            sources,
            speeds,
            mode: *g.choose(&[Mode::Synchronous, Mode::Free]).unwrap(),
        }
    }
}

fn measured(simulation: &Simulation) -> (SimulatedNet, Measures) {
    let net = simulation.run().unwrap();
    let measures = net.graph().measure();
    (net, measures)
}

/// Mean over each territory of a number that blocks have.
fn means(graph: &NetGraph, numbers: &[u32]) -> Vec<f64> {
    let mean = |source: &Block| {
        let own = (0..numbers.len()).filter(|&index| graph.source(index) == *source);
        let (count, sum) = own.fold((0.0, 0.0), |(count, sum), index| {
            (count + 1.0, sum + f64::from(numbers[index]))
        });
        sum / count
    };
    graph.sources().iter().map(mean).collect()
}

fn territories(measures: &Measures) -> Vec<u64> {
    let territories = measures.territories.iter();
    territories.map(|territory| territory.blocks).collect()
}

quickcheck! {
    fn links_are_one_way_without_cycles_and_all_but_sources_have_predecessors(
        simulation: Simulation
    ) -> bool {
        let (net, measures) = measured(&simulation);
        let (size, axes) = (u64::from(simulation.size), u32::from(simulation.dimensions.count()));
        let sources = net.graph().sources();
        measures.blocks == size.pow(axes)
            // Every pair of neighbours is linked, once.
            && measures.links == u64::from(axes) * size.pow(axes - 1) * (size - 1)
            && measures.two_way_pairs == 0
            && measures.acyclic
            && measures.islands == 1
            && sources.len() == simulation.sources
            && territories(&measures).iter().sum::<u64>() == measures.blocks
            && net.graph().blocks().iter().enumerate().all(|(index, block)| {
                let is_source = net.graph().round(index) == 0;
                let fed = net.graph().predecessors(index).next().is_some();
                is_source == sources.contains(&block) && (is_source || fed)
            })
    }

    fn a_block_is_reached_through_the_territory_it_belongs_to(simulation: Simulation) -> bool {
        let (net, _) = measured(&simulation);
        let graph = net.graph();
        (0..graph.blocks().len()).all(|index| {
            graph.round(index) == 0 && graph.source(index) == graph.blocks().get(index)
                || graph.predecessors(index).any(|before| {
                    graph.source(before) == graph.source(index)
                        && graph.round(before) + 1 == graph.round(index)
                })
        })
    }

    fn safety_within_a_territory_is_the_longest_way_in_it(simulation: Simulation) -> bool {
        let (net, measures) = measured(&simulation);
        let graph = net.graph();
        let safety = safety_within_territories(graph);
        (0..safety.len()).all(|index| {
            let own = graph.successors(index).filter(|&next| {
                graph.source(next) == graph.source(index)
            });
            let steps = own.map(|next| (graph.round(next) - graph.round(index), safety[next] + 1));
            let steps: Vec<(u32, u32)> = steps.collect();
            steps.iter().all(|&(rounds, _)| rounds == 1)
                && safety[index] == steps.iter().map(|&(_, safety)| safety).max().unwrap_or(0)
                && safety[index] <= measures.longest[index]
                && (simulation.sources > 1 || safety[index] == measures.longest[index])
        })
    }

    fn nobody_comes_late_to_a_block_that_was_free(simulation: Simulation) -> bool {
        let free = Simulation { mode: Mode::Free, ..simulation };
        let (net, _) = measured(&free);
        let graph = net.graph();
        let speed = |index: usize| {
            let source = graph.source(index);
            let number = graph.sources().iter().position(|&other| other == source).unwrap();
            free.speeds.get(number).copied().unwrap_or(1.0)
        };
        let after = |index: usize, steps: u32| {
            f64::from(graph.round(index) + steps) / speed(index)
        };
        // Whoever stands beside a block would have taken it, had it been later than its next step.
        (0..graph.blocks().len()).all(|index| {
            let mut around = graph.successors(index).chain(graph.predecessors(index));
            around.all(|beside| after(index, 0) <= after(beside, 1))
                && graph.predecessors(index).all(|before| after(before, 0) <= after(index, 0))
        })
    }

    fn synchronous_rounds_are_free_ones_of_equal_speed(simulation: Simulation) -> bool {
        let synchronous = Simulation { mode: Mode::Synchronous, ..simulation.clone() };
        let free = Simulation { mode: Mode::Free, speeds: Vec::new(), ..simulation };
        let (synchronous, free) = (synchronous.run().unwrap(), free.run().unwrap());
        let (synchronous, free) = (synchronous.graph(), free.graph());
        // Only the territory of what two sources reach at once is another.
        (0..free.blocks().len()).all(|index| {
            free.round(index) == synchronous.round(index)
                && free.successors(index).eq(synchronous.successors(index))
        })
    }

    fn coordinates_name_every_block_once(simulation: Simulation) -> bool {
        let net = simulation.run().unwrap();
        let places: BTreeSet<[u32; 3]> =
            net.graph().blocks().iter().map(|block| net.coordinates(&block)).collect();
        let (width, height) = match simulation.dimensions {
            Dimensions::Two => (simulation.size, 1),
            Dimensions::Three => (simulation.size, simulation.size),
        };
        places.len() == net.graph().blocks().len()
            && places.iter().all(|&[x, y, z]| x < width && y < width && z < height)
    }
}

#[test]
fn one_source_gives_the_net_of_the_paper() {
    for size in [3_u32, 101, 1001] {
        let (net, measures) = measured(&Simulation::new(size, 1));
        let side = u64::from(size);
        assert_eq!(measures.blocks, side * side);
        // A mean degree of 2 (N - 1) / N: links are as many heads as tails.
        assert_eq!(measures.links, 2 * side * (side - 1));
        for degrees in [measures.in_degree, measures.out_degree] {
            let ends: u64 = (0..)
                .zip(degrees)
                .map(|(degree, count)| degree * count)
                .sum();
            assert_eq!(ends, measures.links);
        }
        assert_eq!((measures.in_degree[0], measures.out_degree[0]), (1, 4));
        let source = &measures.territories[0];
        assert_eq!((source.in_degree, source.out_degree), (0, 4));
        assert_eq!(
            net.coordinates(&source.source),
            [size / 2, size / 2, 0],
            "in the middle"
        );
        assert_eq!(measures.rounds, size - 1);
        assert_eq!(measures.longest.iter().max(), Some(&(size - 1)));
        assert_eq!(measures.cross_territory, 0);
        if size > 101 {
            continue;
        }
        for index in 0..net.graph().blocks().len() {
            let [x, y, _] = net.coordinates(&net.graph().blocks().get(index));
            let steps = x.abs_diff(size / 2) + y.abs_diff(size / 2);
            assert_eq!(net.graph().round(index), steps);
            let is_corner = x % (size - 1) == 0 && y % (size - 1) == 0;
            assert_eq!(net.graph().successors(index).next().is_none(), is_corner);
        }
    }
}

#[test]
fn a_cube_has_eight_corners_and_a_source_with_six_sides() {
    let simulation = Simulation {
        dimensions: Dimensions::Three,
        ..Simulation::new(11, 1)
    };
    let (net, measures) = measured(&simulation);
    assert_eq!((measures.blocks, measures.links), (1331, 3 * 121 * 10));
    assert_eq!((measures.in_degree[0], measures.out_degree[0]), (1, 8));
    let source = &measures.territories[0];
    assert_eq!((source.in_degree, source.out_degree), (0, 6));
    assert_eq!(net.coordinates(&source.source), [5, 5, 5]);
}

#[test]
fn a_grid_of_one_block_is_a_source_alone() {
    for dimensions in [Dimensions::Two, Dimensions::Three] {
        let (_, measures) = measured(&Simulation {
            dimensions,
            ..Simulation::new(1, 1)
        });
        assert_eq!((measures.blocks, measures.links), (1, 0));
        assert_eq!((measures.in_degree[0], measures.out_degree[0]), (1, 1));
    }
}

#[test]
fn a_fast_source_takes_territory_and_safety_and_synchronous_rounds_give_them_back() {
    let synchronous = Simulation {
        speeds: vec![1.0, 1.0, 1.0, 4.0],
        ..Simulation::new(101, 4)
    };
    let free = Simulation {
        mode: Mode::Free,
        ..synchronous.clone()
    };
    let ((free, measures), (even, even_measures)) = (measured(&free), measured(&synchronous));
    let (free_blocks, even_blocks) = (territories(&measures), territories(&even_measures));
    let safety = |net: &SimulatedNet| {
        let graph = net.graph();
        means(graph, &safety_within_territories(graph))
    };
    let (free_safety, even_safety) = (safety(&free), safety(&even));
    for slow in 0..3 {
        assert!(free_blocks[3] > 2 * free_blocks[slow], "{free_blocks:?}");
        assert!(free_blocks[slow] < even_blocks[slow]);
        assert!(3.0 * free_safety[slow] < 2.1 * even_safety[slow]);
    }
    assert!(free_safety[3] > 2.0 * even_safety[3]);
    let (most, least) = (
        even_blocks.iter().max().unwrap(),
        even_blocks.iter().min().unwrap(),
    );
    assert!(100 * most <= 105 * least, "{even_blocks:?}");
    // More blocks are left to the registry, and ways that cross territories hide the loss.
    assert!(measures.out_degree[0] > even_measures.out_degree[0]);
    let longest = means(free.graph(), &measures.longest);
    assert!(longest[1] > means(even.graph(), &even_measures.longest)[1]);
}

#[test]
fn sources_of_equal_speed_get_nearly_equal_territories() {
    for (dimensions, size) in [(Dimensions::Two, 60), (Dimensions::Three, 30)] {
        for sources in 1..=9 {
            let (_, measures) = measured(&Simulation {
                dimensions,
                ..Simulation::new(size, sources)
            });
            let blocks = territories(&measures);
            let (most, least) = (blocks.iter().max().unwrap(), blocks.iter().min().unwrap());
            assert!(2 * most <= 3 * least, "{sources}: {blocks:?}");
        }
    }
}

#[test]
fn sources_stand_apart_however_many_there_are() {
    for (dimensions, size_max) in [(Dimensions::Two, 9), (Dimensions::Three, 4)] {
        for size in 1..=size_max {
            for sources in 1..=(size as usize).pow(u32::from(dimensions.count())) {
                let simulation = Simulation {
                    dimensions,
                    ..Simulation::new(size, sources)
                };
                let places = simulation.places();
                assert_eq!(places.len(), sources);
                assert!(places.iter().flatten().all(|&at| at < size));
                let distinct: BTreeSet<[u32; 3]> = places.into_iter().collect();
                assert_eq!(distinct.len(), sources, "{simulation:?}");
            }
        }
    }
}

#[test]
fn what_cannot_be_simulated_is_refused() {
    let square = Simulation::new(5, 2);
    let speeds = |speeds: &[f64]| Simulation {
        speeds: speeds.to_vec(),
        ..square.clone()
    };
    let cube = |size| Simulation {
        dimensions: Dimensions::Three,
        ..Simulation::new(size, 1)
    };
    for (refused, word) in [
        (Simulation::new(0, 1), "size 0"),
        (Simulation::new(4473, 1), "20000000"),
        (Simulation::new(u32::MAX, 1), "20000000"),
        (cube(272), "20000000"),
        (cube(u32::MAX), "20000000"),
        (Simulation::new(5, 0), "0 sources"),
        (Simulation::new(5, 26), "1 to 25"),
        (Simulation::new(5, usize::MAX), "1 to 25"),
        (speeds(&[1.0]), "1 speeds for 2 sources"),
        (speeds(&[1.0, 0.0]), "speed 0"),
        (speeds(&[-1.0, 1.0]), "speed -1"),
        (speeds(&[f64::NAN, 1.0]), "NaN"),
        (speeds(&[f64::INFINITY, 1.0]), "inf"),
    ] {
        let error = refused.run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(word), "{error}");
    }
}
