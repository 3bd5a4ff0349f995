//! A small net in memory, then damage to its journal, and it is opened again: an error with a kind,
//! or answers that are right. Undamaged it opens, with what was acknowledged.
#![no_main]

use arbitrary::Arbitrary;
use blocknet_engine::{AsOf, ErrorKind, Moment, Net, Record};
use blocknet_fuzz::{Change, DAY, DIR, NOON, Told, builder, create, second, spec, tell};
use blocknet_wal::MemEnv;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    spec: u8,
    commits: Vec<Vec<Told>>,
    closed: bool,
    crash: Option<u64>,
    damage: Vec<(u8, Change)>,
}

/// Every version of every entity that the targets use.
fn histories(net: &Net) -> Option<Vec<Record>> {
    let view = net.view(AsOf::Newest, Moment::from_micros(NOON)).ok()?;
    let mut all = Vec::new();
    for layer in [blocknet_engine::LayerId::MAIN, second()] {
        for entity in 0..8 {
            all.extend(view.history(layer, &format!("e{entity}")).ok()?);
        }
    }
    Some(all)
}

fn look(net: &Net) {
    for as_of in [
        AsOf::Newest,
        AsOf::Commit(2),
        AsOf::Recorded(Moment::from_micros(NOON)),
    ] {
        for days in [-200, 0, 200] {
            let valid = Moment::from_micros(NOON + days * DAY);
            let view = net
                .view(as_of, valid)
                .expect("tables in memory, just built");
            for layer in [blocknet_engine::LayerId::MAIN, second()] {
                let _ = view.get(layer, "e0").expect("tables just built");
                let _ = view.timeline(layer, "e1", blocknet_engine::Interval::ALL);
            }
        }
    }
    let audit = net.audit(|finding| panic!("{finding:?}"));
    audit.expect("tables in memory, just built");
}

fuzz_target!(|input: Input| {
    let env = MemEnv::new(3);
    let net = create(&env, spec(input.spec));
    for told in input.commits.iter().take(6) {
        tell(&net, &told[..told.len().min(6)]);
    }
    let before = histories(&net).expect("undamaged");
    if input.closed {
        net.close().expect("nothing fails in memory");
    } else {
        drop(net);
    }
    let env = input.crash.map_or(env.clone(), |seed| env.crash(seed));
    let mut files = env.paths();
    files.retain(|path| env.contents(path).is_some());
    for (file, change) in input.damage.iter().take(4) {
        let path = &files[usize::from(*file) % files.len()];
        let mut bytes = env.contents(path).expect("a file");
        // What was only allocated is zero: damage to what was written tells more.
        let used = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 9);
        let mut written = bytes[..used.min(bytes.len())].to_vec();
        change.apply(&mut written);
        if !matches!(change, Change::Cut { .. }) {
            written.extend_from_slice(bytes.get(written.len()..).unwrap_or_default());
        }
        bytes = written;
        env.set_contents(path, &bytes);
    }
    match builder(&env).open_read_only(DIR) {
        Ok(net) => look(&net),
        Err(error) => assert!(!input.damage.is_empty(), "{error}"),
    }
    let net = match builder(&env).open(DIR) {
        Ok(net) => net,
        Err(error) => {
            assert!(!input.damage.is_empty(), "{error}");
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::Corrupt | ErrorKind::Version | ErrorKind::Io
                ),
                "{:?}: {error}",
                error.kind()
            );
            return;
        }
    };
    let after = histories(&net).expect("tables in memory, just built");
    // Commits that were lost are the newest: what is there was there before.
    let newest = net.now_view().expect("tables just built").newest_commit();
    let known = before
        .iter()
        .filter(|record| record.version.commit <= newest);
    assert!(known.eq(after.iter()), "a history differs");
    if input.damage.is_empty() {
        assert_eq!(before.len(), after.len(), "what was acknowledged is there");
    }
    look(&net);
    net.close().expect("nothing fails in memory");
    builder(&env).open(DIR).expect("just closed");
});
