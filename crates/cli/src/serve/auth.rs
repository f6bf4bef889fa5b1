//! Who may call the services of this process: the settings made into [`Access`], and what keeps it up to date.

mod given;

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use assay_platform::{
    Access, Channel, ChannelOptions, Credentials, Secret, SharedClock, Shutdown,
    error::{BoxError, chain},
};
use assay_proto::config::v1::{
    GetKeyringRequest, GetKeyringResponse, access_service_client::AccessServiceClient,
};
use assay_storage::{access_store::AccessStore, config_bus::KeyBus};
use prost::Message;

use self::given::Given;
use crate::{
    error::Error,
    output,
    settings::{Auth, AuthMode, Settings},
};

/// How often keys are asked for, and their files looked at: one that was revoked is valid here no longer than this after config knows.
const REFRESH: Duration = Duration::from_secs(5);

/// What is decided of who may call.
pub(super) struct Door {
    /// For the servers.
    pub(super) access: Access,
    /// For calls between services.
    credentials: Credentials,
}

impl Door {
    /// For a process with every service in it; `is_local` when all listen on loopback only.
    pub(super) fn embedded(auth: &Auth, is_local: bool, clock: &SharedClock, shutdown: &Shutdown) -> Self {
        let by_default = if is_local { AuthMode::Open } else { AuthMode::Keys };
        let mode = auth.mode.unwrap_or(by_default);
        let mut service_key = auth.service_key.clone();
        if service_key.is_empty() {
            service_key = Secret::new(assay_config::new_secret());
        }
        Self::new(mode, auth, service_key, clock, shutdown)
    }

    /// For a process with one service of a cluster.
    pub(super) fn cluster(
        auth: &Auth,
        service: &str,
        clock: &SharedClock,
        shutdown: &Shutdown,
    ) -> Result<Self, Error> {
        let mode = auth.mode.unwrap_or(AuthMode::Keys);
        match mode {
            AuthMode::Keys if auth.service_key.is_empty() => Err(Error::Setting {
                key: "auth.service_key",
                problem: format!(
                    "is missing; `assay serve {service}` needs it to be known to the other services. Give all of them the same, \
                     such as from `openssl rand -hex 32`, or set `auth.mode = \"open\"` on a network that you trust"
                ),
            }),
            AuthMode::Keys => Ok(Self::new(mode, auth, auth.service_key.clone(), clock, shutdown)),
            AuthMode::Open => {
                output::note(format!(
                    "assay {service}: auth.mode is open: whoever reaches its port may do everything"
                ));
                Ok(Self::new(mode, auth, auth.service_key.clone(), clock, shutdown))
            }
        }
    }

    /// What `auth` says; keys that it has from files are read anew until `shutdown`.
    fn new(
        mode: AuthMode,
        auth: &Auth,
        service_key: Secret,
        clock: &SharedClock,
        shutdown: &Shutdown,
    ) -> Self {
        let access = match mode {
            AuthMode::Open => Access::open(),
            AuthMode::Keys => Access::keys([], clock.clone()),
        };
        let credentials = Credentials::default();
        let given = Given::new(auth, service_key, access.clone(), credentials.clone());
        given.follow(REFRESH, shutdown.clone());
        Self { access, credentials }
    }

    /// Tells the services of `settings`.
    pub(super) fn guard(&self, settings: &mut Settings) {
        for access in [
            &mut settings.config.access,
            &mut settings.assignment.access,
            &mut settings.ingest.access,
            &mut settings.analysis.access,
        ] {
            *access = self.access.clone();
        }
    }

    /// How a service of ours calls another one.
    pub(super) fn channel_options(&self) -> ChannelOptions {
        ChannelOptions {
            api_key: self.credentials.clone(),
            ..ChannelOptions::default()
        }
    }

    /// Makes the administrator's key where callers need keys and nobody has one, and writes it to a file: never to a log.
    pub(super) async fn first_key(
        &self,
        settings: &Settings,
        store: &dyn AccessStore,
        clock: &SharedClock,
    ) -> Result<(), Error> {
        let auth = &settings.auth;
        if self.access.is_open() || !auth.admin_key.is_empty() || !store.keys().await?.is_empty() {
            return Ok(());
        }
        let default = || settings.stores.data_dir.join("admin.key");
        let path = auth.admin_key_file.clone().unwrap_or_else(default);
        // The file first: a key that nobody can read would lock everyone out.
        let mut file = secret_file(&path)?;
        let Some(secret) = assay_config::create_first_key(store, clock).await? else {
            // Another replica was faster, and has written it where it runs.
            let _gone = std::fs::remove_file(&path);
            return Ok(());
        };
        file.write_all(secret.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| unusable(&path, &error))?;
        output::note(format!(
            "assay: the administrator's key is in `{}`, once and only there; move it to a safe place",
            path.display()
        ));
        Ok(())
    }

    /// Asks config for the keys until `shutdown`.
    pub(super) fn follow_config(&self, config: Channel, shutdown: Shutdown) {
        let access = self.access.clone();
        if access.is_open() {
            return;
        }
        tokio::spawn(async move {
            let ask = || async {
                let answer = AccessServiceClient::new(config.clone())
                    .get_keyring(GetKeyringRequest {})
                    .await?;
                Ok(Some(answer.into_inner()))
            };
            follow(&access, ask, shutdown).await;
        });
    }

    /// Reads the keys from the bus until `shutdown`, and keeps them in `file` for a start while the bus is away.
    pub(super) fn follow_bus(&self, bus: Arc<dyn KeyBus>, file: PathBuf, shutdown: Shutdown) {
        let access = self.access.clone();
        if access.is_open() {
            return;
        }
        if let Some(kept) = std::fs::read(&file)
            .ok()
            .and_then(|bytes| GetKeyringResponse::decode(&*bytes).ok())
        {
            access.replace(assay_config::keys_of(kept));
        }
        tokio::spawn(async move {
            let ask = || async {
                let Some(bytes) = bus.keys().await? else {
                    return Ok(None);
                };
                let keyring = GetKeyringResponse::decode(&*bytes)?;
                keep(&file, &bytes);
                Ok(Some(keyring))
            };
            follow(&access, ask, shutdown).await;
        });
    }
}

/// Tells `access` what `ask` answers; what was known last stays valid while it does not.
async fn follow<F>(access: &Access, ask: impl Fn() -> F, shutdown: Shutdown)
where
    F: Future<Output = Result<Option<GetKeyringResponse>, BoxError>>,
{
    let mut rounds = tokio::time::interval(REFRESH);
    let mut fails = false;
    while shutdown.or_done(rounds.tick()).await.is_some() {
        match ask().await {
            Ok(Some(keyring)) => {
                access.replace(assay_config::keys_of(keyring));
                fails = false;
            }
            Ok(None) => {}
            Err(error) => {
                if !std::mem::replace(&mut fails, true) {
                    tracing::warn!(
                        error = chain(&*error),
                        "API keys cannot be asked for; those known last stay valid"
                    );
                }
            }
        }
    }
}

/// Keeps `bytes` in `file`, whole or not at all. They hold hashes, no secrets.
fn keep(file: &Path, bytes: &[u8]) {
    if std::fs::read(file).is_ok_and(|kept| kept == bytes) {
        return;
    }
    let new = file.with_extension("new");
    let kept = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, file));
    if let Err(error) = kept {
        tracing::warn!(%error, "API keys are not kept for a start while the bus is away");
    }
}

/// A new file that its owner alone can read.
fn secret_file(path: &Path) -> Result<File, Error> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let parent = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    parent
        .and_then(|()| options.open(path))
        .map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        problem: format!(
            "the administrator's key cannot be written: {error}; set `auth.admin_key_file` to a file that does not exist yet, or \
             `auth.admin_key` to a key of your own"
        ),
    }
}

#[cfg(test)]
mod tests {
    use assay_platform::{Clock, SystemClock, access::hash_key};
    use assay_storage::{access_store::SqlAccessStore, sql::Database};

    use super::*;

    fn auth(mode: Option<AuthMode>) -> Auth {
        Auth {
            mode,
            ..Auth::default()
        }
    }

    fn embedded(auth: &Auth, is_local: bool) -> Door {
        Door::embedded(auth, is_local, &SystemClock::shared(), &Shutdown::new())
    }

    #[test]
    fn one_process_on_loopback_is_open_and_nothing_else_is_unless_told() {
        assert!(embedded(&auth(None), true).access.is_open());
        assert!(!embedded(&auth(None), false).access.is_open());
        assert!(!embedded(&auth(Some(AuthMode::Keys)), true).access.is_open());
        let cluster = |mode| {
            let clock = SystemClock::shared();
            Door::cluster(&auth(mode), "config", &clock, &Shutdown::new())
        };
        assert!(cluster(Some(AuthMode::Open)).unwrap().access.is_open());
        let refused = cluster(None).err().unwrap();
        assert_eq!(refused.exit(), assay_platform::Exit::Settings);
        assert!(refused.to_string().contains("auth.service_key"), "{refused}");
    }

    #[tokio::test]
    async fn the_first_key_is_written_once_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.auth.mode = Some(AuthMode::Keys);
        settings.stores.data_dir = directory.path().to_owned();
        let clock = SystemClock::shared();
        let door = embedded(&settings.auth, true);
        let database = Database::connect("sqlite::memory:", 1).await.unwrap();
        database.migrate().await.unwrap();
        let store = SqlAccessStore::new(database);
        let path = directory.path().join("admin.key");
        door.first_key(&settings, &store, &clock).await.unwrap();
        let secret = std::fs::read_to_string(&path).unwrap();
        let stored = store.keys().await.unwrap();
        assert_eq!((stored.len(), stored[0].hash), (1, hash_key(&secret)));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::remove_file(&path).unwrap();
        door.first_key(&settings, &store, &clock).await.unwrap();
        assert!(!path.exists(), "only the first start makes one");
        assert!(SystemClock.now_micros() > 0);
    }
}
