//! What may go wrong in a trace: a random subset of all kinds of faults for each seed, so that some
//! traces see one kind often and others see several meet.

use blocknet_wal::{EnvOp, FaultRates, InjectedError, Injection, MemEnv};

use crate::seed::Rng;

/// The kinds of faults that a trace may see, and how often.
#[expect(clippy::struct_excessive_bools, reason = "each kind is there or not")]
#[derive(Clone, Debug)]
pub(crate) struct Swarm {
    /// The machine loses power at some operation, or between two.
    pub(crate) power: bool,
    /// The process dies at some operation, or between two.
    pub(crate) death: bool,
    /// Either of them while a net is created, opened and recovered, again and again.
    recovery: bool,
    /// One operation fails at a place chosen beforehand, once or for good.
    single: bool,
    sync_errors: u32,
    write_errors: u32,
    no_space: u32,
    name_errors: u32,
    read_errors: u32,
    lies: Option<Lies>,
}

#[derive(Clone, Debug)]
struct Lies {
    rates: FaultRates,
    /// Bits flip while the machine is off.
    rot: bool,
}

impl Swarm {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        const OFTEN: [u32; 3] = [3_000, 15_000, 60_000];
        let mut rate = |rates: &[u32]| {
            if rng.one_in(2) { 0 } else { rng.pick(rates) }
        };
        let (sync_errors, write_errors) = (rate(&OFTEN), rate(&OFTEN));
        let (no_space, name_errors) = (rate(&OFTEN), rate(&OFTEN));
        let read_errors = rate(&[5_000, 30_000, 100_000]);
        let lies = rng.one_in(4).then(|| Lies::new(rng));
        Self {
            power: !rng.one_in(4),
            death: rng.one_in(2),
            recovery: !rng.one_in(3),
            single: rng.one_in(3),
            sync_errors,
            write_errors,
            no_space,
            name_errors,
            read_errors,
            lies,
        }
    }

    /// Sets the faults of one life of a process, or of one attempt to open.
    ///
    /// * `opening`: whether that is all that is going to be done.
    pub(crate) fn arm(&self, env: &MemEnv, rng: &mut Rng, opening: bool) {
        env.heal();
        env.set_fault_rates(self.rates(), rng.next());
        let span = if opening { 40 } else { 200 };
        let cut = if opening {
            self.recovery
        } else {
            !rng.one_in(3)
        };
        if self.single && rng.one_in(2) {
            let (ops, error): (&[EnvOp], _) = match rng.below(4) {
                0 => (EnvOp::SYNCS, InjectedError::Io),
                1 => (EnvOp::CHANGES, InjectedError::NoSpace),
                2 => (EnvOp::CHANGES, InjectedError::Io),
                _ => (
                    &[EnvOp::Read, EnvOp::Open, EnvOp::Len, EnvOp::List],
                    InjectedError::Io,
                ),
            };
            env.inject(Injection {
                ops,
                nth: 1 + rng.below(span),
                lasting: rng.one_in(2),
                error,
            });
        } else if (self.power || self.death) && cut {
            env.inject(Injection {
                ops: &[],
                nth: 1 + rng.below(span),
                lasting: true,
                error: InjectedError::Io,
            });
        }
    }

    /// Sets the faults that no operation reports, and no others.
    pub(crate) fn arm_lies(&self, env: &MemEnv, rng: &mut Rng) {
        env.heal();
        if let Some(lies) = &self.lies {
            env.set_fault_rates(lies.rates.clone(), rng.next());
        }
    }

    fn rates(&self) -> FaultRates {
        use EnvOp as Op;
        use InjectedError::{Io, NoSpace};
        let mut rates = match &self.lies {
            Some(lies) => lies.rates.clone(),
            None => FaultRates::default(),
        };
        let groups: [(&[EnvOp], _, _); 5] = [
            (Op::SYNCS, Io, self.sync_errors),
            (&[Op::Write, Op::SetLen], Io, self.write_errors),
            (
                &[Op::Write, Op::Allocate, Op::CreateNew],
                NoSpace,
                self.no_space,
            ),
            (
                &[Op::CreateDir, Op::CreateNew, Op::Rename, Op::RemoveTmp],
                Io,
                self.name_errors,
            ),
            (
                &[Op::Read, Op::Open, Op::Len, Op::List],
                Io,
                self.read_errors,
            ),
        ];
        for (ops, error, rate) in groups {
            let failing = ops.iter().filter(|_| rate > 0);
            rates.errors.extend(failing.map(|op| (*op, error, rate)));
        }
        rates
    }

    /// Flips a bit somewhere in the journal's files, most times where there is something. Returns
    /// whether it did.
    pub(crate) fn rot(&self, env: &MemEnv, rng: &mut Rng) -> bool {
        let rots = self.lies.as_ref().is_some_and(|lies| lies.rot);
        let paths = env.paths();
        if !rots || paths.is_empty() || !rng.one_in(2) {
            return false;
        }
        let path = &paths[rng.index(paths.len())];
        let mut bytes = env.contents(path).unwrap_or_default();
        let written = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        let len = if rng.one_in(4) { bytes.len() } else { written };
        if len == 0 {
            return false;
        }
        bytes[rng.index(len)] ^= 1 << rng.below(8);
        env.set_contents(path, &bytes);
        true
    }
}

impl Lies {
    fn new(rng: &mut Rng) -> Self {
        const SELDOM: [u32; 3] = [2_000, 8_000, 40_000];
        let mut rate = || {
            if rng.one_in(2) { 0 } else { rng.pick(&SELDOM) }
        };
        let rates = FaultRates {
            errors: Vec::new(),
            phantom_writes: rate(),
            lost_writes: rate(),
            misdirected_writes: rate(),
            lost_syncs: rate(),
        };
        Self {
            rates,
            rot: rng.one_in(3),
        }
    }
}
