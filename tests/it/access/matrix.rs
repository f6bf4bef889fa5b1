//! S1: every method that anybody can name × everyone who may ask.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use assay_proto::config::v1::{self as pb, Role};
use assay_tests::raw::Door;
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::Code;

use super::{Guarded, SERVICE_KEY, from_now, key};

const HEALTH: &str = "grpc.health.v1.Health/Check";
const WATCH: &str = "grpc.health.v1.Health/Watch";
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// Who may, in words: written down here once more, for the table in the product is what is tested.
const READ: &[Role] = &[
    Role::Viewer,
    Role::Editor,
    Role::Operator,
    Role::Admin,
    Role::Service,
];
const EDIT: &[Role] = &[Role::Editor, Role::Operator, Role::Admin];
const OPERATE: &[Role] = &[Role::Operator, Role::Admin];
const ASSIGN: &[Role] = &[Role::Assigner, Role::Evaluator, Role::Admin];
const EVALUATE: &[Role] = &[Role::Evaluator, Role::Admin];
const RECORD: &[Role] = &[Role::Recorder, Role::Importer, Role::Admin];
const ALL: &[Role] = &[
    Role::Viewer,
    Role::Editor,
    Role::Operator,
    Role::Admin,
    Role::Assigner,
    Role::Recorder,
    Role::Importer,
    Role::Evaluator,
    Role::Service,
];

/// Who may call `method` of `service`. One that is new is to be thought about here.
fn allowed(service: &str, method: &str) -> Result<&'static [Role]> {
    let (_, name) = service.rsplit_once('.').context("a package")?;
    Ok(match (name, method) {
        ("AssignmentService", "Assign" | "AssignBatch" | "AssignStream") => ASSIGN,
        ("AssignmentService", "WatchConfig" | "RecordDecisions") => EVALUATE,
        ("AssignmentService", "Explain") | ("GenerationService", "ExplainGeneration") => READ,
        ("IngestService", "RecordEvents" | "RecordExposures") => RECORD,
        ("AnalysisService", "GetResults" | "ListAssignments" | "ListCallers") => READ,
        ("AccessService", "WhoAmI") => ALL,
        ("AccessService", "GetKeyring") => &[Role::Service],
        ("AccessService", "CreateApiKey" | "ListApiKeys" | "RevokeApiKey") => &[Role::Admin],
        ("AuditService", "ListAudit" | "VerifyAudit") => READ,
        ("ActivationService", "WaitForGeneration" | "ListReplicas") => READ,
        ("GenerationService", "Rollback" | "ImportNamespace") => OPERATE,
        (
            "GenerationService",
            "GetGeneration" | "ListGenerations" | "DiffGenerations" | "ExportNamespace",
        ) => READ,
        ("SegmentService", "TestSegment") | ("ExperimentService", "ValidateExperiment") => READ,
        ("ExperimentService", "DuplicateExperiment") => EDIT,
        (
            "FlagService" | "SegmentService" | "MetricService" | "ExperimentService" | "LayerService"
            | "HoldoutService",
            _,
        ) => match method {
            _ if method.starts_with("Get") || method.starts_with("List") => READ,
            _ if ["Create", "Update", "Delete"]
                .iter()
                .any(|verb| method.starts_with(verb)) =>
            {
                if name == "HoldoutService" {
                    OPERATE
                } else {
                    EDIT
                }
            }
            _ if name == "ExperimentService" => OPERATE,
            _ => bail!("nobody has decided who may call {service}/{method}"),
        },
        _ => bail!("nobody has decided who may call {service}/{method}"),
    })
}

/// All methods of ours, as service and name.
pub(super) fn methods() -> Result<Vec<(String, String)>> {
    let set = FileDescriptorSet::decode(assay_proto::DESCRIPTORS)?;
    let mut methods = Vec::new();
    for file in set
        .file
        .iter()
        .filter(|file| file.package().starts_with("assay."))
    {
        for service in &file.service {
            let full = format!("{}.{}", file.package(), service.name());
            let of = service.method.iter();
            methods.extend(of.map(|method| (full.clone(), method.name().to_owned())));
        }
    }
    Ok(methods)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_every_method_is_for_its_roles_alone() -> Result<()> {
    let guarded = Guarded::start(&[]).await?;
    let brief = pb::ApiKey {
        expires_at: Some(from_now(Duration::from_secs(12))),
        ..key("brief", Role::Admin)
    };
    let (brief, revoked) = (
        guarded.make(brief).await?,
        guarded.make(key("gone", Role::Admin)).await?,
    );
    let mut callers = vec![(Role::Service, SERVICE_KEY.to_owned())];
    for role in ALL.iter().filter(|role| **role != Role::Service) {
        let id = role.as_str_name().to_lowercase();
        callers.push((*role, guarded.make(key(&id, *role)).await?));
    }
    for secret in [&brief, &revoked]
        .into_iter()
        .chain(callers.iter().map(|(_, key)| key))
    {
        guarded.settle(secret, true).await?;
    }
    let request = pb::RevokeApiKeyRequest {
        id: "gone".to_owned(),
        ..Default::default()
    };
    let admin = callers.iter().find(|(role, _)| *role == Role::Admin);
    let admin = admin.map(|(_, key)| key.as_str());
    let method = "assay.config.v1.AccessService/RevokeApiKey";
    let answer = guarded.call(admin, method, request.encode_to_vec()).await?;
    ensure!(answer.code == Code::Ok, "{answer:?}");
    guarded.settle(&revoked, false).await?;
    guarded.settle(&brief, false).await?;

    let unknown = format!("assay_{}", "0".repeat(64));
    let strangers = [
        None,
        Some(unknown.as_str()),
        Some(""),
        Some(&brief),
        Some(&revoked),
    ];
    let methods = methods()?;
    ensure!(methods.len() > 60, "{} methods", methods.len());
    for (service, name) in &methods {
        let (allowed, method) = (allowed(service, name)?, format!("{service}/{name}"));
        for stranger in strangers {
            let answer = guarded.call(stranger, &method, Vec::new()).await?;
            ensure!(answer.code == Code::Unauthenticated, "{method}: {answer:?}");
        }
        for (role, key) in &callers {
            let answer = guarded.call(Some(key), &method, Vec::new()).await?;
            let (may, is_admitted) = (allowed.contains(role), answer.is_admitted());
            ensure!(may == is_admitted, "{method} by {role:?}: {answer:?}");
            let is_denied =
                (answer.code, answer.reason.as_str()) == (Code::PermissionDenied, "ROLE_REQUIRED");
            ensure!(may != is_denied, "{method} by {role:?}: {answer:?}");
        }
    }
    for door in guarded.doors.values() {
        others(door, &callers).await?;
    }
    guarded.cluster.stop_all().await
}

/// What is not ours: health is for everyone, a method without an entry for nobody, reflection is off.
async fn others(door: &Door, callers: &[(Role, String)]) -> Result<()> {
    let keys = callers.iter().map(|(_, key)| Some(key.as_str()));
    for key in keys.chain([None]) {
        for method in [HEALTH, WATCH] {
            let answer = door.call(key, method, Vec::new()).await;
            ensure!(answer.code == Code::Ok, "{method}: {answer:?}");
        }
        let answer = door.call(key, REFLECTION, Vec::new()).await;
        ensure!(answer.code == Code::Unimplemented, "{REFLECTION}: {answer:?}");
        for method in ["assay.config.v1.FlagService/Nothing", "other.v1.Service/GetFlag"] {
            let answer = door.call(key, method, Vec::new()).await;
            ensure!(answer.code == Code::PermissionDenied, "{method}: {answer:?}");
        }
    }
    Ok(())
}

/// Asks for the services of a server.
fn list_services() -> Vec<u8> {
    // Field 7 of `ServerReflectionRequest`, an empty text.
    vec![0x3a, 0x00]
}

/// S11: nobody learns the API of a cluster that does not say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_a_cluster_has_reflection_where_it_is_set_and_one_process_has_it() -> Result<()> {
    let guarded = Guarded::start(&[("ASSAY__CONFIG__REFLECTION", "true")]).await?;
    for (service, door) in &guarded.doors {
        let answer = door.call(None, REFLECTION, list_services()).await;
        let expected = if *service == "config" {
            Code::Ok
        } else {
            Code::Unimplemented
        };
        ensure!(answer.code == expected, "{service}: {answer:?}");
        let tells = answer.contains("assay.config.v1.FlagService");
        ensure!(tells == (*service == "config"), "{service}: {answer:?}");
    }
    guarded.cluster.stop_all().await?;

    let embedded = assay_tests::embedded::Embedded::start().await?;
    let endpoints = embedded.endpoints();
    for uri in [
        endpoints.config,
        endpoints.assignment,
        endpoints.ingest,
        endpoints.analysis,
    ] {
        let answer = Door::to(&uri)?.call(None, REFLECTION, list_services()).await;
        ensure!(
            answer.contains("assay.config.v1.FlagService"),
            "{uri}: {answer:?}"
        );
    }
    Ok(())
}
