"""The unit ids of all vectors, written to ids.json: short, long, Unicode, and every length that a hash treats apart."""
import json, unicodedata, uuid

ids = [str(n) for n in range(60)] + list("aZ~-_ :") + ["true", "null", "NaN", "0.5", "-1", " leading", "trailing ", "a b", "user/42"]
ids += [f"user-{n * 7919}" for n in range(80)]
ids += [str(uuid.uuid5(uuid.NAMESPACE_DNS, str(n))) for n in range(80)]
ids += [f"player.{n}@example.com" for n in range(30)]
# Every tail of murmur3, the block of MD5 with its padding, and the lengths at which a CBOR text needs a longer head.
ids += ["x" * n for n in [*range(2, 9), 21, 22, 23, 24, 25, 54, 55, 56, 57, 62, 63, 64, 65, 119, 120, 128, 254, 255, 256, 257, 1000]]
words = ["é", "naïve café", "Zürich", "Ωmega", "Привет", "日本語", "한국어", "עברית", "नमस्ते", "😀", "a😀b", "👩‍👩‍👧‍👦", "\u00a0", "ÿ", "Ā", "\uffff", "\U0010ffff"]
ids += words + [unicodedata.normalize("NFD", w) for w in words] + [w * 40 for w in words]
ids = list(dict.fromkeys(ids))
with open("ids.json", "w", encoding="utf-8") as file:
    json.dump(ids, file, ensure_ascii=True, separators=(",", ":"))
    file.write("\n")
print(len(ids))
