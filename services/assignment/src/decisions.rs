//! Use case: record what was decided in process, as `Assign` records what it decides.

use std::time::Duration;

use assay_core::{bucketing::partition, record::Exposure, time::Timestamp};
use assay_proto::stream::{self, Batch, Records};
use futures::future::BoxFuture;

use crate::{Assignments, record::Parcels};

/// How long ago a decision may have been made: as long as an event may be late.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(72 * 3_600);

/// Whether a decision of `time` is too old at `now` to be recorded.
pub(crate) fn is_too_old(time: Timestamp, now: Timestamp) -> bool {
    let age = now.micros().saturating_sub(time.micros());
    u128::try_from(age).is_ok_and(|age| age > MAX_AGE.as_micros())
}

/// Records `exposures`. What is answered waits for the future, if there is one: at most two milliseconds.
pub(crate) fn record(assignments: &Assignments, exposures: Vec<Exposure>) -> Option<BoxFuture<'static, ()>> {
    let recorder = &assignments.recorder;
    let mut parcels = Parcels::default();
    for exposure in exposures {
        let home = partition(&exposure.namespace, &exposure.unit, recorder.partitions());
        parcels.add(home, |out| {
            out.extend(stream::encode(&Batch {
                producer: String::new(),
                epoch: 0,
                sequence: 0,
                traceparent: String::new(),
                records: Records::Exposures(vec![exposure]),
            }));
        });
    }
    recorder.record(parcels)
}
