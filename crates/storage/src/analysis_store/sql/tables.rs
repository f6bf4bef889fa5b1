//! The tables as statements see them; made in migration 2.

use super::rows::{Table, Type::*};

pub(super) const EXPOSURES: Table = Table {
    name: "analysis_exposures",
    columns: &[
        ("namespace", Text),
        ("unit_kind", Text),
        ("unit_id", Text),
        ("experiment", Text),
        ("variant", Text),
        ("cohort", Int),
        ("time_us", Int),
    ],
    key: 6,
};

pub(super) const EVENTS: Table = Table {
    name: "analysis_events",
    columns: &[
        ("namespace", Text),
        ("unit_kind", Text),
        ("unit_id", Text),
        ("event_id", Text),
        ("name", Text),
        ("time_us", Int),
        ("received_us", Int),
        ("value_micros", Int),
        ("properties", Text),
        ("flags", Int),
        ("hash", Bytes),
    ],
    key: 4,
};

pub(super) const CONTRIBUTIONS: Table = Table {
    name: "analysis_contributions",
    columns: &[
        ("namespace", Text),
        ("unit_kind", Text),
        ("unit_id", Text),
        ("experiment", Text),
        ("measure", Text),
        ("cohort", Int),
        ("variant", Text),
        ("day", Int),
        ("value", Int),
    ],
    key: 5,
};

pub(super) const DUES: Table = Table {
    name: "analysis_dues",
    columns: &[
        ("namespace", Text),
        ("unit_kind", Text),
        ("unit_id", Text),
        ("at_us", Int),
        ("partition", Int),
    ],
    key: 4,
};

pub(super) const CELLS: Table = Table {
    name: "analysis_cells",
    columns: &[
        ("namespace", Text),
        ("experiment", Text),
        ("partition", Int),
        ("measure", Text),
        ("cohort", Int),
        ("variant", Text),
        ("day", Int),
        ("n", Int),
        ("nonzero", Int),
        ("sum", Text),
        ("sum_squares", Text),
    ],
    key: 7,
};

pub(super) const TALLIES: Table = Table {
    name: "analysis_tallies",
    columns: &[
        ("namespace", Text),
        ("partition", Int),
        ("duplicates", Int),
        ("conflicts", Int),
        ("late", Int),
        ("invalid", Int),
        ("before_counting", Int),
        ("older_generation", Int),
    ],
    key: 2,
};

pub(super) const CALLERS: Table = Table {
    name: "analysis_callers",
    columns: &[
        ("namespace", Text),
        ("key", Text),
        ("caller", Text),
        ("seen_us", Int),
    ],
    key: 3,
};
