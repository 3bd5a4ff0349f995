use std::collections::{BTreeMap, BTreeSet, VecDeque};

use blocknet_geocode::{CurveKind, NetSpec};
use quickcheck::{Arbitrary, Gen, quickcheck};

use super::*;
use crate::block::Origin;

fn grid(spec: &NetSpec, west: u128, south: u128, width: u128, height: u128) -> BlockSet {
    let cells = (0..width).flat_map(|x| (0..height).map(move |y| (x, y)));
    BlockSet::new(
        spec,
        cells.map(|(x, y)| {
            spec.block_of_indices(west + x, south + y, 0)
                .expect("inside the plane")
        }),
    )
}

/// Random shapes: blobs, rings, scattered islands and towers, at the antimeridian and at a pole.
#[derive(Clone, Debug)]
struct Shape {
    spec: NetSpec,
    blocks: BTreeSet<Block>,
    /// The same blocks in another order, some of them twice.
    shuffled: Vec<Block>,
    /// How many of them, in the order of creation, a first expansion makes.
    first: usize,
}

impl Arbitrary for Shape {
    fn arbitrary(g: &mut Gen) -> Self {
        let banded = bool::arbitrary(g);
        let spec = NetSpec::builder()
            .curve(*g.choose(&[CurveKind::Morton, CurveKind::Hilbert]).unwrap())
            .planar_digits(4)
            .block_digits(*g.choose(&[2, 4]).unwrap())
            .altitude_digits(2)
            .band_digits(u8::from(banded))
            .build()
            .unwrap();
        let side = 1_u128 << (2 * u32::from(spec.block_digits()));
        let (column, row) = *g
            .choose(&[
                (side / 2, side / 2),
                (side - 3, side / 2),
                (0, 0),
                (side - 2, side - 4),
            ])
            .unwrap();
        let bands = if banded { 3 } else { 1 };
        let mut blocks = BTreeSet::new();
        let mut put = |x: u128, y: u128, z: u64| {
            let column = (column + x) % side;
            let row = (row + y).min(side - 1);
            blocks.insert(spec.block_of_indices(column, row, z).unwrap());
        };
        match u8::arbitrary(g) % 4 {
            // A blob: a random walk.
            0 => {
                let (mut x, mut y, mut z) = (6, 6, 0);
                for _ in 0..g.size() {
                    put(x, y, z);
                    match u8::arbitrary(g) % 6 {
                        0 => x += 1,
                        1 => x = x.saturating_sub(1),
                        2 => y += 1,
                        3 => y = y.saturating_sub(1),
                        4 => z = (z + 1).min(bands - 1),
                        _ => z = z.saturating_sub(1),
                    }
                }
            }
            // A ring, around the globe where that is small enough.
            1 => {
                if side <= 16 && bool::arbitrary(g) {
                    (0..side).for_each(|x| put(x, 1, 0));
                } else {
                    for n in 0..6 {
                        put(n, 0, 0);
                        put(n, 5, 0);
                        put(0, n, 0);
                        put(5, n, 0);
                    }
                }
            }
            // Dust.
            2 => {
                for _ in 0..g.size() / 2 {
                    let (x, y, z) = <(u8, u8, u8)>::arbitrary(g);
                    put((x % 8).into(), (y % 8).into(), u64::from(z) % bands);
                }
            }
            // A polar cap: all columns of the last rows.
            _ => {
                let digits = 2.min(spec.block_digits());
                let columns = 1_u128 << (2 * u32::from(digits));
                for x in 0..columns.min(side) {
                    for y in 0..2 {
                        blocks.insert(spec.block_of_indices(x, side - 1 - y, 0).unwrap());
                    }
                }
            }
        }
        let mut shuffled: Vec<(u64, Block)> = blocks
            .iter()
            .flat_map(|block| [(u64::arbitrary(g), *block), (u64::arbitrary(g), *block)])
            .collect();
        shuffled.sort_unstable();
        let first = usize::arbitrary(g) % (blocks.len() + 1);
        Self {
            spec,
            blocks,
            shuffled: shuffled.into_iter().map(|(_, block)| block).collect(),
            first,
        }
    }
}

/// Every block of a graph with its origin.
fn origins(graph: &NetGraph) -> BTreeMap<Block, Origin> {
    let blocks = graph.blocks().iter().enumerate();
    blocks
        .map(|(index, block)| (block, graph.origin(index)))
        .collect()
}

fn around(spec: &NetSpec, block: &Block) -> impl Iterator<Item = Block> {
    spec.block_neighbours(block).into_iter().flatten()
}

/// Steps from a set of blocks through others, the plain way.
fn distances(shape: &Shape, from: impl Iterator<Item = Block>) -> BTreeMap<Block, u32> {
    let mut found: BTreeMap<Block, u32> = from.map(|block| (block, 0)).collect();
    let mut queue: VecDeque<Block> = found.keys().copied().collect();
    while let Some(block) = queue.pop_front() {
        let next = found[&block] + 1;
        for neighbour in around(&shape.spec, &block) {
            if shape.blocks.contains(&neighbour) && !found.contains_key(&neighbour) {
                found.insert(neighbour, next);
                queue.push_back(neighbour);
            }
        }
    }
    found
}

quickcheck! {
    fn links_are_one_way_without_cycles_and_all_but_sources_have_predecessors(shape: Shape) -> bool {
        let graph = propagate_alone(BlockSet::new(&shape.spec, shape.shuffled.clone()), &[]);
        let origins = origins(&graph);
        let pairs_agree = origins.iter().all(|(block, origin)| {
            let neighbours: BTreeSet<Block> = around(&shape.spec, block)
                .filter(|neighbour| shape.blocks.contains(neighbour))
                .collect();
            let linked: BTreeSet<Block> = origin.links.iter().map(|link| link.block).collect();
            let opposite = origin.links.iter().all(|link| {
                let other = &origins[&link.block].links;
                other.iter().any(|back| {
                    back.block == *block && back.from_neighbour != link.from_neighbour
                })
            });
            let fed = origin.links.iter().any(|link| link.from_neighbour);
            neighbours == linked && opposite && fed == (origin.source != *block)
        });
        let measures = graph.measure();
        let pairs: u64 = origins.values().map(|origin| origin.links.len() as u64).sum();
        pairs_agree
            && origins.keys().eq(shape.blocks.iter())
            && measures.acyclic
            && measures.two_way_pairs == 0
            && 2 * measures.links == pairs
            && measures.in_degree[0] == measures.islands
            && graph.sources().len() as u64 == measures.islands
    }

    fn rounds_are_steps_from_the_sources(shape: Shape) -> bool {
        let graph = propagate_alone(BlockSet::new(&shape.spec, shape.shuffled.clone()), &[]);
        let expected = distances(&shape, graph.sources().iter().copied());
        origins(&graph).iter().all(|(block, origin)| origin.round == expected[block])
    }

    fn given_sources_are_sources_and_share_what_they_reach(shape: Shape) -> bool {
        let given: Vec<Block> = shape.shuffled.iter().take(3).copied().collect();
        let graph = propagate_alone(BlockSet::new(&shape.spec, shape.shuffled.clone()), &given);
        let origins = origins(&graph);
        let reached = distances(&shape, given.iter().copied());
        reached.iter().all(|(block, &steps)| {
            let origin = &origins[block];
            let nearest = distances(&shape, std::iter::once(origin.source))[block];
            origin.round == steps && nearest == steps && given.contains(&origin.source)
        })
    }

    fn the_order_of_blocks_does_not_matter(shape: Shape) -> bool {
        let sorted = propagate_alone(BlockSet::new(&shape.spec, shape.blocks.clone()), &[]);
        propagate_alone(BlockSet::new(&shape.spec, shape.shuffled), &[]) == sorted
    }

    fn an_expansion_cut_off_anywhere_goes_on_to_the_same_net(shape: Shape) -> bool {
        let whole = propagate_alone(BlockSet::new(&shape.spec, shape.shuffled.clone()), &[]);
        let order = whole.order();
        let (made, missing) = order.split_at(shape.first);
        // Created in two commits: rounds and codes rise over both.
        let existing: BTreeMap<Block, Existing> = made
            .iter()
            .enumerate()
            .map(|(at, &index)| {
                let index = index as usize;
                let found = Existing {
                    round: whole.round(index),
                    created: if at < shape.first / 2 { 7 } else { 8 },
                    source: whole.source(index),
                };
                (whole.blocks().get(index), found)
            })
            .collect();
        let rest = missing.iter().map(|&index| whole.blocks().get(index as usize));
        let rest = BlockSet::new(&shape.spec, rest);
        let later = propagate(rest, &[], |block| {
            Ok::<_, Infallible>(existing.get(block).copied())
        });
        let Ok(later) = later;
        let expected = origins(&whole);
        origins(&later).iter().all(|(block, origin)| origin == &expected[block])
    }
}

#[test]
fn a_full_grid_is_the_net_of_the_paper() {
    let spec = NetSpec::city();
    for side in [3_u32, 101] {
        let size = u128::from(side);
        let graph = propagate_alone(grid(&spec, 1000, 1000, size, size), &[]);
        let measures = graph.measure();
        let (links, blocks) = (
            u64::from(2 * side * (side - 1)),
            u64::from(side) * u64::from(side),
        );
        assert_eq!((measures.links, measures.blocks), (links, blocks));
        let source = &measures.territories[0];
        assert_eq!((source.in_degree, source.out_degree), (0, 4));
        let middle = spec.block_of_indices(1000 + size / 2, 1000 + size / 2, 0);
        assert_eq!(Ok(source.source), middle);
        assert_eq!(
            (measures.in_degree[0], measures.out_degree[0]),
            (1, 4),
            "one source, four corners"
        );
        assert_eq!(measures.rounds, side - 1);
        // Safety is what is left of the way to the corners.
        for index in 0..graph.blocks().len() {
            let left = side - 1 - graph.round(index);
            assert_eq!(
                (measures.longest[index], measures.shortest[index]),
                (left, left)
            );
        }
    }
}

#[test]
fn a_full_cube_is_linked_to_six_sides() {
    let spec = NetSpec::builder().band_digits(2).build().unwrap();
    let cube = (0..27_u128).map(|n| {
        let band = u64::try_from(n / 9).unwrap();
        spec.block_of_indices(100 + n % 3, 100 + n / 3 % 3, 5 + band)
            .unwrap()
    });
    let graph = propagate_alone(BlockSet::new(&spec, cube), &[]);
    let measures = graph.measure();
    // 3 N^2 (N - 1) links; the source in the middle of the cube reaches six sides.
    assert_eq!(measures.links, 54);
    assert_eq!(measures.territories[0].out_degree, 6);
    assert_eq!(measures.out_degree[0], 8, "eight corners");
}

#[test]
fn the_middle_is_found_across_the_antimeridian() {
    let spec = NetSpec::builder()
        .planar_digits(4)
        .block_digits(3)
        .build()
        .unwrap();
    // Five columns, 62, 63, 0, 1, 2, and three rows.
    let blocks = (0..15_u128).map(|n| {
        spec.block_of_indices((62 + n % 5) % 64, 30 + n / 5, 0)
            .unwrap()
    });
    let graph = propagate_alone(BlockSet::new(&spec, blocks), &[]);
    assert_eq!(graph.sources(), [spec.block_of_indices(0, 31, 0).unwrap()]);
}

#[test]
fn a_block_that_joins_two_islands_follows_one_and_feeds_the_other() {
    let spec = NetSpec::city();
    let at = |column| spec.block_of_indices(column, 500, 0).unwrap();
    let known = BTreeMap::from([
        (
            at(10),
            Existing {
                round: 2,
                created: 3,
                source: at(8),
            },
        ),
        (
            at(12),
            Existing {
                round: 7,
                created: 2,
                source: at(19),
            },
        ),
    ]);
    let new = BlockSet::new(&spec, [at(11)]);
    let joined = propagate(new, &[], |block| {
        Ok::<_, Infallible>(known.get(block).copied())
    });
    let Ok(joined) = joined;
    let origin = joined.origin(0);
    assert_eq!((origin.round, origin.source), (3, at(8)));
    let from_neighbour: Vec<(Block, bool)> = origin
        .links
        .iter()
        .map(|link| (link.block, link.from_neighbour))
        .collect();
    let mut expected = vec![(at(10), true), (at(12), false)];
    expected.sort_unstable();
    assert_eq!(from_neighbour, expected);
}
