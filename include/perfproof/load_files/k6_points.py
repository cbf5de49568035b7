"""What the samples of k6 mean, in CSV and in JSON alike."""

from __future__ import annotations

import math

from perfproof.errors import ArtifactError
from perfproof.load_files.byte_stream import ByteStream
from perfproof.load_files.form import LoadFile, Requests, Tool
from perfproof.load_files.limits import CLOSED, FROM_SENDING
from perfproof.load_files.refusals import no_measurement, unusable

DURATION = "http_req_duration"
DROPPED = "dropped_iterations"
NO_HTTP = "give the results of a test with HTTP requests; gRPC, WebSocket and browser metrics are not read"

MODEL = f"{CLOSED}; that holds unless the scenario's executor is constant-arrival-rate or ramping-arrival-rate, which the file does not say"
WITHOUT_CONNECTING = "http_req_duration is without the time to connect and for TLS, and without waiting for a free connection"
WHOLE_SECONDS = "times are whole seconds and of the end: blocks are exact to a second (K6_CSV_TIME_FORMAT=unix_milli is finer)"


def outside_of_the_test(group: str) -> bool:
    """Whether a request belongs to setup() or teardown(), which are no load."""
    return group.startswith(("::setup", "::teardown"))


def without_result(where: str) -> ArtifactError:
    """The refusal of samples that say neither whether the answer was expected nor its status."""
    return unusable(where, "whether a request failed is not in the file", "keep the system tags expected_response and status")


def k6_file(stream: ByteStream, form: str, requests: Requests, *, dropped: float, staged: int, coarse: bool) -> LoadFile:
    """The file of `requests`. `dropped` iterations, `staged` requests of setup and teardown, `coarse` times in whole seconds."""
    if not (0 <= dropped < 2**53 and math.floor(dropped) == dropped):
        raise no_measurement(stream.where, "no count of dropped iterations", got=dropped)
    limits = [MODEL, FROM_SENDING, WITHOUT_CONNECTING, *([WHOLE_SECONDS] if coarse else [])]
    left_out = [f"{staged} requests of setup() and teardown()"] if staged else []
    return LoadFile(Tool.K6, form, requests, None, tuple(limits), tuple(left_out + stream.incomplete()), dropped=int(dropped))
