//! Use case: the exposed units of an experiment.

use assay_core::{
    fold::{self, Enrollment, ExposureFact},
    key::{ExperimentKey, Namespace, Unit},
};

use crate::{Analysis, error::Error};

/// Where one unit stands.
#[derive(Debug)]
pub(crate) struct UnitAssignment {
    pub(crate) unit: Unit,
    pub(crate) first: ExposureFact,
    pub(crate) set_aside: bool,
}

/// Which units to list.
pub(crate) struct Query {
    pub(crate) namespace: Namespace,
    pub(crate) experiment: ExperimentKey,
    pub(crate) unit: Option<Unit>,
    pub(crate) after: Option<Unit>,
    pub(crate) limit: u64,
}

/// Up to `query.limit` units in order, and whether there may be more.
///
/// # Errors
/// [`Error::Definitions`] when there is no such experiment, [`Error::Store`].
pub(crate) async fn list_assignments(
    analysis: &Analysis,
    query: &Query,
) -> Result<(Vec<UnitAssignment>, bool), Error> {
    analysis
        .reader
        .definitions
        .one(&query.namespace, &query.experiment)
        .await?;
    let store = &analysis.reader.store;
    let rows = store
        .assignments(
            &query.namespace,
            &query.experiment,
            query.unit.as_ref(),
            query.after.as_ref(),
            query.limit,
        )
        .await?;
    let more = rows.len() as u64 >= query.limit;
    let stand = rows.into_iter().filter_map(|row| {
        let facts = row.exposures.into_iter();
        let facts: Vec<_> = facts
            .map(|row| ExposureFact {
                time: row.time,
                variant: row.variant,
                cohort: row.cohort,
            })
            .collect();
        let (first, set_aside) = match fold::enrollment(&facts) {
            Enrollment::None => return None,
            Enrollment::Enrolled(first) => (first, false),
            Enrollment::SetAside { first } => (first, true),
        };
        Some(UnitAssignment {
            unit: row.unit,
            first,
            set_aside,
        })
    });
    Ok((stand.collect(), more))
}
