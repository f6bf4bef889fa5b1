//! Keys in daily use: people and services work with them, and they change while everything runs.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use assay_proto::config::v1 as pb;
use assay_tests::{cli::Cli, eventually};
use serde_json::Value;
use tonic::Code;

use super::{Guarded, key};

const DEADLINE: Duration = Duration::from_secs(30);
const GET_KEYRING: &str = "assay.config.v1.AccessService/GetKeyring";
const UNITS: usize = 12;

/// The key in a file, which is written whole or not at all.
struct KeyFile {
    path: std::path::PathBuf,
    key: String,
}

impl KeyFile {
    fn new(directory: &Path, name: &str) -> Result<Self> {
        let mut file = Self {
            path: directory.join(name),
            key: String::new(),
        };
        file.change(&format!("the-{name}-key-at-the-start-of-the-cluster"))?;
        Ok(file)
    }

    fn setting(&self) -> String {
        format!("file:{}", self.path.display())
    }

    /// Changes it, and returns the one before.
    fn change(&mut self, key: &str) -> Result<String> {
        let new = self.path.with_extension("new");
        std::fs::write(&new, format!("{key}\n"))?;
        std::fs::rename(new, &self.path)?;
        Ok(std::mem::replace(&mut self.key, key.to_owned()))
    }
}

/// What the command line does with a key: an experiment from its draft to its result.
async fn experiment(cli: &Cli, name: &str) -> Result<()> {
    cli.ok(&format!(
        "metric create {name}-bought --conversion {name}-purchase"
    ))
    .await?;
    let draft = format!(
        "experiment create {name} --hypothesis 'B sells more' --variant a=A --variant b=B --metric {name}-bought:primary"
    );
    cli.ok(&draft).await?;
    cli.ok(&format!("experiment start {name} --wait")).await?;
    for unit in 0..UNITS {
        let answer = cli.json(&format!("assign u{unit} {name} --record")).await?;
        ensure!(answer.to_string().contains("SPLIT"), "{answer}");
        cli.ok(&format!("event record u{unit} {name}-purchase")).await?;
    }
    eventually(DEADLINE, async || {
        let result = cli.json(&format!("results {name}")).await?;
        let variants = result["variants"].as_array().context("variants")?;
        let units: u64 = variants.iter().filter_map(|of| units(&of["units"])).sum();
        ensure!(units == UNITS as u64, "{result}");
        anyhow::Ok(())
    })
    .await?;
    // Config asks analysis who still asks for it.
    cli.ok(&format!("experiment stop {name} --reason 'it is enough'"))
        .await?;
    eventually(DEADLINE, async || {
        let said = cli
            .run(&format!("experiment end {name} --reason 'it is over'"))
            .await?;
        ensure!(said.code == 1 && said.err.contains("still asked for"), "{said:?}");
        anyhow::Ok(())
    })
    .await
}

fn units(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_a_cluster_works_with_keys_and_their_files_change_under_it() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut service = KeyFile::new(directory.path(), "service")?;
    let mut admin = KeyFile::new(directory.path(), "admin")?;
    let guarded = Guarded::start(&[
        ("ASSAY__AUTH__SERVICE_KEY", &service.setting()),
        ("ASSAY__AUTH__ADMIN_KEY", &admin.setting()),
        ("ASSAY__ASSIGNMENT__CALLERS_INTERVAL", "100ms"),
    ])
    .await?;
    let nobody = Cli::on(&guarded.cluster.endpoints());
    let with = |key: &str| nobody.clone().with("ASSAY__CLIENT__API_KEY", key);
    let said = nobody.run("flag list").await?;
    ensure!(
        said.code == 77 && said.err.contains("API key is needed"),
        "{said:?}"
    );
    let made = "key create shop --role operator --role assigner --role recorder";
    let made = with(&admin.key).json(made).await?;
    let shop = made["secret"].as_str().context("a secret")?.to_owned();
    guarded.settle(&shop, true).await?;
    experiment(&with(&shop), "first").await?;
    let said = with(&shop).run("key list").await?;
    ensure!(said.code == 77 && said.err.contains("role admin"), "{said:?}");

    let was_admin = admin.change("the-admin-key-that-came-after-the-first-one")?;
    guarded.settle(&admin.key, true).await?;
    guarded.settle(&was_admin, false).await?;
    let was_service = service.change("the-service-key-that-came-after-the-first-one")?;
    guarded.settle(&service.key, true).await?;
    guarded.settle(&was_service, false).await?;
    let answer = guarded.call(Some(&service.key), GET_KEYRING, Vec::new()).await?;
    ensure!(answer.code == Code::Ok, "{answer:?}");

    // Whoever asks config for keys and definitions does so with the new one.
    let second = pb::ApiKey {
        roles: [pb::Role::Operator, pb::Role::Assigner, pb::Role::Recorder]
            .map(Into::into)
            .to_vec(),
        ..key("second", pb::Role::Operator)
    };
    let second = guarded.make_as(&admin.key, second).await?;
    guarded.settle(&second, true).await?;
    experiment(&with(&second), "second").await?;
    guarded.cluster.stop_all().await
}
