"""Writes flagd.VERSION.json: the place of the variant that flagd's `fractional` gives each id of ids.json, -1 for none.

`python flagd.py VERSION`, run once for each of the three forms that the operator has had, with the package that README.md names.
"""
import json, sys, types

version = sys.argv[1]
if version == "1":
    from openfeature.contrib.provider.flagd.resolvers.process.targeting import targeting
else:
    from openfeature.contrib.tools.flagd.core.targeting import targeting

ids = json.load(open("ids.json", encoding="utf-8"))
weights = [[50, 50], [1, 1, 1], [10, 90], [0, 100], [1, 9999], [3334, 3333, 3333], [33, 33, 34], [7, 0, 13, 5], [1] * 7, [5000, 5000], [100]]
if version != "1":
    weights += [[2_000_000_000, 147_483_647], [1, 2_147_483_646]]
long = "k" * 30
var = {"var": "targetingKey"}
keys = [
    ("shorthand", "new-page", None),
    ("shorthand", "заголовок", None),
    ("shorthand", long, None),
    ("text", "", var),
    ("text", "salt-", {"cat": ["salt-", var]}),
    ("text", long, {"cat": [long, var]}),
]
cases = []
for kind, text, by in keys:
    for shares in weights:
        entries = [[f"v{i}", share] for i, share in enumerate(shares)]
        rule = {"fractional": [by, *entries] if by else entries}
        answers = []
        for id in ids:
            context = types.SimpleNamespace(attributes={}, targeting_key=id)
            found = targeting(text, rule, context)
            answers.append(int(found[1:]) if found else -1)
        cases.append({"key": {kind: text}, "weights": shares, "answers": answers})
with open(f"flagd.{version}.json", "w", encoding="utf-8") as file:
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    file.write(f"[\n{lines}\n]\n")
print(len(cases), "cases of", len(ids))
