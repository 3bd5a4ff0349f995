//! What the tests share: seeds, days, and nets whose tables live in memory.

use blocknet_engine::{Assertion, Commit, Extent, LayerId, Moment, Net, Recorded, Valid};
use blocknet_geocode::NetSpec;

/// A number from the environment, to repeat or lengthen a random test.
fn from_environment(name: &str, default: u64) -> u64 {
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

    /// A number of 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).expect("32 bits are left")) / 4_294_967_296.0
    }
}

/// Midnight, so many days after 2000-01-01.
pub(crate) fn day(day: i64) -> Moment {
    Moment::from_micros((10_957 + day) * 86_400_000_000)
}

/// An empty net, and the directory that goes with it.
pub(crate) fn net(spec: NetSpec) -> (tempfile::TempDir, Net) {
    let dir = tempfile::tempdir().expect("a place for temporary files");
    let net = Net::builder()
        .tables_in_memory()
        .create(dir.path().join("net"), spec)
        .expect("the directory is empty");
    (dir, net)
}

/// A house of two storeys on its own plot; plots are far apart.
pub(crate) fn plot(number: u32) -> Extent {
    let west = 4.9 + f64::from(number) * 0.01;
    Extent::flat(west, 52.37, west + 0.0002, 52.3702).between(0.0, 6.0)
}

/// States `id` from a day on.
pub(crate) fn state(id: &str, from: i64, extent: Extent, payload: &str) -> Assertion {
    Assertion::state(LayerId::MAIN, id, extent, payload).valid(Valid::from(day(from)))
}

/// States that `id` is gone from a day on.
pub(crate) fn gone(id: &str, from: i64) -> Assertion {
    Assertion::absence(LayerId::MAIN, id).valid(Valid::from(day(from)))
}

/// Commits assertions as recorded on a day.
pub(crate) fn record(net: &Net, recorded: i64, assertions: Vec<Assertion>) {
    net.commit(&Commit {
        recorded: Recorded::At(day(recorded)),
        ..Commit::new("test", assertions)
    })
    .expect("a sound commit");
}
