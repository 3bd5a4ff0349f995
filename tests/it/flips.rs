//! One byte of a small store changed, in every file: verify finds it, or nothing that the store
//! answers depends on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use blocknet::geocode::NetSpec;
use blocknet::verify::Depth;
use blocknet::{AsOf, Assertion, Commit, Extent, LayerId, Moment, Net, Valid};

use crate::damage::{contents, copy_dir};

fn small(store: &Path) {
    let net = Net::builder().create(store, NetSpec::city()).unwrap();
    for round in 0..6_i64 {
        let assertions = (0..4_u32).map(|house| {
            let west = 6.1 + 0.002 * f64::from(house);
            let extent = Extent::flat(west, 52.0, west + 0.0001, 52.0001);
            let valid = Valid::from(Moment::from_micros(round * 86_400_000_000));
            let payload = format!("{{\"round\":{round}}}");
            Assertion::state(LayerId::MAIN, house.to_string(), extent, payload).valid(valid)
        });
        net.commit(&Commit::new("test", assertions.collect()))
            .unwrap();
    }
    net.close().unwrap();
}

/// Everything the store answers: each entity's whole history.
fn answers(store: &Path) -> blocknet::Result<Vec<String>> {
    let net = Net::open_read_only(store)?;
    let mut answers = Vec::new();
    for day in [0, 3, 9] {
        let view = net.view(AsOf::Newest, Moment::from_micros(day * 86_400_000_000))?;
        for house in 0..4 {
            let found = view.get(LayerId::MAIN, &house.to_string())?;
            answers.push(format!("{found:?}"));
        }
    }
    net.audit(|finding| panic!("{finding}"))?;
    Ok(answers)
}

/// What a file is, whatever its number.
fn kind(file: &Path) -> String {
    let name = file.file_name().unwrap().to_string_lossy();
    let kind: String = name.chars().filter(|c| !c.is_ascii_digit()).collect();
    let dir = file.parent().unwrap().to_string_lossy();
    format!("{dir}/{kind}")
}

/// All bytes take a while: `BLOCKNET_STRIDE=1`.
#[test]
fn a_changed_byte_in_any_file_is_found_or_changes_no_answer() {
    let number = |name: &str, default: usize| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (stride, seed) = (number("BLOCKNET_STRIDE", 61), number("BLOCKNET_SEED", 5));
    let root = tempfile::tempdir().unwrap();
    let store = root.path().join("store");
    small(&store);
    let expected = answers(&store).unwrap();
    let copy = root.path().join("copy");
    copy_dir(&store, &copy);
    let (mut flips, mut inert) = (0, BTreeMap::<String, usize>::new());
    for (path, bytes) in contents(&store) {
        let file: PathBuf = path.strip_prefix(&store).unwrap().into();
        // Most bytes are in what RocksDB writes for people to read.
        let text = kind(&file).contains("LOG") || kind(&file).contains("OPTIONS");
        let stride = if text { 20 * stride } else { stride };
        for at in (seed % stride..bytes.len()).step_by(stride) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << ((at + seed) % 8);
            fs::write(copy.join(&file), &changed).unwrap();
            let verified = Net::builder().verify(&copy, Depth::Full, &|_| ()).unwrap();
            flips += 1;
            if verified.is_clean() {
                assert_eq!(
                    answers(&copy).unwrap(),
                    expected,
                    "{} at {at}: not found, and answers differ",
                    file.display()
                );
                // Of the journal only the mark that it was closed, and that is told.
                assert!(
                    kind(&file) != "journal/.wal" || verified.torn_tail,
                    "{} at {at}",
                    file.display()
                );
                *inert.entry(kind(&file)).or_default() += 1;
            }
        }
        fs::write(copy.join(&file), &bytes).unwrap();
    }
    println!("seed {seed}, stride {stride}: {flips} flips, without effect {inert:?}");
    // Logs and names that RocksDB writes for people, filters, and the journal's closing mark.
    let known = [
        "/LOCK",
        "tables/LOG",
        "tables/LOCK",
        "tables/IDENTITY",
        "tables/OPTIONS-",
        "tables/.sst",
        "journal/.wal",
        "tables/.log",
    ];
    for kind in inert.keys() {
        assert!(
            known.contains(&&**kind),
            "{kind} is not known to be without effect: {inert:?}"
        );
    }
    assert!(flips > 20_000 / stride, "{flips}");
    let harmless: usize = inert.values().sum();
    assert!(
        harmless < flips / 2,
        "{harmless} of {flips} without effect: {inert:?}"
    );
}
