//! What happened.

use assay_platform::{Clock, SystemClock};
use assay_proto::{
    convert::attributes_to_struct,
    ingest::v1::{Event, RecordStatus},
};
use serde::Serialize;

use super::{Context, attributes};
use crate::{args::EventVerb, error::Error, output, view::text};

/// What became of the event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    event_id: String,
    status: String,
    received_at: String,
}

/// Records one event.
pub(super) async fn run(context: &Context, EventVerb::Record(args): EventVerb) -> Result<(), Error> {
    let unit = text::parse_unit(&args.unit, "unit")?;
    let event = Event {
        event_id: args.id.clone().unwrap_or_else(new_id),
        unit: Some((&unit).into()),
        time: text::parse_time(&args.time, "--time")?,
        value: args.value,
        properties: Some(attributes_to_struct(&attributes(&args.properties)?)),
        name: args.name,
    };
    let event_id = event.event_id.clone();
    let receipt = context
        .client
        .record_events(&context.namespace, vec![event], args.imported)
        .await?;
    if let Some((_, refused)) = receipt.not_accepted().next() {
        let problem = format!(
            "event {event_id} was not recorded: {} {} ({})",
            refused.field, refused.message, refused.rule
        );
        return Err(if refused.status() == RecordStatus::Retry {
            Error::Waited(problem)
        } else {
            Error::Refused(problem)
        });
    }
    let recorded = Recorded {
        event_id,
        status: text::name(RecordStatus::Accepted),
        received_at: receipt.received_at.to_string(),
    };
    output::document(context.format, &recorded, || {
        format!("event {} recorded at {}", recorded.event_id, recorded.received_at)
    })
}

/// An id that no other call has: this process and this instant.
fn new_id() -> String {
    format!("cli-{}-{}", std::process::id(), SystemClock.now_micros())
}
