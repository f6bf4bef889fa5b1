//! The keys of the settings, read anew when their files change.

use std::time::Duration;

use assay_platform::{
    Access, Credentials, Principal, Role, Secret, Shutdown,
    access::{Key, Scope, hash_key},
};

use crate::settings::{Auth, key_problem};

/// The keys that stand in the settings, and whom they make known.
pub(super) struct Given {
    service: Setting,
    admin: Setting,
    access: Access,
    /// What the service key is presented with.
    credentials: Credentials,
}

/// One of them.
struct Setting {
    name: &'static str,
    key: Secret,
    /// Whether its file could not be used when it was looked at last.
    fails: bool,
}

impl Given {
    /// Those of `auth`, with this service key; makes them known.
    pub(super) fn new(auth: &Auth, service_key: Secret, access: Access, credentials: Credentials) -> Self {
        let setting = |name, key| Setting {
            name,
            key,
            fails: false,
        };
        let given = Self {
            service: setting("auth.service_key", service_key),
            admin: setting("auth.admin_key", auth.admin_key.clone()),
            access,
            credentials,
        };
        given.tell();
        given
    }

    fn tell(&self) {
        let service = fixed(&self.service.key, "service", Role::Service);
        let admin = fixed(&self.admin.key, "root", Role::Admin);
        self.access.fix(service.into_iter().chain(admin));
        self.credentials.replace(&self.service.key);
    }

    /// Looks at the files, if there are any, as often as this, until `shutdown`.
    pub(super) fn follow(mut self, interval: Duration, shutdown: Shutdown) {
        if !self.service.key.is_from_file() && !self.admin.key.is_from_file() {
            return;
        }
        tokio::spawn(async move {
            let mut rounds = tokio::time::interval(interval);
            while shutdown.or_done(rounds.tick()).await.is_some() {
                // A disk may be slow.
                let looked = tokio::task::spawn_blocking(move || {
                    self.look();
                    self
                });
                match looked.await {
                    Ok(given) => self = given,
                    Err(_) => return,
                }
            }
        });
    }

    /// Reads the files; a key that cannot be used is left as it was, and whoever knew it still does.
    fn look(&mut self) {
        // Without a service key no other service would answer; without an administrator's there are those that were made.
        let service = self.service.look(|key| !key.is_empty());
        let admin = self.admin.look(|_| true);
        if service || admin {
            self.tell();
        }
    }
}

impl Setting {
    /// Whether it has changed.
    fn look(&mut self, is_enough: impl FnOnce(&Secret) -> bool) -> bool {
        let read = self.key.reload().map_err(|error| error.to_string());
        let read = read.and_then(|key| match key_problem(&key) {
            Some(problem) => Err(problem),
            None if !is_enough(&key) => Err("is empty; give a key".to_owned()),
            None => Ok(key),
        });
        let setting = self.name;
        match read {
            Ok(key) => {
                self.fails = false;
                let has_changed = std::mem::replace(&mut self.key, key.clone()) != key;
                if has_changed {
                    tracing::info!(setting, "a key has changed in its file, and is valid from now on");
                }
                has_changed
            }
            Err(problem) => {
                if !std::mem::replace(&mut self.fails, true) {
                    tracing::warn!(
                        setting,
                        problem,
                        "a key cannot be read anew from its file; the one before stays valid"
                    );
                }
                false
            }
        }
    }
}

/// The key of a setting as servers know it; nothing when there is none.
fn fixed(secret: &Secret, name: &str, role: Role) -> Option<Key> {
    let key = || Key {
        hash: hash_key(secret.expose()),
        principal: Principal {
            name: name.to_owned(),
            roles: [role].into(),
            scope: Scope::All,
        },
        expires_at_micros: None,
    };
    (!secret.is_empty()).then(key)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use assay_platform::{SystemClock, settings::load_from};
    use http::{HeaderMap, header::AUTHORIZATION};
    use tempfile::TempDir;

    use super::*;
    use crate::settings::Settings;

    const OLD: &str = "the-key-that-was-there-at-the-start-of-it";
    const NEW: &str = "the-key-that-it-was-changed-to-afterwards";

    struct Fixture {
        directory: TempDir,
        given: Given,
    }

    fn fixture() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let variable = |name: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, format!("{OLD}-{name}\n")).unwrap();
            let value = format!("file:{}", path.display());
            (format!("ASSAY__AUTH__{}_KEY", name.to_uppercase()), value)
        };
        let settings: Settings = load_from(None, ["service", "admin"].map(variable)).unwrap();
        let access = Access::keys([], SystemClock::shared());
        access.replace([]);
        let service_key = settings.auth.service_key.clone();
        let given = Given::new(&settings.auth, service_key, access, Credentials::default());
        Fixture { directory, given }
    }

    fn header(key: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {key}").parse().unwrap())])
    }

    fn knows(access: &Access, key: &str) -> Option<String> {
        let admitted = access.admit("assay.config.v1.AccessService/WhoAmI", &header(key));
        admitted.ok().flatten().map(|who| who.name.clone())
    }

    impl Fixture {
        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn write(&mut self, name: &str, text: &str) {
            write(&self.path(name), text);
            self.given.look();
        }

        fn knows(&self, key: &str) -> Option<String> {
            knows(&self.given.access, key)
        }
    }

    /// As Kubernetes does it: whole or not at all.
    fn write(path: &Path, text: &str) {
        let new = path.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    #[test]
    fn s8_a_key_is_read_again_when_its_file_changes() {
        let mut fixture = fixture();
        let (old_service, old_admin) = (format!("{OLD}-service"), format!("{OLD}-admin"));
        assert_eq!(fixture.knows(&old_service).as_deref(), Some("service"));
        assert_eq!(fixture.knows(&old_admin).as_deref(), Some("root"));
        fixture.write("service", &format!("{NEW}\n"));
        assert_eq!(fixture.knows(NEW).as_deref(), Some("service"));
        assert_eq!(fixture.knows(&old_service), None, "the old one is dead");
        assert_eq!(
            fixture.knows(&old_admin).as_deref(),
            Some("root"),
            "the other stays"
        );
        let presented = format!("{:?}", fixture.given.credentials);
        assert!(!presented.contains(NEW), "{presented}");
        fixture.write("admin", "");
        assert_eq!(
            fixture.knows(&old_admin),
            None,
            "no administrator is given any more"
        );
    }

    #[test]
    fn a_file_that_cannot_be_used_leaves_the_key_before() {
        let mut fixture = fixture();
        let old = format!("{OLD}-service");
        for bad in ["", "short", "a key with spaces in it, though it is long enough"] {
            fixture.write("service", bad);
            assert_eq!(fixture.knows(&old).as_deref(), Some("service"), "{bad:?}");
        }
        std::fs::remove_file(fixture.path("service")).unwrap();
        fixture.given.look();
        assert_eq!(fixture.knows(&old).as_deref(), Some("service"));
        fixture.write("service", NEW);
        assert_eq!(fixture.knows(NEW).as_deref(), Some("service"));
    }

    #[tokio::test]
    async fn the_files_are_looked_at_until_the_end() {
        let fixture = fixture();
        let (access, path) = (fixture.given.access.clone(), fixture.path("service"));
        let shutdown = Shutdown::new();
        fixture.given.follow(Duration::from_millis(1), shutdown.clone());
        for key in [NEW, OLD, NEW] {
            write(&path, key);
            let known = async {
                while knows(&access, key).is_none() {
                    tokio::task::yield_now().await;
                }
            };
            let known = tokio::time::timeout(Duration::from_secs(20), known).await;
            assert!(known.is_ok(), "{key} is not known");
        }
        shutdown.trigger();
    }
}
