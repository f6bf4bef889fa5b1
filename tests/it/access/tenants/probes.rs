//! The questions: every method that names something, with blue's names.
#![expect(
    clippy::needless_update,
    reason = "the macros are for requests that have more fields, too"
)]

use std::{fmt, time::Duration};

use assay_proto::{
    analysis::v1 as analysis, assignment::v1 as assignment, config::v1 as pb, ingest::v1 as ingest,
};
use prost::Message;

use super::{
    super::from_now,
    blue::{flag, text, unit},
};

/// A question.
pub(in crate::access) struct Probe {
    pub(in crate::access) method: String,
    pub(in crate::access) request: Vec<u8>,
    /// Whether it is about one thing, by its key, so that the answer without it is `NOT_FOUND`.
    pub(super) names: bool,
    /// Whether it changes nothing, and who may is told something of the canaries.
    pub(super) tells: bool,
}

fn probe(method: &str, request: &impl Message) -> Probe {
    Probe {
        method: format!("assay.{method}"),
        request: request.encode_to_vec(),
        names: false,
        tells: false,
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.method, String::from_utf8_lossy(&self.request))
    }
}

impl Probe {
    fn naming(self) -> Self {
        Self { names: true, ..self }
    }

    fn telling(self) -> Self {
        Self { tells: true, ..self }
    }
}

/// A request of config in a namespace, with more fields.
macro_rules! within {
    ($method:literal, $request:ident, $namespace:expr $(, $field:ident: $value:expr)*) => {
        probe(
            concat!("config.v1.", $method),
            &pb::$request {
                namespace: $namespace.to_owned(),
                $($field: $value.into(),)*
                ..Default::default()
            },
        )
    };
}

/// A request of config that names a resource by namespace and key.
macro_rules! of {
    ($method:literal, $request:ident, $namespace:expr, $key:expr $(, $field:ident: $value:expr)*) => {
        within!($method, $request, $namespace, key: $key $(, $field: $value)*).naming()
    };
}

/// A request of config that holds the resource itself.
macro_rules! whole {
    ($method:literal, $request:ident, $field:ident: $resource:ident, $namespace:expr, $key:expr) => {
        probe(
            concat!("config.v1.", $method),
            &pb::$request {
                $field: Some(pb::$resource {
                    namespace: $namespace.to_owned(),
                    key: $key.to_owned(),
                    name: "renamed".to_owned(),
                    version: 1,
                    ..Default::default()
                }),
                ..Default::default()
            },
        )
    };
}

/// Every question about blue's things, asked in namespace `ns`; those that make something come last.
pub(in crate::access) fn all(ns: &str) -> Vec<Probe> {
    let mut probes = reads(ns);
    probes.extend(lists(ns));
    probes.extend(changes(ns));
    probes.extend(commands(ns));
    probes.extend(traffic(ns));
    probes.extend(results(ns));
    probes.extend(makes(ns));
    probes
}

fn reads(ns: &str) -> Vec<Probe> {
    let stored = pb::test_segment_request::Subject::Key("canary-segment".to_owned());
    vec![
        of!("FlagService/GetFlag", GetFlagRequest, ns, "canary-flag").telling(),
        of!(
            "SegmentService/GetSegment",
            GetSegmentRequest,
            ns,
            "canary-segment"
        )
        .telling(),
        of!("SegmentService/GetSegment", GetSegmentRequest, ns, "canary-segment", version: 1_u64).telling(),
        of!("MetricService/GetMetric", GetMetricRequest, ns, "canary-metric").telling(),
        of!("LayerService/GetLayer", GetLayerRequest, ns, "canary-layer").telling(),
        of!(
            "HoldoutService/GetHoldout",
            GetHoldoutRequest,
            ns,
            "canary-holdout"
        )
        .telling(),
        of!(
            "ExperimentService/GetExperiment",
            GetExperimentRequest,
            ns,
            "canary-experiment"
        )
        .telling(),
        of!(
            "ExperimentService/ValidateExperiment",
            ValidateExperimentRequest,
            ns,
            "canary-draft"
        ),
        within!("SegmentService/TestSegment", TestSegmentRequest, ns, subject: stored)
            .naming()
            .telling(),
    ]
}

fn lists(ns: &str) -> Vec<Probe> {
    vec![
        within!("FlagService/ListFlags", ListFlagsRequest, ns).telling(),
        within!("SegmentService/ListSegments", ListSegmentsRequest, ns).telling(),
        within!("MetricService/ListMetrics", ListMetricsRequest, ns).telling(),
        within!("LayerService/ListLayers", ListLayersRequest, ns).telling(),
        within!("HoldoutService/ListHoldouts", ListHoldoutsRequest, ns).telling(),
        within!("ExperimentService/ListExperiments", ListExperimentsRequest, ns).telling(),
        within!("ExperimentService/ListExperiments", ListExperimentsRequest, ns, flag_key: "canary-flag")
            .telling(),
        within!("ExperimentService/ListExperiments", ListExperimentsRequest, ns, text: "canary").telling(),
        within!("GenerationService/ListGenerations", ListGenerationsRequest, ns).telling(),
        within!("GenerationService/GetGeneration", GetGenerationRequest, ns, generation: 7_u64).telling(),
        within!(
            "GenerationService/DiffGenerations", DiffGenerationsRequest, ns, from_generation: 1_u64, to_generation: 7_u64
        )
        .telling(),
        within!("GenerationService/ExportNamespace", ExportNamespaceRequest, ns).telling(),
        within!("ActivationService/WaitForGeneration", WaitForGenerationRequest, ns, generation: 1_u64),
        within!("ActivationService/ListReplicas", ListReplicasRequest, ns),
        within!("AuditService/ListAudit", ListAuditRequest, ns).telling(),
        within!("AuditService/ListAudit", ListAuditRequest, ns, resource: "experiment/canary-experiment")
            .telling(),
        within!("AuditService/ListAudit", ListAuditRequest, ns, actor: "hidden-keeper").telling(),
        within!("AuditService/VerifyAudit", VerifyAuditRequest, ns),
    ]
}

#[rustfmt::skip] // A table.
fn changes(ns: &str) -> Vec<Probe> {
    vec![
        whole!("FlagService/UpdateFlag", UpdateFlagRequest, flag: Flag, ns, "canary-flag"),
        whole!("SegmentService/UpdateSegment", UpdateSegmentRequest, segment: Segment, ns, "canary-segment"),
        whole!("MetricService/UpdateMetric", UpdateMetricRequest, metric: Metric, ns, "canary-metric"),
        whole!("LayerService/UpdateLayer", UpdateLayerRequest, layer: Layer, ns, "canary-layer"),
        whole!("HoldoutService/UpdateHoldout", UpdateHoldoutRequest, holdout: Holdout, ns, "canary-holdout"),
        whole!("ExperimentService/UpdateExperiment", UpdateExperimentRequest, experiment: Experiment, ns, "canary-draft"),
        of!("FlagService/DeleteFlag", DeleteFlagRequest, ns, "canary-gate", version: 1_u64),
        of!("SegmentService/DeleteSegment", DeleteSegmentRequest, ns, "canary-segment", version: 1_u64),
        of!("MetricService/DeleteMetric", DeleteMetricRequest, ns, "canary-metric", version: 1_u64),
        of!("LayerService/DeleteLayer", DeleteLayerRequest, ns, "canary-layer", version: 1_u64),
        of!("HoldoutService/DeleteHoldout", DeleteHoldoutRequest, ns, "canary-holdout", version: 1_u64),
        of!("ExperimentService/DeleteExperiment", DeleteExperimentRequest, ns, "canary-draft", version: 1_u64),
        of!("ExperimentService/DuplicateExperiment", DuplicateExperimentRequest, ns, "canary-draft", new_key: "copy"),
    ]
}

/// A command on the lifecycle.
macro_rules! command {
    ($method:literal, $request:ident, $ns:expr $(, $field:ident: $value:expr)*) => {
        of!(
            $method, $request, $ns, "canary-experiment", version: 1_u64, reason: "because" $(, $field: $value)*
        )
    };
}

#[rustfmt::skip] // A table.
fn commands(ns: &str) -> Vec<Probe> {
    vec![
        of!("ExperimentService/StartExperiment", StartExperimentRequest, ns, "canary-draft", version: 1_u64, confirm: true),
        command!("ExperimentService/UnscheduleExperiment", UnscheduleExperimentRequest, ns),
        command!("ExperimentService/PauseExperiment", PauseExperimentRequest, ns),
        command!("ExperimentService/ResumeExperiment", ResumeExperimentRequest, ns),
        command!("ExperimentService/AddCohort", AddCohortRequest, ns, weights: vec![1, 9_999]),
        command!("ExperimentService/StopExperiment", StopExperimentRequest, ns, confirm: true),
        command!("ExperimentService/DeclareWinner", DeclareWinnerRequest, ns, variant_key: "a", force: true),
        command!("ExperimentService/UndoExperiment", UndoExperimentRequest, ns),
        command!("ExperimentService/EndExperiment", EndExperimentRequest, ns),
        command!("ExperimentService/ArchiveExperiment", ArchiveExperimentRequest, ns),
        command!("ExperimentService/UnarchiveExperiment", UnarchiveExperimentRequest, ns),
    ]
}

fn keys() -> Vec<String> {
    vec!["canary-flag".to_owned(), "canary-experiment".to_owned()]
}

/// The same as one question of a stream.
pub(super) fn in_stream(ns: &str) -> Probe {
    let request = assignment::AssignRequest {
        namespace: ns.to_owned(),
        unit: unit("red-unit"),
        flag_keys: keys(),
        ..Default::default()
    };
    let question = assignment::AssignStreamRequest {
        request: Some(request),
        ..Default::default()
    };
    probe("assignment.v1.AssignmentService/AssignStream", &question)
}

fn explained(ns: &str, generation: u64) -> assignment::ExplainRequest {
    assignment::ExplainRequest {
        namespace: ns.to_owned(),
        unit: unit("red-unit"),
        flag_key: "canary-flag".to_owned(),
        generation,
        ..Default::default()
    }
}

fn traffic(ns: &str) -> Vec<Probe> {
    let asked = assignment::AssignRequest {
        namespace: ns.to_owned(),
        unit: unit("red-unit"),
        flag_keys: keys(),
        exposure: assignment::Exposure::Peek.into(),
        ..Default::default()
    };
    let batch = assignment::AssignBatchRequest {
        namespace: ns.to_owned(),
        items: vec![assignment::AssignBatchItem {
            unit: unit("red-unit"),
            ..Default::default()
        }],
        flag_keys: keys(),
        exposure: assignment::Exposure::Peek.into(),
    };
    let events = ingest::RecordEventsRequest {
        namespace: ns.to_owned(),
        events: vec![ingest::Event {
            event_id: "red-event".to_owned(),
            unit: unit("hidden-unit-1"),
            name: "hidden-event".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let exposures = ingest::RecordExposuresRequest {
        namespace: ns.to_owned(),
        exposures: vec![ingest::Exposure {
            experiment_key: "canary-experiment".to_owned(),
            variant_key: "a".to_owned(),
            unit: unit("red-unit"),
            time: Some(from_now(Duration::ZERO)),
            ..Default::default()
        }],
    };
    let watched = assignment::WatchConfigRequest {
        namespace: ns.to_owned(),
        ..Default::default()
    };
    let decisions = assignment::RecordDecisionsRequest {
        namespace: ns.to_owned(),
        decisions: vec![assignment::Decision::default()],
    };
    vec![
        probe("assignment.v1.AssignmentService/Assign", &asked).telling(),
        probe("assignment.v1.AssignmentService/AssignBatch", &batch).telling(),
        probe("assignment.v1.AssignmentService/Explain", &explained(ns, 0)).telling(),
        probe("config.v1.GenerationService/ExplainGeneration", &explained(ns, 7)).telling(),
        probe("assignment.v1.AssignmentService/WatchConfig", &watched).telling(),
        probe("assignment.v1.AssignmentService/RecordDecisions", &decisions),
        probe("ingest.v1.IngestService/RecordEvents", &events),
        probe("ingest.v1.IngestService/RecordExposures", &exposures),
    ]
}

fn results(ns: &str) -> Vec<Probe> {
    let results = analysis::GetResultsRequest {
        namespace: ns.to_owned(),
        experiment_key: "canary-experiment".to_owned(),
    };
    let assignments = analysis::ListAssignmentsRequest {
        namespace: ns.to_owned(),
        experiment_key: "canary-experiment".to_owned(),
        ..Default::default()
    };
    let one = analysis::ListAssignmentsRequest {
        unit: unit("hidden-unit-1"),
        ..assignments.clone()
    };
    let callers = analysis::ListCallersRequest {
        namespace: ns.to_owned(),
        keys: keys(),
        ..Default::default()
    };
    vec![
        probe("analysis.v1.AnalysisService/GetResults", &results)
            .naming()
            .telling(),
        probe("analysis.v1.AnalysisService/ListAssignments", &assignments)
            .naming()
            .telling(),
        probe("analysis.v1.AnalysisService/ListAssignments", &one)
            .naming()
            .telling(),
        probe("analysis.v1.AnalysisService/ListCallers", &callers),
    ]
}

fn makes(ns: &str) -> Vec<Probe> {
    let contents = pb::NamespaceContents {
        flags: vec![pb::Flag {
            name: "red name".to_owned(),
            ..flag("blue", "canary-flag")
        }],
        ..Default::default()
    };
    vec![
        within!("GenerationService/Rollback", RollbackRequest, ns, generation: 1_u64, reason: "because", dry_run: true),
        within!(
            "GenerationService/ImportNamespace", ImportNamespaceRequest, ns, contents: contents, dry_run: true
        ),
        whole!("FlagService/CreateFlag", CreateFlagRequest, flag: Flag, ns, "canary-flag"),
        whole!("SegmentService/CreateSegment", CreateSegmentRequest, segment: Segment, ns, "canary-segment"),
        whole!("MetricService/CreateMetric", CreateMetricRequest, metric: Metric, ns, "canary-metric"),
        whole!("LayerService/CreateLayer", CreateLayerRequest, layer: Layer, ns, "canary-layer"),
        whole!("HoldoutService/CreateHoldout", CreateHoldoutRequest, holdout: Holdout, ns, "canary-holdout"),
        whole!(
            "ExperimentService/CreateExperiment", CreateExperimentRequest, experiment: Experiment, ns, "canary-draft"
        ),
    ]
}

/// Red's own things that refer to blue's, of which red has none: all are refused.
pub(super) fn references() -> Vec<Probe> {
    const CREATE: &str = "config.v1.ExperimentService/CreateExperiment";
    let flag = pb::Flag {
        segment_overrides: vec![pb::SegmentOverride {
            segment_key: "canary-segment".to_owned(),
            value: text("red value"),
        }],
        ..flag("red", "red-on-canary")
    };
    let segment = pb::Segment {
        namespace: "red".to_owned(),
        key: "red-on-canary".to_owned(),
        rules: vec![pb::Rule {
            segment: Some(pb::SegmentReference {
                key: "canary-segment".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Default::default()
    };
    let holdout = pb::Holdout {
        namespace: "red".to_owned(),
        key: "red-on-canary".to_owned(),
        share: 100,
        layer_keys: vec!["canary-layer".to_owned()],
        ..Default::default()
    };
    let (flag, segment, holdout) = (Some(flag), Some(segment), Some(holdout));
    let create = |flag_key: &str| pb::CreateExperimentRequest {
        experiment: Some(experiment(flag_key)),
        ..Default::default()
    };
    vec![
        probe(
            "config.v1.FlagService/CreateFlag",
            &pb::CreateFlagRequest { flag },
        ),
        probe(
            "config.v1.SegmentService/CreateSegment",
            &pb::CreateSegmentRequest { segment },
        ),
        probe(
            "config.v1.HoldoutService/CreateHoldout",
            &pb::CreateHoldoutRequest { holdout },
        ),
        probe(CREATE, &create("canary-flag")),
        probe(CREATE, &create("red-gate")),
    ]
}

fn experiment(flag_key: &str) -> pb::Experiment {
    pb::Experiment {
        namespace: "red".to_owned(),
        key: "red-on-canary".to_owned(),
        hypothesis: "Blue's things are there.".to_owned(),
        flag_key: flag_key.to_owned(),
        segment_key: "canary-segment".to_owned(),
        layer_key: "canary-layer".to_owned(),
        metrics: vec![pb::ExperimentMetric {
            metric_key: "canary-metric".to_owned(),
            role: pb::MetricRole::Primary.into(),
            ..Default::default()
        }],
        prerequisites: vec![pb::Prerequisite {
            flag_key: "canary-gate".to_owned(),
            value: text("on"),
        }],
        ..Default::default()
    }
}
