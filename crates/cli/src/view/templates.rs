//! The templates in `docs/experiment-templates.md` are what they say: valid.

use std::sync::Arc;

use assay_client::{Client, Endpoints, resource::Resource};
use assay_config::{Ports, Settings};
use assay_platform::{Shutdown, SystemClock, server::bind};
use assay_proto::config::v1 as pb;
use assay_storage::{
    access_store::SqlAccessStore, config_bus::EmbeddedConfigBus, config_store::SqlConfigStore, sql::Database,
};

use super::{View, experiment::Experiment, flag::Flag, metric::Metric, segment::Segment};

const PAGE: &str = include_str!("../../../../docs/experiment-templates.md");

/// The YAML blocks of the page, each with the kind that its first line names.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let blocks = PAGE.split("```yaml\n# ").skip(1);
    blocks
        .map(|block| {
            let block = block.split_once("```").expect("a block ends").0;
            let kind = block.split([':', '\n']).next().expect("a first line");
            (kind, block.split_once('\n').expect("a first line").1)
        })
        .collect()
}

fn message<V: View>(block: &str) -> V::Message {
    let view: V = serde_yaml_ng::from_str(block).unwrap_or_else(|error| panic!("{error}:\n{block}"));
    view.message().unwrap_or_else(|error| panic!("{error}:\n{block}"))
}

/// A client of a config service of its own.
async fn config() -> (Client, Shutdown) {
    let database = Database::connect("sqlite::memory:", 1).await.unwrap();
    database.migrate().await.unwrap();
    let ports = Ports {
        store: Arc::new(SqlConfigStore::new(database.clone())),
        bus: Arc::new(EmbeddedConfigBus::new()),
        access: Arc::new(SqlAccessStore::new(database)),
        key_bus: Arc::new(EmbeddedConfigBus::new()),
        analysis: None,
    };
    let (listener, shutdown) = (bind("127.0.0.1:0").await.unwrap(), Shutdown::new());
    let endpoints = Endpoints {
        config: format!("http://{}", listener.local_addr().unwrap()),
        ..Endpoints::default()
    };
    let clock = SystemClock::shared();
    tokio::spawn(assay_config::serve(
        listener,
        ports,
        Settings::default(),
        clock,
        shutdown.clone(),
    ));
    (Client::connect(&endpoints).unwrap(), shutdown)
}

#[tokio::test]
async fn every_template_is_valid_without_a_warning_and_starts() {
    let (client, shutdown) = config().await;
    let mut states = Vec::new();
    for (kind, block) in blocks() {
        match kind {
            "metric" => drop(message::<Metric>(block).create(&client).await.unwrap()),
            "flag" => drop(message::<Flag>(block).create(&client).await.unwrap()),
            "segment" => drop(message::<Segment>(block).create(&client).await.unwrap()),
            "experiment" => {
                let experiment = message::<Experiment>(block);
                let request = pb::ValidateExperimentRequest {
                    experiment: Some(experiment.clone()),
                    ..Default::default()
                };
                let found = client.validate(request).await.unwrap();
                assert_eq!((found.errors, found.warnings), (vec![], vec![]), "{block}");
                let done = client.create_experiment(experiment, true).await.unwrap();
                states.push(done.experiment.state());
            }
            other => panic!("{other} is no kind of resource"),
        }
    }
    use pb::ExperimentState::{Running, Scheduled};
    assert_eq!(states, [Running, Running, Scheduled, Running]);
    shutdown.trigger();
}
