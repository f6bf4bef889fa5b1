//! The stream of OFREP: server-sent events that say when to ask for all flags again.

use std::{convert::Infallible, sync::Arc};

use assay_core::key::Namespace;
use assay_platform::{Failure, Principal};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::json;
use tonic::body::Body;

use super::{OpenFeature, SELECTOR, changes::Event, refused, web};

/// Where the stream of `namespace` is.
pub(crate) fn uri(namespace: &Namespace) -> String {
    format!("/ofrep/v1/stream?namespace={namespace}")
}

/// What a generation is known by in events, and in the question that follows one.
fn tag(generation: u64) -> String {
    format!("\"{generation}\"")
}

/// The generation of a [`tag`].
pub(crate) fn generation(tag: &str) -> Option<u64> {
    tag.trim_matches('"').parse().ok()
}

/// The stream of the namespace in the query. It begins with an event unless the caller has heard that one already: between asking and
/// listening something may have changed.
pub(crate) fn stream(
    open: &OpenFeature,
    principal: Arc<Principal>,
    request: &Request<Body>,
) -> Result<Response<Body>, Failure> {
    let mut headers = HeaderMap::new();
    let selector = match web::parameter(request.uri().query(), "namespace") {
        Some(namespace) => format!("flagSetId={namespace}"),
        None => "flagSetId=default".to_owned(),
    };
    if let Ok(selector) = HeaderValue::from_str(&selector) {
        headers.insert(SELECTOR, selector);
    }
    let caller = open.caller(principal, &headers)?;
    let heard = request.headers().get("last-event-id");
    let heard: Option<u64> = heard.and_then(|id| id.to_str().ok()?.parse().ok());
    let serving = open.assignments.serving.clone();
    let serves = open.serves.clone();
    let namespace = caller.namespace.clone();
    let events = open.changes(&caller).map_err(refused)?;
    let message = move |event: Event| {
        let generation = serving
            .snapshot(namespace.as_str())
            .map_or(0, |snapshot| snapshot.generation());
        let since = serves
            .borrow()
            .get(&namespace)
            .map(|served| served.since.micros() / 1_000_000);
        let text = match event {
            Event::Ready if heard == Some(generation) => "retry: 1000\n: ready\n\n".to_owned(),
            Event::Ready => format!("retry: 1000\n{}", refetch(generation, since)),
            Event::Changed(_) => refetch(generation, since),
            Event::KeepAlive => ": still here\n\n".to_owned(),
            Event::Shutdown => ": good bye\n\n".to_owned(),
        };
        Ok::<_, Infallible>(Frame::data(Bytes::from(text)))
    };
    let mut response = Response::new(Body::new(StreamBody::new(events.map(message))));
    let headers = response.headers_mut();
    let of = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, of("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, of("no-cache"));
    headers.insert("x-accel-buffering", of("no"));
    Ok(response)
}

fn refetch(generation: u64, since: Option<i64>) -> String {
    let data = json!({ "type": "refetchEvaluation", "etag": tag(generation), "lastModified": since.unwrap_or_default() });
    format!("id: {generation}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_its_generation_and_can_be_read_back() {
        let event = refetch(17, Some(1_795_219_200));
        let expected = "id: 17\ndata: {\"etag\":\"\\\"17\\\"\",\"lastModified\":1795219200,\"type\":\"refetchEvaluation\"}\n\n";
        assert_eq!(event, expected);
        assert_eq!(generation(&tag(17)), Some(17));
        assert_eq!(generation("W/\"x\""), None);
    }
}
