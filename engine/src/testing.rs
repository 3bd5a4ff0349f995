//! What the tests share: bytes written by hand, a seeded generator, a clock that is told the time,
//! and nets on a disk in memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use blocknet_geocode::NetSpec;
use blocknet_wal::{EnvOp, InjectedError, Injection, MemEnv};

use crate::net::Net;
use crate::open::{NetBuilder, Settings};
use crate::time::{Clock, Moment};

/// Where nets in memory lie.
pub(crate) const DIR: &str = "net";
/// The identity that golden hashes are made with.
pub(crate) const NET_ID: [u8; 16] = [0x11; 16];
/// 90 degrees east, 45 degrees north, 0 m, filed under level 9 in a net for a city. Both axes are
/// at three quarters, so the first digit is f and all others 0; 0 m is step 100,000, hexadecimal
/// 0186a0. In order: the level, 9 planar digits, the altitude, 7 planar digits.
pub(crate) const PLACE: &str = "09 f00000000 0186a0 0000000";

/// Bytes from hexadecimal digits; blanks and line ends are ignored.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .map(|digit| u8::try_from(digit.to_digit(16).expect("hexadecimal")).expect("below 16"))
        .collect();
    assert!(digits.len().is_multiple_of(2), "whole bytes");
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// Bytes from lines of hexadecimal digits and of texts in quotes, which stand for themselves; what
/// follows `//` is a remark.
pub(crate) fn golden(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        for (index, part) in line.split('"').enumerate() {
            if index % 2 == 0 {
                bytes.extend(hex(part));
            } else {
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    bytes
}

/// A number from the environment, to repeat or lengthen a random test.
pub(crate) fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// The seeds of a random test: `BLOCKNET_RUNS` of them, or the one in `BLOCKNET_SEED`.
pub(crate) fn seeds(runs: u64) -> std::ops::Range<u64> {
    let runs = from_environment("BLOCKNET_RUNS", runs);
    match from_environment("BLOCKNET_SEED", u64::MAX) {
        u64::MAX => 0..runs,
        seed => seed..seed + 1,
    }
}

/// `SplitMix64`.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Midnight, so many days after 2000-01-01.
pub(crate) fn day(day: i64) -> Moment {
    Moment::from_micros((10_957 + day) * 86_400_000_000)
}

/// A clock that stands where it is put, in microseconds.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn at(moment: Moment) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(moment.as_micros())))
    }

    pub(crate) fn set(&self, moment: Moment) {
        self.0.store(moment.as_micros(), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// Opens nets on `env`, with segments so short that tests change them often.
pub(crate) fn builder(env: &MemEnv) -> NetBuilder {
    Net::builder()
        .settings(Settings {
            segment_len_bytes_max: 16 << 10,
            ..Settings::default()
        })
        .env(Arc::new(env.clone()))
}

/// A new net for a city on `env`.
pub(crate) fn create(env: &MemEnv) -> Net {
    builder(env)
        .create(DIR, NetSpec::city())
        .expect("no faults yet")
}

/// Opens the net on `env` again.
pub(crate) fn reopen(env: &MemEnv) -> Net {
    builder(env).open(Path::new(DIR)).expect("a sound net")
}

/// Lets the next of these operations fail, and with `lasting` all after it.
pub(crate) fn fail_next(env: &MemEnv, ops: &'static [EnvOp], lasting: bool, error: InjectedError) {
    env.inject(Injection {
        ops,
        nth: 1,
        lasting,
        error,
    });
}
