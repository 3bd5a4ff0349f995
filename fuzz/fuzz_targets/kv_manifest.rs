//! The check of RocksDB's manifest, alone: RocksDB itself is not compiled. A sound manifest with any
//! single bit flipped is refused.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = if std::path::Path::new("/dev/shm").is_dir() {
        "/dev/shm".into()
    } else {
        std::env::temp_dir()
    };
    dir.join(format!("blocknet-fuzz-manifest-{}", std::process::id()))
});

fn is_sound(bytes: &[u8]) -> bool {
    std::fs::write(&*FILE, bytes).expect("a writable temporary directory");
    let checked = blocknet_kv::fuzzing::manifest(&FILE);
    checked.expect("the file was just written").is_ok()
}

fn crc32c(kind: u8, payload: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in std::iter::once(&kind).chain(payload) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The bytes cut into records with checksums that fit.
fn with_sums(bytes: &[u8]) -> Vec<u8> {
    let mut manifest = Vec::new();
    let mut rest = bytes;
    while let [kind, len, tail @ ..] = rest {
        let (payload, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        manifest.extend_from_slice(&crc32c(*kind, payload).to_le_bytes());
        let len = u16::try_from(payload.len()).expect("at most 255");
        manifest.extend_from_slice(&len.to_le_bytes());
        manifest.push(*kind);
        manifest.extend_from_slice(payload);
        rest = tail;
    }
    manifest
}

fuzz_target!(|bytes: &[u8]| {
    is_sound(bytes);
    let mut manifest = with_sums(bytes);
    if is_sound(&manifest) && manifest.len() < 64 {
        for at in 0..manifest.len() {
            for bit in 0..8 {
                manifest[at] ^= 1 << bit;
                assert!(
                    !is_sound(&manifest),
                    "bit {bit} of byte {at} is not noticed"
                );
                manifest[at] ^= 1 << bit;
            }
        }
    }
});
