//! A watch that finds out when it has gone silent.

use std::{collections::VecDeque, time::Duration};

use etcd_client::{EventType, KeyValue, WatchOptions, WatchResponse, WatchStream};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::time::{Instant, MissedTickBehavior};

use super::{
    classify::{bounded, classify, unavailable},
    frame::{Keys, Name, decode_manifest, decode_value},
    position,
};
use crate::{Error, config_bus::BusEvent};

/// How often etcd is asked for a sign of life.
const PROGRESS: Duration = Duration::from_secs(5);

/// How long etcd may take for an answer to that.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long a watch may take to open.
const OPEN: Duration = Duration::from_secs(5);

/// Follows all writes under `keys` after `revision`.
pub(super) async fn open(
    mut client: etcd_client::WatchClient,
    keys: Keys,
    revision: u64,
) -> Result<BoxStream<'static, Result<BusEvent, Error>>, Error> {
    let start = i64::try_from(revision.saturating_add(1)).unwrap_or(i64::MAX);
    let options = WatchOptions::new().with_prefix().with_start_revision(start);
    let stream = bounded(OPEN, client.watch(keys.root(), Some(options))).await?;
    let mut ticks = tokio::time::interval_at(Instant::now() + PROGRESS, PROGRESS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = Watch {
        stream,
        keys,
        ticks,
        asked: Some(Instant::now()),
        position: revision,
        buffer: VecDeque::new(),
        ended: false,
    };
    Ok(stream::unfold(watch, |mut watch| async {
        watch.next().await.map(|item| (item, watch))
    })
    .boxed())
}

struct Watch {
    stream: WatchStream,
    keys: Keys,
    ticks: tokio::time::Interval,
    /// When etcd was asked for something that it has not answered.
    asked: Option<Instant>,
    /// Everything up to here is yielded or in `buffer`.
    position: u64,
    buffer: VecDeque<BusEvent>,
    ended: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Result<BusEvent, Error>> {
        loop {
            if let Some(event) = self.buffer.pop_front() {
                return Some(Ok(event));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.wait().await {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }

    /// Waits for the next message, or asks for one.
    async fn wait(&mut self) -> Result<(), Error> {
        let silence = async |asked: Option<Instant>| match asked {
            Some(asked) => tokio::time::sleep_until(asked + DEADLINE).await,
            None => std::future::pending().await,
        };
        tokio::select! {
            biased;
            message = self.stream.message() => {
                self.asked = None;
                let message = message.map_err(classify)?;
                self.take(&message.ok_or_else(|| unavailable("the watch was closed"))?)
            }
            () = silence(self.asked) => Err(unavailable("the watch has gone silent")),
            _ = self.ticks.tick(), if self.asked.is_none() => {
                self.asked = Some(Instant::now());
                bounded(DEADLINE, self.stream.request_progress()).await
            }
        }
    }

    fn take(&mut self, message: &WatchResponse) -> Result<(), Error> {
        // Less than we have seen: this is another etcd, wiped or restored, and its next revisions are not the next of what we know.
        let newest = message.header().map_or(0, |header| position(header.revision()));
        if message.compact_revision() != 0 || newest < self.position {
            self.ended = true;
            self.buffer.push_back(BusEvent::Relist);
            return Ok(());
        }
        if message.canceled() {
            return Err(unavailable(format!(
                "the watch was canceled: {}",
                message.cancel_reason()
            )));
        }
        let mut events = message
            .events()
            .iter()
            .filter_map(|event| Some((event.event_type(), event.kv()?)))
            .peekable();
        while let Some((kind, kv)) = events.next() {
            let revision = position(kv.mod_revision());
            // Writes of one transaction share a revision, and come in one message: only the last of them may name it, since a watch
            // from there would miss those after it.
            let whole = events
                .peek()
                .is_none_or(|(_, next)| position(next.mod_revision()) != revision);
            let named = if whole { revision } else { self.position };
            let event = self.event(kind, kv, named);
            self.ended = event == Some(BusEvent::Relist);
            self.buffer.extend(event);
            if self.ended {
                return Ok(());
            }
            self.position = named;
        }
        if message.events().is_empty() {
            // The revision that etcd names here may be ahead of events that are still to come, so it is not used.
            self.buffer.push_back(BusEvent::Progress {
                revision: self.position,
            });
        }
        Ok(())
    }

    /// What a write means; nothing if it cannot be understood.
    fn event(&self, kind: EventType, kv: &KeyValue, revision: u64) -> Option<BusEvent> {
        match (super::name(&self.keys, kv)?, kind) {
            (Name::Resource(namespace, key), EventType::Delete) => Some(BusEvent::Delete {
                namespace,
                key,
                revision,
            }),
            (Name::Resource(namespace, key), EventType::Put) => {
                let value = super::understood(kv, decode_value(kv.value()))?;
                Some(BusEvent::Put {
                    namespace,
                    key,
                    value,
                    revision,
                })
            }
            (Name::Manifest(_), EventType::Delete) => Some(BusEvent::Relist),
            (Name::Manifest(namespace), EventType::Put) => {
                let manifest = super::understood(kv, decode_manifest(kv.value()))?;
                Some(BusEvent::Manifest {
                    namespace,
                    manifest,
                    revision,
                })
            }
        }
    }
}
