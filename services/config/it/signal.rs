//! What is asked of an analysis service, which says what a test wants: the winner signal, and who asks for what.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use assay_platform::{ChannelOptions, Code, connect_lazy};
use assay_proto::{
    analysis::v1::{
        self as analysis,
        analysis_service_server::{AnalysisService, AnalysisServiceServer},
    },
    config::v1 as pb,
};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

use crate::support::{Service, at, fact, refused};

/// What it answers, or nothing for ever.
type Answer = Arc<Mutex<Option<analysis::ExperimentResult>>>;

struct Analysis(Answer, Callers);

/// Who has asked; none says nothing for ever.
type Callers = Arc<Mutex<Option<Vec<analysis::Caller>>>>;

#[tonic::async_trait]
impl AnalysisService for Analysis {
    async fn get_results(
        &self,
        _: Request<analysis::GetResultsRequest>,
    ) -> Result<Response<analysis::GetResultsResponse>, Status> {
        let answer = self.0.lock().unwrap().clone();
        match answer {
            Some(result) => Ok(Response::new(analysis::GetResultsResponse {
                result: Some(result),
            })),
            None => std::future::pending().await,
        }
    }

    async fn list_callers(
        &self,
        request: Request<analysis::ListCallersRequest>,
    ) -> Result<Response<analysis::ListCallersResponse>, Status> {
        assert_eq!(request.into_inner().keys, ["a"]);
        let callers = self.1.lock().unwrap().clone();
        match callers {
            Some(callers) => Ok(Response::new(analysis::ListCallersResponse { callers })),
            None => std::future::pending().await,
        }
    }

    async fn list_assignments(
        &self,
        _: Request<analysis::ListAssignmentsRequest>,
    ) -> Result<Response<analysis::ListAssignmentsResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
}

/// A config service that asks an analysis service, and what that answers.
async fn asking() -> (Service, Answer) {
    let (service, answer, _) = asking_all().await;
    (service, answer)
}

async fn asking_all() -> (Service, Answer, Callers) {
    let (answer, callers) = (Answer::default(), Callers::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let server = AnalysisServiceServer::new(Analysis(answer.clone(), callers.clone()));
    let serving = tonic::transport::Server::builder().add_service(server);
    tokio::spawn(serving.serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener)));
    let channel = connect_lazy(&uri, &ChannelOptions::default()).unwrap();
    (Service::start_asking(channel).await, answer, callers)
}

/// A result in which `on` is the best with `probability`, and the counts fit the weights with `srm`.
fn result(probability: f64, srm: f64) -> analysis::ExperimentResult {
    let variant = |key: &str, p| analysis::VariantEstimate {
        variant_key: key.to_owned(),
        probability_best: Some(p),
        ..Default::default()
    };
    let comparison = analysis::Comparison {
        variant_key: "on".to_owned(),
        status: analysis::ComparisonStatus::Ok.into(),
        ..Default::default()
    };
    let metric = analysis::MetricResult {
        metric_key: "retention_7".to_owned(),
        role: analysis::MetricRole::Primary.into(),
        kind: analysis::MetricKind::Binary.into(),
        variants: vec![variant("off", 1.0 - probability), variant("on", probability)],
        comparisons: vec![comparison],
        ..Default::default()
    };
    analysis::ExperimentResult {
        srm: Some(analysis::SrmResult {
            p_value: Some(srm),
            suspected: false,
        }),
        metrics: vec![metric],
        ..Default::default()
    }
}

async fn declare(
    service: &mut Service,
    experiment: &pb::Experiment,
    force: bool,
) -> Result<pb::Experiment, Status> {
    let request = pb::DeclareWinnerRequest {
        key: experiment.key.clone(),
        version: experiment.version,
        reason: "retention is up".to_owned(),
        variant_key: "on".to_owned(),
        force,
        ..Default::default()
    };
    let answer = service.experiments.declare_winner(request).await?;
    Ok(answer.into_inner().experiment.unwrap())
}

#[tokio::test]
async fn with_the_signal_nobody_needs_to_insist() {
    let (mut service, answer) = asking().await;
    let running = service.running("a").await;
    *answer.lock().unwrap() = Some(result(0.9, 0.5));
    let won = declare(&mut service, &running, false).await.unwrap();
    assert_eq!((won.outcome(), won.winner.as_str()), (pb::Outcome::Winner, "on"));
}

#[tokio::test]
async fn without_the_signal_it_is_refused_with_the_figures_and_force_overrules() {
    let (mut service, answer) = asking().await;
    let running = service.running("a").await;
    *answer.lock().unwrap() = Some(result(0.89, 0.5));
    let weak = declare(&mut service, &running, false).await;
    let failure = refused(weak, Code::FailedPrecondition, "NO_WINNER_SIGNAL");
    assert_eq!(fact(&failure, "cause"), "TOO_WEAK");
    assert!(failure.message.contains("89.0 %, 90.0 % needed"), "{failure}");

    *answer.lock().unwrap() = Some(result(0.99, 0.01));
    let sick = declare(&mut service, &running, false).await;
    let failure = refused(sick, Code::FailedPrecondition, "NO_WINNER_SIGNAL");
    assert_eq!(fact(&failure, "cause"), "SAMPLE_RATIO_MISMATCH");

    let forced = declare(&mut service, &running, true).await.unwrap();
    assert_eq!(
        (forced.outcome(), forced.reason.as_str()),
        (pb::Outcome::Winner, "retention is up")
    );
}

#[tokio::test]
async fn an_analysis_that_does_not_answer_is_no_signal_after_two_seconds() {
    let (mut service, _answer) = asking().await;
    let running = service.running("a").await;
    let begin = Instant::now();
    let silent = declare(&mut service, &running, false).await;
    let failure = refused(silent, Code::FailedPrecondition, "NO_WINNER_SIGNAL");
    assert_eq!(fact(&failure, "cause"), "ANALYSIS_UNAVAILABLE");
    let took = begin.elapsed();
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(4),
        "{took:?}"
    );
}

#[tokio::test]
async fn ending_what_is_still_asked_for_needs_force_and_says_who_asks() {
    let (mut service, _, callers) = asking_all().await;
    let running = service.running("a").await;
    let won = declare(&mut service, &running, true).await.unwrap();
    let mut end = async |force: bool| {
        let request = pb::EndExperimentRequest {
            key: won.key.clone(),
            version: won.version,
            force,
            ..Default::default()
        };
        let answer = service.experiments.end_experiment(request).await?;
        Ok::<_, Status>(answer.into_inner())
    };
    refused(end(false).await, Code::FailedPrecondition, "CALLERS_UNKNOWN");
    let caller = |name: &str| analysis::Caller {
        caller: name.to_owned(),
        key: "a".to_owned(),
        last_seen_time: at(-60),
    };
    *callers.lock().unwrap() = Some(vec![caller("shop"), caller("app")]);
    let failure = refused(end(false).await, Code::FailedPrecondition, "CALLERS_SEEN");
    assert_eq!(fact(&failure, "callers"), "app,shop");
    assert!(
        failure.message.contains("`shop` for `a` at 2026-09-21T14:12:20"),
        "{failure}"
    );
    let ended = end(true).await.unwrap();
    assert_eq!(ended.experiment.unwrap().state(), pb::ExperimentState::Ended);
    assert_eq!(ended.callers.len(), 2);
}
