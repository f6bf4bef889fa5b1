//! Who may call what. **A new method needs a line here**, in the order of its service: the role that is needed, and whether it works in
//! one namespace ([`Permission::Role`]) or in none of its own ([`Permission::Global`]).

use super::Role;

/// What a method needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Nothing: not even a key.
    Public,
    /// A key.
    Anyone,
    /// A key with the role, and with the namespace that the request names.
    Role(Role),
    /// A key with the role; the request names no namespace, or several.
    Global(Role),
}

use Permission::{Anyone, Global, Public};
use Role::{Admin, Assigner, Editor, Evaluator, Operator, Recorder, Service, Viewer};

const fn role(role: Role) -> Permission {
    Permission::Role(role)
}

/// The services, and the methods of each.
const TABLE: &[(&str, &[(&str, Permission)])] = &[
    (
        "assay.config.v1.FlagService",
        &[
            ("CreateFlag", role(Editor)),
            ("GetFlag", role(Viewer)),
            ("ListFlags", role(Viewer)),
            ("UpdateFlag", role(Editor)),
            ("DeleteFlag", role(Editor)),
        ],
    ),
    (
        "assay.config.v1.SegmentService",
        &[
            ("CreateSegment", role(Editor)),
            ("GetSegment", role(Viewer)),
            ("ListSegments", role(Viewer)),
            ("UpdateSegment", role(Editor)),
            ("DeleteSegment", role(Editor)),
            ("TestSegment", role(Viewer)),
        ],
    ),
    (
        "assay.config.v1.MetricService",
        &[
            ("CreateMetric", role(Editor)),
            ("GetMetric", role(Viewer)),
            ("ListMetrics", role(Viewer)),
            ("UpdateMetric", role(Editor)),
            ("DeleteMetric", role(Editor)),
        ],
    ),
    (
        "assay.config.v1.ExperimentService",
        &[
            ("CreateExperiment", role(Editor)),
            ("GetExperiment", role(Viewer)),
            ("ListExperiments", role(Viewer)),
            ("UpdateExperiment", role(Editor)),
            ("ValidateExperiment", role(Viewer)),
            ("StartExperiment", role(Operator)),
            ("UnscheduleExperiment", role(Operator)),
            ("PauseExperiment", role(Operator)),
            ("ResumeExperiment", role(Operator)),
            ("StopExperiment", role(Operator)),
            ("DeclareWinner", role(Operator)),
            ("UndoExperiment", role(Operator)),
            ("EndExperiment", role(Operator)),
            ("ArchiveExperiment", role(Operator)),
            ("UnarchiveExperiment", role(Operator)),
            ("AddCohort", role(Operator)),
            ("DuplicateExperiment", role(Editor)),
            ("DeleteExperiment", role(Editor)),
        ],
    ),
    (
        "assay.config.v1.LayerService",
        &[
            ("CreateLayer", role(Editor)),
            ("GetLayer", role(Viewer)),
            ("ListLayers", role(Viewer)),
            ("UpdateLayer", role(Editor)),
            ("DeleteLayer", role(Editor)),
        ],
    ),
    (
        "assay.config.v1.HoldoutService",
        &[
            ("CreateHoldout", role(Operator)),
            ("GetHoldout", role(Viewer)),
            ("ListHoldouts", role(Viewer)),
            ("UpdateHoldout", role(Operator)),
            ("DeleteHoldout", role(Operator)),
        ],
    ),
    (
        "assay.config.v1.GenerationService",
        &[
            ("GetGeneration", role(Viewer)),
            ("ListGenerations", role(Viewer)),
            ("DiffGenerations", role(Viewer)),
            ("ExplainGeneration", role(Viewer)),
            ("Rollback", role(Operator)),
            ("ExportNamespace", role(Viewer)),
            ("ImportNamespace", role(Operator)),
        ],
    ),
    (
        "assay.config.v1.ActivationService",
        &[
            ("WaitForGeneration", role(Viewer)),
            ("ListReplicas", role(Viewer)),
        ],
    ),
    (
        "assay.config.v1.AccessService",
        &[
            ("CreateApiKey", Global(Admin)),
            ("ListApiKeys", Global(Admin)),
            ("RevokeApiKey", Global(Admin)),
            ("WhoAmI", Anyone),
            ("GetKeyring", Global(Service)),
        ],
    ),
    (
        "assay.config.v1.AuditService",
        &[("ListAudit", role(Viewer)), ("VerifyAudit", role(Viewer))],
    ),
    (
        "assay.assignment.v1.AssignmentService",
        &[
            ("Assign", role(Assigner)),
            ("AssignBatch", role(Assigner)),
            ("Explain", role(Viewer)),
            ("AssignStream", role(Assigner)),
            ("WatchConfig", role(Evaluator)),
            ("RecordDecisions", role(Evaluator)),
        ],
    ),
    (
        "assay.ingest.v1.IngestService",
        &[
            ("RecordEvents", role(Recorder)),
            ("RecordExposures", role(Recorder)),
        ],
    ),
    (
        "assay.analysis.v1.AnalysisService",
        &[
            ("GetResults", role(Viewer)),
            ("ListAssignments", role(Viewer)),
            ("ListCallers", role(Viewer)),
        ],
    ),
];

/// Whole services of others, and paths that are not gRPC.
const PREFIXES: &[(&str, Permission)] = &[
    ("grpc.health.v1.Health/", Public),
    ("grpc.reflection.v1.ServerReflection/", Public),
    ("flagd.evaluation.v1.Service/", role(Assigner)),
    ("flagd.evaluation.v2.Service/", role(Assigner)),
    ("ofrep/v1/track", role(Recorder)),
    ("ofrep/v1/", role(Assigner)),
    ("v1/assign", role(Assigner)),
];

/// What `method`, such as `assay.config.v1.FlagService/GetFlag`, needs; nothing when it has no entry, and then nobody may call it.
#[must_use]
pub fn permission(method: &str) -> Option<Permission> {
    let method = method.trim_start_matches('/');
    let exact = || {
        let (service, name) = method.split_once('/')?;
        let (_, methods) = TABLE.iter().find(|(of, _)| *of == service)?;
        let (_, permission) = methods.iter().find(|(of, _)| *of == name)?;
        Some(*permission)
    };
    let whole = || {
        let found = PREFIXES.iter().find(|(prefix, _)| method.starts_with(prefix));
        found.map(|(_, permission)| *permission)
    };
    exact().or_else(whole)
}

/// Every method of the table, with what it needs.
pub fn all() -> impl Iterator<Item = (String, Permission)> {
    TABLE.iter().flat_map(|(service, methods)| {
        let full = move |(name, permission): &(&str, Permission)| (format!("{service}/{name}"), *permission);
        methods.iter().map(full)
    })
}
