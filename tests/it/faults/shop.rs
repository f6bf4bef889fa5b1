//! What the faults strike: config, replicas of assignment, a flag whose text changes and an experiment that runs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use assay_client::Client;
use assay_core::{
    key::{Namespace, Unit},
    value::Attributes,
};
use assay_proto::{assignment::v1::Exposure, config::v1 as pb};
use assay_tests::{
    eventually,
    processes::{Processes, SERVICES, StoreUrls},
};
use prost::Message;
use prost_types::{Value, value::Kind};
use tonic::{Code, Request, Status};

/// Generous: what is waited for comes much sooner on an idle machine.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);
/// No caller waits longer than this for an answer, whatever is away.
const ANSWER: Duration = Duration::from_secs(20);
const UNITS: usize = 300;

/// A cluster as it is struck.
pub(super) struct Shop {
    pub(super) cluster: Processes,
    pub(super) client: Client,
}

impl Shop {
    /// Config and one replica of assignment on `urls`; the flag and the experiment are served.
    pub(super) async fn open(urls: StoreUrls) -> Result<Self> {
        let mut shop = Self::prepare(urls)?;
        shop.cluster.begin("config").await?;
        shop.cluster.begin("assignment").await?;
        shop.stock().await?;
        Ok(shop)
    }

    /// Has addresses, and nothing runs.
    pub(super) fn prepare(urls: StoreUrls) -> Result<Self> {
        let cluster = Processes::prepare(urls, &SERVICES)?;
        let client = cluster.client()?;
        Ok(Self { cluster, client })
    }

    /// Makes the flag and the experiment, and waits until they are served.
    pub(super) async fn stock(&self) -> Result<()> {
        let request = pb::CreateFlagRequest { flag: Some(gate()) };
        self.client.flags().create_flag(request).await?;
        let request = pb::CreateMetricRequest {
            metric: Some(bought()),
        };
        self.client.metrics().create_metric(request).await?;
        let started = self.client.create_experiment(pages(), true).await?;
        until(&self.client, started.experiment.generation).await
    }

    /// Changes the flag; the generation that has it.
    pub(super) async fn change(&self) -> Result<u64> {
        let flag = self.stored().await?;
        Ok(self.changed(flag, "once").await?.generation)
    }

    pub(super) async fn stored(&self) -> Result<pb::Flag> {
        let request = pb::GetFlagRequest {
            key: "gate".to_owned(),
            ..Default::default()
        };
        let found = self.client.flags().get_flag(request).await?.into_inner();
        found.flag.context("a flag")
    }

    /// Changes `flag` as one who asks under `key` plus its version; an answer comes in time, whatever it is.
    pub(super) async fn changed(&self, flag: pb::Flag, key: &str) -> Result<pb::Flag, Status> {
        let key = format!("{key}-{}", flag.version);
        let description = format!("change {}", flag.version);
        let flag = pb::Flag { description, ..flag };
        let mut request = Request::new(pb::UpdateFlagRequest {
            flag: Some(flag),
            update_mask: None,
        });
        let key = key.parse().map_err(|_| Status::internal("an idempotency key"))?;
        request.metadata_mut().insert("idempotency-key", key);
        let mut service = self.client.flags();
        let answered = tokio::time::timeout(ANSWER, service.update_flag(request)).await;
        let answer = answered.map_err(|_| Status::internal(format!("no answer in {ANSWER:?}")))??;
        answer
            .into_inner()
            .flag
            .ok_or_else(|| Status::internal("no flag"))
    }

    /// How a change is refused while the fault lasts.
    pub(super) async fn refused(&self, flag: pb::Flag) -> Result<Status> {
        match self.changed(flag, "refused").await {
            Ok(flag) => anyhow::bail!("it was done: {flag:?}"),
            Err(status) => {
                ensure!(
                    matches!(status.code(), Code::Unavailable | Code::ResourceExhausted),
                    "{status:?}"
                );
                Ok(status)
            }
        }
    }

    /// The audit trail is whole, and every generation has its one row.
    pub(super) async fn check_history(&self) -> Result<()> {
        let request = pb::VerifyAuditRequest::default();
        let chain = self.client.audit().verify_audit(request).await?.into_inner();
        let generations = self.client.generations_of("default", 1_000).await?;
        let newest = generations.first().context("a generation")?.generation;
        ensure!(
            chain.intact && chain.rows == newest && generations.len() as u64 == newest,
            "{chain:?}, newest {newest} of {}",
            generations.len()
        );
        Ok(())
    }
}

/// Waits until `client`'s replica serves `generation` or a later one.
pub(super) async fn until(client: &Client, generation: u64) -> Result<()> {
    eventually(DEADLINE, async || {
        let served = served(client).await?;
        ensure!(served >= generation, "generation {served} of {generation}");
        Ok(())
    })
    .await
}

/// The generation that `client`'s replica serves.
pub(super) async fn served(client: &Client) -> Result<u64> {
    let unit = Unit::user("u1")?;
    let asked = client
        .assign(
            &Namespace::default(),
            Some(&unit),
            &Attributes::default(),
            &["gate".to_owned()],
            Exposure::Peek,
        )
        .await?;
    Ok(asked.into_iter().next().context("an answer")?.generation)
}

/// What a replica answers, to the byte.
pub(super) async fn answers(client: &Client) -> Result<Vec<Vec<u8>>> {
    let units = (0..UNITS).map(|i| Ok((Unit::user(format!("u{i}"))?, Attributes::default())));
    let units = units.collect::<Result<Vec<_>>>()?;
    let flags = ["gate".to_owned(), "pages".to_owned()];
    let answers = client
        .assign_batch(&Namespace::default(), &units, &flags, Exposure::Peek)
        .await?;
    Ok(answers.iter().map(Message::encode_to_vec).collect())
}

fn text(text: &str) -> Option<Value> {
    Some(Value {
        kind: Some(Kind::StringValue(text.to_owned())),
    })
}

pub(super) fn gate() -> pb::Flag {
    let variation = |key: &str| pb::Variation {
        key: key.to_owned(),
        value: text(key),
        ..Default::default()
    };
    pb::Flag {
        key: "gate".to_owned(),
        variations: vec![variation("off"), variation("on")],
        ..Default::default()
    }
}

fn bought() -> pb::Metric {
    let kind = pb::ConversionMetric {
        event: "purchase".to_owned(),
        ..Default::default()
    };
    pb::Metric {
        key: "bought".to_owned(),
        kind: Some(pb::metric::Kind::Conversion(kind)),
        ..Default::default()
    }
}

fn pages() -> pb::Experiment {
    let variant = |key: &str| pb::Variant {
        key: key.to_owned(),
        value: text(key),
        ..Default::default()
    };
    pb::Experiment {
        key: "pages".to_owned(),
        hypothesis: "b sells more".to_owned(),
        variants: vec![variant("a"), variant("b")],
        metrics: vec![pb::ExperimentMetric {
            metric_key: "bought".to_owned(),
            role: pb::MetricRole::Primary.into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}
