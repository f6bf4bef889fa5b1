"""Writes flagd.answers.json: what PyPI `openfeature-flagd-core` 1.0.0 serves of flagd.json to each unit."""
import json

from openfeature.contrib.tools.flagd.core.flagd_core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

core = FlagdCore()
core.set_flags(open("flagd.json", encoding="utf-8").read())
audiences = [
    {"level": 1},
    {"country": "DE", "app": "2.1.0", "level": 6},
    {"country": "DE", "app": "2.0.9", "level": 5},
    {"country": "FR", "email": "ann@shop.example", "app": "3.0.0", "level": 9},
    {"country": "US", "app": "10.0.0", "level": 7.5},
]
flags = ["new-page", "color", "limit"]
answers = []
for attributes in audiences:
    for n in range(200):
        id = f"user-{n}" if n % 10 else f"ü-{n}"
        context = EvaluationContext(targeting_key=id, attributes=attributes)
        values = [
            core.resolve_boolean_value("new-page", False, context).value,
            core.resolve_string_value("color", "", context).value,
            core.resolve_integer_value("limit", 0, context).value,
        ]
        answers.append([id, attributes, values])
with open("flagd.answers.json", "w", encoding="utf-8") as file:
    lines = ",\n".join(json.dumps(answer, separators=(",", ":")) for answer in answers)
    file.write(f'{{"flags":{json.dumps(flags)},"answers":[\n{lines}\n]}}\n')
