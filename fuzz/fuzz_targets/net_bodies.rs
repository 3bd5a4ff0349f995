//! A small net whose journal is written again with changed bodies and payloads under sums that fit:
//! what somebody could write who knows the format but not the hashes. Opening it gives an error with
//! a kind, or the net as it was.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use arbitrary::Arbitrary;
use blocknet_engine::{ErrorKind, LayerId};
use blocknet_fuzz::{Change, DIR, Told, builder, create, spec, tell};
use blocknet_wal::{FrameRef, Journal, JournalOptions, MemEnv, Recovery};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    spec: u8,
    commits: Vec<Vec<Told>>,
    changes: Vec<(u8, What, Change)>,
    /// The frame of a commit stands in the place of another one.
    moved: Option<(u8, u8)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum What {
    Body,
    /// Beyond the commit's own texts and hashes.
    Inside,
    Payloads,
    Chain,
}

/// What stands in front of a body's definitions.
const HEADER_LEN: usize = 250;

fuzz_target!(|input: Input| {
    let env = MemEnv::new(3);
    let net = create(&env, spec(input.spec));
    for told in input.commits.iter().take(5) {
        tell(&net, &told[..told.len().min(5)]);
    }
    let id = *net.id();
    net.close().expect("nothing fails in memory");

    let dir = Path::new(DIR).join("journal");
    let recovery = Recovery::scan(Arc::new(env), &dir).expect("just closed");
    let frames = recovery.frames(1).expect("errors come from the iterator");
    let mut frames: Vec<_> = frames
        .map(|frame| {
            let frame = frame.expect("just closed");
            (frame.chain, frame.body, frame.erasable)
        })
        .collect();
    if let Some((from, to)) = input.moved {
        let count = frames.len();
        let copy = frames[usize::from(from) % count].clone();
        frames[usize::from(to) % count] = copy;
    }
    for (index, what, change) in input.changes.iter().take(4) {
        let count = frames.len();
        let frame = &mut frames[usize::from(*index) % count];
        match what {
            What::Body => change.apply(&mut frame.1),
            What::Inside => {
                let mut inside = frame.1.split_off(HEADER_LEN.min(frame.1.len()));
                change.apply(&mut inside);
                frame.1.append(&mut inside);
            }
            What::Payloads => change.apply(&mut frame.2),
            What::Chain => {
                let mut chain = frame.0.to_vec();
                change.apply(&mut chain);
                chain.resize(32, 0);
                frame.0.copy_from_slice(&chain);
            }
        }
    }

    let env = MemEnv::new(4);
    let options = JournalOptions {
        preallocate_len_bytes: 0,
        ..JournalOptions::default()
    };
    blocknet_wal::Env::create_dir(&env, Path::new(DIR)).expect("an empty disk");
    let journal = Journal::create(Arc::new(env.clone()), &dir, id, options);
    let journal = journal.expect("nothing fails in memory");
    for (seq, (chain, body, erasable)) in (1..).zip(&frames) {
        let frame = FrameRef {
            seq,
            chain,
            body,
            erasable,
        };
        journal.append(&frame).expect("nothing fails in memory");
    }
    journal.close().expect("nothing fails in memory");
    let net = match builder(&env).open(DIR) {
        Ok(net) => net,
        Err(error) => {
            let kinds = [ErrorKind::Corrupt, ErrorKind::Version];
            assert!(kinds.contains(&error.kind()), "{:?}: {error}", error.kind());
            return;
        }
    };
    let view = net.now_view().expect("tables just built");
    for entity in 0..8 {
        let _ = view.history(LayerId::MAIN, &format!("e{entity}"));
    }
    let audit = net.audit(|finding| panic!("{finding:?}"));
    audit.expect("tables in memory, just built");
});
