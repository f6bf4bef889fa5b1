//! Who has asked for an experiment or its flag lately, as analysis has it from the log.

use std::{collections::BTreeSet, time::Duration};

use assay_core::{experiment::Experiment, key::FlagKey, record::Sighting, time::Timestamp};
use assay_platform::error::chain;
use assay_proto::{
    analysis::v1::{Caller, ListCallersRequest},
    convert::{timestamp, timestamp_from},
};

use crate::{signal::Signals, truth::Call};

impl Signals {
    /// Those who asked within the window that the operator has set; nobody without an analysis service; none when it does not say.
    pub(crate) async fn callers(
        &self,
        call: &Call,
        experiment: &Experiment,
        now: Timestamp,
    ) -> Option<Vec<Sighting>> {
        let Some(mut client) = self.client() else {
            return Some(Vec::new());
        };
        let keys: BTreeSet<_> = [experiment.flag.as_str(), experiment.key.as_str()].into();
        let request = ListCallersRequest {
            namespace: call.namespace.to_string(),
            keys: keys.into_iter().map(str::to_owned).collect(),
            since: Some(timestamp(earlier(now, self.callers_window))),
        };
        let callers = match self.in_time(client.list_callers(request)).await {
            Ok(answer) => answer.callers,
            Err(status) => {
                tracing::warn!(error = chain(&status), "analysis does not say who asks");
                return None;
            }
        };
        let sighting = |caller: Caller| {
            Some(Sighting {
                namespace: call.namespace.clone(),
                key: FlagKey::new(caller.key.as_str()).ok()?,
                caller: caller.caller,
                seen_at: timestamp_from(caller.last_seen_time, "last_seen_time").ok()?,
            })
        };
        Some(callers.into_iter().filter_map(sighting).collect())
    }
}

fn earlier(now: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.micros().saturating_sub(by).max(0))
}
