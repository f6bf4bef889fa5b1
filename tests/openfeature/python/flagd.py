"""The official Python provider of flagd: version 2 over gRPC."""

import os
import time

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import CacheType, ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from scenarios import assay, check, details, eventually, refused, server

DUTCH = EvaluationContext("u1", {"country": "NL", "tags": ["a", "b"]})
NOBODY = EvaluationContext()

provider = FlagdProvider(
    host="127.0.0.1",
    port=int(os.environ["FLAGD_PORT"]),
    resolver_type=ResolverType.RPC,
    cache=CacheType.LRU,
    deadline_ms=2000,
    retry_backoff_ms=100,
    retry_backoff_max_ms=500,
    retry_grace_period=30,
)
heard = []
api.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda e: heard.append(("changed", e.flags_changed)))
api.add_handler(ProviderEvent.PROVIDER_STALE, lambda e: heard.append(("stale", None)))
api.add_handler(ProviderEvent.PROVIDER_READY, lambda e: heard.append(("ready", None)))
api.set_provider_and_wait(provider)
client = api.get_client()

# Values, variants, reasons.
check("flagd: split", details(client.get_boolean_details("gate", False, DUTCH)), (True, "on", "SPLIT"))
other = EvaluationContext("u1", {"country": "DE"})
check("flagd: not targeted", details(client.get_boolean_details("gate", True, other)), (False, "off", "DEFAULT"))
check("flagd: paused", details(client.get_boolean_details("paused", True, DUTCH)), (False, "off", "DEFAULT"))
qa = EvaluationContext("qa")
told = client.get_boolean_details("overridden", False, qa)
check("flagd: override", details(told), (True, "override", "TARGETING_MATCH"))

# Zero values are values, not the caller's default.
check("flagd: false", details(client.get_boolean_details("zero-bool", True, DUTCH)), (False, "zero", "DEFAULT"))
check("flagd: empty text", details(client.get_string_details("zero-string", "x", DUTCH)), ("", "zero", "DEFAULT"))
check("flagd: integer 0", details(client.get_integer_details("zero-number", 7, DUTCH)), (0, "zero", "DEFAULT"))
check("flagd: float 0", details(client.get_float_details("zero-number", 7.0, DUTCH)), (0.0, "zero", "DEFAULT"))
check("flagd: float", details(client.get_float_details("half", 7.0, DUTCH)), (0.5, "half", "DEFAULT"))
zeros = {"n": 0, "s": "", "b": False}
check("flagd: object", details(client.get_object_details("zero-object", {}, DUTCH)), (zeros, "zero", "DEFAULT"))

# Errors.
told = client.get_boolean_details("nowhere", True, DUTCH)
check("flagd: unknown flag", refused(told), (True, Reason.ERROR, ErrorCode.FLAG_NOT_FOUND))
told = client.get_string_details("zero-bool", "x", DUTCH)
check("flagd: another type", refused(told), ("x", Reason.ERROR, ErrorCode.TYPE_MISMATCH))
told = client.get_integer_details("half", 7, DUTCH)
check("flagd: a lossy number", refused(told), (7, Reason.ERROR, ErrorCode.TYPE_MISMATCH))
told = client.get_boolean_details("gate", True, NOBODY)
check("flagd: no targeting key", refused(told), (True, Reason.ERROR, ErrorCode.GENERAL))

# Caching: a winner may be kept ten seconds after its generation has come; then it is, for everyone.
eventually("flagd: static", 20, lambda: client.get_string_details("done", "", DUTCH).reason == "STATIC")
other = EvaluationContext("somebody else")
check("flagd: cached", details(client.get_string_details("done", "", other)), ("new", "new", "CACHED"))

# Changes: heard within a second, and what was kept is forgotten.
heard.clear()
assay("flag", "update", "change-python", "--name", f"changed at {time.time()}")
eventually("flagd: a change is heard", 1, lambda: ("changed", ["change-python"]) in heard)
check("flagd: of one flag alone", [what for what in heard if what[0] == "changed"], [("changed", ["change-python"])])
assay("flag", "update", "done", "--name", f"changed at {time.time()}")
eventually("flagd: what was kept is forgotten", 1, lambda: client.get_string_details("done", "", DUTCH).reason != "CACHED")

# Another namespace.
elsewhere = FlagdProvider(
    host="127.0.0.1",
    port=int(os.environ["FLAGD_PORT"]),
    resolver_type=ResolverType.RPC,
    selector="flagSetId=elsewhere",
    deadline_ms=2000,
)
api.set_provider_and_wait(elsewhere, domain="elsewhere")
told = api.get_client("elsewhere").get_boolean_details("gate", True, DUTCH)
check("flagd: another namespace", refused(told), (True, Reason.ERROR, ErrorCode.FLAG_NOT_FOUND))

# Reconnect: stale while the platform is away, ready when it is back.
heard.clear()
server("stop")
eventually("flagd: stale", 10, lambda: ("stale", None) in heard)
heard.clear()
server("start")
eventually("flagd: ready again", 20, lambda: ("ready", None) in heard)
check("flagd: answers again", details(client.get_boolean_details("gate", False, DUTCH)), (True, "on", "SPLIT"))
api.shutdown()
