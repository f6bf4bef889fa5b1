//! Who calls, and what they may do: API keys, roles, the permission table, and what a server asks before it answers.
//!
//! [`permissions`] is the table: every method has an entry, and a method without one is denied. To add a method, add its line there; a
//! test of the config service goes through the descriptors of all packages and names what is missing.
//!
//! The server authenticates and checks the role; the namespace stands in the request, so whoever decodes it asks
//! [`Principal::check_namespace`]. A foreign namespace and one that does not exist look alike.

pub mod permissions;
mod principal;
mod refusal;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use http::HeaderMap;
use sha2::{Digest, Sha256};

use crate::{clock::SharedClock, error::Code, error::Failure};
pub use permissions::{Permission, permission};
pub use principal::{Principal, Role, Scope};
pub(crate) use refusal::refusal;

/// What every key begins with, so that people and scanners recognize one.
pub const KEY_PREFIX: &str = "assay_";

/// The longest key that is looked at, in bytes: ours are shorter.
const MAX_KEY_BYTES: usize = 256;

/// Whoever calls where no keys are needed.
static LOCAL: LazyLock<Arc<Principal>> = LazyLock::new(|| Arc::new(Principal::local()));

/// SHA-256 of a key. Keys are 256 random bits, so nothing slower is needed.
#[must_use]
pub fn hash_key(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// A key as servers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// [`hash_key`] of it.
    pub hash: [u8; 32],
    /// Whose it is.
    pub principal: Principal,
    /// From when on it is not valid, in microseconds since 1970.
    pub expires_at_micros: Option<i64>,
}

/// What a server asks about its callers; clones are the same one.
///
/// Open unless made with [`Access::keys`]: every caller is [`Principal::local`], who may do everything.
#[derive(Clone, Default)]
pub struct Access(Option<Arc<Keyring>>);

struct Keyring {
    clock: SharedClock,
    keys: RwLock<Keys>,
}

#[derive(Default)]
struct Keys {
    /// Valid whatever is read.
    fixed: HashMap<[u8; 32], Known>,
    /// The last that could be read; nothing before the first.
    read: Option<HashMap<[u8; 32], Known>>,
}

#[derive(Clone)]
struct Known {
    principal: Arc<Principal>,
    expires_at_micros: Option<i64>,
}

impl Access {
    /// Everyone is [`Principal::local`].
    #[must_use]
    pub fn open() -> Self {
        Self::default()
    }

    /// Callers need a key: one of `fixed`, until [`Access::fix`] is told others, or one of those that [`Access::replace`] was
    /// told last.
    #[must_use]
    pub fn keys(fixed: impl IntoIterator<Item = Key>, clock: SharedClock) -> Self {
        let access = Self(Some(Arc::new(Keyring {
            clock,
            keys: RwLock::default(),
        })));
        access.fix(fixed);
        access
    }

    /// Whether callers need no key.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_none()
    }

    /// From now on these are the keys, besides the fixed ones.
    pub fn replace(&self, keys: impl IntoIterator<Item = Key>) {
        self.change(|known_keys| known_keys.read = Some(known(keys)));
    }

    /// From now on these are the fixed keys.
    pub fn fix(&self, keys: impl IntoIterator<Item = Key>) {
        self.change(|known_keys| known_keys.fixed = known(keys));
    }

    fn change(&self, change: impl FnOnce(&mut Keys)) {
        if let Some(keyring) = &self.0 {
            change(&mut keyring.keys.write().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Who calls `method`, such as `assay.config.v1.FlagService/GetFlag`; nobody when anybody may.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, `PERMISSION_DENIED`, or `UNAVAILABLE` while no keys could be read.
    pub fn admit(&self, method: &str, headers: &HeaderMap) -> Result<Option<Arc<Principal>>, Failure> {
        let needed = match permission(method) {
            Some(Permission::Public) => return Ok(None),
            Some(needed) => needed,
            None => return Err(no_entry(method)),
        };
        let principal = match &self.0 {
            None => LOCAL.clone(),
            Some(keyring) => keyring.authenticate(headers)?,
        };
        match needed {
            Permission::Public | Permission::Anyone => Ok(Some(principal)),
            Permission::Role(role) | Permission::Global(role) => {
                principal.check_role(role, method)?;
                Ok(Some(principal))
            }
        }
    }
}

impl PartialEq for Access {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

impl Eq for Access {}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_open() { "open" } else { "keys" })
    }
}

impl Keyring {
    fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Failure> {
        let hash = hash_key(presented(headers)?);
        let found = self
            .keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .find(&hash)?;
        let now = self.clock.now_micros();
        found
            .filter(|key| key.expires_at_micros.is_none_or(|end| now < end))
            .map(|key| key.principal)
            .ok_or_else(not_valid)
    }
}

impl Keys {
    fn find(&self, hash: &[u8; 32]) -> Result<Option<Known>, Failure> {
        match (self.fixed.get(hash), &self.read) {
            (Some(found), _) => Ok(Some(found.clone())),
            (None, Some(read)) => Ok(read.get(hash).cloned()),
            (None, None) => Err(unread()),
        }
    }
}

/// The key that a request presents.
fn presented(headers: &HeaderMap) -> Result<&str, Failure> {
    let mut values = headers.get_all(http::header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(missing()),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Err(not_valid()),
    };
    let text = value.to_str().map_err(|_| not_valid())?;
    match text.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") && key.len() <= MAX_KEY_BYTES => {
            Ok(key.trim())
        }
        _ => Err(not_valid()),
    }
}

fn known(keys: impl IntoIterator<Item = Key>) -> HashMap<[u8; 32], Known> {
    let known = |key: Key| {
        let Key {
            hash,
            principal,
            expires_at_micros,
        } = key;
        let known = Known {
            principal: Arc::new(principal),
            expires_at_micros,
        };
        (hash, known)
    };
    keys.into_iter().map(known).collect()
}

fn missing() -> Failure {
    let message =
        "an API key is needed; send it in the header `authorization: Bearer …` (CLI: set `client.api_key`)";
    Failure::new(Code::Unauthenticated, "KEY_REQUIRED", message)
}

/// One answer for all keys that are none: which it was is for the log of the key's owner, not for a stranger.
fn not_valid() -> Failure {
    let message = "the API key is not valid: it is unknown, has expired, or was revoked; ask an administrator for another";
    Failure::new(Code::Unauthenticated, "KEY_NOT_VALID", message)
}

fn unread() -> Failure {
    let message = "the API keys have not been read yet, so callers cannot be known; try again";
    Failure::unavailable("KEYS_UNAVAILABLE", message, std::time::Duration::from_secs(1))
}

fn no_entry(method: &str) -> Failure {
    let message = format!("nobody may call `{method}`: it is not in the permission table");
    Failure::new(Code::PermissionDenied, "NO_PERMISSION_ENTRY", message)
}

/// The names of `roles`, in order.
fn names(roles: &BTreeSet<Role>) -> String {
    let names: Vec<_> = roles.iter().map(|role| role.name()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
