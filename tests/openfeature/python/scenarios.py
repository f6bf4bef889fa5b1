"""What all scenarios in Python need."""

import os
import subprocess
import time


def check(name, told, expected):
    """Says that it is so, or ends the run."""
    if told != expected:
        raise SystemExit(f"FAILED: {name}: {told!r}, expected {expected!r}")
    print(f"ok: {name}")


def eventually(name, within, condition):
    """The first true answer of the condition, which must come within this many seconds."""
    end = time.monotonic() + within
    while True:
        told = condition()
        if told:
            print(f"ok: {name}")
            return told
        if time.monotonic() > end:
            raise SystemExit(f"FAILED: {name}: not within {within} s")
        time.sleep(0.01)


def assay(*args):
    """What an operator's verb prints."""
    done = subprocess.run([os.environ["ASSAY"], *args], check=True, capture_output=True, text=True)
    return done.stdout


def server(what):
    """Starts or stops the platform."""
    subprocess.run([os.environ["SERVER"], what], check=True)


def details(told):
    """What is looked at of an answer."""
    return (told.value, told.variant, told.reason)


def refused(told):
    """What is looked at of an answer that is none."""
    return (told.value, told.reason, told.error_code)
