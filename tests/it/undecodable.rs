//! Requests that are refused below the handlers, at the door of every service: the same form as every other refusal.

use anyhow::{Context, Result, ensure};
use assay_platform::{ChannelOptions, Code, Failure, MockClock, connect_lazy};
use assay_proto::{
    assignment::v1::{AssignRequest, AssignResponse},
    common::v1::Unit,
};
use assay_tests::cluster::Cluster;
use prost_types::{ListValue, Struct, Value, value::Kind};
use tonic::{Request, Status, client::Grpc, codec::Codec, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

/// Of every service a method whose field 1 is a string, and the name of that field.
const DOORS: &[(&str, &str, &str)] = &[
    ("config", "assay.config.v1.FlagService/GetFlag", "namespace"),
    ("config", "assay.config.v1.SegmentService/GetSegment", "namespace"),
    ("config", "assay.config.v1.MetricService/GetMetric", "namespace"),
    (
        "config",
        "assay.config.v1.ExperimentService/GetExperiment",
        "namespace",
    ),
    (
        "assignment",
        "assay.assignment.v1.AssignmentService/Assign",
        "namespace",
    ),
    (
        "ingest",
        "assay.ingest.v1.IngestService/RecordEvents",
        "namespace",
    ),
    (
        "analysis",
        "assay.analysis.v1.AnalysisService/GetResults",
        "namespace",
    ),
];

async fn cluster() -> Result<Cluster> {
    Cluster::start(MockClock::at(1_772_323_200_000_000).shared()).await
}

fn address<'a>(cluster: &'a Cluster, service: &str) -> &'a str {
    match service {
        "config" => &cluster.endpoints.config,
        "assignment" => &cluster.endpoints.assignment,
        "ingest" => &cluster.endpoints.ingest,
        _ => &cluster.endpoints.analysis,
    }
}

/// How `message` is refused at `method`. The types that `prost` has for single values have one field, number 1, of that value.
async fn refusal<M>(address: &str, method: &str, message: M) -> Result<Failure>
where
    M: Send + Sync + 'static,
    ProstCodec<M, AssignResponse>: Codec<Encode = M, Decode = AssignResponse> + Default,
{
    let channel = connect_lazy(address, &ChannelOptions::default())?;
    let mut client = Grpc::new(channel);
    client.ready().await.context("ready")?;
    let path: PathAndQuery = format!("/{method}").parse()?;
    let codec = ProstCodec::<M, AssignResponse>::default();
    let status: Status = client
        .unary(Request::new(message), path, codec)
        .await
        .err()
        .context("it is refused")?;
    Ok(Failure::from_status(&status))
}

fn check(failure: &Failure, what: &str, field: &str, rule: &str) -> Result<()> {
    let found = failure
        .violations
        .first()
        .with_context(|| format!("{what}: {failure:?}"))?;
    ensure!(failure.code == Code::InvalidArgument, "{what}: {failure:?}");
    ensure!(failure.reason == "INVALID_ARGUMENT", "{what}: {failure:?}");
    ensure!(found.field == field && found.reason == rule, "{what}: {found:?}");
    ensure!(
        found.description.contains("; "),
        "{what} names no remedy: {found:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_decoded_is_refused_alike_by_every_service() -> Result<()> {
    let cluster = cluster().await?;
    for (service, method, field) in DOORS {
        let address = address(&cluster, service);
        let large = refusal(address, method, vec![b'x'; 10_000_000]).await?;
        check(&large, method, "request", "MESSAGE_TOO_LARGE")?;
        let not_utf8 = refusal(address, method, vec![0xff_u8, 0xfe]).await?;
        check(&not_utf8, method, field, "INVALID_UTF8")?;
        let of_other_type = refusal(address, method, 7_u64).await?;
        check(&of_other_type, method, field, "MALFORMED_MESSAGE")?;
    }
    Ok(())
}

#[tokio::test]
async fn an_attribute_nested_too_deeply_is_refused_by_its_field() -> Result<()> {
    let cluster = cluster().await?;
    let mut value = Value::default();
    for _ in 0..200 {
        value = Value {
            kind: Some(Kind::ListValue(ListValue { values: vec![value] })),
        };
    }
    let request = AssignRequest {
        unit: Some(Unit {
            kind: String::new(),
            id: "u1".into(),
        }),
        flag_keys: vec!["gate".into()],
        attributes: Some(Struct {
            fields: [("deep".to_owned(), value)].into(),
        }),
        ..Default::default()
    };
    let failure = refusal(
        &cluster.endpoints.assignment,
        "assay.assignment.v1.AssignmentService/Assign",
        request,
    )
    .await?;
    let field = failure.violations.first().context("a violation")?.field.clone();
    ensure!(field.starts_with("attributes.fields"), "{failure:?}");
    check(&failure, "nested", &field, "NESTED_TOO_DEEPLY")
}

/// S1: a method without an entry in the permission table is denied, before anybody asks whether it is served.
#[tokio::test]
async fn s1_what_the_permission_table_does_not_know_is_denied_by_name() -> Result<()> {
    let cluster = cluster().await?;
    for (service, method, _) in DOORS {
        let known = method.split('/').next().context("a service")?;
        for unknown in [format!("{known}/Guess"), "no.Such/Method".to_owned()] {
            let failure = refusal(address(&cluster, service), &unknown, 7_u64).await?;
            ensure!(
                failure.code == Code::PermissionDenied && failure.reason == "NO_PERMISSION_ENTRY",
                "{failure:?}"
            );
            ensure!(failure.message.contains(&unknown), "{failure:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_another_service_serves_is_refused_with_its_name_and_the_address() -> Result<()> {
    let cluster = cluster().await?;
    let config = &cluster.endpoints.config;
    let failure = refusal(config, "assay.analysis.v1.AnalysisService/GetResults", 7_u64).await?;
    ensure!(failure.code == Code::Unimplemented, "{failure:?}");
    for (name, value) in [
        ("service", "assay.analysis.v1.AnalysisService"),
        ("server", config),
    ] {
        let said = failure.metadata.iter().any(|(n, v)| n == name && v == value);
        ensure!(said, "{name}: {failure:?}");
    }
    Ok(())
}
