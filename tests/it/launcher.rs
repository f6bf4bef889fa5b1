//! The launcher of private servers keeps what it promises.

use std::time::Duration;

use anyhow::Result;
use assay_tests::eventually;
use assay_tests::servers::{Durability, Etcd, Postgres, Redis, fresh_database, fresh_prefix, shared};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

// The key `a` and the value `b`, as etcd's JSON gateway wants them.
const PUT: &str = r#"{"key":"YQ==","value":"Yg=="}"#;
const GET: &str = r#"{"key":"YQ=="}"#;

#[tokio::test]
async fn etcd_is_killed_and_comes_back_with_its_data() -> Result<()> {
    let mut etcd = Etcd::start().await?;
    etcd.call("kv/put", PUT).await?;
    let endpoint = etcd.endpoint();

    etcd.kill().await?;
    etcd.call("kv/range", GET).await.unwrap_err();

    etcd.restart().await?;
    assert_eq!(etcd.endpoint(), endpoint);
    let found = etcd.call("kv/range", GET).await?;
    assert!(found.contains(r#""value":"Yg==""#), "{found}");

    etcd.stop().await?;
    etcd.call("kv/range", GET).await.unwrap_err();
    Ok(())
}

#[tokio::test]
async fn redis_is_killed_and_comes_back_with_its_data_if_durable() -> Result<()> {
    for (durability, kept) in [
        (Durability::Volatile, None),
        (Durability::Durable, Some("b".to_owned())),
        (Durability::Synced, Some("b".to_owned())),
    ] {
        let mut redis = Redis::start_with(durability, &[]).await?;
        redis.call(&["SET", "a", "b"]).await?;
        let url = redis.url();

        redis.kill().await?;
        redis.call(&["GET", "a"]).await.unwrap_err();

        redis.restart().await?;
        assert_eq!(redis.url(), url);
        assert_eq!(redis.call(&["GET", "a"]).await?, kept, "{durability:?}");

        redis.stop().await?;
        redis.call(&["GET", "a"]).await.unwrap_err();
    }
    Ok(())
}

#[tokio::test]
async fn postgres_is_killed_and_comes_back_with_its_data() -> Result<()> {
    let mut postgres = Postgres::start().await?;
    postgres
        .query("postgres", "create table a (b text); insert into a values ('c')")
        .await?;
    let url = postgres.url();

    postgres.kill().await?;
    postgres.query("postgres", "select b from a").await.unwrap_err();

    postgres.restart().await?;
    assert_eq!(postgres.url(), url);
    assert_eq!(postgres.query("postgres", "select b from a").await?, "c");

    postgres.stop().await?;
    postgres.query("postgres", "select b from a").await.unwrap_err();
    Ok(())
}

#[tokio::test]
async fn a_paused_server_answers_nothing_and_then_everything() -> Result<()> {
    let mut redis = Redis::start_with(Durability::Volatile, &["--maxmemory", "4mb"]).await?;
    redis.call(&["SET", "a", "b"]).await?;
    redis.pause()?;
    timeout(Duration::from_millis(100), redis.call(&["GET", "a"]))
        .await
        .unwrap_err();
    redis.resume()?;
    assert_eq!(redis.call(&["GET", "a"]).await?, Some("b".to_owned()));

    // A session that is open when the server is paused is paused too, and a paused server can be killed.
    let mut postgres = Postgres::start().await?;
    let mut session = Box::pin(postgres.query("postgres", "select pg_sleep(0.1), 'woke'"));
    timeout(Duration::from_millis(50), &mut session)
        .await
        .unwrap_err();
    drop(session);
    postgres.pause()?;
    timeout(Duration::from_millis(100), postgres.query("postgres", "select 1"))
        .await
        .unwrap_err();
    postgres.kill().await?;
    postgres.restart().await?;
    assert_eq!(postgres.query("postgres", "select 1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_dropped_server_is_gone_with_its_data() -> Result<()> {
    let mut redis = Redis::start().await?;
    let (pid, dir) = (redis.pid()?, redis.dir().to_owned());
    assert!(runs(pid) && dir.exists());
    redis.pause()?;
    drop(redis);
    assert!(!runs(pid), "process {pid} still runs");
    assert!(!dir.exists());
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_its_log() {
    let error = Redis::start_with(Durability::Volatile, &["--no-such-option", "1"])
        .await
        .unwrap_err();
    let message = error.to_string();
    assert!(message.contains("no-such-option"), "{message}");
}

#[tokio::test]
async fn shared_servers_give_each_test_its_own_space() -> Result<()> {
    let servers = shared().await?;
    let (first, second) = (fresh_database().await?, fresh_database().await?);
    assert_ne!(first, second);
    for url in [&first, &second] {
        let database = url.rsplit('/').next().unwrap_or_default();
        servers
            .postgres
            .query(database, "create table same_name (a int)")
            .await?;
    }
    assert_ne!(fresh_prefix(), fresh_prefix());
    servers.etcd.call("kv/range", GET).await?;
    servers.redis.call(&["PING"]).await?;
    Ok(())
}

/// Servers of one test live on when that test's thread has ended, and on any kind of runtime.
#[test]
fn servers_outlive_the_thread_that_started_them() -> Result<()> {
    let start = || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        runtime.block_on(async { tokio::spawn(async { Redis::start().await }).await? })
    };
    let redis = std::thread::spawn(start)
        .join()
        .expect("the thread does not panic")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // A death signal sent at the thread's end would arrive between two of these.
        for _ in 0..20 {
            assert_eq!(redis.call(&["PING"]).await?, Some("PONG".to_owned()));
        }
        Ok(())
    })
}

/// Runs this test binary again, kills it in the middle, and looks at what is left.
#[tokio::test]
async fn a_killed_test_process_leaves_nothing_behind() -> Result<()> {
    let me = std::env::current_exe()?;
    let args = [
        "launcher::victim::hangs_with_servers_when_asked",
        "--exact",
        "--nocapture",
    ];
    let env = [
        ("ASSAY_TESTS_VICTIM", "1"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ];
    let mut victim = assay_tests::process::Process::start(&me.to_string_lossy(), &args, &env)?;
    let line = victim.wait_for_line("started: ", Duration::from_secs(60)).await?;
    let words: Vec<&str> = line
        .rsplit("started: ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let [dir, pids @ ..] = words.as_slice() else {
        anyhow::bail!("{line}")
    };
    let pids = pids
        .iter()
        .map(|pid| pid.parse())
        .collect::<Result<Vec<u32>, _>>()?;
    assert_eq!(pids.len(), 3, "{line}");
    assert!(pids.iter().all(|pid| runs(*pid)), "{line}");

    victim.kill()?;
    eventually(SOON, async || match pids.iter().find(|pid| runs(**pid)) {
        Some(pid) => Err(format!("server {pid} still runs")),
        None if std::path::Path::new(dir).exists() => Err(format!("{dir} still exists")),
        None => Ok(()),
    })
    .await
}

mod victim {
    use super::*;

    /// Passes at once, unless it is the second process of the test above.
    #[tokio::test]
    async fn hangs_with_servers_when_asked() -> Result<()> {
        if std::env::var_os("ASSAY_TESTS_VICTIM").is_none() {
            return Ok(());
        }
        let (etcd, redis, mut postgres) = tokio::try_join!(Etcd::start(), Redis::start(), Postgres::start())?;
        let root = etcd.dir().parent().expect("servers live under one directory");
        postgres.pause()?;
        println!(
            "started: {} {} {} {}",
            root.display(),
            etcd.pid()?,
            redis.pid()?,
            postgres.pid()?
        );
        std::future::pending().await
    }
}

fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
