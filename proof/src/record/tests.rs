use quickcheck::quickcheck;

use super::*;
use crate::text::hex;

const NET: [u8; 16] = [0x11; 16];
/// The vectors that stand beside the engine's code and were computed with Python's hashlib: the same
/// bytes must give the same hashes here.
const COMMIT_HASH: &str = "fe68a88d9e5f127d3e8200cd2ccb621979caaedd5300f8ed03de402ababc7abf";
const COMMITMENT: &str = "279bd622eee7ebc2cffa67512cfecebc38e1284013dd8f1656bc3b70422b4798";
const VERSION_HASH: &str = "4548bcd8f39a6064337a1e503451a3770728d2ff888ca9f11715f03f4f0c3ab8";
const BLOCK_HASH: &str = "145a13e29c00d0fee3920aa3cd7478884824986282477eb99af33b96fbbba19a";
const LATER_BLOCK_HASH: &str = "d85e2dbd48e3e62489ee7a3b27df6195c860b04e4e838b4278d4866d68093cde";

/// Bytes from hexadecimal digits, texts in double quotes and spaces.
fn golden(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, part) in text.split('"').enumerate() {
        if index % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: Vec<u8> = part.bytes().filter(u8::is_ascii_hexdigit).collect();
        for pair in digits.chunks(2) {
            let pair = std::str::from_utf8(pair).unwrap();
            bytes.push(u8::from_str_radix(pair, 16).unwrap());
        }
    }
    bytes
}

fn commit_bytes() -> Vec<u8> {
    golden(&format!(
        r#" 02 0200000000000000 ffffffffffffffff 01 0300000000000000
            0300 "ann" 0000 0500 "doc 7"
            {} {} {} {} {}
            0100000000000000 01000000 {COMMIT_HASH}"#,
        "a1".repeat(32),
        "a2".repeat(32),
        "a3".repeat(32),
        "a4".repeat(32),
        "a5".repeat(32),
    ))
}

fn version_bytes() -> Vec<u8> {
    golden(&format!(
        r#" 0100 0200 "12" 0200000000000000 e200 01
            0000000000000000 0060d71d14000000
            09 f00000000 0186a0 0000000
            4ed1915cfe7f5640 9ca223b9fc7f4640 b22e6ea301805640 645ddc4603804640
            000000000000f0bf 000000000000f03f
            0d000000 {COMMITMENT} {}
            05 0200 "me" 0300 "doc""#,
        "22".repeat(32),
    ))
}

fn block_bytes(commit: &str, origin: &str) -> Vec<u8> {
    golden(&format!(
        "09 0500000000000000 f000000000 {commit}00000000000000 {} {} 0300000000000000
         0100000000000000 0500000000000000 f000000010 0600000000000000 {} {} {origin}",
        "01".repeat(32),
        "02".repeat(32),
        "09".repeat(32),
        "05".repeat(32),
    ))
}

const ORIGIN: &str = "01 04000000 0500000000000000 f000000020 0100000000000000
    0500000000000000 f000000010 01";

#[test]
fn a_commit_header_has_these_bytes_and_this_hash() {
    let commit = Commit::decode(&commit_bytes(), &NET).unwrap();
    assert_eq!(hex(&commit.hash), COMMIT_HASH);
    assert_eq!((commit.number, commit.recorded, commit.written), (2, -1, 3));
    assert_eq!(commit.basis, Basis::Asserted);
    assert_eq!(
        (&*commit.author, &*commit.reason, &*commit.source),
        ("ann", "", "doc 7")
    );
    assert_eq!(commit.previous, [0xa1; 32]);
    assert_eq!(
        (commit.blocks_root, commit.unplaced_root),
        ([0xa2; 32], [0xa3; 32])
    );
    assert_eq!(commit.assertions, 1);
    assert!(Commit::decode(&commit_bytes(), &[0; 16]).is_err());
}

#[test]
fn a_version_header_has_these_bytes_and_this_hash() {
    let bytes = version_bytes();
    let version = Version::decode(&bytes, Some(11)).unwrap();
    assert_eq!(hex(&version_hash(&NET, 7, 3, &bytes)), VERSION_HASH);
    assert_eq!((version.layer, &*version.id, version.ordinal), (1, "12", 2));
    assert_eq!(version.kind, Kind::Correct);
    assert_eq!((version.valid_from, version.valid_to), (0, 86_400_000_000));
    let extent = version.extent.unwrap();
    assert_eq!((extent.west, extent.north), (89.9999, 45.0001));
    assert_eq!((extent.floor, extent.top), (Some(-1.0), Some(1.0)));
    assert_eq!(version.author.as_deref(), Some("me"));
    assert_eq!(version.reason, None);
    assert_eq!(version.source.as_deref(), Some("doc"));
    assert_eq!(
        hex(&version.record_key()),
        "09f000000000186a000000000001313200".to_owned() + "00"
    );
    let salt: [u8; 16] = std::array::from_fn(|n| u8::try_from(n).unwrap());
    assert_eq!(version.commitment, commitment(&salt, b"{\"storeys\":2}"));
    // Codes of another length shift every field behind.
    for code_len in (0..=32).filter(|len| *len != 11) {
        assert!(
            Version::decode(&bytes, Some(code_len)).is_err(),
            "{code_len}"
        );
    }
    assert!(Version::decode(&bytes, None).is_err());
}

/// The documented example: "a", zero, in layer 1.
#[test]
fn a_zero_in_an_id_is_escaped_in_its_key() {
    let mut version = Version::decode(&version_bytes(), Some(11)).unwrap();
    "a\0".clone_into(&mut version.id);
    assert!(hex(&version.record_key()).ends_with("00016100ff0000"));
}

#[test]
fn a_block_version_has_these_bytes_and_this_hash() {
    let created = BlockVersion::decode(&block_bytes("07", ORIGIN), &NET).unwrap();
    assert_eq!(hex(&created.hash), BLOCK_HASH);
    assert_eq!(created.block, [0xf0, 0, 0, 0, 0]);
    assert_eq!(
        (created.commit, created.rows, created.root),
        (7, 3, [2; 32])
    );
    let later = BlockVersion::decode(&block_bytes("08", "00"), &NET).unwrap();
    assert_eq!(hex(&later.hash), LATER_BLOCK_HASH);
}

#[test]
fn every_truncation_is_refused_and_so_is_a_byte_more() {
    type Decode = fn(&[u8]) -> bool;
    let all: [(Vec<u8>, Decode); 4] = [
        (commit_bytes(), |bytes| Commit::decode(bytes, &NET).is_ok()),
        (version_bytes(), |bytes| {
            Version::decode(bytes, Some(11)).is_ok()
        }),
        (block_bytes("07", ORIGIN), |bytes| {
            BlockVersion::decode(bytes, &NET).is_ok()
        }),
        (block_bytes("08", "00"), |bytes| {
            BlockVersion::decode(bytes, &NET).is_ok()
        }),
    ];
    for (bytes, decodes) in all {
        assert!(decodes(&bytes));
        for cut in 0..bytes.len() {
            assert!(!decodes(&bytes[..cut]), "cut at {cut} of {}", bytes.len());
        }
        assert!(!decodes(&[bytes, vec![0]].concat()));
    }
}

#[test]
fn values_that_are_never_written_are_refused() {
    let bytes = version_bytes();
    let with = |offset: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[offset] = byte;
        Version::decode(&bytes, Some(11)).is_ok()
    };
    assert!(with(0, 1));
    // Layer 0, id, ordinal 0, flags, kind, interval, level, extent, own texts.
    for (offset, byte) in [
        (0, 0),
        (4, 0xff),
        (6, 0),
        (15, 1),
        (14, 0xe3),
        (16, 3),
        (32, 0x80),
        (33, 23),
        (33, 0xff),
    ] {
        assert!(!with(offset, byte), "{byte} at {offset}");
    }
    assert!(with(52, 0xc0));
    assert!(!with(68, 0xc0));
    assert!(!with(bytes.len() - 10, 0x0d));
    let mut minus_zero = bytes.clone();
    minus_zero[77..85].copy_from_slice(&(-0.0_f64).to_le_bytes());
    assert!(Version::decode(&minus_zero, Some(11)).is_err());
}

/// Numbers that a net never gives, with a hash that fits them: adding to them must not overflow.
#[test]
fn a_commit_number_is_in_range() {
    let numbered = |number: u64| {
        let mut bytes = commit_bytes();
        bytes[1..9].copy_from_slice(&number.to_le_bytes());
        // Fields of the hash as they stand in the header, but for the lengths of the texts.
        let (texts, rest) = ([&b"ann"[..], b"", b"doc 7"], 26 + 14);
        let mut hasher = Hasher::new("blocknet/commit/1")
            .fixed(&NET)
            .fixed(&bytes[1..26]);
        for text in texts {
            hasher = hasher.bytes(text);
        }
        let end = bytes.len() - 32;
        let hash = hasher.fixed(&bytes[rest..end]).finish();
        bytes[end..].copy_from_slice(&hash);
        Commit::decode(&bytes, &NET)
    };
    for number in [1, 2, i64::MAX as u64] {
        assert_eq!(numbered(number).unwrap().number, number);
    }
    for number in [0, i64::MAX as u64 + 1, u64::MAX] {
        let refused = numbered(number).unwrap_err().to_string();
        assert!(refused.contains("its number"), "{refused}");
    }
}

/// The limits on lines of a file are those of the longest bytes that can be decoded.
#[test]
fn the_longest_bytes_are_within_the_limits() {
    let text = format!("0010 {}", "61".repeat(4096));
    let hash = "00".repeat(32);
    let commit = golden(&format!(
        "02 01{} {zero} 00 {zero} {text} {text} {text} {hash}{hash}{hash}{hash}{hash}
         {zero} 00000000 {hash}",
        "00".repeat(7),
        zero = "00".repeat(8)
    ));
    assert_eq!(commit.len(), COMMIT_LEN_BYTES_MAX);
    let version = golden(&format!(
        "0100 0004 {} 0100000000000000 c000 00 {zero}{zero} 01 {} {zero}{zero}{zero}{zero}{zero}{zero}
         00000000 {hash} {hash} 07 {text} {text} {text}",
        "61".repeat(1024),
        "00".repeat(32),
        zero = "00".repeat(8)
    ));
    assert_eq!(version.len(), VERSION_LEN_BYTES_MAX);
    let mut decoded = Version::decode(&version, Some(32)).unwrap();
    decoded.id = "\0".repeat(1024);
    assert_eq!(decoded.record_key().len() + 32, LEAF_LEN_BYTES_MAX);
    let block = format!("2000000000000000 {hash}");
    let gene = format!("{block} {} {hash}", "00".repeat(8));
    let block = golden(&format!(
        "00 {block} {zero} {hash} {hash} {zero} 0600000000000000 {} {hash}
         01 00000000 {block} 0600000000000000 {}",
        gene.repeat(6),
        format!("{block} 00").repeat(6),
        zero = "00".repeat(8)
    ));
    assert_eq!(block.len(), BLOCK_LEN_BYTES_MAX);
    assert!(BlockVersion::decode(&block, &NET).is_ok());
}

quickcheck! {
    fn hostile_bytes_are_refused_not_panicked_on(bytes: Vec<u8>, at: usize, byte: u8) -> bool {
        let decoded = Commit::decode(&bytes, &NET).is_ok()
            || Version::decode(&bytes, Some(11)).is_ok()
            || BlockVersion::decode(&bytes, &NET).is_ok();
        let mut changed = commit_bytes();
        let at_commit = at % changed.len();
        changed[at_commit] = byte;
        let same = changed == commit_bytes();
        let mut version = version_bytes();
        let at_version = at % version.len();
        version[at_version] = byte;
        let answered = Version::decode(&version, Some(11)).is_ok() || version != version_bytes();
        // No byte of a commit header can be changed.
        !decoded && answered && Commit::decode(&changed, &NET).is_ok() == same
    }
}
