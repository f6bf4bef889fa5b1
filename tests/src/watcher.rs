//! Somebody who asks a replica all the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use assay_client::Client;
use assay_proto::{
    assignment::v1::{AssignRequest, Exposure},
    common::v1::Unit,
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

const PAUSE: Duration = Duration::from_millis(5);

/// An answer that comes later has waited for something. Generous: the machine may be busy, and no store that hangs answers this soon.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks one replica for one flag, for as long as it lives: A1, each answer comes soon; A4, none is older than the one before; A6, once there was
/// one, none fails.
#[derive(Debug)]
pub struct Watcher {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<u64>>,
}

impl Watcher {
    /// Begins to ask for `flag`, without exposures.
    #[must_use]
    pub fn start(client: Client, flag: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(watch(client, flag.to_owned(), stop.clone()));
        Self { stop, task }
    }

    /// Ends, and says how many answers there were.
    ///
    /// # Errors
    /// The first answer that failed, came late, or was older than the one before; or when there was none at all.
    pub async fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let answers = self.task.await??;
        ensure!(answers > 0, "nothing was ever served");
        Ok(answers)
    }
}

async fn watch(client: Client, flag: String, stop: Arc<AtomicBool>) -> Result<u64> {
    let request = AssignRequest {
        unit: Some(Unit {
            kind: String::new(),
            id: "watcher".to_owned(),
        }),
        flag_keys: vec![flag],
        exposure: Exposure::Peek.into(),
        ..Default::default()
    };
    let (mut newest, mut answers) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let mut service = client.assignments();
        let asked = timeout(PATIENCE, service.assign(request.clone())).await;
        let answer = asked.with_context(|| format!("no answer in {PATIENCE:?} after generation {newest}"))?;
        match answer {
            Ok(answer) => {
                let answer = answer.into_inner().assignments.into_iter().next();
                let generation = answer.context("an answer")?.generation;
                ensure!(generation >= newest, "generation {generation} after {newest}");
                newest = generation;
                answers += u64::from(generation > 0);
            }
            Err(status) => ensure!(newest == 0, "after generation {newest}: {status:?}"),
        }
        sleep(PAUSE).await;
    }
    Ok(answers)
}
