//! Named places where a test kills the process: around commits, publications and whatever else must be whole or not at all.
//!
//! In a build with debug assertions, a process whose environment has `ASSAY_FAILPOINT=NAME` or `NAME@N` dies when it reaches the point the
//! first or the N-th time, at once and without a word, as by `kill -9`: no destructor runs, no buffer is flushed, no connection is closed in
//! order. In a release build [`reach`] is nothing at all. The kill tests go through [`Point::ALL`], so a new point is tested by existing.

macro_rules! points {
    ($($(#[doc = $doc:literal])+ $point:ident = $name:literal,)+) => {
        /// A place where a process may be killed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($(#[doc = $doc])+ $point,)+
        }

        impl Point {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$point),+];

            /// What it is called, beginning with its service, such as `config.after_commit`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }
        }
    };
}

points! {
    /// A change is written and not committed.
    ConfigBeforeCommit = "config.before_commit",
    /// A change is committed; nobody was told.
    ConfigAfterCommit = "config.after_commit",
    /// What is to be published is known, and nothing of it is written.
    ConfigBeforePublish = "config.before_publish",
    /// Of a publication of several transactions one is on the bus.
    ConfigWithinPublish = "config.within_publish",
    /// A publication is on the bus with its manifest; its fence is not open.
    ConfigAfterPublish = "config.after_publish",
    /// A publication is on the bus and its fence open; the outbox holds its rows still.
    ConfigBeforeOutboxDelete = "config.before_outbox_delete",
    /// The outbox rows of a publication are gone.
    ConfigAfterOutboxDelete = "config.after_outbox_delete",
    /// All replicas have answered; the fence is not stored.
    ConfigBeforeFence = "config.before_fence",
    /// The fence is written, the starts that wait for it with it, and nothing is committed.
    ConfigWithinFence = "config.within_fence",
    /// The fence is stored; those who wait for it were not told.
    ConfigAfterFence = "config.after_fence",
    /// Something was found to be due, and nothing done yet.
    ConfigBeforeDue = "config.before_due",
    /// What was due is done.
    ConfigAfterDue = "config.after_due",
    /// Exposures of some requests are taken together, and none is in the spool.
    AssignmentBeforeSpool = "assignment.before_spool",
    /// They are in the spool; nobody who waits for that was told.
    AssignmentAfterSpool = "assignment.after_spool",
    /// A round of entries is packed, and none is in the log.
    AssignmentBeforeAppend = "assignment.before_append",
    /// The log has said that it has the round; the spool's cursor stands before it.
    AssignmentAfterAppend = "assignment.after_append",
    /// The cursor stands behind the round.
    AssignmentAfterAcknowledge = "assignment.after_acknowledge",
    /// The new snapshot file is written beside the old one.
    AssignmentBeforeRename = "assignment.before_rename",
    /// It is in its place.
    AssignmentAfterRename = "assignment.after_rename",
}

/// The process is at `point`. It dies here if it was started to.
#[cfg(debug_assertions)]
pub fn reach(point: Point) {
    armed::reach(point);
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn reach(_: Point) {}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    };

    use crate::Point;

    const VARIABLE: &str = "ASSAY_FAILPOINT";

    /// Where to die, and how often it is passed before.
    struct Armed {
        name: String,
        left: AtomicU32,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    pub(super) fn reach(point: Point) {
        let armed = ARMED.get_or_init(|| from_environment().map(|text| armed(&text)));
        if let Some(armed) = armed
            && armed.name == point.name()
            && armed.left.fetch_sub(1, Ordering::Relaxed) == 0
        {
            std::process::abort();
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "no setting of the product: it exists in test builds alone"
    )]
    fn from_environment() -> Option<String> {
        std::env::var(VARIABLE).ok()
    }

    /// `NAME` or `NAME@N`. What is no number counts as the first time: the test sees that its process did not die where it was to.
    fn armed(text: &str) -> Armed {
        let (name, nth) = text.split_once('@').unwrap_or((text, "1"));
        let nth: u32 = nth.parse().unwrap_or(1);
        Armed {
            name: name.to_owned(),
            left: AtomicU32::new(nth.saturating_sub(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SERVICES: [&str; 4] = ["config", "assignment", "ingest", "analysis"];

    #[test]
    fn names_are_unique_and_begin_with_a_service() {
        let names: BTreeSet<_> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
        for name in names {
            let service = name.split_once('.').map(|(service, _)| service);
            assert!(
                service.is_some_and(|service| SERVICES.contains(&service)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_process_that_was_not_started_to_die_goes_on() {
        for point in Point::ALL {
            reach(*point);
        }
    }
}
