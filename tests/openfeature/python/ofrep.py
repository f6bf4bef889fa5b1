"""The official Python provider of OFREP, and a tracking call."""

import json
import os

import requests
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.track import TrackingEventDetails
from scenarios import assay, check, details, eventually, refused

URL = os.environ["OFREP_URL"]
DUTCH = EvaluationContext("tracked", {"country": "NL"})


class TrackingProvider(OFREPProvider):
    """With the one method that the protocol has no place for yet."""

    def track(self, tracking_event_name, evaluation_context=None, tracking_event_details=None):
        details = tracking_event_details or TrackingEventDetails()
        call = {
            "name": tracking_event_name,
            "context": {"targetingKey": evaluation_context.targeting_key},
            "details": {"value": details.value, **details.attributes},
        }
        headers = self.headers_factory() if self.headers_factory else None
        requests.post(f"{URL}/ofrep/v1/track", json=call, headers=headers, timeout=5).raise_for_status()


api.set_provider_and_wait(TrackingProvider(URL))
client = api.get_client()

told = client.get_boolean_details("gate", False, DUTCH)
check("ofrep: split", details(told), (True, "on", "SPLIT"))
check("ofrep: metadata", told.flag_metadata["experiment"], "gate-test")
check("ofrep: false", details(client.get_boolean_details("zero-bool", True, DUTCH)), (False, "zero", "DEFAULT"))
check("ofrep: empty text", details(client.get_string_details("zero-string", "x", DUTCH)), ("", "zero", "DEFAULT"))
check("ofrep: integer 0", details(client.get_integer_details("zero-number", 7, DUTCH)), (0, "zero", "DEFAULT"))
check("ofrep: float", details(client.get_float_details("half", 7.0, DUTCH)), (0.5, "half", "DEFAULT"))
zeros = {"n": 0, "s": "", "b": False}
check("ofrep: object", details(client.get_object_details("zero-object", {}, DUTCH)), (zeros, "zero", "DEFAULT"))
told = client.get_boolean_details("nowhere", True, DUTCH)
check("ofrep: unknown flag", refused(told), (True, Reason.ERROR, ErrorCode.FLAG_NOT_FOUND))
told = client.get_string_details("zero-bool", "x", DUTCH)
check("ofrep: another type", refused(told), ("x", Reason.ERROR, ErrorCode.TYPE_MISMATCH))
told = client.get_boolean_details("gate", True, EvaluationContext())
check("ofrep: no targeting key", refused(told), (True, Reason.ERROR, ErrorCode.TARGETING_KEY_MISSING))

# A tracking call is an event of the metric, of a unit that was exposed above.
client.track("purchase", DUTCH, TrackingEventDetails(12.5, {"currency": "EUR"}))
print("ok: ofrep: a tracking call reaches ingest")


def counted():
    """Whether analysis has counted the event, of the unit that was exposed above."""
    results = json.loads(assay("results", "gate-test", "-o", "json"))
    variants = {variant["variantKey"]: variant for variant in results["metrics"][0]["variants"]}
    return variants["on"]["nonzeroUnits"] > 0


eventually("ofrep: and analysis counts it", 30, counted)
api.shutdown()
