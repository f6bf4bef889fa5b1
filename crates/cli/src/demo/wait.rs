//! Waiting until analysis has caught up.

use std::time::Duration;

use assay_core::time::Timestamp;
use assay_proto::{analysis::v1::ExperimentResult, convert::timestamp_from};
use tokio::time::Instant;

use super::Stage;
use crate::{error::Error, output::progress::Progress};

/// How long nothing may move before the wait is given up.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(250);

/// The result of `experiment` once it has counted every record received up to `through`, and `units` units.
pub(super) async fn caught_up(
    stage: &Stage,
    experiment: &str,
    through: Timestamp,
    units: u64,
) -> Result<ExperimentResult, Error> {
    let progress = Progress::start("analysis counts", units, stage.terminal);
    let mut counted = 0;
    let mut moved = Instant::now();
    let mut seen = None;
    loop {
        let result = stage.client.results(&stage.namespace, experiment).await?;
        let now = (n_units(&result), result.data_through);
        progress.set(now.0);
        let is_through = result
            .data_through
            .is_some_and(|time| timestamp_from(Some(time), "").is_ok_and(|time| time >= through));
        if is_through && now.0 >= units {
            progress.finish();
            return Ok(result);
        }
        if now.0 != counted || (!is_through && seen != now.1) {
            (counted, seen, moved) = (now.0, now.1, Instant::now());
        }
        if moved.elapsed() > PATIENCE {
            return Err(Error::Waited(format!(
                "analysis has not caught up with {experiment}: {counted} of {units} units counted; run again with the same \
                 --data-dir to resume"
            )));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Units that were exposed, those set aside included.
fn n_units(result: &ExperimentResult) -> u64 {
    let units: i64 = result
        .variants
        .iter()
        .map(|variant| variant.units + variant.set_aside_units)
        .sum();
    u64::try_from(units).unwrap_or_default()
}
