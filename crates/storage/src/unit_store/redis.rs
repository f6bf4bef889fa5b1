//! Remembered assignments in Redis: one hash a unit, one field an experiment.
//!
//! The key is `<prefix>:{<namespace>/<kind>/<id>}:assigned`; the braces put all that is kept of a unit into one slot. A value is the cohort, a
//! space, and the variant. Nothing expires.

use assay_core::{key::VariantKey, memory::Remembered};
use async_trait::async_trait;
use redis::{Pipeline, RedisResult};

use super::{Place, UnitStore};
use crate::{Error, event_log::redis::link::Link};

/// A [`UnitStore`] in Redis 5 or later, or Valkey. A broken, silent or demoted connection is replaced by the next call.
#[derive(Debug)]
pub struct RedisUnitStore {
    prefix: String,
    link: Link,
}

impl RedisUnitStore {
    /// A store under `prefix` (by default `assay`) on the server at `url`. A server that cannot be reached now is no error: calls answer
    /// [`Error::Unavailable`] until it can.
    ///
    /// # Errors
    /// [`Error::Refused`] when the URL cannot be understood.
    pub fn connect(url: &str, prefix: &str) -> Result<Self, Error> {
        Ok(Self {
            prefix: prefix.to_owned(),
            link: Link::plain(url)?,
        })
    }

    fn key(&self, place: &Place) -> String {
        format!("{}:{{{}/{}}}:assigned", self.prefix, place.namespace, place.unit)
    }

    async fn ask(&self, pipeline: &Pipeline) -> Result<Vec<Option<String>>, Error> {
        let mut connection = self.link.connection().await?;
        let replies: RedisResult<Vec<Option<String>>> = pipeline.query_async(&mut connection).await;
        Ok(replies.map_err(|error| self.link.failed(error))?)
    }
}

fn encode(remembered: &Remembered) -> String {
    format!("{} {}", remembered.cohort, remembered.variant)
}

fn decode(place: &Place, text: &str) -> Result<Remembered, Error> {
    let parts = text.split_once(' ');
    let read =
        parts.and_then(|(cohort, variant)| Some((cohort.parse().ok()?, VariantKey::new(variant).ok()?)));
    let (cohort, variant) = read.ok_or_else(|| Error::Corrupt {
        store: "redis",
        what: format!("an assignment of experiment {}", place.experiment),
        detail: "it is not a cohort and a variant".to_owned(),
    })?;
    Ok(Remembered { variant, cohort })
}

#[async_trait]
impl UnitStore for RedisUnitStore {
    async fn get(&self, places: &[Place]) -> Result<Vec<Option<Remembered>>, Error> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = Pipeline::with_capacity(places.len());
        for place in places {
            pipeline
                .cmd("HGET")
                .arg(self.key(place))
                .arg(place.experiment.as_str());
        }
        let replies = self.ask(&pipeline).await?;
        let pairs = places.iter().zip(replies);
        pairs
            .map(|(place, reply)| reply.map(|text| decode(place, &text)).transpose())
            .collect()
    }

    async fn put_if_absent(&self, firsts: &[(Place, Remembered)]) -> Result<Vec<Remembered>, Error> {
        if firsts.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = Pipeline::with_capacity(2 * firsts.len());
        for (place, first) in firsts {
            let (key, field) = (self.key(place), place.experiment.as_str());
            pipeline
                .cmd("HSETNX")
                .arg(&key)
                .arg(field)
                .arg(encode(first))
                .ignore();
            pipeline.cmd("HGET").arg(&key).arg(field);
        }
        let replies = self.ask(&pipeline).await?;
        let pairs = firsts.iter().zip(replies);
        pairs
            .map(|((place, first), reply)| match reply {
                Some(text) => decode(place, &text),
                // Somebody has deleted it between the two commands.
                None => Ok(first.clone()),
            })
            .collect()
    }
}
