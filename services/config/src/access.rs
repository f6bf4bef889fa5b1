//! Use cases of API keys, and what keeps every replica's knowledge of them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use assay_core::{key::Namespace, time::Timestamp};
use assay_platform::{
    Access, Principal, Role, SharedClock, Shutdown,
    access::{KEY_PREFIX, Key, Scope, hash_key},
    error::chain,
};
use assay_storage::{
    Error as StoreError,
    access_store::{AccessStore, ApiKey},
    config_bus::KeyBus,
    config_store::Audit,
};
use bytes::Bytes;
use prost::Message;

use crate::{error::Error, grpc::keyring};

/// How often keys are read anew: a key that was revoked elsewhere is valid here no longer than this.
const REFRESH: Duration = Duration::from_secs(5);

/// How long the bus may take to be told.
const BUS_LIMIT: Duration = Duration::from_secs(5);

/// Id of the key that a cluster begins with.
const FIRST_KEY: &str = "admin";

/// The keys: stored, known to this process's servers, told to the others.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) store: Arc<dyn AccessStore>,
    pub(crate) bus: Arc<dyn KeyBus>,
    pub(crate) access: Access,
    pub(crate) clock: SharedClock,
}

/// Who asks, for the audit trail.
pub(crate) struct Asker {
    pub(crate) principal: Arc<Principal>,
    pub(crate) traceparent: String,
    pub(crate) peer: String,
}

/// A key that is asked for.
pub(crate) struct NewKey {
    pub(crate) id: String,
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) namespaces: Option<BTreeSet<Namespace>>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Keys {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now_micros())
    }

    /// Makes a key; the answer has its secret, which is nowhere else.
    pub(crate) async fn create(
        &self,
        asker: &Asker,
        new: NewKey,
        reason: &str,
    ) -> Result<(ApiKey, String), Error> {
        let now = self.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            let message = "is not in the future; give a later time, or none";
            return Err(Error::field("key.expires_at", "PAST", message));
        }
        let scope = scope(new.namespaces.as_ref());
        if let Scope::Only(names) = &scope {
            names
                .iter()
                .try_for_each(|name| asker.principal.check_namespace(name))?;
        } else if asker.principal.scope != Scope::All {
            let message = "is more than your own key has; name the namespaces";
            return Err(Error::field("key.all_namespaces", "SCOPE", message));
        }
        let secret = new_secret();
        let key = ApiKey {
            id: new.id,
            hash: hash_key(&secret),
            roles: new.roles.iter().map(|role| role.name().to_owned()).collect(),
            namespaces: new
                .namespaces
                .map(|names| names.iter().map(ToString::to_string).collect()),
            created_by: asker.principal.name.clone(),
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
        };
        self.store
            .create_key(&key, &asker.audit("create", &key.id, reason))
            .await?;
        self.tell().await;
        Ok((key, secret))
    }

    /// The keys that are no larger than the asker's, after `after`, and whether there are more.
    pub(crate) async fn list(
        &self,
        asker: &Asker,
        after: Option<&str>,
        limit: u64,
    ) -> Result<(Vec<ApiKey>, bool), Error> {
        let mut keys = self.store.keys().await?;
        keys.retain(|key| asker.principal.scope.contains(&scope_of(key)));
        keys.retain(|key| after.is_none_or(|after| key.id.as_str() > after));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = keys.len() > limit;
        keys.truncate(limit);
        Ok((keys, more))
    }

    /// Makes a key invalid. One that is larger than the asker's looks as if it did not exist.
    pub(crate) async fn revoke(&self, asker: &Asker, id: &str, reason: &str) -> Result<ApiKey, Error> {
        let found = self.store.keys().await?.into_iter().find(|key| key.id == id);
        let mine = found.filter(|key| asker.principal.scope.contains(&scope_of(key)));
        if mine.is_none() {
            return Err(Error::NotFound {
                what: format!("key/{id}"),
            });
        }
        let audit = asker.audit("revoke", id, reason);
        let revoked = self.store.revoke_key(id, self.now(), &audit).await?;
        self.tell().await;
        Ok(revoked)
    }

    /// Those that may be valid.
    pub(crate) async fn valid(&self) -> Result<Vec<ApiKey>, StoreError> {
        let mut keys = self.store.keys().await?;
        keys.retain(|key| key.revoked_at.is_none());
        Ok(keys)
    }

    /// Reads the keys, and tells whoever must know them.
    async fn refresh(&self) -> Result<(), StoreError> {
        let valid = self.valid().await?;
        self.access.replace(valid.iter().map(key_of));
        let told = Bytes::from(keyring(&valid).encode_to_vec());
        let told = tokio::time::timeout(BUS_LIMIT, self.bus.put_keys(told)).await;
        told.unwrap_or_else(|elapsed| {
            Err(StoreError::Unavailable {
                store: "configuration bus",
                source: elapsed.into(),
            })
        })
    }

    /// As [`Keys::refresh`], after a change that is made whatever comes of it: the next round tells it.
    async fn tell(&self) {
        if let Err(error) = self.refresh().await {
            tracing::warn!(
                error = chain(&error),
                "a change of API keys is told with the next round"
            );
        }
    }

    /// Refreshes until `shutdown`.
    pub(crate) async fn keep(&self, shutdown: Shutdown) {
        let mut rounds = tokio::time::interval(REFRESH);
        let mut fails = false;
        while shutdown.or_done(rounds.tick()).await.is_some() {
            match self.refresh().await {
                Ok(()) => fails = false,
                Err(error) => {
                    if !std::mem::replace(&mut fails, true) {
                        tracing::warn!(
                            error = chain(&error),
                            "API keys cannot be read or told; those known last stay valid"
                        );
                    }
                }
            }
        }
    }
}

impl Asker {
    fn audit(&self, verb: &str, id: &str, reason: &str) -> Audit {
        Audit {
            actor: self.principal.name.clone(),
            action: format!("key.{verb}"),
            subject: format!("key/{id}"),
            reason: reason.to_owned(),
            traceparent: self.traceparent.clone(),
            peer: self.peer.clone(),
        }
    }
}

/// Makes the administrator's key of a cluster that has none yet, and returns its secret; nothing when it was made before, or is made
/// by another replica right now.
///
/// # Errors
/// The store's.
pub async fn create_first_key(
    store: &dyn AccessStore,
    clock: &SharedClock,
) -> Result<Option<String>, StoreError> {
    if !store.keys().await?.is_empty() {
        return Ok(None);
    }
    let secret = new_secret();
    let key = ApiKey {
        id: FIRST_KEY.to_owned(),
        hash: hash_key(&secret),
        roles: vec![Role::Admin.name().to_owned()],
        namespaces: None,
        created_by: "start".to_owned(),
        created_at: Timestamp::from_micros(clock.now_micros()),
        expires_at: None,
        revoked_at: None,
    };
    let audit = Audit {
        actor: "start".to_owned(),
        action: "key.create".to_owned(),
        subject: format!("key/{FIRST_KEY}"),
        reason: "the first start".to_owned(),
        traceparent: String::new(),
        peer: String::new(),
    };
    match store.create_key(&key, &audit).await {
        Ok(()) => Ok(Some(secret)),
        Err(StoreError::AlreadyExists { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The secret of a key: 256 random bits behind a prefix by which it is recognized.
pub fn new_secret() -> String {
    let (high, low) = (rand::random::<u128>(), rand::random::<u128>());
    format!("{KEY_PREFIX}{high:032x}{low:032x}")
}

fn scope(namespaces: Option<&BTreeSet<Namespace>>) -> Scope {
    namespaces.map_or(Scope::All, |names| {
        Scope::Only(names.iter().map(ToString::to_string).collect())
    })
}

fn scope_of(key: &ApiKey) -> Scope {
    let names = key.namespaces.as_ref();
    names.map_or(Scope::All, |names| Scope::Only(names.iter().cloned().collect()))
}

/// A stored key as servers know it; a role of another release is left out.
fn key_of(key: &ApiKey) -> Key {
    Key {
        hash: key.hash,
        principal: Principal {
            name: key.id.clone(),
            roles: key.roles.iter().filter_map(|name| Role::named(name)).collect(),
            scope: scope_of(key),
        },
        expires_at_micros: key.expires_at.map(Timestamp::micros),
    }
}
