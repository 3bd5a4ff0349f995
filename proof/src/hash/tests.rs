use quickcheck::quickcheck;

use super::*;

/// The definition of RFC 6962, section 2.1, word for word.
fn by_definition(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => empty_root(),
        [data] => leaf(&[data]),
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(split);
            node(&by_definition(left), &by_definition(right))
        }
    }
}

/// Leaves with even keys and some hash, as a block's root has them.
fn leaves(count: u8) -> Vec<Vec<u8>> {
    (0..count)
        .map(|n| [&[2 * n + 1][..], &[n; 32]].concat())
        .collect()
}

fn leaf_of(tree: &Tree, leaves: &[Vec<u8>], index: usize) -> Leaf {
    Leaf {
        data: leaves[index].clone(),
        path: tree.path(index).unwrap(),
    }
}

fn gap(tree: &Tree, leaves: &[Vec<u8>], left: Option<usize>, right: Option<usize>) -> Gap {
    Gap {
        left: left.map(|index| leaf_of(tree, leaves, index)),
        right: right.map(|index| leaf_of(tree, leaves, index)),
    }
}

#[test]
fn the_empty_leaf_has_the_hash_that_every_implementation_shares() {
    assert_eq!(
        crate::text::hex(&leaf(&[b""])),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    );
}

#[test]
fn trees_and_paths_are_those_of_rfc_6962() {
    for count in 0..70 {
        let leaves = leaves(count);
        let tree = Tree::new(&leaves);
        assert_eq!(tree.root(), by_definition(&leaves), "{count} leaves");
        for (index, data) in leaves.iter().enumerate() {
            let path = tree.path(index).unwrap();
            assert_eq!(path.root(leaf(&[data])), tree.root());
            assert_eq!(Path::decode(&path.encode()), Some(path));
        }
        assert_eq!(tree.path(leaves.len()), None);
    }
}

/// Of all pairs of leaves, exactly those that are next to each other show a gap, and only for the
/// key between them.
#[test]
fn only_neighbours_show_a_gap() {
    for count in 0..20_u8 {
        let leaves = leaves(count);
        let tree = Tree::new(&leaves);
        let ends = |end: usize| (end < usize::from(count)).then_some(end);
        for key in 0..=2 * count {
            for left in (0..usize::from(count)).map(Some).chain([None]) {
                for right in (0..usize::from(count)).map(Some).chain([None]) {
                    // Odd keys are there; key 2n lies between leaves n - 1 and n.
                    let between = usize::from(key / 2);
                    let right_one =
                        key % 2 == 0 && left == between.checked_sub(1) && right == ends(between);
                    let checked = gap(&tree, &leaves, left, right).check(&tree.root(), &[key]);
                    assert_eq!(
                        checked.is_ok(),
                        right_one,
                        "{count} leaves, key {key}, {left:?} {right:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn only_the_last_of_equal_keys_is_shown_to_be_the_last() {
    // Keys 1 3 3 3 5; the leaf with index 3 is the last 3.
    let leaves: Vec<Vec<u8>> = [(1, 0), (3, 1), (3, 2), (3, 3), (5, 4)]
        .map(|(key, hash): (u8, u8)| [&[key][..], &[hash; 32]].concat())
        .to_vec();
    let tree = Tree::new(&leaves);
    for index in 0..5 {
        for next in (0..5).map(Some).chain([None]) {
            let path = tree.path(index).unwrap();
            let key = leaves[index][..1].to_vec();
            let gap = gap(&tree, &leaves, None, next);
            let last = matches!((index, next), (0, Some(1)) | (3, Some(4)) | (4, None));
            let checked = gap.check_last(&path, &tree.root(), &key);
            assert_eq!(checked.is_ok(), last, "{index} {next:?}");
        }
    }
}

#[test]
fn a_path_has_no_more_steps_than_the_limit() {
    let step = Step {
        side: Side::Left,
        hash: [1; 32],
    };
    let bytes = Path(vec![step; 64]).encode();
    assert!(Path::decode(&bytes).is_some());
    assert!(Path::decode(&bytes[..bytes.len() - 1]).is_none());
    assert!(Path::decode(&Path(vec![step; 65]).encode()).is_none());
    let mut wrong = bytes;
    wrong[0] = 2;
    assert!(Path::decode(&wrong).is_none());
}

quickcheck! {
    fn paths_have_one_form(bytes: Vec<u8>) -> bool {
        Path::decode(&bytes).is_none_or(|path| path.encode() == bytes)
    }
}
