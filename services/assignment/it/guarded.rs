//! Where keys are needed: who may use which door, and in which namespace.

use assay_assignment::Settings;
use assay_platform::{
    Access, Code, Failure, MockClock, Principal, Role,
    access::{Key, Scope, hash_key},
};
use assay_proto::assignment::v1::{self as pb, assign_stream_response::Answer};
use futures::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Request, Status};

use crate::support::{NOW, Running, World, eventually, request, unit};

/// A key whose secret is the name of its principal.
fn key(secret: &str, role: Role, namespace: &str) -> Key {
    Key {
        hash: hash_key(secret),
        principal: Principal {
            name: secret.to_owned(),
            roles: [role].into(),
            scope: Scope::Only([namespace.to_owned()].into()),
        },
        expires_at_micros: None,
    }
}

async fn guarded(world: &World) -> Running {
    let keys = [
        key("assigner", Role::Assigner, "default"),
        key("evaluator", Role::Evaluator, "default"),
        key("foreigner", Role::Evaluator, "elsewhere"),
        key("viewer", Role::Viewer, "default"),
    ];
    let access = Access::keys(keys, MockClock::at(NOW).shared());
    // Until keys were read, one that is not known may be one.
    access.replace([]);
    let mut running = world
        .start_with(Settings {
            access,
            ..Settings::default()
        })
        .await;
    eventually(async || {
        let assigned = running
            .client
            .assign(by("assigner", request("u1", &["gate"])))
            .await;
        assigned.map(drop)
    })
    .await;
    running
}

fn by<T>(secret: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {secret}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

fn refusal<T>(answer: Result<T, Status>) -> (Code, String) {
    let failure = Failure::from_status(&answer.err().unwrap());
    (failure.code, failure.reason.to_string())
}

fn denied() -> (Code, String) {
    (Code::PermissionDenied, "ROLE_REQUIRED".to_owned())
}

fn foreign() -> (Code, String) {
    (Code::NotFound, "NAMESPACE_NOT_FOUND".to_owned())
}

#[tokio::test]
async fn each_door_has_its_role_and_keeps_to_the_namespaces_of_the_key() {
    let world = World::with_gate().await;
    let mut running = guarded(&world).await;
    let client = &mut running.client;

    let watch = pb::WatchConfigRequest::default;
    assert_eq!(
        refusal(client.watch_config(by("assigner", watch())).await),
        denied()
    );
    assert_eq!(
        refusal(client.watch_config(by("foreigner", watch())).await),
        foreign()
    );
    let mut watched = client
        .watch_config(by("evaluator", watch()))
        .await
        .unwrap()
        .into_inner();
    assert!(watched.next().await.unwrap().unwrap().complete);

    let record = || pb::RecordDecisionsRequest {
        decisions: vec![pb::Decision::default()],
        ..Default::default()
    };
    assert_eq!(
        refusal(client.record_decisions(by("assigner", record())).await),
        denied()
    );
    assert_eq!(
        refusal(client.record_decisions(by("foreigner", record())).await),
        foreign()
    );
    let refused = client.record_decisions(by("evaluator", record())).await.unwrap();
    assert_eq!(refused.into_inner().refused.len(), 1);

    let explain = || pb::ExplainRequest {
        unit: unit("u1"),
        flag_key: "gate".to_owned(),
        ..Default::default()
    };
    assert_eq!(refusal(client.explain(by("assigner", explain())).await), denied());
    client.explain(by("viewer", explain())).await.unwrap();

    let ask = |namespace: &str| pb::AssignStreamRequest {
        id: 1,
        request: Some(pb::AssignRequest {
            namespace: namespace.to_owned(),
            ..request("u1", &["gate"])
        }),
    };
    let questions = futures::stream::iter([ask("elsewhere"), ask("default")]);
    let answers = client
        .assign_stream(by("assigner", questions))
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap().answer).collect().await;
    assert!(
        matches!(&answers[..], [Some(Answer::Error(error)), Some(Answer::Response(_))] if error.reason == foreign().1),
        "{answers:?}"
    );
    drop(watched);
    running.stop().await;
}

#[tokio::test]
async fn json_needs_the_key_that_grpc_needs() {
    let world = World::with_gate().await;
    let running = guarded(&world).await;
    let address = running.uri.trim_start_matches("http://").to_owned();
    for (authorization, status) in [
        ("", "401"),
        ("authorization: Bearer wrong\r\n", "401"),
        ("authorization: Bearer viewer\r\n", "403"),
        ("authorization: Bearer assigner\r\n", "200"),
        // An evaluator asks for assignments, too, but not in a namespace that is not its own.
        ("authorization: Bearer evaluator\r\n", "200"),
        ("authorization: Bearer foreigner\r\n", "404"),
    ] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head =
            "POST /v1/assign HTTP/1.1\r\nhost: assay\r\nconnection: close\r\ncontent-type: application/json";
        let request = format!("{head}\r\n{authorization}content-length: 2\r\n\r\n{{}}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(
            answer.split(' ').nth(1),
            Some(status),
            "{authorization}: {answer}"
        );
    }
    running.stop().await;
}
