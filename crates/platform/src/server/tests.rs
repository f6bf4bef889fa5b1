use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::test_rpc::{GATE, Gate, READY, Running, pass, start};

/// What a client says first, with empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

async fn health_of(running: &Running, name: &str) -> ServingStatus {
    let request = HealthCheckRequest {
        service: name.to_owned(),
    };
    let answer = HealthClient::new(running.channel()).check(request).await.unwrap();
    answer.into_inner().status()
}

#[tokio::test]
async fn r2_a_call_that_never_ends_is_given_up_and_named() {
    let gate = Gate::closed();
    let deadline = Duration::from_millis(50);
    let running = start(&gate, |server| server.drain_deadline(deadline)).await;
    let call = tokio::spawn(pass(running.channel()));
    gate.arrival().await;
    let error = running.stop().await.unwrap_err();
    let ServeError::DrainDeadline { laggards, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(laggards, &[(GATE.trim_start_matches('/').to_owned(), 1)]);
    assert!(
        error.to_string().contains("gave up on 1 × test.Gate/Pass"),
        "{error}"
    );
    call.abort();
}

#[tokio::test]
async fn a_call_under_way_outlives_the_grace_for_idle_peers() {
    let gate = Gate::closed();
    let running = start(&gate, |server| server).await;
    let address = running.uri.trim_start_matches("http://").to_owned();
    let mute = tokio::net::TcpStream::connect(address).await.unwrap();
    let call = tokio::spawn(pass(running.channel()));
    gate.arrival().await;
    let mut stopped = tokio::spawn(running.stop());
    let early = tokio::time::timeout(2 * connections::IDLE_GRACE, &mut stopped).await;
    assert!(early.is_err(), "{early:?}");
    gate.open.add_permits(1);
    assert_eq!(call.await.unwrap(), Code::Ok);
    stopped.await.unwrap().unwrap();
    drop(mute);
}

#[tokio::test]
async fn an_unknown_method_is_refused_by_name() {
    use tower::{Service, ServiceExt};
    let running = start(&Gate::closed(), |server| server).await;
    let request = http::Request::post(format!("{}/no.Such/Method", running.uri))
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::empty())
        .unwrap();
    // Not our own channel, which puts the server's address in its place.
    let plain = tonic::transport::Channel::from_shared(running.uri.clone()).unwrap();
    let mut channel = plain.connect().await.unwrap();
    let response = channel.ready().await.unwrap().call(request).await.unwrap();
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    let failure = crate::error::Failure::from_status(&status);
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(failure.reason, "UNKNOWN_METHOD");
    assert_eq!(
        failure.metadata,
        [("method".to_owned(), "no.Such/Method".to_owned())]
    );
}

#[tokio::test]
async fn a_call_under_way_gets_its_answer() {
    let gate = Gate::closed();
    let running = start(&gate, |server| server).await;
    let call = tokio::spawn(pass(running.channel()));
    gate.arrival().await;
    let draining = running.draining.clone();
    let stopped = tokio::spawn(running.stop());
    draining.triggered().await;
    gate.open.add_permits(1);
    assert_eq!(call.await.unwrap(), Code::Ok);
    stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn workers_serve_and_drain_like_the_callers_runtime() {
    let gate = Gate::closed();
    let running = start(&gate, |server| server.workers(3)).await;
    let calls: Vec<_> = (0..10).map(|_| tokio::spawn(pass(running.channel()))).collect();
    for _ in &calls {
        gate.arrival().await;
    }
    let draining = running.draining.clone();
    let stopped = tokio::spawn(running.stop());
    draining.triggered().await;
    gate.open.add_permits(calls.len());
    for call in calls {
        assert_eq!(call.await.unwrap(), Code::Ok);
    }
    stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn r2_an_idle_peer_that_never_hangs_up_does_not_delay_the_end() {
    use tokio::io::AsyncWriteExt;
    let running = start(&Gate::closed(), |server| server).await;
    let address = running.uri.trim_start_matches("http://").to_owned();
    let mut silent = tokio::net::TcpStream::connect(&address).await.unwrap();
    silent.write_all(PREFACE).await.unwrap();
    let mute = tokio::net::TcpStream::connect(&address).await.unwrap();
    assert_eq!(health_of(&running, "").await, ServingStatus::Serving);
    let ended = tokio::time::timeout(DRAIN_DEADLINE / 2, running.stop()).await;
    ended.expect("well before the drain deadline").unwrap();
    drop((silent, mute));
}

#[tokio::test]
async fn a_call_too_many_is_refused_at_once_and_health_is_answered() {
    let gate = Gate::closed();
    let limits = Limits {
        max_calls: 2,
        ..Limits::default()
    };
    let running = start(&gate, |server| server.limits(limits)).await;
    let calls = [(); 2].map(|()| tokio::spawn(pass(running.channel())));
    for _ in &calls {
        gate.arrival().await;
    }
    // Nothing opens the gate: only a refusal can answer.
    assert_eq!(pass(running.channel()).await, Code::ResourceExhausted);
    assert_eq!(health_of(&running, READY).await, ServingStatus::Serving);
    gate.open.add_permits(3);
    for call in calls {
        assert_eq!(call.await.unwrap(), Code::Ok);
    }
    assert_eq!(pass(running.channel()).await, Code::Ok, "there is room again");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_caller_has_its_calls_in_a_second() {
    let gate = Gate::closed();
    gate.open.add_permits(10);
    let limits = Limits {
        calls_per_second: 1,
        ..Limits::default()
    };
    let running = start(&gate, |server| server.limits(limits)).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(pass(running.channel()).await);
    }
    assert_eq!(answers[0], Code::Ok);
    assert!(answers.contains(&Code::ResourceExhausted), "{answers:?}");
    assert_eq!(health_of(&running, READY).await, ServingStatus::Serving);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_caller_that_does_not_wait_any_more_is_told_so() {
    let running = start(&Gate::closed(), |server| server).await;
    let request = http::Request::post(GATE)
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "10m")
        .body(tonic::body::Body::empty())
        .unwrap();
    let status = crate::test_rpc::call(&mut running.channel(), request).await;
    assert_eq!(status, Code::DeadlineExceeded);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn an_old_connection_is_closed_though_its_peer_would_keep_it() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let running = start(&Gate::closed(), |server| {
        server.limits(Limits {
            max_connection_age: Duration::from_millis(20),
            ..Limits::default()
        })
    })
    .await;
    let mut peer = tokio::net::TcpStream::connect(running.uri.trim_start_matches("http://"))
        .await
        .unwrap();
    peer.write_all(PREFACE).await.unwrap();
    let mut told = Vec::new();
    let closed = tokio::time::timeout(DRAIN_DEADLINE, peer.read_to_end(&mut told)).await;
    closed.expect("closed by the server").unwrap();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn during_the_pause_it_is_not_ready_but_accepts() {
    let gate = Gate::closed();
    gate.open.add_permits(1);
    let long = Duration::from_secs(3_600);
    let running = start(&gate, |server| server.drain_pause(long).drain_deadline(long)).await;
    assert_eq!(health_of(&running, READY).await, ServingStatus::Serving);
    let mut watch = watch(&running).await;
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );
    running.shutdown.trigger();
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    assert_eq!(health_of(&running, "").await, ServingStatus::Serving);
    assert_eq!(pass(running.channel()).await, Code::Ok);
    assert!(!running.draining.is_triggered());
    running.ended.abort();
}

#[tokio::test]
async fn health_watches_do_not_hold_up_the_end() {
    let running = start(&Gate::closed(), |server| server).await;
    let mut watch = watch(&running).await;
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );
    running.stop().await.unwrap();
    while watch.message().await.unwrap().is_some() {}
}

#[tokio::test]
async fn health_says_not_ready_until_told() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let health = Health::new([READY]);
    let (shutdown, server) = (Shutdown::new(), Server::new("test", listener, health.clone()));
    let draining = server.draining();
    let ended = tokio::spawn(server.serve(shutdown.clone()));
    let running = Running {
        uri,
        shutdown,
        draining,
        ended,
    };
    assert_eq!(health_of(&running, READY).await, ServingStatus::NotServing);
    health.ready().await;
    assert_eq!(health_of(&running, READY).await, ServingStatus::Serving);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn s11_reflection_is_off_unless_asked_for() {
    const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let off = start(&Gate::closed(), |server| server).await;
    assert_eq!(status_of(&off, REFLECTION).await, Code::Unimplemented);
    let descriptors = tonic_health::pb::FILE_DESCRIPTOR_SET;
    let on = start(&Gate::closed(), |server| server.reflection([descriptors])).await;
    assert_ne!(status_of(&on, REFLECTION).await, Code::Unimplemented);
}

#[tokio::test]
async fn broken_descriptors_are_an_error_and_no_panic() {
    let running = start(&Gate::closed(), |server| server.reflection([b"\xff".as_slice()])).await;
    let error = running.ended.await.unwrap().unwrap_err();
    assert!(matches!(error, ServeError::Descriptors { .. }), "{error}");
}

async fn watch(running: &Running) -> tonic::Streaming<tonic_health::pb::HealthCheckResponse> {
    let request = HealthCheckRequest {
        service: READY.to_owned(),
    };
    HealthClient::new(running.channel())
        .watch(request)
        .await
        .unwrap()
        .into_inner()
}

/// The status of an empty request to `path`; `OK` if it is not in the headers.
async fn status_of(running: &Running, path: &str) -> Code {
    use tower::{Service, ServiceExt};
    let request = http::Request::post(format!("{}{path}", running.uri))
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::empty())
        .unwrap();
    let mut channel = running.channel();
    match channel.ready().await.unwrap().call(request).await {
        Ok(response) => {
            tonic::Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
        }
        Err(status) => status.code(),
    }
}
