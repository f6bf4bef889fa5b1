//! Live: an experiment of three variants decides for many units, one call each, and counts whom it exposed.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use assay_client::Client;
use assay_core::{
    key::{Namespace, Unit},
    value::{Attribute, Attributes},
};
use assay_proto::{
    assignment::v1::{Assignment, Exposure, Reason},
    config::v1 as pb,
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::task::JoinSet;

use super::{Stage, cookie_cats::mixed, setup, wait};
use crate::{
    error::Error,
    output::{self, number, progress::Progress},
    serve::now,
    view::{result::ExperimentResult, text},
};

/// Key of the experiment.
pub(super) const EXPERIMENT: &str = "banner-color";
/// Key of its flag.
pub(super) const FLAG: &str = "banner";
const SEGMENT: &str = "german-speaking";
const METRIC: &str = "signup";
const UNITS: u64 = 100_000;
/// Connections, and calls at a time on each.
const CONNECTIONS: u64 = 4;
const IN_FLIGHT: usize = 16;
/// Countries of the units, in turn; the segment holds three of the five.
const COUNTRIES: [&str; 5] = ["DE", "AT", "CH", "FR", "PL"];
/// How long a started experiment may take to be served.
const PUBLISH_WAIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// Whom it reached, as a document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reached {
    answers: Vec<Answers>,
    seconds: f64,
    assignments_per_second: f64,
    result: ExperimentResult,
}

/// Units that got the same answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answers {
    reason: String,
    variant_key: String,
    units: u64,
}

impl Reached {
    fn of(counts: Counts, took: Duration, result: ExperimentResult) -> Self {
        let total: u64 = counts.values().sum();
        let answers = counts.into_iter().map(|((reason, variant_key), units)| Answers {
            reason,
            variant_key,
            units,
        });
        Self {
            answers: answers.collect(),
            seconds: took.as_secs_f64(),
            assignments_per_second: total as f64 / took.as_secs_f64(),
            result,
        }
    }
}

/// Runs it and prints whom it reached.
pub(super) async fn show(stage: &Stage) -> Result<Reached, Error> {
    stage.say(
        "Live: a banner in three colors, for the German-speaking countries, at a coverage of 80 %.\n\
         Each of 100,000 units asks Assign once.",
    )?;
    prepare(stage).await?;
    served(stage).await?;
    let progress = Arc::new(Progress::start("assigning", UNITS, stage.terminal));
    let begun = Instant::now();
    let counts = assign_all(stage, &progress).await?;
    let took = begun.elapsed();
    progress.finish();
    let exposed = counts
        .iter()
        .filter(|((reason, _), _)| reason == &text::name(Reason::Split))
        .map(|(_, n)| n)
        .sum();
    let result = wait::caught_up(stage, EXPERIMENT, now(), exposed).await?;
    stage.say(format!("\n{}\n", summary(&counts, took)))?;
    stage.say(output::results::data_lines(&result))?;
    Ok(Reached::of(counts, took, ExperimentResult::of(result)))
}

async fn prepare(stage: &Stage) -> Result<(), Error> {
    let flag = pb::Flag {
        key: FLAG.into(),
        name: "Color of the banner".into(),
        variations: ["blue", "green", "orange"]
            .map(|color| setup::variation(color, setup::words(color)))
            .to_vec(),
        ..Default::default()
    };
    setup::ensure(stage, flag).await?;
    let rule = pb::Rule {
        attribute: "country".into(),
        operator: pb::Operator::In.into(),
        operands: ["DE", "AT", "CH"].into_iter().filter_map(setup::words).collect(),
        ..Default::default()
    };
    let segment = pb::Segment {
        key: SEGMENT.into(),
        rules: vec![rule],
        ..Default::default()
    };
    setup::ensure(stage, segment).await?;
    let conversion = pb::ConversionMetric {
        event: METRIC.into(),
        window: None,
        ..Default::default()
    };
    let metric = pb::Metric {
        key: METRIC.into(),
        name: "Signed up".into(),
        kind: Some(pb::metric::Kind::Conversion(conversion)),
        ..Default::default()
    };
    setup::ensure(stage, metric).await?;
    let experiment = pb::Experiment {
        key: EXPERIMENT.into(),
        name: "Banner color".into(),
        hypothesis: "A warm color makes more people sign up".into(),
        flag_key: FLAG.into(),
        segment_key: SEGMENT.into(),
        coverage: Some(8_000),
        metrics: vec![setup::measured(METRIC, pb::MetricRole::Primary)],
        ..Default::default()
    };
    setup::run(stage, experiment).await
}

/// Waits until assignment knows the experiment.
async fn served(stage: &Stage) -> Result<(), Error> {
    let caller = Caller {
        client: stage.client.clone(),
        namespace: stage.namespace.clone(),
    };
    let begun = Instant::now();
    while begun.elapsed() < PUBLISH_WAIT {
        if caller.assign(0, Exposure::Peek).await?.experiment_key == EXPERIMENT {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    Err(Error::Waited(format!(
        "experiment {EXPERIMENT} has not reached assignment within {} s",
        PUBLISH_WAIT.as_secs()
    )))
}

/// Answers by reason and variant.
type Counts = BTreeMap<(String, String), u64>;

/// Asks for every unit, from several connections at a time.
async fn assign_all(stage: &Stage, progress: &Arc<Progress>) -> Result<Counts, Error> {
    let mut callers = JoinSet::new();
    for first in 0..CONNECTIONS {
        let caller = Caller {
            client: super::connect(&stage.endpoints)?,
            namespace: stage.namespace.clone(),
        };
        callers.spawn(caller.assign_each((first..UNITS).step_by(CONNECTIONS as usize), progress.clone()));
    }
    let mut counts = Counts::new();
    while let Some(counted) = callers.join_next().await {
        for (answer, n) in counted.map_err(Error::internal)?? {
            *counts.entry(answer).or_default() += n;
        }
    }
    Ok(counts)
}

/// Who asks, on a connection of its own.
struct Caller {
    client: Client,
    namespace: Namespace,
}

impl Caller {
    async fn assign_each(
        self,
        units: impl Iterator<Item = u64>,
        progress: Arc<Progress>,
    ) -> Result<Counts, Error> {
        let calls = stream::iter(units)
            .map(|n| self.assign(n, Exposure::Record))
            .buffer_unordered(IN_FLIGHT);
        calls
            .try_fold(Counts::new(), async |mut counts, assignment| {
                progress.advance(1);
                let reason = text::name_of::<Reason>(assignment.reason);
                *counts.entry((reason, assignment.variant_key)).or_default() += 1;
                Ok(counts)
            })
            .await
    }

    async fn assign(&self, n: u64, exposure: Exposure) -> Result<Assignment, Error> {
        let unit = Unit::user(format!("visitor-{n}")).map_err(Error::internal)?;
        let country = COUNTRIES[usize::try_from(mixed(n) % 5).unwrap_or_default()];
        let attributes = Attributes::from([("country".to_owned(), Attribute::from(country))]);
        let flags = [FLAG.to_owned()];
        let answers = self
            .client
            .assign(&self.namespace, Some(&unit), &attributes, &flags, exposure)
            .await?;
        answers
            .into_iter()
            .next()
            .ok_or_else(|| assay_client::Error::Incomplete { what: "assignment" }.into())
    }
}

/// Who got what and why, and how fast.
fn summary(counts: &Counts, took: Duration) -> String {
    let total: u64 = counts.values().sum();
    let text = |n: u64| number::count(i64::try_from(n).unwrap_or(i64::MAX));
    let rows = counts.iter().map(|((reason, variant), n)| {
        vec![
            reason.clone(),
            variant.clone(),
            text(*n),
            number::rate(*n as f64 / total as f64),
        ]
    });
    let rate = total as f64 / took.as_secs_f64();
    format!(
        "{}\n\n {} assignments in {:.1} s: {} per second, each a gRPC call of its own ({} at a time)",
        output::table(&["reason", "variant", "units", "share"], rows, &[2, 3]),
        text(total),
        took.as_secs_f64(),
        number::count(rate as i64),
        CONNECTIONS * IN_FLIGHT as u64,
    )
}
