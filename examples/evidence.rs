//! What a store cannot show by itself: checkpoints kept elsewhere, a proof for somebody who does not
//! have the store, a payload erased by law, and a backup.
//!
//! Run with `cargo run --example evidence`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blocknet::backup::{TableFiles, Until};
use blocknet::geocode::NetSpec;
use blocknet::proof::{Checkpoint, Keys, Note, Role, SecretKey, verify};
use blocknet::verify::{Anchor, Depth};
use blocknet::{
    Assertion, Commit, Every, Extent, Hash, HistoryOptions, LayerId, Moment, Net, Valid,
};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = dir.path().join("city");

    // Every ten commits, or every hour, and at the end a checkpoint is handed out. Here it goes into
    // a list; send it to somebody whom nobody who can write the store can overrule.
    let kept: Arc<Mutex<Vec<Checkpoint>>> = Arc::default();
    let every = Every {
        commits: 10,
        interval: Duration::from_hours(1),
    };
    let sink = Arc::clone(&kept);
    let net = Net::builder()
        .checkpoints(every, move |checkpoint| {
            sink.lock()
                .map_err(|_| "the list is gone")?
                .push(*checkpoint);
            Ok(())
        })
        .create(&store, NetSpec::city())?;
    let house = Extent::flat(6.1389, 52.0126, 6.1391, 52.0128);
    for year in 0..24_i64 {
        let payload = format!("{{\"owner\":\"owner number {year}\"}}");
        let from = Valid::from(Moment::from_micros(year * 365 * 86_400_000_000));
        let state = Assertion::state(LayerId::MAIN, "0012", house, payload).valid(from);
        net.commit(&Commit::new("registrar", vec![state]))?;
    }

    // A proof of the house's history, for a court: one text file, checked without the store.
    let key = SecretKey::generate("city.example/buildings", Role::Log)?;
    let mut note = Note::new(net.checkpoint()?);
    note.sign(&key)?;
    let view = net.now_view()?;
    let options = HistoryOptions {
        untouched: true,
        ..HistoryOptions::default()
    };
    let proof = view.prove_history(LayerId::MAIN, "0012", note, options)?;
    let text = proof.encode();
    let keys = Keys::new(vec![key.public()], Vec::new())?;
    let report = verify(text.as_bytes(), &keys)?;
    println!(
        "a proof of {} bytes holds; it does not show, among others: {}",
        text.len(),
        report.not_proven().first().unwrap_or(&"nothing")
    );

    // The third owner wants his name gone. The commit says so, and the next opening takes the bytes
    // out of every file.
    let third = view.history(LayerId::MAIN, "0012")?[2].version;
    drop(view);
    let law = Commit {
        reason: "article 17".into(),
        ..Commit::new("clerk", Vec::new())
    };
    let by = net.erase(&[third], &law)?;
    net.close()?;
    let net = Net::open(&store)?;
    println!(
        "commit {by} erased version {third}: {} carried through",
        net.report().erased
    );

    // A backup is a net itself, made while this one is in use.
    let backup = dir.path().join("backup");
    let made = net.backup(&backup, TableFiles::Linked, &|_| ())?;
    println!("a backup of {} commits", made.commits);
    net.close()?;

    // Does the store still hold what was remembered? And would an older copy be noticed?
    let anchors: Vec<Anchor> = kept
        .lock()
        .map_err(|_| "the list is gone")?
        .iter()
        .map(|checkpoint| Anchor {
            size: checkpoint.size(),
            net: checkpoint.net(),
            root: Hash(checkpoint.root()),
        })
        .collect();
    let old = dir.path().join("old");
    Net::builder().restore(&backup, &old, Until::Commit(15), &|_| ())?;
    for (name, place) in [("the store", &store), ("an older copy", &old)] {
        let found = Net::builder().verify_against(place, Depth::Full, &anchors, &[], &|_| ())?;
        let standings: Vec<_> = found.standings.iter().map(ToString::to_string).collect();
        println!("{name}: {}", standings.join("; "));
    }
    Ok(())
}
