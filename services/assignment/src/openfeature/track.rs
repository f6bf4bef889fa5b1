//! Tracking calls of OpenFeature, as events: handed to ingest with the key of their caller, and answered when they are in the log.

use std::sync::Arc;

use assay_platform::{Channel, Code, Failure, Principal};
use assay_proto::{
    common::v1::Unit,
    convert::json_to,
    ingest::v1::{Event, RecordEventsRequest, RecordStatus, ingest_service_client::IngestServiceClient},
};
use http::{Request, Response, StatusCode, header};
use prost_types::{Struct, value::Kind};
use serde_json::{Value, json};
use tonic::body::Body;

use super::{OpenFeature, context::Context, invalid_context, web};

/// Records the event `{"name", "context": {"targetingKey"}, "details": {"value", …}, "eventId"}`; name and targeting key are needed. An
/// event id makes it count once, however often it is sent.
///
/// # Errors
/// What is wrong with it, or with the way to ingest.
pub(crate) async fn track(
    open: &OpenFeature,
    ingest: Option<&Channel>,
    principal: Arc<Principal>,
    request: Request<Body>,
) -> Result<Response<Body>, Failure> {
    let caller = open.caller(principal, request.headers())?;
    let Some(ingest) = ingest else {
        let message =
            "tracking is not set up here; set `openfeature.ingest_endpoint`, or send events to ingest";
        return Err(Failure::new(Code::Unimplemented, "NO_INGEST", message));
    };
    let key = request.headers().get(header::AUTHORIZATION).cloned();
    let body = web::read(request.into_body()).await.map_err(malformed)?;
    let event = event(&web::parse(&body).map_err(malformed)?)?;
    let event_id = event.event_id.clone();
    let mut call = tonic::Request::new(RecordEventsRequest {
        namespace: caller.namespace.to_string(),
        events: vec![event],
        imported: false,
    });
    // Ingest looks at the key again: who assigns may not record by that alone.
    if let Some(key) = key.as_ref().and_then(|key| key.to_str().ok()?.parse().ok()) {
        call.metadata_mut().insert("authorization", key);
    }
    let recorded = IngestServiceClient::new(ingest.clone()).record_events(call).await;
    let recorded = recorded
        .map_err(|status| Failure::from_status(&status))?
        .into_inner();
    let result = recorded.results.into_iter().next().unwrap_or_default();
    match result.status() {
        RecordStatus::Accepted => Ok(web::json(StatusCode::OK, &json!({ "eventId": event_id }))),
        RecordStatus::Retry => {
            let delay = std::time::Duration::from_secs(1);
            Err(Failure::unavailable("RETRY", result.message, delay))
        }
        RecordStatus::Refused | RecordStatus::Unspecified => {
            let message = format!("`{}` {}", result.field, result.message);
            Err(Failure::new(Code::FailedPrecondition, "PARSE_ERROR", message))
        }
    }
}

fn event(json: &Value) -> Result<Event, Failure> {
    let text = |name: &str| {
        json.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let context = web::object(json, "context").map_err(malformed)?;
    let context = Context::read(context).map_err(invalid_context)?;
    let Some(unit) = context.unit else {
        return Err(malformed(
            "`context.targetingKey` is missing; give the unit's id".to_owned(),
        ));
    };
    let mut details = web::object(json, "details")
        .map_err(malformed)?
        .unwrap_or_default();
    let value = match details.fields.remove("value").and_then(|value| value.kind) {
        None | Some(Kind::NullValue(_)) => None,
        Some(Kind::NumberValue(number)) => Some(number),
        Some(_) => {
            return Err(malformed(
                "`details.value` is no number; give a number, or leave it out".to_owned(),
            ));
        }
    };
    let event_id = match text("eventId") {
        id if id.is_empty() => uuid::Uuid::now_v7().to_string(),
        id => id,
    };
    Ok(Event {
        event_id,
        unit: Some(Unit {
            kind: unit.kind().to_string(),
            id: unit.id().to_owned(),
        }),
        name: text("name"),
        time: None,
        value,
        properties: Some(flat(details)),
    })
}

/// What an event can keep of the details: lists and objects go in as JSON text, nothing is lost.
fn flat(details: Struct) -> Struct {
    let fields = details.fields.into_iter().map(|(name, value)| match &value.kind {
        Some(Kind::ListValue(_) | Kind::StructValue(_)) => {
            let json = assay_proto::convert::json_from(Some(value), &name).unwrap_or_default();
            (name, json_to(&Value::String(json.to_string())))
        }
        _ => (name, value),
    });
    Struct {
        fields: fields.collect(),
    }
}

fn malformed(message: String) -> Failure {
    Failure::new(Code::FailedPrecondition, "PARSE_ERROR", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracking_call_is_an_event_with_its_value_and_details() {
        let call = json!({
            "name": "purchase",
            "context": { "targetingKey": "u1", "country": "NL" },
            "details": { "value": 0, "currency": "EUR", "items": ["a"] },
            "eventId": "e1",
        });
        let event = event(&call).unwrap();
        assert_eq!(
            (&*event.name, &*event.event_id, event.value),
            ("purchase", "e1", Some(0.0))
        );
        assert_eq!(event.unit.unwrap().id, "u1");
        let properties = event.properties.unwrap().fields;
        assert_eq!(properties["currency"].kind, Some(Kind::StringValue("EUR".into())));
        assert_eq!(
            properties["items"].kind,
            Some(Kind::StringValue("[\"a\"]".into()))
        );
    }

    #[test]
    fn a_tracking_call_needs_a_unit_and_a_numeric_value() {
        let refused = |call: Value| event(&call).unwrap_err().message.clone();
        assert!(refused(json!({ "name": "a" })).contains("context.targetingKey"));
        let call = json!({ "name": "a", "context": { "targetingKey": "u" }, "details": { "value": "1" } });
        assert!(refused(call).contains("details.value"));
        let made = event(&json!({ "name": "a", "context": { "targetingKey": "u" } })).unwrap();
        assert_eq!((made.value, made.event_id.len()), (None, 36));
    }
}
