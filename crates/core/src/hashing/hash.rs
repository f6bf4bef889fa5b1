//! From a unit id to a bucket, without allocating: what is constant is hashed when a snapshot is compiled.

use md5::{Digest, Md5};

use super::{
    FlagdKey, FlagdVersion, GrowthBookVersion,
    functions::{Fnv1a, Murmur3},
};
use crate::bucketing::Seed;

/// The seed with which Unleash draws variants; its rollouts have 0.
pub const UNLEASH_VARIANT_SEED: u32 = 86_028_157;

/// One hash, ready for unit ids.
#[derive(Debug, Clone)]
pub struct Hash(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Xxh3(Seed),
    /// `fnv1a(id ‖ seed) mod 1000`.
    GrowthBook1 {
        seed: String,
    },
    /// `fnv1a(decimal(fnv1a(seed ‖ id))) mod 10000`.
    GrowthBook2 {
        seeded: Fnv1a,
    },
    /// The absolute value of the signed hash.
    Absolute {
        seeded: Murmur3,
    },
    /// `(hash × buckets) >> 32`.
    Scaled {
        seeded: Murmur3,
        buckets: u32,
    },
    /// The same, the id in a CBOR text behind `before`, and `prefix` before it in that text.
    Cbor {
        before: Murmur3,
        prefix: String,
        buckets: u32,
    },
    /// `hash mod buckets`.
    Modulo {
        seeded: Murmur3,
        buckets: u32,
    },
    /// The first four bytes of the MD5, modulo `buckets`.
    Md5 {
        seeded: Md5,
        buckets: u32,
    },
}

impl Hash {
    /// Assay's own.
    pub fn xxh3(seed: Seed) -> Self {
        Self(Kind::Xxh3(seed))
    }

    /// GrowthBook's, with `seed`.
    pub fn growthbook(version: GrowthBookVersion, seed: &str) -> Self {
        Self(match version {
            GrowthBookVersion::V1 => Kind::GrowthBook1 {
                seed: seed.to_owned(),
            },
            GrowthBookVersion::V2 => Kind::GrowthBook2 {
                seeded: Fnv1a::default().text(seed),
            },
        })
    }

    /// flagd's, of which [`FlagdVersion::Percent`] has buckets from 0 to 2³¹ whatever `buckets` says.
    pub fn flagd(version: FlagdVersion, key: &FlagdKey, buckets: u32) -> Self {
        let (FlagdKey::Flag(text) | FlagdKey::Prefix(text)) = key;
        let nothing = Murmur3::new(0);
        let seeded = nothing.bytes(text.as_bytes());
        Self(match (version, key) {
            (FlagdVersion::Percent, _) => Kind::Absolute { seeded },
            (FlagdVersion::Scaled, _) => Kind::Scaled { seeded, buckets },
            (FlagdVersion::Cbor, FlagdKey::Flag(flag)) => Kind::Cbor {
                // An array of two: the key of the flag, and what follows.
                before: cbor_text(nothing.bytes(&[0x82]), flag.len()).bytes(flag.as_bytes()),
                prefix: String::new(),
                buckets,
            },
            (FlagdVersion::Cbor, FlagdKey::Prefix(prefix)) => Kind::Cbor {
                before: nothing,
                prefix: prefix.clone(),
                buckets,
            },
        })
    }

    /// Unleash's, from 0 where Unleash counts from 1.
    pub fn unleash(seed: u32, group: &str, buckets: u32) -> Self {
        let seeded = Murmur3::new(seed).bytes(group.as_bytes()).bytes(b":");
        Self(Kind::Modulo { seeded, buckets })
    }

    /// Eppo's shard.
    pub fn eppo(salt: &str, buckets: u32) -> Self {
        let seeded = Md5::new().chain_update(salt).chain_update("-");
        Self(Kind::Md5 { seeded, buckets })
    }

    /// The bucket of a unit id. Where the number of buckets was given as 0 it is 0.
    pub fn bucket(&self, unit_id: &str) -> u32 {
        let id = unit_id.as_bytes();
        match &self.0 {
            Kind::Xxh3(seed) => seed.bucket(unit_id),
            Kind::GrowthBook1 { seed } => Fnv1a::default().text(unit_id).text(seed).finish() % 1_000,
            Kind::GrowthBook2 { seeded } => {
                Fnv1a::default().decimal(seeded.text(unit_id).finish()).finish() % 10_000
            }
            Kind::Absolute { seeded } => (seeded.bytes(id).finish() as i32).unsigned_abs(),
            Kind::Scaled { seeded, buckets } => scaled(seeded.bytes(id).finish(), *buckets),
            Kind::Cbor {
                before,
                prefix,
                buckets,
            } => {
                let head = cbor_text(*before, prefix.len().saturating_add(id.len()));
                scaled(head.bytes(prefix.as_bytes()).bytes(id).finish(), *buckets)
            }
            Kind::Modulo { seeded, buckets } => modulo(seeded.bytes(id).finish(), *buckets),
            Kind::Md5 { seeded, buckets } => {
                let digest: [u8; 16] = seeded.clone().chain_update(id).finalize().into();
                let [a, b, c, d, ..] = digest;
                modulo(u32::from_be_bytes([a, b, c, d]), *buckets)
            }
        }
    }
}

/// The head of a CBOR text of `n_bytes` behind `hash`.
fn cbor_text(hash: Murmur3, n_bytes: usize) -> Murmur3 {
    let n = u32::try_from(n_bytes).unwrap_or(u32::MAX);
    let [.., c, d] = n.to_be_bytes();
    match n {
        0..24 => hash.bytes(&[0x60 | d]),
        24..0x100 => hash.bytes(&[0x78, d]),
        0x100..0x1_0000 => hash.bytes(&[0x79, c, d]),
        _ => hash.bytes(&[0x7a]).bytes(&n.to_be_bytes()),
    }
}

#[expect(clippy::arithmetic_side_effects, reason = "a product of two u32 fits 64 bits")]
fn scaled(hash: u32, buckets: u32) -> u32 {
    ((u64::from(hash) * u64::from(buckets)) >> 32) as u32
}

fn modulo(hash: u32, buckets: u32) -> u32 {
    hash.checked_rem(buckets).unwrap_or(0)
}
