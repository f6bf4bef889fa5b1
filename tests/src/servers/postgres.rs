//! PostgreSQL, one cluster. It refuses to run as root: then it runs as user `postgres`.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::BoxFuture;

use super::server::{Recipe, Server, not_installed, run};
use crate::os;

const INITDB: Duration = Duration::from_secs(60);
const QUERY: Duration = Duration::from_secs(30);

/// A private PostgreSQL.
pub type Postgres = Server<PostgresRecipe>;

/// How PostgreSQL is started.
#[derive(Debug)]
pub struct PostgresRecipe {
    bin: PathBuf,
    args: Vec<String>,
    run_as: Option<Account>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Server<PostgresRecipe> {
    /// Starts an empty PostgreSQL.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with more arguments, such as `-c max_connections=20` (two of them).
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start_with(args: &[&str]) -> Result<Self> {
        let bin = find_bin().ok_or_else(not_installed::<PostgresRecipe>)?;
        let args = args.iter().map(ToString::to_string).collect();
        let run_as = if effective_uid()? == 0 {
            Some(unprivileged_account()?)
        } else {
            None
        };
        Self::launch(PostgresRecipe { bin, args, run_as }).await
    }

    /// The URL of the database `postgres`, which always exists.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The URL of a database.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.addr())
    }

    /// Runs SQL in a database and returns the rows, columns separated by `|`.
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached or refuses, with its message.
    pub async fn query(&self, database: &str, sql: &str) -> Result<String> {
        psql(&self.recipe.bin, self.port.number(), database, sql).await
    }
}

impl Recipe for PostgresRecipe {
    const PROGRAM: &'static str = "postgres";
    const PACKAGE: &'static str = "postgresql";
    /// Fast shutdown: sessions are ended, data is written.
    const STOP_SIGNAL: i32 = os::SIGINT;
    /// Immediate shutdown. Unlike SIGKILL it gives back the System V memory segment.
    const DEATH_SIGNAL: i32 = os::SIGQUIT;

    fn prepare<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.init(dir.join("data")))
    }

    fn command(&self, dir: &Path, port: u16) -> Result<Command> {
        let mut command = self.unprivileged("postgres");
        command
            .arg("-D")
            .arg(dir.join("data"))
            .args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={port}")])
            .args(["-c", "unix_socket_directories="])
            // Nothing waits for the disk, yet what was committed survives SIGKILL: it is in the page cache by then.
            // (With `synchronous_commit=off` it is not, for up to 0.6 s.)
            .args(["-c", "fsync=off", "-c", "full_page_writes=off"])
            .args(&self.args);
        Ok(command)
    }

    fn probe(&self, port: u16) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { psql(&self.bin, port, "postgres", "select 1").await.map(drop) })
    }
}

impl PostgresRecipe {
    async fn init(&self, data: PathBuf) -> Result<()> {
        std::fs::create_dir(&data)?;
        std::fs::set_permissions(&data, Permissions::from_mode(0o700))?;
        if let Some(account) = self.run_as {
            chown(&data, Some(account.uid), Some(account.gid))?;
        }
        let mut command = self.unprivileged("initdb");
        command.arg("--pgdata").arg(&data);
        command.args(["--username=postgres", "--auth=trust", "--no-sync"]);
        command.args(["--locale=C.UTF-8", "--encoding=UTF8"]);
        run(command, INITDB).await.map(drop)
    }

    fn unprivileged(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        if let Some(account) = self.run_as {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }
}

async fn psql(bin: &Path, port: u16, database: &str, sql: &str) -> Result<String> {
    let mut command = Command::new(bin.join("psql"));
    command
        .args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"])
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres"])
        .args(["-d", database, "-c", sql])
        .env("PGCONNECT_TIMEOUT", "5")
        .current_dir("/");
    let rows = run(command, QUERY).await?;
    Ok(rows.trim_end().to_owned())
}

/// Debian keeps the newest programs of each major version in its own directory, not in `PATH`.
fn find_bin() -> Option<PathBuf> {
    let complete = |bin: &PathBuf| {
        ["postgres", "initdb", "psql"]
            .iter()
            .all(|program| bin.join(program).is_file())
    };
    let major = |bin: &PathBuf| bin.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = debian
        .map(|entry| entry.path().join("bin"))
        .filter(complete)
        .max_by_key(major);
    newest.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(complete)
    })
}

/// A process's own entry in `/proc` belongs to its effective user.
fn effective_uid() -> Result<u32> {
    Ok(std::fs::metadata("/proc/self").context("/proc is needed")?.uid())
}

fn unprivileged_account() -> Result<Account> {
    let users = std::fs::read_to_string("/etc/passwd")?;
    let account = ["postgres", "nobody"]
        .iter()
        .find_map(|name| account(&users, name));
    account.context("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")
}

fn account(users: &str, name: &str) -> Option<Account> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut ids = line.split(':').skip(2).map(str::parse);
    match (ids.next()?, ids.next()?) {
        (Ok(uid), Ok(gid)) if uid != 0 => Some(Account { uid, gid }),
        _ => None,
    }
}

pub(super) async fn create_database(server: &Postgres, name: &str) -> Result<String> {
    ensure!(
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
        "`{name}` is no plain database name"
    );
    server
        .query("postgres", &format!("create database {name}"))
        .await?;
    Ok(server.url_of(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_the_user_list() {
        let users = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104:admin:/var/lib:/bin/sh\n";
        assert_eq!(account(users, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(account(users, "root"), None);
        assert_eq!(account(users, "post"), None);
    }
}
