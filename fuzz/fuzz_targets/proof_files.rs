//! Files of proofs, checkpoints and witnesses, and the bytes inside proofs. What decodes encodes to the
//! same bytes, and checking it panics on nothing. Nobody's key is needed: checks come without signatures.
#![no_main]

use blocknet_proof::witness::State;
use blocknet_proof::{BlockVersion, Commit, Note, Proof, PublicKey, SecretKey, Version};
use libfuzzer_sys::fuzz_target;

const NET: [u8; 16] = [0x5a; 16];

fuzz_target!(|bytes: &[u8]| {
    if let Ok(proof) = Proof::decode(bytes) {
        assert_eq!(proof.encode().as_bytes(), bytes);
        // An answer either way will do.
        match &proof {
            Proof::Commit(proof) => drop(proof.check()),
            Proof::History(proof) => drop(proof.check()),
            Proof::Consistency(proof) => drop(proof.check()),
            _ => {}
        }
    }
    if let Ok(note) = Note::decode(bytes) {
        assert_eq!(note.encode().as_bytes(), bytes);
    }
    if let Ok(state) = State::decode(bytes) {
        assert_eq!(state.encode().as_bytes(), bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let line = text.strip_suffix('\n').unwrap_or(text);
        if let Ok(key) = PublicKey::decode(text) {
            assert_eq!(key.to_string(), line);
        }
        if let Ok(key) = SecretKey::decode(text) {
            assert_eq!(key.encode(), line);
        }
    }
    drop(Commit::decode(bytes, &NET));
    drop(BlockVersion::decode(bytes, &NET));
    for code_len in [None, Some(4), Some(32), Some(255)] {
        drop(Version::decode(bytes, code_len));
    }
});
