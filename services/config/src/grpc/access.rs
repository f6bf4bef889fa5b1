//! `AccessService`.

use std::collections::BTreeSet;

use assay_core::{key::ExperimentKey, time::Timestamp};
use assay_platform::{
    Principal, Role,
    access::{Key, Scope},
};
use assay_proto::{
    config::v1::{self as pb, access_service_server::AccessService},
    convert::{key_from, namespace_from, optional_timestamp_from, timestamp},
    field::FieldErrors,
};
use assay_storage::access_store::ApiKey;
use tonic::{Request, Response, Status};

use super::request::{open, required};
use crate::{
    access::{Keys, NewKey},
    error::Error,
    list::{limit, token},
};

const MAX_ID_BYTES: usize = 64;
const MAX_NAMESPACES: usize = 100;
const MAX_REASON_BYTES: usize = 4_096;

/// Names in the audit trail that no key has made.
const RESERVED: [&str; 6] = ["local", "nobody", "root", "scheduler", "service", "start"];

/// The service on the wire.
pub(super) struct AccessGrpc {
    pub(super) keys: Keys,
}

#[tonic::async_trait]
impl AccessService for AccessGrpc {
    async fn create_api_key(
        &self,
        request: Request<pb::CreateApiKeyRequest>,
    ) -> Result<Response<pb::CreateApiKeyResponse>, Status> {
        let (caller, request) = open(request);
        let new = new_key(required(request.key, "key")?).map_err(Error::from)?;
        check_reason(&request.reason)?;
        let (key, secret) = self.keys.create(&caller.asker(), new, &request.reason).await?;
        Ok(Response::new(pb::CreateApiKeyResponse {
            key: Some(message(&key)),
            secret,
        }))
    }

    async fn list_api_keys(
        &self,
        request: Request<pb::ListApiKeysRequest>,
    ) -> Result<Response<pb::ListApiKeysResponse>, Status> {
        const SCOPE: &str = "keys";
        let (caller, request) = open(request);
        let limit = limit(request.page_size)?;
        let after = token::read(&request.page_token, SCOPE)?;
        let (keys, more) = self.keys.list(&caller.asker(), after.as_deref(), limit).await?;
        let last = keys.last().filter(|_| more);
        let next_page_token = last.map(|key| token::write(&key.id, SCOPE)).unwrap_or_default();
        Ok(Response::new(pb::ListApiKeysResponse {
            keys: keys.iter().map(message).collect(),
            next_page_token,
        }))
    }

    async fn revoke_api_key(
        &self,
        request: Request<pb::RevokeApiKeyRequest>,
    ) -> Result<Response<pb::RevokeApiKeyResponse>, Status> {
        let (caller, request) = open(request);
        let id = key_from(&request.id, "id", ExperimentKey::new).map_err(Error::from)?;
        check_reason(&request.reason)?;
        let revoked = self
            .keys
            .revoke(&caller.asker(), id.as_str(), &request.reason)
            .await?;
        Ok(Response::new(pb::RevokeApiKeyResponse {
            key: Some(message(&revoked)),
        }))
    }

    async fn who_am_i(
        &self,
        request: Request<pb::WhoAmIRequest>,
    ) -> Result<Response<pb::WhoAmIResponse>, Status> {
        let caller = Principal::of(request.extensions());
        let (namespaces, all_namespaces) = match &caller.scope {
            Scope::All => (Vec::new(), true),
            Scope::Only(names) => (names.iter().cloned().collect(), false),
        };
        Ok(Response::new(pb::WhoAmIResponse {
            principal: caller.name.clone(),
            roles: caller.roles.iter().map(|role| role_message(*role)).collect(),
            namespaces,
            all_namespaces,
        }))
    }

    async fn get_keyring(
        &self,
        _: Request<pb::GetKeyringRequest>,
    ) -> Result<Response<pb::GetKeyringResponse>, Status> {
        let valid = self.keys.valid().await.map_err(Error::from)?;
        Ok(Response::new(keyring(&valid)))
    }
}

fn check_reason(reason: &str) -> Result<(), Error> {
    if reason.len() > MAX_REASON_BYTES {
        let message = format!(
            "has {} bytes; at most {MAX_REASON_BYTES} are allowed",
            reason.len()
        );
        return Err(Error::field("reason", "TEXT_TOO_LONG", message));
    }
    Ok(())
}

fn new_key(asked: pb::ApiKey) -> Result<NewKey, FieldErrors> {
    let mut errors = FieldErrors::default();
    let id = errors.keep(id(&asked.id));
    let roles = errors.keep(roles(&asked.roles));
    let (names, all) = (&asked.namespaces, asked.all_namespaces);
    let namespaces = match (names.len(), all) {
        (0, true) => Some(None),
        (1..=MAX_NAMESPACES, false) => {
            let read = names.iter().enumerate().map(|(i, name)| {
                let field = format!("key.namespaces[{i}]");
                if name.is_empty() {
                    return Err(FieldErrors::one(field, "REQUIRED", "is empty; name a namespace"));
                }
                namespace_from(name.as_str(), &field)
            });
            errors.keep(read.collect::<Result<BTreeSet<_>, _>>()).map(Some)
        }
        (n, _) => {
            let message = format!(
                "has {n} namespaces and all_namespaces is {all}; name 1 to {MAX_NAMESPACES}, or none and set all_namespaces"
            );
            errors.push("key.namespaces", "SCOPE", message);
            None
        }
    };
    let expires_at: Option<Option<Timestamp>> =
        errors.keep(optional_timestamp_from(asked.expires_at, "key.expires_at"));
    let new = id.zip(roles).zip(namespaces).zip(expires_at);
    errors.finish(new.map(|(((id, roles), namespaces), expires_at)| NewKey {
        id,
        roles,
        namespaces,
        expires_at,
    }))
}

fn id(text: &str) -> Result<String, FieldErrors> {
    let id = key_from(text, "key.id", ExperimentKey::new)?;
    if id.as_str().len() > MAX_ID_BYTES {
        let message = format!(
            "has {} bytes; at most {MAX_ID_BYTES} are allowed",
            id.as_str().len()
        );
        return Err(FieldErrors::one("key.id", "KEY_TOO_LONG", message));
    }
    if RESERVED.contains(&id.as_str()) {
        let message = format!("is `{id}`, which the audit trail means otherwise; choose another");
        return Err(FieldErrors::one("key.id", "RESERVED", message));
    }
    Ok(id.as_str().to_owned())
}

fn roles(given: &[i32]) -> Result<BTreeSet<Role>, FieldErrors> {
    let known: Option<BTreeSet<Role>> = given.iter().map(|role| role_from(*role)).collect();
    match known.filter(|roles| !roles.is_empty() && !roles.contains(&Role::Service)) {
        Some(roles) => Ok(roles),
        None => {
            let known = Role::ALL
                .iter()
                .filter(|role| **role != Role::Service)
                .map(|role| role.name());
            let message = format!(
                "must name at least one, all of: {}",
                known.collect::<Vec<_>>().join(", ")
            );
            Err(FieldErrors::one("key.roles", "ROLES", message))
        }
    }
}

fn role_from(role: i32) -> Option<Role> {
    let role = pb::Role::try_from(role).ok()?;
    Role::named(&role.as_str_name().trim_start_matches("ROLE_").to_lowercase())
}

fn role_message(role: Role) -> i32 {
    let name = format!("ROLE_{}", role.name().to_uppercase());
    pb::Role::from_str_name(&name).unwrap_or_default().into()
}

fn role_messages(names: &[String]) -> Vec<i32> {
    let known = names.iter().filter_map(|name| Role::named(name));
    known.map(role_message).collect()
}

fn message(key: &ApiKey) -> pb::ApiKey {
    pb::ApiKey {
        id: key.id.clone(),
        roles: role_messages(&key.roles),
        namespaces: key.namespaces.clone().unwrap_or_default(),
        all_namespaces: key.namespaces.is_none(),
        expires_at: key.expires_at.map(timestamp),
        created_by: key.created_by.clone(),
        created_at: Some(timestamp(key.created_at)),
        revoked_at: key.revoked_at.map(timestamp),
    }
}

/// What services must know of `keys`.
pub(crate) fn keyring(keys: &[ApiKey]) -> pb::GetKeyringResponse {
    let entry = |key: &ApiKey| pb::KeyringEntry {
        hash: key.hash.to_vec(),
        principal: key.id.clone(),
        roles: role_messages(&key.roles),
        namespaces: key.namespaces.clone().unwrap_or_default(),
        all_namespaces: key.namespaces.is_none(),
        expires_at: key.expires_at.map(timestamp),
    };
    pb::GetKeyringResponse {
        entries: keys.iter().map(entry).collect(),
    }
}

/// The keys that a keyring tells of, for the servers of a service. An entry that cannot be understood is left out: its key is refused.
pub fn keys_of(keyring: pb::GetKeyringResponse) -> Vec<Key> {
    let key = |entry: pb::KeyringEntry| {
        let expires_at = optional_timestamp_from(entry.expires_at, "expires_at").ok()?;
        let scope = match entry.all_namespaces {
            true => Scope::All,
            false => Scope::Only(entry.namespaces.into_iter().collect()),
        };
        Some(Key {
            hash: entry.hash.try_into().ok()?,
            principal: Principal {
                name: entry.principal,
                roles: entry.roles.into_iter().filter_map(role_from).collect(),
                scope,
            },
            expires_at_micros: expires_at.map(Timestamp::micros),
        })
    };
    keyring.entries.into_iter().filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_one_name_on_the_wire_and_in_the_table() {
        for role in Role::ALL {
            assert_eq!(role_from(role_message(role)), Some(role), "{}", role.name());
        }
        assert_eq!(role_from(0), None);
    }

    #[test]
    fn a_keyring_tells_what_is_stored() {
        let key = |id: &str, namespaces: Option<Vec<String>>| ApiKey {
            id: id.to_owned(),
            hash: [7; 32],
            roles: vec!["viewer".to_owned(), "invented".to_owned()],
            namespaces,
            created_by: String::new(),
            created_at: Timestamp::from_micros(1),
            expires_at: Some(Timestamp::from_micros(5)),
            revoked_at: None,
        };
        let told = keys_of(keyring(&[
            key("all", None),
            key("one", Some(vec!["shop".to_owned()])),
        ]));
        assert_eq!(told[0].principal.scope, Scope::All);
        assert_eq!(
            told[1].principal.scope,
            Scope::Only(BTreeSet::from(["shop".to_owned()]))
        );
        assert_eq!(told[1].principal.roles, BTreeSet::from([Role::Viewer]));
        assert_eq!((told[1].hash, told[1].expires_at_micros), ([7; 32], Some(5)));
    }
}
