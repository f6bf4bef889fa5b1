//! The lifecycle as the design has it: for each state what is allowed, and for each command what it leads to or how it is refused.

use assay_proto::config::v1::LifecycleAction as A;

/// What a command leads to.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// The experiment is in this state.
    Is(&'static str),
    /// The experiment is gone.
    Gone,
    /// A new draft is beside it.
    Beside,
    /// It is refused for this reason, with these words, which name the right verb.
    No(&'static str, &'static str),
}

/// One state.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// How an experiment gets there from a new draft.
    pub(super) reached_by: &'static [A],
    /// Seconds that pass then.
    pub(super) wait: u64,
    pub(super) allowed: &'static str,
    /// By command, in the order of [`COMMANDS`].
    pub(super) then: [Then; 13],
}

/// The columns of the table.
pub(super) const COMMANDS: [A; 13] = [
    A::Start,
    A::Unschedule,
    A::Pause,
    A::Resume,
    A::Stop,
    A::DeclareWinner,
    A::Undo,
    A::End,
    A::Archive,
    A::Unarchive,
    A::Delete,
    A::Duplicate,
    A::AddCohort,
];

const fn no(words: &'static str) -> Then {
    Then::No("INVALID_TRANSITION", words)
}

const NO: Then = no("");
const EXPIRED: Then = Then::No("UNDO_EXPIRED", "within 60 s");
const UNSTORED: Then = Then::No(
    "NEEDS_STORED",
    "start the copy with the new weights and `sticky` STORED",
);
const NOT_BEGUN: Then = no("it has not begun; to begin, Start");
const REMOVE: Then = no("to remove it, Delete");
const NOT_YET: Then = no("to take it back, Unschedule");
const PUT_AWAY: Then = no("history is kept; to put it away, Stop, then Archive");
const DECIDE_FIRST: Then = no("to finish it, Stop or DeclareWinner first");
const TAKE_BACK: Then = no("to take that back, Undo");
const FINAL: Then = no("Stop is final; to take a breather, Pause; to run it again, Duplicate");
const ARCHIVE: Then = no("history is kept; to put it away, Archive");
const END_FIRST: Then = no("history is kept; to put it away, End, then Archive");
const BREATHER: Then = no("it has begun; to take a breather, Pause");
const RUN_AGAIN: Then = no("its end time was reached; to run it again, Duplicate");

use Then::{Beside, Gone, Is};

/// The table. Columns: START, UNSCHEDULE, PAUSE, RESUME, STOP, `DECLARE_WINNER`; UNDO, END, ARCHIVE, UNARCHIVE, DELETE, DUPLICATE; `ADD_COHORT`.
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    Row {
        name: "DRAFT", reached_by: &[], wait: 0,
        allowed: "START,DELETE,DUPLICATE",
        then: [
            Is("RUNNING"), NO, NOT_BEGUN, NOT_BEGUN, REMOVE, NOT_BEGUN,
            NO, REMOVE, REMOVE, NO, Gone, Beside,
            NO,
        ],
    },
    Row {
        name: "SCHEDULED", reached_by: &[A::Start], wait: 0,
        allowed: "UNSCHEDULE,DUPLICATE",
        then: [
            no("to start now, Unschedule, clear the start time, then Start"), Is("DRAFT"), NOT_YET, NO, NOT_YET, NOT_YET,
            NO, NOT_YET, no("to remove it, Unschedule, then Delete"), NO, no("to remove it, Unschedule, then Delete"), Beside,
            NO,
        ],
    },
    Row {
        name: "RUNNING", reached_by: &[A::Start], wait: 0,
        allowed: "PAUSE,STOP,DECLARE_WINNER,DUPLICATE",
        then: [
            NO, BREATHER, Is("PAUSED"), NO, Is("COMPLETED(NO_WINNER)"), Is("COMPLETED(WINNER)"),
            NO, DECIDE_FIRST, PUT_AWAY, NO, PUT_AWAY, Beside,
            UNSTORED,
        ],
    },
    Row {
        name: "RUNNING, remembered", reached_by: &[A::Start], wait: 0,
        allowed: "PAUSE,STOP,DECLARE_WINNER,DUPLICATE,ADD_COHORT",
        then: [
            NO, BREATHER, Is("PAUSED"), NO, Is("COMPLETED(NO_WINNER)"), Is("COMPLETED(WINNER)"),
            NO, DECIDE_FIRST, PUT_AWAY, NO, PUT_AWAY, Beside,
            Is("RUNNING"),
        ],
    },
    Row {
        name: "PAUSED, remembered", reached_by: &[A::Start, A::Pause], wait: 0,
        allowed: "PAUSE,RESUME,STOP,DECLARE_WINNER,DUPLICATE,ADD_COHORT",
        then: [
            no("to go on after a pause, Resume"), BREATHER, no("it is paused in this mode already; to go on, Resume"), Is("RUNNING"),
            Is("COMPLETED(NO_WINNER)"), Is("COMPLETED(WINNER)"),
            NO, DECIDE_FIRST, PUT_AWAY, NO, PUT_AWAY, Beside,
            Is("PAUSED"),
        ],
    },
    Row {
        name: "PAUSED", reached_by: &[A::Start, A::Pause], wait: 0,
        allowed: "RESUME,STOP,DECLARE_WINNER,DUPLICATE",
        then: [
            no("to go on after a pause, Resume"), BREATHER, no("it is paused in this mode already; to go on, Resume"), Is("RUNNING"),
            Is("COMPLETED(NO_WINNER)"), Is("COMPLETED(WINNER)"),
            NO, DECIDE_FIRST, PUT_AWAY, NO, PUT_AWAY, Beside,
            UNSTORED,
        ],
    },
    Row {
        name: "COMPLETED(PENDING)", reached_by: &[A::Start], wait: 0,
        allowed: "STOP,DECLARE_WINNER,END,DUPLICATE",
        then: [
            RUN_AGAIN, NO, RUN_AGAIN, RUN_AGAIN, Is("COMPLETED(NO_WINNER)"), Is("COMPLETED(WINNER)"),
            NO, Is("ENDED(PENDING)"), PUT_AWAY, NO, PUT_AWAY, Beside,
            NO,
        ],
    },
    Row {
        name: "COMPLETED(NO_WINNER), a minute long", reached_by: &[A::Start, A::Stop], wait: 60,
        allowed: "UNDO,END,ARCHIVE,DUPLICATE",
        then: [
            TAKE_BACK, NO, TAKE_BACK, TAKE_BACK, NO, NO,
            Is("RUNNING"), Is("ENDED(NO_WINNER)"), Is("ARCHIVED(NO_WINNER)"), NO, ARCHIVE, Beside,
            NO,
        ],
    },
    Row {
        name: "COMPLETED(NO_WINNER), of a pause", reached_by: &[A::Start, A::Pause, A::Stop], wait: 0,
        allowed: "UNDO,END,ARCHIVE,DUPLICATE",
        then: [
            TAKE_BACK, NO, TAKE_BACK, TAKE_BACK, NO, NO,
            Is("PAUSED"), Is("ENDED(NO_WINNER)"), Is("ARCHIVED(NO_WINNER)"), NO, ARCHIVE, Beside,
            NO,
        ],
    },
    Row {
        name: "COMPLETED(NO_WINNER)", reached_by: &[A::Start, A::Stop], wait: 61,
        allowed: "END,ARCHIVE,DUPLICATE",
        then: [
            FINAL, NO, FINAL, FINAL, NO, NO,
            EXPIRED, Is("ENDED(NO_WINNER)"), Is("ARCHIVED(NO_WINNER)"), NO, ARCHIVE, Beside,
            NO,
        ],
    },
    Row {
        name: "COMPLETED(WINNER), a minute long", reached_by: &[A::Start, A::DeclareWinner], wait: 60,
        allowed: "UNDO,END,DUPLICATE",
        then: [
            TAKE_BACK, NO, TAKE_BACK, TAKE_BACK, NO, NO,
            Is("RUNNING"), Is("ENDED(WINNER)"), END_FIRST, NO, END_FIRST, Beside,
            NO,
        ],
    },
    Row {
        name: "COMPLETED(WINNER)", reached_by: &[A::Start, A::DeclareWinner], wait: 61,
        allowed: "END,DUPLICATE",
        then: [
            FINAL, NO, FINAL, FINAL, NO, NO,
            EXPIRED, Is("ENDED(WINNER)"), END_FIRST, NO, END_FIRST, Beside,
            NO,
        ],
    },
    Row {
        name: "ENDED", reached_by: &[A::Start, A::Stop, A::End], wait: 0,
        allowed: "ARCHIVE,DUPLICATE",
        then: [
            FINAL, NO, FINAL, FINAL, NO, NO,
            NO, NO, Is("ARCHIVED(NO_WINNER)"), NO, ARCHIVE, Beside,
            NO,
        ],
    },
    Row {
        name: "ARCHIVED, once ended", reached_by: &[A::Start, A::DeclareWinner, A::End, A::Archive], wait: 0,
        allowed: "UNARCHIVE,DUPLICATE",
        then: [
            FINAL, NO, FINAL, FINAL, NO, NO,
            NO, NO, NO, Is("ENDED(WINNER)"), NO, Beside,
            NO,
        ],
    },
    Row {
        name: "ARCHIVED, once stopped", reached_by: &[A::Start, A::Stop, A::Archive], wait: 0,
        allowed: "UNARCHIVE,DUPLICATE",
        then: [
            FINAL, NO, FINAL, FINAL, NO, NO,
            NO, NO, NO, Is("COMPLETED(NO_WINNER)"), NO, Beside,
            NO,
        ],
    },
];
