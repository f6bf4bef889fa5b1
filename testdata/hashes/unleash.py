"""Writes unleash.json: what Unleash gives each id of ids.json: the place of its variant, -1 where the rollout leaves it out.

The package `UnleashClient` decides by `yggdrasil-engine`, which is called here as it calls it.
"""
import json

from yggdrasil_engine.engine import UnleashEngine

ids = json.load(open("ids.json", encoding="utf-8"))
weights = [[500, 500], [334, 333, 333], [1, 999], [0, 1000], [100, 200, 300, 400], [1] * 7, [50, 50], [250, 0, 750], [1000]]
settings = [(g, r, w) for g in ("checkout", "группа") for r in (100, 50, 1, 0, 37) for w in weights]
cases = []
for group, rollout, shares in settings:
    variants = [
        {"name": f"v{i}", "weight": share, "stickiness": "userId", "payload": {"type": "string", "value": "x"}}
        for i, share in enumerate(shares)
    ]
    # The variants are those of the feature, which hashes its own name; the rollout hashes its group.
    parameters = {"groupId": f"{group}-rollout", "rollout": str(rollout), "stickiness": "userId"}
    strategy = {"name": "flexibleRollout", "parameters": parameters, "constraints": []}
    feature = {"name": group, "enabled": True, "type": "release", "strategies": [strategy], "variants": variants}
    engine = UnleashEngine()
    engine.take_state(json.dumps({"version": 2, "features": [feature]}))
    answers = []
    for id in ids:
        context = {"userId": id}
        found = engine.is_enabled(group, context).is_enabled and engine.get_variant(group, context).variant
        answers.append(int(found.name[1:]) if found else -1)
    cases.append({"rollout_group": f"{group}-rollout", "variant_group": group, "rollout": rollout, "weights": shares, "answers": answers})
with open("unleash.json", "w", encoding="utf-8") as file:
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    file.write(f"[\n{lines}\n]\n")
print(len(cases), "cases of", len(ids))
