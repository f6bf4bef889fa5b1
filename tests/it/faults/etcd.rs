//! Rows 1 to 3, 5 and 6 of the fault matrix: what etcd can do to us.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use assay_core::key::Namespace;
use assay_proto::config::v1 as pb;
use assay_storage::config_bus::{ConfigBus, EtcdConfigBus, EtcdOptions, Manifest, Value};
use assay_tests::{
    eventually,
    processes::StoreUrls,
    proxy::Proxy,
    servers::{Etcd, fresh_database, fresh_prefix, shared},
    watcher::Watcher,
};
use etcd_client::{AlarmAction, AlarmOptions, AlarmType, CompactionOptions, DeleteOptions, GetOptions};
use tonic::Code;

use super::shop::{DEADLINE, Shop, answers, gate, served, until};

/// For how long a replica that knows nothing is looked at.
const LIFE: Duration = Duration::from_secs(60);

/// The shared Postgres and Redis, and `etcd` at an address of its own.
async fn on(etcd: &str) -> Result<StoreUrls> {
    let shared = shared().await?;
    Ok(StoreUrls {
        postgres: fresh_database().await?,
        etcd: etcd.to_owned(),
        redis: shared.redis.url(),
        prefix: fresh_prefix().trim_end_matches('/').to_owned(),
    })
}

/// Row 1. With a snapshot file, a replica that starts without etcd answers as a healthy one; without one it invents nothing and lives on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a6_a8_etcd_is_down_at_the_start() -> Result<()> {
    let mut etcd = Etcd::start().await?;
    let mut shop = Shop::open(on(&etcd.endpoint()).await?).await?;
    shop.cluster.add("assignment-1").await?;
    let second = shop.cluster.client_of("assignment-1")?;
    until(&second, served(&shop.client).await?).await?;
    shop.cluster.stop("assignment-1").await?;
    etcd.kill().await?;

    shop.cluster.begin("assignment-1").await?;
    let restarted = eventually(DEADLINE, async || answers(&second).await).await?;
    ensure!(
        restarted == answers(&shop.client).await?,
        "it does not answer as the healthy one"
    );

    shop.cluster.add("assignment-2").await?;
    let new = shop.cluster.client_of("assignment-2")?;
    let pid = shop.cluster.pid("assignment-2")?;
    let end = tokio::time::Instant::now() + LIFE;
    while tokio::time::Instant::now() < end {
        let refused = served(&new).await.err().context("an answer is invented")?;
        let refused = refused
            .downcast_ref::<assay_client::Error>()
            .and_then(|error| error.code());
        ensure!(refused == Some(assay_platform::Code::Unavailable), "{refused:?}");
        ensure!(shop.cluster.ended("assignment-2")?.is_none(), "it has ended");
    }
    etcd.restart().await?;
    until(&new, served(&shop.client).await?).await?;
    ensure!(shop.cluster.pid("assignment-2")? == pid);
    ensure!(answers(&new).await? == answers(&shop.client).await?);
    Ok(())
}

/// Row 2. However etcd goes away, answers go on as they were, the age of what is served is shown, and it is caught up afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_a4_a5_etcd_is_killed_stopped_and_held() -> Result<()> {
    let mut etcd = Etcd::start().await?;
    let proxy = Proxy::start(etcd.addr())?;
    let shop = Shop::open(on(&format!("http://{}", proxy.addr())).await?).await?;
    let watcher = Watcher::start(shop.client.clone(), "gate");
    for way in ["killed", "stopped", "held"] {
        let before = answers(&shop.client).await?;
        match way {
            "killed" => etcd.kill().await?,
            "stopped" => etcd.pause()?,
            _ => proxy.hold().await?,
        }
        let changed = shop.change().await.context(way)?;
        eventually(DEADLINE, async || {
            let replicas = shop.client.replicas("default").await?.replicas;
            let aged = replicas.iter().all(|replica| {
                replica.state() != pb::ReplicaState::Current
                    && replica.age.is_some_and(|age| age.seconds >= 1)
            });
            ensure!(aged && !replicas.is_empty(), "{replicas:?}");
            Ok(())
        })
        .await
        .with_context(|| format!("{way}: no age is shown"))?;
        ensure!(
            answers(&shop.client).await? == before,
            "{way}: answers have changed"
        );
        match way {
            "killed" => etcd.restart().await?,
            "stopped" => etcd.resume()?,
            _ => proxy.restore().await?,
        }
        until(&shop.client, changed).await.context(way)?;
    }
    watcher.stop().await.map(drop)
}

/// Row 3. The history that a cut watch needs is compacted away: one relist, and everything is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_history_is_compacted_while_the_watch_is_cut() -> Result<()> {
    let etcd = Etcd::start().await?;
    let proxy = Proxy::start(etcd.addr())?;
    let mut shop = Shop::open(on(&etcd.endpoint()).await?).await?;
    shop.cluster.kill("assignment")?;
    let behind = format!("[\"http://{}\"]", proxy.addr());
    let env = [("ASSAY__STORES__ETCD_ENDPOINTS", behind.as_str())];
    shop.cluster.begin_with("assignment", &env).await?;
    let generation = shop.change().await?;
    until(&shop.client, generation).await?;
    let watcher = Watcher::start(shop.client.clone(), "gate");

    proxy.hold().await?;
    let mut newest = 0;
    for _ in 0..50 {
        newest = shop.change().await?;
        published(&shop, newest).await?;
    }
    compact(&mut client(&etcd).await?).await?;
    proxy.cut().await?;
    proxy.restore().await?;
    until(&shop.client, newest).await?;
    let relists = shop.cluster.output("assignment")?;
    let relists = relists
        .iter()
        .filter(|line| line.contains("reading the whole configuration again"));
    ensure!(relists.count() == 1, "{:#?}", shop.cluster.output("assignment")?);
    watcher.stop().await.map(drop)
}

/// Waits until the bus has `generation`, whoever follows it.
async fn published(shop: &Shop, generation: u64) -> Result<()> {
    eventually(DEADLINE, async || {
        let mut service = shop.client.activations();
        let request = pb::WaitForGenerationRequest {
            generation,
            wait: Some(assay_proto::Duration {
                seconds: 0,
                nanos: 1_000_000,
            }),
            ..Default::default()
        };
        let activation = service
            .wait_for_generation(request)
            .await?
            .into_inner()
            .activation;
        ensure!(activation.is_some_and(|found| found.generation >= generation));
        Ok(())
    })
    .await
}

/// What a namespace has on a bus.
type Held = (Option<Manifest>, BTreeMap<String, Value>);

/// Row 5. Wiped, edited by hand, filled with noise, set back to a backup: within seconds the bus is what was committed, and nobody ever got
/// anything older.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a4_a7_c2_etcd_is_wiped_edited_and_set_back() -> Result<()> {
    let mut etcd = Etcd::start().await?;
    let urls = on(&etcd.endpoint()).await?;
    let shop = Shop::open(urls.clone()).await?;
    let bus = EtcdConfigBus::connect(&EtcdOptions {
        endpoints: vec![urls.etcd.clone()],
        prefix: format!("/{}", urls.prefix),
        user: None,
        tls: None,
    })
    .await?;
    let held = async || -> Result<Held> {
        let mut view = bus.read().await?;
        let namespace = view.namespaces.remove(&Namespace::default()).unwrap_or_default();
        Ok((namespace.manifest, namespace.resources))
    };
    let truth = held().await?;
    let watcher = Watcher::start(shop.client.clone(), "gate");
    let before = answers(&shop.client).await?;
    let mut by_hand = client(&etcd).await?;
    let keys = keys(&mut by_hand, &urls.prefix).await?;
    ensure!(keys.len() > 3, "{keys:?}");

    for way in ["wiped", "noise", "a key is lost", "a key is added"] {
        match way {
            "wiped" => {
                let all = DeleteOptions::new().with_prefix();
                by_hand.delete(format!("/{}/", urls.prefix), Some(all)).await?;
            }
            "noise" => {
                for (i, key) in keys.iter().enumerate() {
                    let noise: Vec<u8> = (0..50).map(|j| (i * 37 + j * 101) as u8).collect();
                    by_hand.put(key.as_str(), noise, None).await?;
                }
            }
            "a key is lost" => by_hand
                .delete(keys[keys.len() / 2].as_str(), None)
                .await
                .map(drop)?,
            _ => {
                let found = by_hand.get(keys[keys.len() / 2].as_str(), None).await?;
                let value = found.kvs().first().context("a value")?.value();
                by_hand
                    .put(format!("{}-more", keys[keys.len() / 2]), value, None)
                    .await?;
            }
        }
        eventually(DEADLINE, async || {
            ensure!(held().await? == truth, "the bus differs");
            Ok(())
        })
        .await
        .with_context(|| way.to_owned())?;
        ensure!(
            answers(&shop.client).await? == before,
            "{way}: answers have changed"
        );
    }

    etcd.stop().await?;
    let backup = tempfile::tempdir()?;
    copy(&etcd.dir().join("data"), backup.path())?;
    etcd.restart().await?;
    let newest = shop.change().await?;
    until(&shop.client, newest).await?;
    let after = answers(&shop.client).await?;
    etcd.stop().await?;
    std::fs::remove_dir_all(etcd.dir().join("data"))?;
    copy(backup.path(), &etcd.dir().join("data"))?;
    etcd.restart().await?;
    eventually(DEADLINE, async || {
        let (manifest, _) = held().await?;
        ensure!(
            manifest
                .as_ref()
                .is_some_and(|manifest| manifest.generation >= newest),
            "{manifest:?}"
        );
        Ok(())
    })
    .await?;
    ensure!(
        answers(&shop.client).await? == after,
        "the backup has changed answers"
    );
    until(&shop.client, shop.change().await?).await?;
    watcher.stop().await?;
    shop.check_history().await
}

/// Row 6. A full etcd keeps nobody from deciding nor from answers; what was decided is published when there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_c1_etcd_is_full() -> Result<()> {
    let etcd = Etcd::start_with(&["--quota-backend-bytes=2000000"]).await?;
    let mut shop = Shop::open(on(&etcd.endpoint()).await?).await?;
    let watcher = Watcher::start(shop.client.clone(), "gate");
    let generation = served(&shop.client).await?;
    let mut by_hand = client(&etcd).await?;
    let filler = vec![b'x'; 400_000];
    let mut fillers = 0..100;
    eventually(DEADLINE, async || {
        let key = format!("filler-{}", fillers.next().unwrap_or_default());
        let put = by_hand.put(key, filler.clone(), None).await;
        ensure!(put.is_err(), "there is room");
        Ok(())
    })
    .await?;

    let newest = shop.change().await?;
    eventually(DEADLINE, async || {
        let written = shop.cluster.output("config")?;
        let cause = written
            .iter()
            .any(|line| line.contains("cannot be published") && line.contains("space"));
        ensure!(cause, "{written:#?}");
        Ok(())
    })
    .await?;
    ensure!(served(&shop.client).await? == generation);
    let fillers = DeleteOptions::new().with_prefix();
    by_hand.delete("filler-", Some(fillers)).await?;
    compact(&mut by_hand).await?;
    by_hand.defragment().await?;
    let raised = by_hand.alarm(AlarmAction::Get, AlarmType::None, None).await?;
    ensure!(!raised.alarms().is_empty(), "etcd has raised no alarm");
    for alarm in raised.alarms() {
        let mut of = AlarmOptions::new();
        of.with_member(alarm.member_id());
        by_hand
            .alarm(AlarmAction::Deactivate, alarm.alarm(), Some(of))
            .await?;
    }
    until(&shop.client, newest).await?;
    watcher.stop().await?;
    shop.check_history().await
}

/// Row 6. What is too large is refused with its field before anything of it is stored; what is accepted is published.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c2_what_is_accepted_can_be_published() -> Result<()> {
    let shop = Shop::open(crate::cluster::stores().await?).await?;
    let large = |bytes: usize| {
        let value = prost_types::value::Kind::StringValue("x".repeat(bytes));
        let mut flag = gate();
        "large".clone_into(&mut flag.key);
        for i in 0..20 {
            flag.variations.push(pb::Variation {
                key: format!("v{i}"),
                value: Some(prost_types::Value {
                    kind: Some(value.clone()),
                }),
                ..Default::default()
            });
        }
        flag.variations.drain(..2);
        flag
    };
    let create = async |flag: pb::Flag| {
        let request = pb::CreateFlagRequest { flag: Some(flag) };
        shop.client.flags().create_flag(request).await
    };
    let refused = create(large(200_000)).await.err().context("it is accepted")?;
    ensure!(refused.code() == Code::InvalidArgument, "{refused:?}");
    ensure!(refused.message().contains("variations[0].value"), "{refused:?}");
    let accepted = create(large(4_000)).await?.into_inner().flag.context("a flag")?;
    until(&shop.client, accepted.generation).await
}

/// Config's keys in etcd, those of replicas left out: they are under their leases.
async fn keys(etcd: &mut etcd_client::Client, prefix: &str) -> Result<Vec<String>> {
    let all = GetOptions::new().with_prefix().with_keys_only();
    let found = etcd.get(format!("/{prefix}/"), Some(all)).await?;
    let keys = found.kvs().iter().map(|kv| Ok(kv.key_str()?.to_owned()));
    keys.collect()
}

/// Forgets all history, and gives the room back.
async fn compact(etcd: &mut etcd_client::Client) -> Result<()> {
    let now = etcd.get("\0", None).await?;
    let revision = now.header().context("a header")?.revision();
    let physical = CompactionOptions::new().with_physical();
    etcd.compact(revision, Some(physical)).await?;
    Ok(())
}

async fn client(etcd: &Etcd) -> Result<etcd_client::Client> {
    Ok(etcd_client::Client::connect([etcd.endpoint()], None).await?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
