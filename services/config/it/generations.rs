//! Generations: what was published can be read again, compared, and served again.

use std::time::Duration;

use assay_core::{
    assign::assign,
    experiment::Experiment,
    flag::Flag,
    holdout::Holdout,
    key::{Namespace, Unit},
    segment::Segment,
    snapshot::{Configuration, Snapshot},
    time::Timestamp,
    value::{Attribute, Attributes},
};
use assay_platform::Code;
use assay_proto::config::v1::{self as pb, DifferenceKind};
use tonic::Status;

use crate::support::{Service, at, invalid, make, refused};

async fn newest(service: &mut Service) -> u64 {
    let request = pb::ListGenerationsRequest {
        page_size: 1,
        ..Default::default()
    };
    let page = service.generations.list_generations(request).await.unwrap();
    page.into_inner().generations[0].generation
}

async fn get(service: &mut Service, generation: u64) -> pb::GetGenerationResponse {
    let request = pb::GetGenerationRequest {
        generation,
        ..Default::default()
    };
    service
        .generations
        .get_generation(request)
        .await
        .unwrap()
        .into_inner()
}

async fn roll_back(service: &mut Service, to: u64, expected: u64) -> Result<pb::RollbackResponse, Status> {
    let request = pb::RollbackRequest {
        generation: to,
        expected_generation: expected,
        reason: "it broke".to_owned(),
        ..Default::default()
    };
    let answer = service.generations.rollback(request).await?;
    Ok(answer.into_inner())
}

async fn update(service: &mut Service, flag: pb::Flag, field: &str) -> pb::Flag {
    let request = pb::UpdateFlagRequest {
        flag: Some(flag),
        update_mask: make::mask(&[field]),
    };
    let updated = service.flags.update_flag(request).await.unwrap();
    updated.into_inner().flag.unwrap()
}

async fn stop(service: &mut Service, experiment: &pb::Experiment) {
    let request = pb::StopExperimentRequest {
        key: experiment.key.clone(),
        version: experiment.version,
        confirm: true,
        reason: "enough".to_owned(),
        ..Default::default()
    };
    service.experiments.stop_experiment(request).await.unwrap();
}

/// What a replica compiles of a generation.
fn compile(answer: pb::GetGenerationResponse) -> Snapshot {
    assert_eq!(answer.unreadable, [""; 0]);
    let configuration = Configuration {
        namespace: Namespace::default(),
        generation: answer.generation,
        flags: answer
            .flags
            .into_iter()
            .map(|flag| Flag::try_from(flag).unwrap())
            .collect(),
        segments: answer
            .segments
            .into_iter()
            .map(|segment| Segment::try_from(segment).unwrap())
            .collect(),
        holdouts: answer
            .holdouts
            .into_iter()
            .map(|holdout| Holdout::try_from(holdout).unwrap())
            .collect(),
        experiments: answer
            .experiments
            .into_iter()
            .map(|e| Experiment::try_from(e).unwrap())
            .collect(),
    };
    let (snapshot, rejected) = Snapshot::compile(&configuration);
    assert!(rejected.is_empty(), "{rejected:?}");
    snapshot
}

/// Every answer for 10,000 units, all but the number of the generation.
fn answers(snapshot: &Snapshot, flags: &[&str]) -> Vec<String> {
    let mut answers = Vec::new();
    for i in 0..10_000 {
        let unit = Unit::user(&*format!("u{i}")).unwrap();
        let platform = if i % 3 == 0 { "ios" } else { "web" };
        let attributes = Attributes::from([("platform".to_owned(), Attribute::from(platform))]);
        for flag in flags {
            let mut answer = assign(
                snapshot,
                flag,
                Some(&unit),
                &attributes,
                Timestamp::from_micros(0),
            );
            answer.generation = 0;
            answers.push(format!("{answer:?}"));
        }
    }
    answers
}

#[tokio::test]
async fn c3_a_rollback_restores_the_previous_answers_bit_for_bit() {
    let mut service = Service::start().await;
    service.segment(make::segment("ios", "ios")).await;
    let mut overridden = make::flag("banner");
    overridden.segment_overrides = vec![pb::SegmentOverride {
        segment_key: "ios".to_owned(),
        value: make::boolean(true),
    }];
    let banner = service.flag(overridden).await;
    let running = service.running("a").await;
    let paused = service.running("b").await;
    let request = pb::PauseExperimentRequest {
        key: paused.key.clone(),
        version: paused.version,
        ..Default::default()
    };
    service.experiments.pause_experiment(request).await.unwrap();
    let flags = ["banner", "a", "b"];
    let then = newest(&mut service).await;
    let before = answers(&compile(get(&mut service, then).await), &flags);

    service.clock.advance(Duration::from_secs(100));
    let cleared = pb::Flag {
        segment_overrides: Vec::new(),
        ..banner
    };
    update(&mut service, cleared, "segment_overrides").await;
    stop(&mut service, &running).await;
    let paused = service.get("b").await;
    let request = pb::ResumeExperimentRequest {
        key: paused.key.clone(),
        version: paused.version,
        ..Default::default()
    };
    service.experiments.resume_experiment(request).await.unwrap();
    service.flag(make::flag("late")).await;
    let broken = newest(&mut service).await;
    let meanwhile = answers(&compile(get(&mut service, broken).await), &flags);
    assert_ne!(before, meanwhile);

    service.clock.advance(Duration::from_secs(100));
    let done = roll_back(&mut service, then, broken).await.unwrap();
    assert_eq!(done.generation, broken + 1);
    let changed: Vec<_> = done
        .differences
        .iter()
        .map(|d| (d.resource.as_str(), d.kind()))
        .collect();
    assert_eq!(
        changed,
        [
            ("flag/banner", DifferenceKind::Changed),
            ("flag/late", DifferenceKind::Removed),
            ("experiment/a", DifferenceKind::Changed),
            ("experiment/b", DifferenceKind::Changed)
        ]
    );
    assert_eq!(done.differences[0].fields, ["segment_overrides"]);
    let after = answers(&compile(get(&mut service, done.generation).await), &flags);
    assert!(before == after, "10,000 units get what they got");
    let unchanged = answers(&compile(get(&mut service, broken).await), &flags);
    assert!(meanwhile == unchanged, "history is not rewritten");

    let restored = service.get("a").await;
    assert_eq!(
        (restored.state(), restored.completed_at),
        (pb::ExperimentState::Running, None)
    );
    let gap = pb::Pause {
        from: at(100),
        to: at(200),
        mode: pb::PauseMode::ServeDefault.into(),
    };
    assert_eq!(restored.pauses, [gap]);
    assert!(restored.version > running.version);
    let published = service.store.published(&Namespace::default()).await.unwrap();
    assert_eq!(published.generation, done.generation);

    let again = roll_back(&mut service, broken, done.generation).await.unwrap();
    let forth = answers(&compile(get(&mut service, again.generation).await), &flags);
    assert!(meanwhile == forth, "a rollback can be rolled back");
}

#[tokio::test]
async fn c3_a_stale_rollback_is_aborted_and_one_that_changes_nothing_writes_nothing() {
    let mut service = Service::start().await;
    let flag = service.flag(make::flag("a")).await;
    let named = pb::Flag {
        name: "A".to_owned(),
        ..flag
    };
    update(&mut service, named, "name").await;
    refused(
        roll_back(&mut service, 1, 1 + 7).await,
        Code::Aborted,
        "VERSION_MISMATCH",
    );
    let same = roll_back(&mut service, 1, 2).await.unwrap();
    assert_eq!(
        (same.generation, same.differences.len()),
        (2, 0),
        "texts are not answers"
    );
    assert_eq!(newest(&mut service).await, 2);
    invalid(
        roll_back(&mut service, 2, 2).await,
        &[("generation", "NOT_OLDER")],
    );
    let empty = service.generations.rollback(pb::RollbackRequest::default()).await;
    let required = ["generation", "expected_generation", "reason"].map(|field| (field, "REQUIRED"));
    invalid(empty, &required);
}

#[tokio::test]
async fn what_has_started_since_stands_in_the_way_and_is_named() {
    let mut service = Service::start().await;
    let flag = service.flag(make::flag("kept")).await;
    let changed = pb::Flag {
        default_value: make::boolean(true),
        ..flag
    };
    let then = newest(&mut service).await;
    update(&mut service, changed, "default_value").await;
    service.experiment(make::draft("draft")).await;
    service.running("late").await;
    let now = newest(&mut service).await;
    let failure = refused(
        roll_back(&mut service, then, now).await,
        Code::FailedPrecondition,
        "CANNOT_ROLL_BACK",
    );
    let named: Vec<_> = failure
        .violations
        .iter()
        .map(|v| (v.field.as_str(), v.reason.as_str()))
        .collect();
    assert_eq!(
        named,
        [
            ("experiment/late", "STARTED_SINCE"),
            ("flag/draft", "IN_USE"),
            ("flag/late", "IN_USE")
        ]
    );
    assert_eq!(newest(&mut service).await, now, "nothing was changed");
}

#[tokio::test]
async fn generations_are_listed_compared_and_missing_ones_are_not_found() {
    let mut service = Service::start().await;
    let flag = service.flag(make::flag("a")).await;
    service.flag(make::flag("b")).await;
    let described = pb::Flag {
        description: "it opens".to_owned(),
        ..flag
    };
    update(&mut service, described, "description").await;

    let request = pb::ListGenerationsRequest {
        page_size: 2,
        ..Default::default()
    };
    let first = service
        .generations
        .list_generations(request.clone())
        .await
        .unwrap()
        .into_inner();
    let request = pb::ListGenerationsRequest {
        page_token: first.next_page_token.clone(),
        ..request
    };
    let second = service
        .generations
        .list_generations(request)
        .await
        .unwrap()
        .into_inner();
    let told: Vec<_> = first
        .generations
        .iter()
        .chain(&second.generations)
        .map(|g| (g.generation, g.action.as_str(), g.subject.as_str(), g.created_at))
        .collect();
    assert_eq!(
        told,
        [
            (3, "flag.update", "flag/a", at(0)),
            (2, "flag.create", "flag/b", at(0)),
            (1, "flag.create", "flag/a", at(0))
        ]
    );
    assert_eq!(second.next_page_token, "");

    let request = pb::DiffGenerationsRequest {
        from_generation: 1,
        to_generation: 3,
        ..Default::default()
    };
    let diff = service
        .generations
        .diff_generations(request)
        .await
        .unwrap()
        .into_inner();
    let told: Vec<_> = diff
        .differences
        .iter()
        .map(|d| (d.resource.as_str(), d.kind(), d.fields.join(",")))
        .collect();
    assert_eq!(
        told,
        [
            ("flag/a", DifferenceKind::Changed, "description".to_owned()),
            ("flag/b", DifferenceKind::Added, String::new())
        ]
    );
    let request = pb::GetGenerationRequest {
        generation: 4,
        ..Default::default()
    };
    refused(
        service.generations.get_generation(request).await,
        Code::NotFound,
        "NOT_FOUND",
    );
}

#[tokio::test]
async fn a_generation_of_the_past_says_why_a_unit_got_what_it_got() {
    use assay_proto::{
        assignment::v1::{ExplainRequest, GateKind, GateVerdict, Reason},
        common::v1::Unit,
    };
    let mut service = Service::start().await;
    let running = service.running("a").await;
    let then = newest(&mut service).await;
    stop(&mut service, &running).await;
    let now = newest(&mut service).await;
    let about = |generation, key: &str| ExplainRequest {
        unit: Some(Unit {
            kind: String::new(),
            id: "u1".to_owned(),
        }),
        flag_key: key.to_owned(),
        generation,
        ..Default::default()
    };
    let mut explain = async |generation| {
        let answer = service
            .generations
            .explain_generation(about(generation, "a"))
            .await;
        let answer = answer.unwrap().into_inner();
        assert_eq!(answer.rejected, [""; 0]);
        let decided = |gate: &assay_proto::assignment::v1::Gate| gate.verdict() == GateVerdict::Decided;
        let decider = answer.gates.into_iter().find(decided).unwrap();
        (answer.assignment.unwrap(), decider.kind())
    };
    let (before, decider) = explain(then).await;
    assert_eq!(
        (before.reason(), before.generation, decider),
        (Reason::Split, then, GateKind::Split)
    );
    let (after, decider) = explain(now).await;
    assert_eq!(
        (after.reason(), after.generation, decider),
        (Reason::Completed, now, GateKind::State)
    );

    let snapshot = compile(get(&mut service, then).await);
    let user = assay_core::key::Unit::user("u1").unwrap();
    let assigned = assign(
        &snapshot,
        "a",
        Some(&user),
        &Attributes::new(),
        Timestamp::from_micros(0),
    );
    assert_eq!(
        assigned.variant.map(ToString::to_string),
        Some(before.variant_key)
    );

    let mut ask = async |generation, key: &str| {
        let request = about(generation, key);
        service.generations.explain_generation(request).await
    };
    invalid(ask(0, "a").await, &[("generation", "REQUIRED")]);
    invalid(ask(then, "").await, &[("flag_key", "REQUIRED")]);
    refused(ask(now + 1, "a").await, Code::NotFound, "NOT_FOUND");
}
