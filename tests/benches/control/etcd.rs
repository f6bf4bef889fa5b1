//! etcd as it is, without our adapter: what ours is compared with.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use etcd_client::{Client, DeleteOptions, KvClient, WatchStream};

use super::PREFIX;

const KEY: &str = "/bare";

/// Connections to etcd.
pub(crate) struct Bare(Client);

/// Puts, and a watch that sees them.
pub(crate) struct Puts {
    kv: KvClient,
    events: WatchStream,
    size: usize,
}

impl Puts {
    /// From the next put to its event.
    pub(crate) async fn next(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let put = self.kv.put(KEY, vec![7; self.size], None);
        let (put, seen) = tokio::join!(put, next(&mut self.events));
        put?;
        Ok(seen?.duration_since(start))
    }
}

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

    /// Puts of `size` bytes, and a watch that sees them.
    pub(crate) async fn puts(&self, size: usize) -> Result<Puts> {
        Ok(Puts {
            kv: self.0.kv_client(),
            events: self.0.watch_client().watch(KEY, None).await?,
            size,
        })
    }

    pub(crate) async fn manifests(&self) -> Result<Manifests> {
        let key = format!("{PREFIX}/default/manifest");
        Ok(Manifests(self.0.watch_client().watch(key, None).await?))
    }
}

/// When the next event was seen.
async fn next(events: &mut WatchStream) -> Result<Instant> {
    loop {
        let message = events.message().await?.context("the watch has ended")?;
        if !message.events().is_empty() {
            return Ok(Instant::now());
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
