"""Makes the golden vectors of this folder: `pip install xxhash==4.1.0 && python make.py`.

Written from the formula alone, with hashlib's SHA-256 and the reference XXH3 of the `xxhash` package.
"""

import hashlib
import json
import struct

import xxhash

DOMAINS = ["layer", "holdout", "coverage", "split", "partition"]
SALTS = ["", "a", "salt", "7f3c9b5e", "соль", "🎲", "split", "x" * 64, "y" * 1000]
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-_.ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WORDS = [
    "42", "user-1", "116", "00000000-0000-4000-8000-000000000000", "a b", " ", "ключ", "ユーザー", "用户42",
    "🎮", "👩‍👩‍👧‍👦", "é", "e\u0301", "user/42", "null", "0", "-1", "\u200b", "mail@example.org", "%20",
]


def delimited(text):
    data = text.encode()
    return struct.pack(">I", len(data)) + data


def seed(domain, salt):
    return int.from_bytes(hashlib.sha256(delimited(domain) + delimited(salt)).digest()[:8], "big")


def of_length(n):
    return "".join(ALPHABET[(i * i + 7 * i + n) % len(ALPHABET)] for i in range(n))


def bucket_case(domain, salt, unit_id):
    s = seed(domain, salt)
    h = xxhash.xxh3_64_intdigest(unit_id.encode(), seed=s)
    # 64-bit numbers are texts: not every JSON reader keeps them exact.
    return {"domain": domain, "salt": salt, "unit_id": unit_id,
            "seed": str(s), "hash": str(h), "bucket": h * 1_000_000 >> 64}


def partition_case(namespace, kind, unit_id, partitions):
    h = xxhash.xxh3_64_intdigest(f"{kind}/{unit_id}".encode(), seed=seed("partition", namespace))
    return {"namespace": namespace, "kind": kind, "unit_id": unit_id,
            "partitions": partitions, "partition": h * partitions >> 64}


def write(name, cases):
    with open(name, "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "\n]\n")


buckets = [bucket_case(d, s, w) for d in DOMAINS for s in SALTS for w in ["42", "用户42"]]
buckets += [bucket_case("split", "7f3c9b5e", w) for w in WORDS]
buckets += [bucket_case(DOMAINS[n % len(DOMAINS)], "7f3c9b5e", of_length(n)) for n in range(1, 301)]
write("buckets.json", buckets)

write("partitions.json", [
    partition_case(ns, kind, unit_id, n)
    for ns in ["default", "shop-production"]
    for kind, unit_id in [("user", w) for w in WORDS] + [("device", "42"), ("session", of_length(250))]
    for n in [1, 2, 3, 16, 1000]
])
