//! What a simulation did, counted: a run that saw no faults proves nothing.

use std::fmt;

use blocknet_wal::FaultCounts;

/// Sums over traces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) seeds: u64,
    /// Times a net was opened for writing after something had ended it.
    pub(crate) recoveries: u64,
    /// Attempts to open that failed or were cut off.
    pub(crate) failed_opens: u64,
    pub(crate) read_only_opens: u64,
    pub(crate) submitted: u64,
    pub(crate) acknowledged: u64,
    /// Commits that were refused as the model says.
    pub(crate) refused: u64,
    /// Commits that failed and of which nothing may be found.
    pub(crate) failed: u64,
    /// Commits that may or may not be found.
    pub(crate) unknown: u64,
    /// Of commits without an answer, those that were found.
    pub(crate) survived: u64,
    /// Of commits without an answer, those that were not.
    pub(crate) lost: u64,
    pub(crate) poisoned: u64,
    pub(crate) closes: u64,
    pub(crate) deaths: u64,
    pub(crate) torn_tails: u64,
    /// Views compared with the model.
    pub(crate) views: u64,
    pub(crate) audits: u64,
    pub(crate) faults: FaultCounts,
    pub(crate) flipped_bits: u64,
    /// Traces in which the disk lied.
    pub(crate) lying: u64,
    /// Of these, those that ended in an error that names the damage.
    pub(crate) detected: u64,
    /// Of these, those in which commits went from the very end, which only a witness shows.
    pub(crate) tails_lost: u64,
    /// Of these, those in which a commit that had been taken back was there again.
    pub(crate) returned: u64,
}

impl std::ops::AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.faults += &other.faults;
        for (sum, count) in [
            (&mut self.seeds, other.seeds),
            (&mut self.recoveries, other.recoveries),
            (&mut self.failed_opens, other.failed_opens),
            (&mut self.read_only_opens, other.read_only_opens),
            (&mut self.submitted, other.submitted),
            (&mut self.acknowledged, other.acknowledged),
            (&mut self.refused, other.refused),
            (&mut self.failed, other.failed),
            (&mut self.unknown, other.unknown),
            (&mut self.survived, other.survived),
            (&mut self.lost, other.lost),
            (&mut self.poisoned, other.poisoned),
            (&mut self.closes, other.closes),
            (&mut self.deaths, other.deaths),
            (&mut self.torn_tails, other.torn_tails),
            (&mut self.views, other.views),
            (&mut self.audits, other.audits),
            (&mut self.flipped_bits, other.flipped_bits),
            (&mut self.lying, other.lying),
            (&mut self.detected, other.detected),
            (&mut self.tails_lost, other.tails_lost),
            (&mut self.returned, other.returned),
        ] {
            *sum += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = &self.faults;
        writeln!(f, "{} seeds", self.seeds)?;
        writeln!(
            f,
            "commits: {} submitted, {} acknowledged, {} refused as they had to be, {} failed, \
             {} of unknown outcome; of those without an answer {} survived, {} did not",
            self.submitted,
            self.acknowledged,
            self.refused,
            self.failed,
            self.unknown,
            self.survived,
            self.lost
        )?;
        writeln!(
            f,
            "ends: {} power cuts, {} deaths of the process, {} poisoned handles, {} closes",
            faults.crashes, self.deaths, self.poisoned, self.closes
        )?;
        writeln!(
            f,
            "openings: {} recovered, {} failed or cut off, {} for reading only; {} torn tails",
            self.recoveries, self.failed_opens, self.read_only_opens, self.torn_tails
        )?;
        writeln!(
            f,
            "unsynced at a power cut: {} sectors kept, {} lost, {} torn, {} files reordered, \
             {} names lost",
            faults.sectors_kept,
            faults.sectors_lost,
            faults.sectors_torn,
            faults.files_reordered,
            faults.names_lost
        )?;
        writeln!(f, "errors by chance: {:?}", faults.errors)?;
        writeln!(
            f,
            "lies: {} phantom writes, {} lost, {} misdirected, {} lost syncs, {} flipped bits; of \
             {} lying traces {} ended in an error, {} lost a tail, {} brought back a commit that had failed",
            faults.phantom_writes,
            faults.lost_writes,
            faults.misdirected_writes,
            faults.lost_syncs,
            self.flipped_bits,
            self.lying,
            self.detected,
            self.tails_lost,
            self.returned
        )?;
        write!(
            f,
            "checked: {} views against the model, {} audits",
            self.views, self.audits
        )
    }
}
