//! The hash functions of other systems, fed piece by piece so that what is constant is hashed once.

/// FNV-1a with 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fnv1a(u32);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Fnv1a {
    /// With `text` behind it, by UTF-16 code units as JavaScript has them: outside ASCII this is not FNV-1a of the bytes.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        let units = text.encode_utf16();
        Self(units.fold(self.0, |hash, unit| {
            (hash ^ u32::from(unit)).wrapping_mul(0x0100_0193)
        }))
    }

    /// With the decimal digits of `number` behind it.
    #[must_use]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "ten to a place of a u32 fits a u32 and is not 0"
    )]
    pub fn decimal(self, number: u32) -> Self {
        let digits = (0..=number.checked_ilog10().unwrap_or(0)).rev();
        Self(digits.fold(self.0, |hash, place| {
            let digit = (number / 10_u32.saturating_pow(place)) % 10;
            (hash ^ (u32::from(b'0').saturating_add(digit))).wrapping_mul(0x0100_0193)
        }))
    }

    /// The hash.
    pub fn finish(self) -> u32 {
        self.0
    }
}

/// `MurmurHash3`, x86, 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Murmur3 {
    hash: u32,
    /// The bytes that do not fill a block yet, the first lowest.
    block: u32,
    n_bytes: u32,
}

impl Murmur3 {
    /// Nothing hashed yet.
    pub fn new(seed: u32) -> Self {
        Self {
            hash: seed,
            block: 0,
            n_bytes: 0,
        }
    }

    /// With `bytes` behind it.
    #[must_use]
    #[expect(clippy::arithmetic_side_effects, reason = "a number below 4, times 8")]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.block |= u32::from(*byte) << (8 * (self.n_bytes % 4));
            self.n_bytes = self.n_bytes.wrapping_add(1);
            if self.n_bytes.is_multiple_of(4) {
                self.hash = (self.hash ^ scrambled(self.block))
                    .rotate_left(13)
                    .wrapping_mul(5)
                    .wrapping_add(0xe654_6b64);
                self.block = 0;
            }
        }
        self
    }

    /// The hash.
    pub fn finish(self) -> u32 {
        // An empty block scrambles to 0.
        let mut hash = self.hash ^ scrambled(self.block) ^ self.n_bytes;
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
        hash ^ (hash >> 16)
    }
}

fn scrambled(block: u32) -> u32 {
    block
        .wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `seed,key,hash` of Split's python client, by its own native murmur3.
    #[test]
    fn murmur3_is_that_of_the_golden_vectors() {
        let rows = include_str!("../../../../testdata/hashes/murmur3.csv");
        let rows: Vec<_> = rows.lines().skip(1).collect();
        assert_eq!(rows.len(), 500);
        for row in rows {
            let [seed, key, hash, ..] = *row.split(',').collect::<Vec<_>>() else {
                panic!("{row}");
            };
            let got = Murmur3::new(seed.parse::<i32>().unwrap() as u32).bytes(key.as_bytes());
            assert_eq!(
                got.finish().to_string(),
                hash,
                "murmur3 decides for flagd and Unleash: {row}"
            );
        }
    }

    #[test]
    fn fnv1a_has_the_published_values() {
        for (text, hash) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968)] {
            assert_eq!(
                Fnv1a::default().text(text).finish(),
                hash,
                "FNV-1a decides for GrowthBook: {text}"
            );
        }
    }

    proptest! {
        #[test]
        fn pieces_hash_as_the_whole(seed: u32, text in ".{0,40}", more in ".{0,40}", number: u32) {
            let whole = format!("{text}{more}");
            let pieces = Murmur3::new(seed).bytes(text.as_bytes()).bytes(more.as_bytes());
            prop_assert_eq!(pieces.finish(), Murmur3::new(seed).bytes(whole.as_bytes()).finish());
            prop_assert_eq!(Fnv1a::default().text(&text).text(&more), Fnv1a::default().text(&whole));
            prop_assert_eq!(Fnv1a::default().decimal(number), Fnv1a::default().text(&number.to_string()));
        }
    }
}
