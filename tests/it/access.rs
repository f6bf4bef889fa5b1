//! Who may call what, in a cluster with keys on, by the calls that any program can make.

mod living;
mod matrix;
mod silence;
mod tenants;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use assay_core::time::Timestamp;
use assay_platform::{Clock as _, SystemClock};
use assay_proto::{config::v1 as pb, convert::timestamp};
use assay_tests::{
    eventually,
    processes::{Processes, SERVICES, StoreUrls},
    raw::{Answer, Door},
};
use prost::Message;
use tonic::Code;

use crate::cluster::stores;

const SERVICE_KEY: &str = "what-the-services-of-this-test-know-each-other-by";
const ADMIN_KEY: &str = "what-the-administrator-of-this-test-is-known-by";
/// A change of a key is known everywhere within 10 s; twice that on a busy machine.
const KNOWN: Duration = Duration::from_secs(20);

/// A cluster in which callers need keys.
struct Guarded {
    cluster: Processes,
    doors: BTreeMap<&'static str, Door>,
}

impl Guarded {
    async fn start(settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_on(stores().await?, settings).await
    }

    async fn start_on(stores: StoreUrls, settings: &[(&str, &str)]) -> Result<Self> {
        let mut all = vec![
            ("ASSAY__AUTH__MODE", "keys"),
            ("ASSAY__AUTH__SERVICE_KEY", SERVICE_KEY),
            ("ASSAY__AUTH__ADMIN_KEY", ADMIN_KEY),
        ];
        all.extend(settings);
        let cluster = Processes::start_with(stores, &all).await?;
        let endpoints = cluster.endpoints();
        let uris = [
            &endpoints.config,
            &endpoints.assignment,
            &endpoints.ingest,
            &endpoints.analysis,
        ];
        let doors = SERVICES.into_iter().zip(uris);
        let doors = doors.map(|(service, uri)| Ok((service, Door::to(uri)?)));
        Ok(Self {
            doors: doors.collect::<Result<_>>()?,
            cluster,
        })
    }

    /// The server of `service`, such as `config`.
    fn door(&self, service: &str) -> Result<&Door> {
        self.doors.get(service).with_context(|| format!("no {service}"))
    }

    /// What `method` answers, asked of the server that has it.
    async fn call(&self, key: Option<&str>, method: &str, message: Vec<u8>) -> Result<Answer> {
        let service = method.split('.').nth(1).context("a package")?;
        Ok(self.door(service)?.call(key, method, message).await)
    }

    /// Makes a key, in the name of the administrator, and returns its secret.
    async fn make(&self, key: pb::ApiKey) -> Result<String> {
        self.make_as(ADMIN_KEY, key).await
    }

    /// As [`Guarded::make`], for a cluster with another administrator's key.
    async fn make_as(&self, admin: &str, key: pb::ApiKey) -> Result<String> {
        let request = pb::CreateApiKeyRequest {
            key: Some(key),
            reason: "a test".to_owned(),
        };
        let method = "assay.config.v1.AccessService/CreateApiKey";
        let answer = self.call(Some(admin), method, request.encode_to_vec()).await?;
        ensure!(answer.code == Code::Ok, "{answer:?}");
        Ok(pb::CreateApiKeyResponse::decode(&*answer.bytes)?.secret)
    }

    /// Waits until every service knows `key`, or until none does.
    async fn settle(&self, key: &str, known: bool) -> Result<()> {
        for probe in [
            "assay.config.v1.AccessService/WhoAmI",
            "assay.assignment.v1.AssignmentService/Assign",
            "assay.ingest.v1.IngestService/RecordEvents",
            "assay.analysis.v1.AnalysisService/GetResults",
        ] {
            let asked = async || {
                let answer = self.call(Some(key), probe, Vec::new()).await?;
                let is_read = answer.reason != "KEYS_UNAVAILABLE";
                let is_known = is_read && answer.code != Code::Unauthenticated;
                ensure!(is_read && is_known == known, "{probe}: {answer:?}");
                Ok(())
            };
            eventually(KNOWN, asked).await?;
        }
        Ok(())
    }
}

/// A key for all namespaces.
fn key(id: &str, role: pb::Role) -> pb::ApiKey {
    pb::ApiKey {
        id: id.to_owned(),
        roles: vec![role.into()],
        all_namespaces: true,
        ..Default::default()
    }
}

fn from_now(time: Duration) -> prost_types::Timestamp {
    let now = SystemClock.now_micros() + i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    timestamp(Timestamp::from_micros(now))
}
