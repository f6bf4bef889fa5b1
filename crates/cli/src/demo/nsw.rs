//! NSW: a randomized trial of a job-training programme, with money as its outcome.

use assay_core::time::{MICROS_PER_DAY, Timestamp};
use assay_proto::{
    analysis::v1::ExperimentResult,
    common::v1::Unit,
    config::v1 as pb,
    convert::timestamp,
    ingest::v1::{Event, Exposure},
};

use super::{Stage, replay, setup, wait};
use crate::{
    error::Error,
    output::{self, progress::Progress},
};

/// Key of the experiment.
pub(super) const EXPERIMENT: &str = "nsw-job-training";
const FLAG: &str = "job-training";
const METRIC: &str = "earnings_1978";
const EVENT: &str = "earnings";

/// The people: `testdata/nsw/README.md` says where they come from.
const DATA: &str = include_str!("../../../../testdata/nsw/nsw.csv");

/// 1976-01-01T00:00:00Z; the data give no day of entry, so people enter on the days that follow.
const START: i64 = 189_302_400_000_000;
const ENTRY_DAYS: u64 = 365;
/// 1978-12-31T12:00:00Z, when a year's earnings are known.
const EARNED: i64 = 283_953_600_000_000;
/// 1979-01-02T00:00:00Z.
const END: i64 = 284_083_200_000_000;

/// Replays it and prints what came of it.
pub(super) async fn show(stage: &Stage) -> Result<ExperimentResult, Error> {
    stage.say(
        "NSW job training: 445 people in a randomized trial of the National Supported Work demonstration.\n\
         Data set nsw_mixtape of the Python package causaldata; days of entry are synthetic.",
    )?;
    let result = replayed(stage).await?;
    stage.say(format!("\n{}\n\n", output::results::render(&result)))?;
    Ok(result)
}

/// The result after the replay.
pub(super) async fn replayed(stage: &Stage) -> Result<ExperimentResult, Error> {
    let people = people()?;
    let n = people.len() as u64;
    prepare(stage).await?;
    let progress = Progress::start("replaying people", 2 * n, stage.terminal);
    let exposed = replay::exposures(stage, people.iter().map(Person::exposure), &progress).await?;
    let earned = replay::events(stage, people.iter().map(Person::earnings), &progress).await?;
    progress.finish();
    let through = exposed.max(earned).unwrap_or_default();
    wait::caught_up(stage, EXPERIMENT, through, n).await
}

async fn prepare(stage: &Stage) -> Result<(), Error> {
    let flag = pb::Flag {
        key: FLAG.into(),
        name: "Job training is offered".into(),
        variations: vec![
            setup::variation("control", setup::words("none")),
            setup::variation("training", setup::words("offered")),
        ],
        ..Default::default()
    };
    setup::ensure(stage, flag).await?;
    let scalar = pb::ScalarMetric {
        event: EVENT.into(),
        aggregation: pb::Aggregation::Sum.into(),
        window: None,
        ..Default::default()
    };
    let metric = pb::Metric {
        key: METRIC.into(),
        name: "Earnings in 1978".into(),
        kind: Some(pb::metric::Kind::Scalar(scalar)),
        unit: "USD".into(),
        ..Default::default()
    };
    setup::ensure(stage, metric).await?;
    // 185 of 445 were offered the training: the trial did not mean to split evenly.
    let variant = |key: &str, weight| pb::Variant {
        key: key.into(),
        weight,
        ..Default::default()
    };
    let experiment = pb::Experiment {
        key: EXPERIMENT.into(),
        name: "NSW job training".into(),
        hypothesis: "Supported work raises later earnings".into(),
        flag_key: FLAG.into(),
        assignment_source: pb::AssignmentSource::Imported.into(),
        variants: vec![
            variant("control", CONTROL_WEIGHT),
            variant("training", 10_000 - CONTROL_WEIGHT),
        ],
        metrics: vec![setup::measured(METRIC, pb::MetricRole::Primary)],
        start_time: Some(timestamp(Timestamp::from_micros(START))),
        end_time: Some(timestamp(Timestamp::from_micros(END))),
        ..Default::default()
    };
    setup::run(stage, experiment).await
}

/// The share of this sample that was not offered the training, in ten-thousandths: what the trial aimed at is not published with it.
const CONTROL_WEIGHT: u32 = 5_843;

/// One person of the sample.
#[derive(Debug, Clone)]
struct Person {
    number: u64,
    treated: bool,
    earnings: f64,
}

/// The sample.
fn people() -> Result<Vec<Person>, Error> {
    let mut reader = csv::Reader::from_reader(DATA.as_bytes());
    let header = reader.headers().map_err(Error::internal)?.clone();
    let column = |name: &str| header.iter().position(|column| column == name);
    let (Some(treat), Some(earnings)) = (column("treat"), column("re78")) else {
        return Err(Error::internal("nsw.csv has no columns `treat` and `re78`"));
    };
    let mut people = Vec::new();
    for (number, row) in (1..).zip(reader.records()) {
        let row = row.map_err(Error::internal)?;
        let cell = |column: usize| row.get(column).unwrap_or_default();
        let earnings: f64 = cell(earnings).parse().map_err(Error::internal)?;
        people.push(Person {
            number,
            treated: cell(treat) == "1",
            earnings,
        });
    }
    Ok(people)
}

impl Person {
    fn unit(&self) -> Option<Unit> {
        Some(Unit {
            kind: "user".into(),
            id: format!("person-{}", self.number),
        })
    }

    fn exposure(&self) -> Exposure {
        let day = i64::try_from(self.number % ENTRY_DAYS).unwrap_or_default();
        Exposure {
            experiment_key: EXPERIMENT.into(),
            variant_key: if self.treated { "training" } else { "control" }.into(),
            unit: self.unit(),
            time: Some(timestamp(Timestamp::from_micros(START + day * MICROS_PER_DAY))),
            attributes: None,
        }
    }

    fn earnings(&self) -> Event {
        Event {
            event_id: format!("person-{}-1978", self.number),
            unit: self.unit(),
            name: EVENT.into(),
            time: Some(timestamp(Timestamp::from_micros(EARNED))),
            value: Some(self.earnings),
            properties: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_that_of_dehejia_and_wahba() {
        let people = people().unwrap();
        let of = |treated| people.iter().filter(move |person| person.treated == treated);
        let mean =
            |treated| of(treated).map(|person| person.earnings).sum::<f64>() / of(treated).count() as f64;
        assert_eq!((of(true).count(), of(false).count()), (185, 260));
        assert!((mean(true) - 6_349.14).abs() < 0.01 && (mean(false) - 4_554.80).abs() < 0.01);
        assert_eq!(CONTROL_WEIGHT, (260.0_f64 / 445.0 * 10_000.0).round() as u32);
    }

    #[test]
    fn its_days_are_the_years_of_the_trial() {
        let day = |micros| Timestamp::from_micros(micros).to_string();
        assert_eq!(day(START), "1976-01-01T00:00:00.000000Z");
        assert_eq!(day(EARNED), "1978-12-31T12:00:00.000000Z");
        assert_eq!(day(END), "1979-01-02T00:00:00.000000Z");
    }
}
