//! What became of the exposures of this life of the process.

use std::fmt;

/// Why an exposure was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The queue in front of the writer thread was full.
    BufferFull,
    /// The spool, or the memory in its place, was full.
    SpoolFull,
    /// The spool could not be written.
    SpoolFailed,
}

/// Where every exposure is that was offered. Always, whoever looks and whenever:
/// `offered = acknowledged + dropped (three reasons) + pending`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ExposureCounts {
    /// Exposures of answers that were given.
    pub(crate) offered: u64,
    /// Those that the log has acknowledged.
    pub(crate) acknowledged: u64,
    /// Dropped by [`DropReason::BufferFull`].
    pub(crate) dropped_buffer_full: u64,
    /// Dropped by [`DropReason::SpoolFull`].
    pub(crate) dropped_spool_full: u64,
    /// Dropped by [`DropReason::SpoolFailed`].
    pub(crate) dropped_spool_failed: u64,
    /// Neither yet: in the queue or in the spool.
    pub(crate) pending: u64,
    /// Those whose answer went out before they were spooled; counted in the others, too.
    pub(crate) unspooled: u64,
    /// Left by earlier lives of the process and acknowledged in this one; in none of the others.
    pub(crate) recovered: u64,
}

impl ExposureCounts {
    pub(super) fn drop(&mut self, records: u64, reason: DropReason) {
        let dropped = match reason {
            DropReason::BufferFull => &mut self.dropped_buffer_full,
            DropReason::SpoolFull => &mut self.dropped_spool_full,
            DropReason::SpoolFailed => &mut self.dropped_spool_failed,
        };
        *dropped += records;
    }

    /// All that were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped_buffer_full + self.dropped_spool_full + self.dropped_spool_failed
    }
}

impl fmt::Display for ExposureCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} offered = {} acknowledged + {} dropped + {} pending",
            self.offered,
            self.acknowledged,
            self.dropped(),
            self.pending
        )
    }
}
