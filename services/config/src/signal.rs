//! What analysis says of a variant that is to be declared the winner.

use std::time::Duration;

use assay_core::{
    key::{MetricKey, VariantKey},
    winner::{Evidence, Figure, NoSignal, Primary, Thresholds, winner_signal},
};
use assay_platform::{Channel, error::chain};
use assay_proto::analysis::v1::{
    Comparison, ComparisonStatus, Direction, ExperimentResult, GetResultsRequest, MetricKind, MetricResult,
    MetricRole, MetricStatus, analysis_service_client::AnalysisServiceClient,
};
use tonic::{Response, Status};

use crate::{settings::Settings, truth::Call};

/// Longest wait for analysis; no answer by then is no signal.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where signals come from.
#[derive(Clone)]
pub(crate) struct Signals {
    analysis: Option<Channel>,
    thresholds: Thresholds,
    /// How long ago "lately" begins.
    pub(crate) callers_window: Duration,
}

impl Signals {
    pub(crate) fn new(analysis: Option<Channel>, settings: &Settings) -> Self {
        Self {
            analysis,
            thresholds: settings.thresholds(),
            callers_window: settings.callers_window,
        }
    }

    /// A client of analysis, if there is one.
    pub(crate) fn client(&self) -> Option<AnalysisServiceClient<Channel>> {
        self.analysis.clone().map(AnalysisServiceClient::new)
    }

    /// The answer of analysis, if it comes in time.
    pub(crate) async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Status> {
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map(Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded("no answer within 2 s")),
        }
    }

    /// Whether the results of experiment `key` carry `winner`.
    pub(crate) async fn of(&self, call: &Call, key: &str, winner: &VariantKey) -> Result<(), NoSignal> {
        let result = self.ask(call, key).await.ok_or(NoSignal::Unavailable)?;
        winner_signal(&evidence(&result, winner), &self.thresholds)
    }

    async fn ask(&self, call: &Call, key: &str) -> Option<ExperimentResult> {
        let request = GetResultsRequest {
            namespace: call.namespace.to_string(),
            experiment_key: key.to_owned(),
        };
        let mut client = self.client()?;
        match self.in_time(client.get_results(request)).await {
            Ok(answer) => answer.result,
            Err(status) => {
                tracing::warn!(error = chain(&status), "analysis gives no results");
                None
            }
        }
    }
}

fn evidence(result: &ExperimentResult, winner: &VariantKey) -> Evidence {
    let primaries = result
        .metrics
        .iter()
        .filter(|metric| metric.role() == MetricRole::Primary);
    let primary = |metric: &MetricResult| {
        Some(Primary {
            metric: MetricKey::new(metric.metric_key.as_str()).ok()?,
            figure: figure(metric, winner.as_str()),
        })
    };
    Evidence {
        srm_p_value: result.srm.as_ref().and_then(|srm| srm.p_value),
        primaries: primaries.filter_map(primary).collect(),
    }
}

/// What `metric` says of `winner`. Figures from too few data are shown to people, and are no evidence.
fn figure(metric: &MetricResult, winner: &str) -> Figure {
    if metric.status() == MetricStatus::NotComputedYet {
        return Figure::NotComputed;
    }
    let is_control = metric
        .variants
        .first()
        .is_some_and(|first| first.variant_key == winner);
    let concerned: Vec<_> = metric
        .comparisons
        .iter()
        .filter(|comparison| is_control || comparison.variant_key == winner)
        .collect();
    let is_sound = !concerned.is_empty() && concerned.iter().all(|c| c.status() == ComparisonStatus::Ok);
    if metric.kind() == MetricKind::Binary {
        let of_winner = metric
            .variants
            .iter()
            .find(|variant| variant.variant_key == winner);
        let probability = of_winner.and_then(|variant| variant.probability_best);
        return Figure::ProbabilityBest(probability.filter(|_| is_sound));
    }
    let sign = match metric.direction() {
        Direction::Decrease => -1.0,
        Direction::Increase | Direction::Unspecified => 1.0,
    };
    let lifts: Option<Vec<f64>> = concerned
        .iter()
        .map(|comparison: &&Comparison| comparison.lift.map(|lift| sign * lift))
        .collect();
    let best = lifts.and_then(|lifts| lifts.into_iter().reduce(f64::max));
    let lift = if is_control { best.map(|best| -best) } else { best };
    Figure::Lift(lift.filter(|_| is_sound))
}

#[cfg(test)]
mod tests {
    use assay_proto::analysis::v1::VariantEstimate;

    use super::*;

    fn metric(kind: MetricKind, direction: Direction, lifts: &[(&str, Option<f64>)]) -> MetricResult {
        let comparison = |(key, lift): &(&str, Option<f64>)| Comparison {
            variant_key: (*key).to_owned(),
            status: ComparisonStatus::Ok.into(),
            lift: *lift,
            ..Default::default()
        };
        let keys = [&[("off", None)], lifts].concat();
        let variant = |(key, _): &(&str, Option<f64>)| VariantEstimate {
            variant_key: (*key).to_owned(),
            probability_best: Some(0.5),
            ..Default::default()
        };
        MetricResult {
            metric_key: "m".to_owned(),
            role: MetricRole::Primary.into(),
            kind: kind.into(),
            direction: direction.into(),
            variants: keys.iter().map(variant).collect(),
            comparisons: lifts.iter().map(comparison).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn a_lift_is_better_in_the_direction_of_the_metric() {
        let lifts = [("a", Some(0.2)), ("b", Some(-0.1))];
        let of = |direction, winner| figure(&metric(MetricKind::Scalar, direction, &lifts), winner);
        assert_eq!(of(Direction::Increase, "a"), Figure::Lift(Some(0.2)));
        assert_eq!(of(Direction::Decrease, "b"), Figure::Lift(Some(0.1)));
        assert_eq!(of(Direction::Increase, "off"), Figure::Lift(Some(-0.2)));
        assert_eq!(of(Direction::Decrease, "off"), Figure::Lift(Some(-0.1)));
    }

    #[test]
    fn what_is_not_computed_is_no_lack_of_data() {
        let mut quantile = metric(MetricKind::Quantile, Direction::Decrease, &[("a", None)]);
        quantile.set_status(MetricStatus::NotComputedYet);
        assert_eq!(figure(&quantile, "a"), Figure::NotComputed);
        let evidence = evidence(
            &ExperimentResult {
                metrics: vec![quantile],
                ..Default::default()
            },
            &VariantKey::new("a").unwrap(),
        );
        let told = winner_signal(&evidence, &Thresholds::default())
            .unwrap_err()
            .to_string();
        assert_eq!(told, "`m` is a quantile, whose figures are not computed yet");
    }

    #[test]
    fn the_control_wins_only_over_all_others() {
        let unknown = metric(
            MetricKind::Scalar,
            Direction::Increase,
            &[("a", Some(-0.2)), ("b", None)],
        );
        assert_eq!(figure(&unknown, "off"), Figure::Lift(None));
        let worse = metric(
            MetricKind::Scalar,
            Direction::Increase,
            &[("a", Some(-0.2)), ("b", Some(-0.06))],
        );
        assert_eq!(figure(&worse, "off"), Figure::Lift(Some(0.06)));
    }

    #[test]
    fn too_few_data_are_no_evidence() {
        let mut binary = metric(
            MetricKind::Binary,
            Direction::Increase,
            &[("a", None), ("b", None)],
        );
        assert_eq!(figure(&binary, "a"), Figure::ProbabilityBest(Some(0.5)));
        binary.comparisons[1].set_status(ComparisonStatus::LowData);
        assert_eq!(figure(&binary, "a"), Figure::ProbabilityBest(Some(0.5)));
        assert_eq!(figure(&binary, "b"), Figure::ProbabilityBest(None));
        assert_eq!(figure(&binary, "off"), Figure::ProbabilityBest(None));
        assert_eq!(figure(&binary, "nope"), Figure::ProbabilityBest(None));
    }
}
