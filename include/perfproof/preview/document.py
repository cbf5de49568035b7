"""The preview as one document; its parts are made by the modules beside this one."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from perfproof.config import Protocol, SourceKind
from perfproof.errors import PerfproofError
from perfproof.moments import stamp
from perfproof.parameters import Parameters
from perfproof.prerequisites import examine_artifacts
from perfproof.preview.found import Found
from perfproof.preview.gates import gate_documents
from perfproof.preview.load_sent import Round, load_document, load_of_round, seconds_by_task
from perfproof.preview.missing import missing_documents
from perfproof.preview.people import asked_documents
from perfproof.preview.subject import (
    chosen_services,
    optimization_documents,
    query_documents,
    service_documents,
    source_documents,
    target_service,
)

VERSION = 1
SECONDS_PER_DAY = 86_400
NOT_COUNTED = "without waiting for people, deployments, and what the tasks compute between the tests"


def preview(
    protocol: Protocol, parameters: Parameters, *, requester: str | None, now: datetime, found: Found | None = None
) -> dict[str, Any]:
    """What a run with these parameters would do if `requester` triggered it now.

    JSON types only: {document, version, made_at, status, run, services, optimizations, sources, queries, mirror, artifacts, load, asked,
    duration, gates, missing, unchecked}. `status` is "ready", or "incomplete" if something in `missing` will halt the run.
    `requester` None: nobody was named, so nobody is refused for having asked.
    """
    facts = found or Found()
    sent = load_of_round(protocol, parameters)
    refused: list[PerfproofError] = list(sent.refused)
    queries: list[dict[str, Any]] = []
    try:
        queries = query_documents(protocol, parameters)
    except PerfproofError as error:
        refused.append(error)
    artifacts = [] if facts.files is None else examine_artifacts(protocol, facts.files, now=now)
    asked = asked_documents(protocol, parameters, requester=requester, now=now)
    missing = missing_documents(protocol, parameters, found=facts, artifacts=artifacts, asked=asked, refused=refused)
    return {
        "document": "plan-preview",
        "version": VERSION,
        "made_at": stamp(now),
        "status": "incomplete" if any(item["halts"] for item in missing) else "ready",
        "run": _run(protocol, parameters, requester),
        "services": service_documents(protocol, parameters),
        "optimizations": optimization_documents(protocol, parameters),
        "sources": source_documents(protocol, None if facts.answers is None else dict(facts.answers)),
        "queries": queries,
        "mirror": [
            {
                "name": check.name,
                "kind": check.kind.value,
                "query": check.query,
                "production": check.production,
                "tolerance_percent": round(100 * check.tolerance, 3),
            }
            for check in protocol.environment.mirrors_production
        ],
        "artifacts": artifacts,
        "load": load_document(protocol, parameters, sent, now=now),
        "asked": asked,
        "duration": _duration(protocol, parameters, sent, asked),
        "gates": gate_documents(protocol),
        "missing": missing,
        "unchecked": _unchecked(protocol, facts, requester),
    }


def _run(protocol: Protocol, parameters: Parameters, requester: str | None) -> dict[str, Any]:
    target = target_service(protocol, parameters)
    return {
        "protocol": parameters.protocol,
        "protocol_sha256": protocol.digest,
        "requester": requester or None,
        "environment": parameters.environment,
        "objective": parameters.objective,
        "services": list(parameters.services),
        "target_metric": parameters.target_metric,
        "target_service": target.name,
        "load_profile": parameters.load_profile,
        "comparison": "one_after_the_other" if target.endpoints.candidate is None else "interleaved",
    }


def _duration(protocol: Protocol, parameters: Parameters, sent: Round, asked: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds of what is measured, and apart from it how many requests the run waits for if every gate passes."""
    parts = [_baseline_window(protocol, parameters), *seconds_by_task(sent.tests)]
    named, deployed = bool(parameters.optimizations), [request for request in asked if request["step"] == "implementation"]
    always = sum(1 for request in asked if request["condition"] is None and request["step"] != "implementation")
    return {
        "parts": parts,
        "measured_seconds": round(math.fsum(part["seconds"] for part in parts), 3),
        "measured_seconds_at_most": round(math.fsum(part["seconds_at_most"] for part in parts), 3),
        "people": {
            "requests": always + (len(deployed) if named else min(1, len(deployed))),
            "requests_at_most": always + len(deployed),
            "at_most_seconds_each": protocol.approvals.expires_after_days * SECONDS_PER_DAY,
        },
        "about": NOT_COUNTED,
    }


def _baseline_window(protocol: Protocol, parameters: Parameters) -> dict[str, Any]:
    """A window of recorded samples lies behind; one that is scraped by the run itself begins when it is asked for."""
    scraped = {source.name for source in protocol.sources if source.kind is SourceKind.OPENMETRICS}
    waiting = [s.name for s in chosen_services(protocol, parameters) if scraped & {spec.source for spec in s.metrics}]
    window = protocol.baseline.window_seconds
    return {
        "phase": 1,
        "what": "intake_and_baseline.capture_baseline",
        "seconds": window if waiting else 0.0,
        # The services are captured side by side, as far as the workers have room.
        "seconds_at_most": window * len(waiting),
    }


def _unchecked(protocol: Protocol, found: Found, requester: str | None) -> list[str]:
    looked = (
        (requester, "whether the person who triggers the run would have to approve it: nobody was named"),
        (found.files, "the files of the prerequisites"),
        (found.directories, "write permission to evidence, context kit and instrumentation"),
        (found.connections, "whether the Connections exist"),
        (found.answers, "whether the sources answer"),
    )
    unchecked = [words for seen, words in looked if seen is None or seen == ""]
    if protocol.environment.mirrors_production:
        unchecked.append("whether the test environment mirrors production")
    return [*unchecked, "whether the services answer, name the environment, and can be profiled"]
