//! What stands in etcd: names of keys, and the bytes of values. Private to this adapter; `golden/` holds one value of each version.
//!
//! | Key | Value |
//! |---|---|
//! | `<prefix>/<namespace>/r/<kind>/<key>` | version 1 (1 byte), generation (8 bytes), the resource |
//! | `<prefix>/<namespace>/manifest` | version 1 (1 byte), generation (8 bytes), count (8 bytes), digest (32 bytes) |
//! | `<prefix>-replicas/<id>` | version 1 (1 byte); for each namespace: length of its name (2 bytes), name, generation (8 bytes), served since (8 bytes, microseconds since 1970) |
//! | `<prefix>-keys` | what services must know of API keys, beside the rest so that no reader of that meets it |
//!
//! Numbers are big-endian. Replicas stand beside the prefix and not below it, so that no watch of the configuration sees them.

use std::collections::BTreeMap;

use assay_core::{key::Namespace, time::Timestamp};
use bytes::{BufMut, Bytes, BytesMut};

use crate::config_bus::{Manifest, Replica, Served, Value, replica::is_id};

const VERSION: u8 = 1;

/// What a key under the prefix names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// The manifest of a namespace.
    Manifest(Namespace),
    /// A resource of a namespace.
    Resource(Namespace, String),
}

/// The keys under a prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    /// With a slash at its end.
    root: String,
    /// The same for replicas.
    replicas: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let prefix = prefix.trim_end_matches('/');
        Self {
            root: format!("{prefix}/"),
            replicas: format!("{prefix}-replicas/"),
        }
    }

    /// What the keys of all replicas begin with.
    pub(super) fn replicas(&self) -> &str {
        &self.replicas
    }

    pub(super) fn replica(&self, id: &str) -> String {
        format!("{}{id}", self.replicas)
    }

    /// What all keys begin with.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The key of what services must know of API keys.
    pub(super) fn keyring(&self) -> String {
        format!("{}-keys", self.root.trim_end_matches('/'))
    }

    pub(super) fn manifest(&self, namespace: &Namespace) -> String {
        format!("{}{namespace}/manifest", self.root)
    }

    pub(super) fn resource(&self, namespace: &Namespace, key: &str) -> String {
        format!("{}{namespace}/r/{key}", self.root)
    }

    /// What `key` names, if it is one of ours.
    pub(super) fn parse(&self, key: &[u8]) -> Option<Name> {
        let rest = std::str::from_utf8(key).ok()?.strip_prefix(&self.root)?;
        let (namespace, rest) = rest.split_once('/')?;
        let namespace = Namespace::new(namespace).ok()?;
        match rest.strip_prefix("r/") {
            Some(key) if !key.is_empty() => Some(Name::Resource(namespace, key.to_owned())),
            None if rest == "manifest" => Some(Name::Manifest(namespace)),
            _ => None,
        }
    }
}

pub(super) fn encode_value(value: &Value) -> Bytes {
    let mut frame = BytesMut::with_capacity(value.bytes.len() + 9);
    frame.put_u8(VERSION);
    frame.put_u64(value.generation);
    frame.put_slice(&value.bytes);
    frame.freeze()
}

/// The value in `frame`, or what is wrong with it.
pub(super) fn decode_value(frame: &[u8]) -> Result<Value, &'static str> {
    let (generation, rest) = number(body(frame)?)?;
    Ok(Value {
        generation,
        bytes: Bytes::copy_from_slice(rest),
    })
}

pub(super) fn encode_manifest(manifest: &Manifest) -> Bytes {
    let mut frame = BytesMut::with_capacity(49);
    frame.put_u8(VERSION);
    frame.put_u64(manifest.generation);
    frame.put_u64(manifest.count);
    frame.put_slice(&manifest.digest);
    frame.freeze()
}

/// The manifest in `frame`, or what is wrong with it.
pub(super) fn decode_manifest(frame: &[u8]) -> Result<Manifest, &'static str> {
    let (generation, rest) = number(body(frame)?)?;
    let (count, rest) = number(rest)?;
    let digest = rest.try_into().map_err(|_| "it has the wrong length")?;
    Ok(Manifest {
        generation,
        count,
        digest,
    })
}

pub(super) fn encode_replica(replica: &Replica) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(VERSION);
    for (namespace, served) in &replica.served {
        let name = namespace.as_str().as_bytes();
        // Names of namespaces are far shorter than that.
        frame.put_u16(u16::try_from(name.len()).unwrap_or(u16::MAX));
        frame.put_slice(name);
        frame.put_u64(served.generation);
        frame.put_i64(served.since.micros());
        frame.put_u64(served.settled);
    }
    frame.freeze()
}

/// The replica of `key`, or what is wrong with it.
pub(super) fn decode_replica(keys: &Keys, key: &[u8], frame: &[u8]) -> Result<Replica, &'static str> {
    let id = std::str::from_utf8(key)
        .ok()
        .and_then(|key| key.strip_prefix(&keys.replicas))
        .filter(|id| is_id(id));
    let mut rest = body(frame)?;
    let mut served = BTreeMap::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<2>().ok_or("it is too short")?;
        let (name, after) = after
            .split_at_checked(usize::from(u16::from_be_bytes(*length)))
            .ok_or("it is too short")?;
        let name = std::str::from_utf8(name)
            .ok()
            .and_then(|name| Namespace::new(name).ok());
        let (generation, after) = number(after)?;
        let (since, after) = number(after)?;
        let (settled, after) = number(after)?;
        let since = Timestamp::from_micros(since.cast_signed());
        let name = name.ok_or("a namespace has no valid name")?;
        let here = Served {
            generation,
            since,
            settled,
        };
        served.insert(name, here);
        rest = after;
    }
    Ok(Replica {
        id: id.ok_or("its key names no replica")?.to_owned(),
        served,
    })
}

fn body(frame: &[u8]) -> Result<&[u8], &'static str> {
    match frame.split_first() {
        Some((&VERSION, body)) => Ok(body),
        Some(_) => Err("its version is not known to this release"),
        None => Err("it is empty"),
    }
}

fn number(bytes: &[u8]) -> Result<(u64, &[u8]), &'static str> {
    let (number, rest) = bytes.split_first_chunk::<8>().ok_or("it is too short")?;
    Ok((u64::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(text: &str) -> Vec<u8> {
        hex::decode(text.trim()).expect("hexadecimal")
    }

    #[test]
    fn golden_frames_decode_for_ever() {
        let value = Value {
            generation: 0x0102_0304,
            bytes: Bytes::from_static(b"resource"),
        };
        let frame = golden(include_str!("golden/value.v1.hex"));
        assert_eq!(
            (decode_value(&frame), &encode_value(&value)[..]),
            (Ok(value), &frame[..])
        );
        let manifest = Manifest {
            generation: 7,
            count: 500,
            digest: std::array::from_fn(|i| i as u8),
        };
        let frame = golden(include_str!("golden/manifest.v1.hex"));
        assert_eq!(
            (decode_manifest(&frame), &encode_manifest(&manifest)[..]),
            (Ok(manifest), &frame[..])
        );
    }

    #[test]
    fn golden_replicas_decode_for_ever() {
        let served = |generation, micros| Served {
            generation,
            since: Timestamp::from_micros(micros),
            settled: generation - 1,
        };
        let named = |name: &str| Namespace::new(name).expect("key");
        let replica = Replica {
            id: "assignment-0.a_b".into(),
            served: BTreeMap::from([(named("default"), served(7, -1)), (named("shop"), served(1, 2))]),
        };
        let keys = Keys::new("/assay");
        let key = keys.replica(&replica.id);
        assert_eq!(key, "/assay-replicas/assignment-0.a_b");
        let frame = golden(include_str!("golden/replica.v1.hex"));
        assert_eq!(encode_replica(&replica)[..], frame[..]);
        assert_eq!(decode_replica(&keys, key.as_bytes(), &frame), Ok(replica));
        assert!(decode_replica(&keys, b"/assay-replicas/a/b", &frame).is_err());
        assert_eq!(keys.parse(key.as_bytes()), None, "no resource");
    }

    #[test]
    fn keys_are_parsed_as_they_are_made() {
        let keys = Keys::new("/assay/");
        let here = Namespace::new("shop.production").expect("key");
        assert_eq!(
            keys.resource(&here, "flag/gate"),
            "/assay/shop.production/r/flag/gate"
        );
        let resource = keys.parse(keys.resource(&here, "flag/gate").as_bytes());
        assert_eq!(resource, Some(Name::Resource(here.clone(), "flag/gate".into())));
        assert_eq!(
            keys.parse(keys.manifest(&here).as_bytes()),
            Some(Name::Manifest(here))
        );
        for odd in [
            "",
            "/assay",
            "/assay/",
            "/assay/x",
            "/assay/x/",
            "/assay/x/r/",
            "/assay/x/manifest/",
            "/assay/-x/manifest",
            "/other/x/manifest",
        ] {
            assert_eq!(keys.parse(odd.as_bytes()), None, "{odd}");
        }
        assert_eq!(keys.parse(b"/assay/\xff/manifest"), None);
    }

    #[test]
    fn no_bytes_can_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for length in 0..200 {
            let bytes: Vec<u8> = (0..length)
                .map(|i| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    if i == 0 {
                        (state >> 62) as u8
                    } else {
                        (state >> 56) as u8
                    }
                })
                .collect();
            let _ = (
                decode_value(&bytes),
                decode_manifest(&bytes),
                decode_replica(&Keys::new(""), b"-replicas/a", &bytes),
                Keys::new("").parse(&bytes),
            );
        }
    }
}
