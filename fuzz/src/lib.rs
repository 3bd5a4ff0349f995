//! What the fuzz targets share: nets in memory, and hostile changes to bytes.
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arbitrary::Arbitrary;
use blocknet_engine::{
    Assertion, Clock, Commit, Extent, LayerDef, LayerId, Moment, Net, NetBuilder, Settings, Valid,
};
use blocknet_geocode::{CurveKind, NetSpec};
use blocknet_wal::{Access, Env, EnvFile, Found, Frame, MemEnv, Survey, fuzzing};

/// Where nets and journals in memory lie.
pub const DIR: &str = "net";

/// A spec out of a few that differ in every parameter.
pub fn spec(choice: u8) -> NetSpec {
    let city = NetSpec::builder();
    let built = match choice % 5 {
        0 => city.build(),
        1 => city.band_digits(3).build(),
        2 => city.curve(CurveKind::Hilbert).altitude_digits(0).build(),
        3 => city
            .planar_digits(3)
            .altitude_digits(2)
            .block_digits(2)
            .band_digits(1)
            .build(),
        _ => city.planar_digits(48).altitude_digits(16).build(),
    };
    built.expect("all in range")
}

/// A clock that moves on by a second at each look.
#[derive(Debug)]
pub struct Ticking(AtomicI64);

impl Ticking {
    /// Starts on 2020-01-01.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(NOON)))
    }
}

/// 2020-01-01T12:00:00Z, microseconds.
pub const NOON: i64 = 1_577_880_000_000_000;
/// A day, microseconds.
pub const DAY: i64 = 86_400_000_000;

impl Clock for Ticking {
    fn now(&self) -> Moment {
        Moment::from_micros(self.0.fetch_add(1_000_000, Ordering::Relaxed))
    }
}

/// A disk in memory that allocates less than it is asked for: megabytes of zeros behind every small
/// journal would be most of the work.
#[derive(Clone, Debug)]
pub struct Lean(pub MemEnv);

#[derive(Debug)]
struct LeanFile(Arc<dyn EnvFile>);

fn lean(file: Arc<dyn EnvFile>) -> Arc<dyn EnvFile> {
    Arc::new(LeanFile(file))
}

impl Env for Lean {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.0.list(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn EnvFile>> {
        self.0.open(path, access).map(lean)
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn EnvFile>> {
        self.0.create_new(path).map(lean)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.replace(from, to)
    }

    fn remove_tmp(&self, path: &Path) -> io::Result<()> {
        self.0.remove_tmp(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }

    fn random(&self) -> io::Result<u64> {
        self.0.random()
    }
}

impl EnvFile for LeanFile {
    fn len_bytes(&self) -> io::Result<u64> {
        self.0.len_bytes()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let some = self.0.len_bytes()?.saturating_add(512);
        self.0.allocate(len.min(some))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// Opens nets on a disk in memory, with segments so short that a small net has several.
pub fn builder(env: &MemEnv) -> NetBuilder {
    Net::builder()
        .settings(Settings {
            segment_len_bytes_max: 8 << 10,
            ..Settings::default()
        })
        .costs(blocknet_engine::Costs::default())
        .clock(Ticking::new())
        .env(Arc::new(Lean(env.clone())))
}

/// Something a net is told.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Told {
    entity: u8,
    east: i8,
    north: i8,
    size: u8,
    floor: Option<i8>,
    height: Option<u8>,
    from: Option<i8>,
    end: Option<i8>,
    forever: bool,
    absent: bool,
    kind: u8,
    payload: u8,
}

impl Told {
    /// The assertion, near 4.9 degrees east, 52.4 degrees north, in one of two layers.
    pub fn assertion(self) -> Assertion {
        use blocknet_engine::{ChangeKind, End};
        let day = |days: i8| Moment::from_micros(NOON + i64::from(days) * DAY);
        let layer = if self.entity & 8 == 0 {
            LayerId::MAIN
        } else {
            second()
        };
        // Sizes from a point to half a degree, so that several levels are in use.
        let size = f64::from(self.size & 15).exp2() / 65_536.0;
        let size = if self.size & 128 == 0 { size } else { 0.0 };
        let west = 4.9 + f64::from(self.east) / 1_000.0;
        let south = 52.4 + f64::from(self.north) / 1_000.0;
        let mut extent = Extent::flat(west, south, west + size, south + size);
        extent.floor = self.floor.map(f64::from);
        extent.top = match (self.floor, self.height) {
            (Some(floor), Some(height)) => Some(f64::from(floor) + f64::from(height)),
            (None, Some(height)) => Some(f64::from(height)),
            (_, None) => None,
        };
        let id = format!("e{}", self.entity & 7);
        let payload = vec![b'p'; usize::from(self.payload) * 4];
        let mut assertion = Assertion::state(layer, id, extent, payload);
        if self.absent {
            assertion.extent = None;
        }
        assertion.valid = Valid {
            from: self.from.map(day),
            from_day: self.kind & 4 != 0,
            end: match (self.end, self.forever) {
                (Some(end), _) => End::At(day(end)),
                (None, true) => End::Forever,
                (None, false) => End::UntilNext,
            },
            to_day: self.kind & 8 != 0,
        };
        assertion.kind = match self.kind & 3 {
            0 | 1 => ChangeKind::Change,
            2 => ChangeKind::Correct,
            _ => ChangeKind::Retract,
        };
        assertion
    }
}

/// The layer that [`create`] adds.
pub fn second() -> LayerId {
    static SECOND: std::sync::OnceLock<LayerId> = std::sync::OnceLock::new();
    *SECOND.get_or_init(|| {
        let net = builder(&MemEnv::new(0)).create(DIR, spec(0));
        let net = net.expect("nothing fails in memory");
        net.create_layer(LayerDef::new("second"), "fuzz", "")
            .expect("nothing fails in memory")
    })
}

/// A new net with two layers.
pub fn create(env: &MemEnv, spec: NetSpec) -> Net {
    let net = builder(env).create(DIR, spec);
    let net = net.expect("nothing fails in memory");
    net.create_layer(LayerDef::new("second"), "fuzz", "")
        .expect("nothing fails in memory");
    net
}

/// Tells a net something; what it refuses is left out.
pub fn tell(net: &Net, told: &[Told]) {
    let assertions: Vec<Assertion> = told.iter().map(|told| told.assertion()).collect();
    match net.commit(&Commit::new("fuzz", assertions)) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), blocknet_engine::ErrorKind::Invalid, "{error}"),
    }
}

/// A change to a file, or to anything that is bytes.
#[derive(Arbitrary, Clone, Debug)]
pub enum Change {
    /// Bits are flipped.
    Flip {
        /// Where.
        at: u16,
        /// Which.
        mask: u8,
    },
    /// Bytes become zero, as in a sector that was lost.
    Zero {
        /// From here.
        at: u16,
        /// So many.
        len: u8,
    },
    /// Bytes are copied over others, as by a misdirected write.
    Copy {
        /// From here.
        from: u16,
        /// To there.
        to: u16,
        /// So many.
        len: u16,
    },
    /// The end is cut off.
    Cut {
        /// From here.
        at: u16,
    },
    /// Zeros follow the end.
    Grow {
        /// So many.
        len: u8,
    },
}

impl Change {
    /// Makes the change; places beyond the end wrap around.
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        if let Self::Grow { len } = *self {
            bytes.resize(bytes.len() + usize::from(len), 0);
            return;
        }
        let len = bytes.len();
        if len == 0 {
            return;
        }
        let within = |at: u16| usize::from(at) % len;
        match *self {
            Self::Flip { at, mask } => bytes[within(at)] ^= mask,
            Self::Zero { at, len: count } => {
                let at = within(at);
                bytes[at..(at + usize::from(count)).min(len)].fill(0);
            }
            Self::Copy {
                from,
                to,
                len: count,
            } => {
                let (from, to) = (within(from), within(to));
                let count = usize::from(count).min(len - from.max(to));
                bytes.copy_within(from..from + count, to);
            }
            Self::Cut { at } => bytes.truncate(within(at)),
            Self::Grow { .. } => {}
        }
    }
}

/// Surveys a journal, and checks that every byte of it belongs to exactly one of the things found.
/// Returns its sound frames.
pub fn survey(env: &MemEnv, dir: &Path) -> Vec<Frame> {
    let Ok(survey) = Survey::new(Arc::new(env.clone()), dir) else {
        return Vec::new();
    };
    let mut frames = Vec::new();
    for &segment in survey.segments() {
        let walk = survey.walk(segment).expect("nothing fails in memory");
        let len = walk.len_bytes();
        let mut end = 0;
        for found in walk {
            let found = found.expect("nothing fails in memory");
            let (at, len) = match &found {
                Found::Page(_) => (0, fuzzing::FRAMES_OFFSET),
                Found::Frame(Frame { position, .. })
                | Found::Clean { position, .. }
                | Found::Footer { position, .. } => (position.offset_bytes, position.len_bytes),
                Found::Damage(damage) => (damage.offset_bytes, damage.len_bytes),
                Found::Unused {
                    offset_bytes,
                    len_bytes,
                } => (*offset_bytes, *len_bytes),
                _ => panic!("{found:?} has a place"),
            };
            assert_eq!(at, end, "{found:?} begins where the one before it ends");
            end = at + len;
            if let Found::Frame(frame) = found {
                frames.push(frame);
            }
        }
        assert_eq!(
            end, len,
            "every byte of segment {segment} was accounted for"
        );
    }
    frames
}
