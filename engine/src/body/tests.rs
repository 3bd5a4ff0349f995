use super::*;
use crate::block::Link;
use crate::record::{ChangeKind, Version, flag};
use crate::testing::{NET_ID, PLACE, golden, hex};
use crate::time::Interval;
use quickcheck::quickcheck;

/// SHA-256 over, in order: length 17 as u64 and "blocknet/commit/1", the net's id, number u64,
/// recorded i64, basis u8, written i64, author, reason and source each with its length as u64, the
/// five hashes, state commit u64, number of assertions u32.
const COMMIT_HASH: &str = "fe68a88d9e5f127d3e8200cd2ccb621979caaedd5300f8ed03de402ababc7abf";

fn info_bytes() -> Vec<u8> {
    golden(&format!(
        r#" 02    // format
            0200000000000000    // number
            ffffffffffffffff    // recorded: a microsecond before 1970
            01    // basis: asserted
            0300000000000000    // written: three microseconds after
            0300 "ann" 0000 0500 "doc 7"    // author, reason, source
            {} {} {} {} {}
            0100000000000000    // state commit
            01000000    // assertions
            {COMMIT_HASH}
        "#,
        "a1".repeat(32),
        "a2".repeat(32),
        "a3".repeat(32),
        "a4".repeat(32),
        "a5".repeat(32),
    ))
}

fn info() -> CommitInfo {
    CommitInfo {
        number: 2,
        recorded: Moment::from_micros(-1),
        basis: Basis::Asserted,
        written: Moment::from_micros(3),
        author: "ann".into(),
        reason: String::new(),
        source: "doc 7".into(),
        previous: Hash([0xa1; 32]),
        blocks_root: Hash([0xa2; 32]),
        unplaced_root: Hash([0xa3; 32]),
        registry_head: Hash([0xa4; 32]),
        state_root: Hash([0xa5; 32]),
        state_commit: 1,
        assertions: 1,
        hash: hash(COMMIT_HASH),
    }
}

fn hash(text: &str) -> Hash {
    Hash(hex(text).try_into().unwrap())
}

fn layer() -> Definition {
    let def = LayerDef {
        kind: crate::layer::LayerKind::Permitted,
        vertical_datum: "NAP".into(),
        ..LayerDef::new("permits")
    };
    Definition::Layer(LayerId(2), def)
}

fn absence() -> Header {
    Header {
        layer: LayerId::MAIN,
        id: "a".into(),
        ordinal: 1,
        flags: flag::ABSENCE,
        kind: ChangeKind::Change,
        valid: Interval {
            from: Moment::from_micros(0),
            to: Moment::MAX,
        },
        place: Place::NOWHERE,
        extent: None,
        payload_len: 0,
        commitment: Hash([0x44; 32]),
        previous: Hash::ZERO,
        author: None,
        reason: None,
        source: None,
    }
}

fn block(packed: &str) -> Block {
    NetSpec::city().block_from_packed(&hex(packed)).unwrap()
}

/// A commit that defines a layer and ends the stay of an entity at a place.
fn body() -> Body {
    let place = hex(PLACE);
    let links = vec![Link {
        block: block("f000000010"),
        from_neighbour: true,
    }];
    Body {
        info: info(),
        definitions: vec![layer()],
        assertions: vec![absence()],
        closings: vec![ClosingAt {
            assertion: 0,
            place: Place::of(place[0], &place[1..]),
            altitude_known: true,
        }],
        blocks: vec![BlockTouch {
            block: block("f000000000"),
            hash: Hash([0x55; 32]),
            rows: 6,
            created: Some(Origin {
                round: 4,
                source: block("f000000000"),
                links,
            }),
        }],
    }
}

/// What follows the commit's header in the body, one part to an item.
fn parts() -> [Vec<u8>; 4] {
    [
        golden(
            r#" 01000000    // one definition
                02 0200 02    // a layer, number 2, permitted
                0700 "permits" 0000 0300 "NAP" 0300 "UTC" 0000
            "#,
        ),
        golden(&format!(
            r#" 0100 0100 "a" 0100000000000000    // layer, id, ordinal
                0100 00    // flags, kind
                0000000000000000 ffffffffffffff7f ff    // interval, place
                00000000 {} {} 00    // payload, previous, own texts
            "#,
            "44".repeat(32),
            "00".repeat(32)
        )),
        hex(&format!("01000000 00000000 01 0c00 {PLACE}")),
        hex(&format!(
            "01000000 f000000000 {} 0600000000000000 01
             04000000 f000000000 01 f000000010 01",
            "55".repeat(32)
        )),
    ]
}

fn body_bytes() -> Vec<u8> {
    [info_bytes(), parts().concat()].concat()
}

fn decoded(bytes: &[u8]) -> Result<Body, Fault> {
    Body::decode(bytes, Some(&NetSpec::city()))
}

#[test]
fn a_commit_header_has_these_bytes_and_this_hash() {
    let mut out = Encoder::default();
    info().encode(&mut out);
    assert_eq!(out.0, info_bytes());
    let mut input = Decoder(&out.0);
    assert_eq!(CommitInfo::decode(&mut input), Ok(info()));
    input.finish().unwrap();
    assert_eq!(info().compute_hash(&NET_ID), info().hash);
}

#[test]
fn every_field_of_a_commit_is_hashed() {
    let other = Hash([9; 32]);
    let change = |change: fn(&mut CommitInfo, Hash)| {
        let mut changed = info();
        change(&mut changed, other);
        changed.compute_hash(&NET_ID)
    };
    let hashes = [
        info().hash,
        info().compute_hash(&[0; 16]),
        change(|info, _| info.number = 3),
        change(|info, _| info.recorded = Moment::from_micros(0)),
        change(|info, _| info.basis = Basis::Clock),
        change(|info, _| info.written = Moment::from_micros(4)),
        change(|info, _| info.author = "an".into()),
        change(|info, _| info.reason = "n".into()),
        change(|info, _| info.source = "doc 8".into()),
        change(|info, other| info.previous = other),
        change(|info, other| info.blocks_root = other),
        change(|info, other| info.unplaced_root = other),
        change(|info, other| info.registry_head = other),
        change(|info, other| info.state_root = other),
        change(|info, _| info.state_commit = 2),
        change(|info, _| info.assertions = 2),
    ];
    let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
    assert_eq!(distinct.len(), hashes.len());
}

#[test]
fn an_erasure_has_these_bytes_in_the_body_and_in_the_list() {
    let version = Version {
        commit: 258,
        index: 3,
    };
    let erasure = Definition::Erasure(version);
    let bytes = golden("03 0201000000000000 03000000");
    let mut out = Encoder::default();
    erasure.encode(&mut out);
    assert_eq!(out.0, bytes);
    assert_eq!(
        Definition::decode(&mut Decoder(&bytes)),
        Ok(erasure.clone())
    );
    for cut in 0..bytes.len() {
        assert!(Definition::decode(&mut Decoder(&bytes[..cut])).is_err());
    }
    let body = Body {
        definitions: vec![erasure],
        assertions: Vec::new(),
        closings: Vec::new(),
        blocks: Vec::new(),
        ..body()
    };
    assert_eq!(
        crate::touched::encode(&body, []),
        golden("07 0201000000000000 03000000")
    );
}

#[test]
fn a_body_has_these_bytes() {
    assert_eq!(body().encode(), body_bytes());
    assert_eq!(decoded(&body_bytes()), Ok(body()));
}

#[test]
fn commit_1_says_what_net_it_is_and_needs_no_spec() {
    let first = Body {
        info: CommitInfo {
            assertions: 0,
            ..info()
        },
        definitions: vec![Definition::Net(NetSpec::city())],
        assertions: vec![],
        closings: vec![],
        blocks: vec![],
    };
    let bytes = first.encode();
    // One definition: the net, in 24 bytes; then no closing and no block.
    let expected = hex(
        "01000000 01 1800 0100100609000000 c0bdf0ffffffffff 0a00000000000000 00000000 00000000",
    );
    assert!(bytes.ends_with(&expected));
    assert_eq!(Body::decode(&bytes, None), Ok(first));
    let what = "net spec";
    assert_eq!(
        Body::decode(&body_bytes(), None),
        Err(Fault::Value { what })
    );
}

#[test]
fn every_truncation_is_refused_and_so_is_a_byte_more() {
    let bytes = body_bytes();
    for cut in 0..bytes.len() {
        assert!(decoded(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let longer = [bytes, vec![0]].concat();
    assert_eq!(decoded(&longer), Err(Fault::Trailing { bytes: 1 }));
}

#[test]
fn counts_larger_than_the_input_are_refused_before_they_size_anything() {
    let bytes = body_bytes();
    let info_len = info_bytes().len();
    let [definitions, assertions, closings, _] = parts();
    // The count of assertions stands in the header, 36 bytes before its end.
    let at_closings = info_len + definitions.len() + assertions.len();
    let offsets = [
        info_len - 36,
        info_len,
        at_closings,
        at_closings + closings.len(),
    ];
    for offset in offsets {
        assert_eq!(bytes[offset..offset + 4], [1, 0, 0, 0], "a count of one");
        for count in [u32::MAX, 1 << 31, 1 << 20] {
            let mut bytes = bytes.clone();
            bytes[offset..offset + 4].copy_from_slice(&count.to_le_bytes());
            assert!(
                matches!(decoded(&bytes), Err(Fault::Truncated { .. })),
                "{count} at {offset}"
            );
        }
    }
}

#[test]
fn values_that_are_never_written_are_refused() {
    let bytes = body_bytes();
    let info_len = info_bytes().len();
    let [definitions, assertions, closings, _] = parts();
    let at_closings = info_len + definitions.len() + assertions.len();
    let at_blocks = at_closings + closings.len();
    for (offset, byte, what) in [
        (17, 3, "basis of recorded time"),
        (info_len + 4, 4, "definition"),
        (info_len + 7, 0, "layer kind"),
        (at_closings + 4, 1, "closing row"),
        (at_closings + 8, 2, "flag"),
        (at_closings + 9, 11, "closing row"),
        (at_closings + 11, 0xff, "closing row"),
        (at_closings + 11, 10, "level of a place"),
        (at_blocks + 8, 1, "block code"),
        (at_blocks + 49, 2, "flag"),
        (at_blocks + 59, 7, "number of neighbours of a block"),
        (at_blocks + 65, 2, "flag"),
    ] {
        let mut bytes = bytes.clone();
        bytes[offset] = byte;
        let refused = Err(Fault::Value { what });
        assert_eq!(decoded(&bytes), refused, "{byte} at {offset}");
    }
}

#[test]
fn another_format_is_told_from_damage() {
    let mut bytes = body_bytes();
    bytes[0] = 1;
    assert_eq!(decoded(&bytes), Err(Fault::Format { found: 1, known: 2 }));
}

#[test]
fn blocks_out_of_order_are_refused() {
    let mut twice = body();
    twice.blocks.push(twice.blocks[0].clone());
    let what = "order of blocks";
    assert_eq!(decoded(&twice.encode()), Err(Fault::Value { what }));
}

/// Leaves: SHA-256 of 00 and the block's 5 bytes and hash; the node above of 01 and both.
#[test]
fn the_root_over_blocks_is_over_code_and_hash() {
    let touch = |block, hash| BlockTouch {
        block,
        hash,
        rows: 0,
        created: None,
    };
    let touches = [
        touch(block("f000000000"), Hash([0x55; 32])),
        touch(block("f000000010"), Hash([0x77; 32])),
    ];
    assert_eq!(
        Body::blocks_root(&touches).to_string(),
        "cdf234ab5b704c59d0ed59dbbe6c1df4f776b76759a0a0612dff5a87f2c5f977"
    );
}

/// The leaf of a definition is SHA-256 over: length 21 as u64 and "blocknet/definition/1", length
/// 27 as u64 and its bytes in the body. That of an absence is its version's hash.
#[test]
fn the_root_over_what_has_no_block_is_over_definitions_then_absences() {
    let state = Header {
        flags: 0,
        ..absence()
    };
    let hashes = [Hash([0x88; 32]), Hash([0x66; 32])];
    assert_eq!(
        Body::unplaced_root(&[layer()], &[state, absence()], &hashes).to_string(),
        "13d8f8214fba7ea25bc550a5eb8baf344237b1ab82c82f921e060e16dd598c5b"
    );
}

/// SHA-256 over: length 18 as u64 and "blocknet/closing/1", and the version's hash.
#[test]
fn a_closing_row_is_hashed_as_the_version_that_closes() {
    assert_eq!(
        closing_hash(Hash([0x33; 32])).to_string(),
        "e20b939d567b9f05304122e021be2c40c3ceb5e1fdf4bb13b320a1d354aa3aae"
    );
    let version = Version {
        commit: 2,
        index: 0,
    };
    let hash = absence().hash(&NET_ID, version);
    assert_ne!(closing_hash(hash), hash);
}

quickcheck! {
    fn hostile_bytes_are_refused_or_round_trip(bytes: Vec<u8>, at: usize, byte: u8) -> bool {
        let mut close = body_bytes();
        let at = at % close.len();
        close[at] = byte;
        [bytes, close].iter().all(|bytes| {
            drop(Body::decode(bytes, None));
            decoded(bytes).is_err() || decoded(bytes).is_ok_and(|body| body.encode() == *bytes)
        })
    }
}
