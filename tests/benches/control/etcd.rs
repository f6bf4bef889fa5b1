//! etcd as it is, without our adapter: what ours is compared with.

use std::time::Duration;

use anyhow::{Context as _, Result};
use etcd_client::{Client, DeleteOptions, WatchStream};

use super::PREFIX;

const KEY: &str = "/bare";

/// Connections to etcd.
pub(crate) struct Bare(Client);

/// A watch of the manifest.
pub(crate) struct Manifests(WatchStream);

impl Bare {
    pub(crate) async fn connect(endpoint: &str) -> Result<Self> {
        Ok(Self(Client::connect([endpoint], None).await?))
    }

    /// Takes away all that is on the bus.
    pub(crate) async fn wipe(&self) -> Result<i64> {
        let everything = DeleteOptions::new().with_prefix();
        Ok(self
            .0
            .kv_client()
            .delete(PREFIX, Some(everything))
            .await?
            .deleted())
    }

    /// How many bytes the resource of this name has on the bus.
    pub(crate) async fn size(&self, resource: &str) -> Result<usize> {
        let key = format!("{PREFIX}/default/r/{resource}");
        let found = self.0.kv_client().get(key, None).await?;
        Ok(found.kvs().first().context("it is not on the bus")?.value().len())
    }

    /// From a put of `size` bytes to its event on a watch; the first, for which the watch was opened, does not count.
    pub(crate) async fn put_to_watch(&self, size: usize, n: usize) -> Result<Vec<Duration>> {
        let mut events = self.0.watch_client().watch(KEY, None).await?;
        let mut kv = self.0.kv_client();
        let mut took = Vec::new();
        for _ in 0..=n {
            let start = std::time::Instant::now();
            let (put, event) = tokio::join!(kv.put(KEY, vec![7; size], None), next(&mut events));
            put?;
            let seen = event?;
            took.push(seen.duration_since(start));
        }
        took.remove(0);
        Ok(took)
    }

    pub(crate) async fn manifests(&self) -> Result<Manifests> {
        let key = format!("{PREFIX}/default/manifest");
        Ok(Manifests(self.0.watch_client().watch(key, None).await?))
    }
}

/// When the next event was seen.
async fn next(events: &mut WatchStream) -> Result<std::time::Instant> {
    loop {
        let message = events.message().await?.context("the watch has ended")?;
        if !message.events().is_empty() {
            return Ok(std::time::Instant::now());
        }
    }
}

impl Manifests {
    /// The generation of the next manifest that is written.
    pub(crate) async fn next(&mut self) -> Result<u64> {
        loop {
            let message = self.0.message().await?.context("the watch has ended")?;
            for event in message.events() {
                // A version, then the generation; nothing where it was deleted.
                let value = event.kv().map_or(&[][..], etcd_client::KeyValue::value);
                if let Some(generation) = value.get(1..9) {
                    return Ok(u64::from_be_bytes(generation.try_into()?));
                }
            }
        }
    }
}
