"""The preview as people read it in a terminal: one fact a line, whatever stands in the protocol file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from perfproof.errors import quoted

LINE_LENGTH = 600
PHASES = {0: "prerequisites", 1: "phase 1", 2: "phase 2", 3: "phase 3", 4: "phase 4"}


def preview_text(document: Mapping[str, Any]) -> str:
    """`document` in lines. Control characters of names and texts are written as escapes: none of them reaches the terminal."""
    parts = (_head, _missing, _asked, _load, _duration, _services, _sources, _gates)
    return "".join(f"{quoted(line, LINE_LENGTH)}\n" for part in parts for line in part(document))


def _head(document: Mapping[str, Any]) -> Iterator[str]:
    run = document["run"]
    yield f"{document['status']}: protocol {run['protocol']} ({run['protocol_sha256'][:12]}), load profile {run['load_profile']}"
    yield f"  objective: {run['objective']}"
    how = "interleaved" if run["comparison"] == "interleaved" else "one after the other"
    yield f"  target: {run['target_metric']} of {run['target_service']}; baseline and candidate {how}; environment {run['environment']}"
    yield f"  triggered by: {run['requester'] or 'nobody was named'}"


def _missing(document: Mapping[str, Any]) -> Iterator[str]:
    for title, halts in (("missing, and will halt the run", True), ("missing, and the run goes on", False)):
        items = [item for item in document["missing"] if item["halts"] is halts]
        if items:
            yield f"{title}:"
        for item in items:
            yield f"  {item['kind']} {item['name']} (at {item['at']}): {item['reason']}. Fix: {item['fix']}"
    if document["unchecked"]:
        yield f"not looked at: {'; '.join(document['unchecked'])}"


def _asked(document: Mapping[str, Any]) -> Iterator[str]:
    yield "who is asked for what, in this order:"
    for request in document["asked"]:
        subject = f" of {request['subject']}" if request["subject"] else ""
        condition = f", {request['condition']}" if request["condition"] else ""
        mark = {"yes": "", "no": " [NOBODY CAN]", "depends": " [depends on the plan]"}[request["answerable"]]
        yield f"  {request['order']}. {request['step']}{subject} ({PHASES[request['phase']]}{condition}){mark}: {request['asks']}"
        for role in request["roles"]:
            yield f"     {role['label']}: {', '.join(map(_person, role['people'])) or 'nobody'}"


def _person(person: Mapping[str, Any]) -> str:
    stands_in = f", for {person['deputy_for']} from {person['days']}" if person["deputy_for"] else ""
    cannot = {"yes": "", "no": "; cannot answer", "depends": "; may not be able to"}[person["answers"]]
    why = f": {person['reason']}" if person["reason"] else ""
    return f"{person['name']} [{person['id']}{stands_in}{cannot}{why}]"


def _load(document: Mapping[str, Any]) -> Iterator[str]:
    load = document["load"]
    yield "load of one round:"
    for test in load["tests"]:
        times = f"{test['times']}" if test["times"] == test["times_at_most"] else f"{test['times']} to {test['times_at_most']}"
        rates = ", ".join(f"{rate:g}" for rate in test["rates"])
        about = f"; {test['about']}" if test["about"] else ""
        yield (
            f"  {times} x {test['scenario']} to {test['target']} ({test['service']}): {rates} requests/s,"
            f" {test['seconds']:g} s, of which {test['warmup_seconds']:g} s warm-up, {test['requests']} requests{about}"
        )
    for words, total in (("at least", load["expected"]), ("at most", load["at_most"])):
        yield f"  {words} {total['tests']} tests, {_span(total['seconds'])}, {total['requests']} requests"
    yield f"  looks after {', '.join(map(str, load['looks']))} blocks a side"
    yield from _authorization(load)


def _authorization(load: Mapping[str, Any]) -> Iterator[str]:
    allowed = load["authorization"]
    targets = ", ".join(f"{target['host']}:{target['port']}" for target in allowed["targets"])
    yield f"the SRE lead is asked to authorize, from the moment the prerequisites are verified, for {_span(load['window_seconds'])}:"
    yield f"  targets {targets}; at most {allowed['max_rate']:g} requests/s and {allowed['max_duration_seconds']:g} s a test"
    yield f"  {allowed['max_tests']} tests in all, which is room for {load['rounds_authorized']} whole rounds"
    abort = allowed["abort"]
    limits = f"{abort['error_rate_percent']:g} % errors or {abort['p99_ms']:g} ms p99 over {abort['over_seconds']:g} s"
    yield f"  each test ends itself above {limits}"
    for name, words in allowed["planned"].items():
        yield f"  {name}: {words}"
    yield f"  {_span(load['left_for_people_seconds'])} of the window are left for people and deployments"


def _duration(document: Mapping[str, Any]) -> Iterator[str]:
    duration = document["duration"]
    yield f"duration: {_range(duration['measured_seconds'], duration['measured_seconds_at_most'])} are measured, {duration['about']}"
    for part in duration["parts"]:
        if part["seconds_at_most"]:
            yield f"  {part['what']}: {_range(part['seconds'], part['seconds_at_most'])}"
    people = duration["people"]
    requests = (
        f"{people['requests']}"
        if people["requests"] == people["requests_at_most"]
        else f"{people['requests']} to {people['requests_at_most']}"
    )
    yield f"  waiting for people: {requests} requests, each open for {_span(people['at_most_seconds_each'])} at most"


def _services(document: Mapping[str, Any]) -> Iterator[str]:
    yield "services:"
    for service in document["services"]:
        candidate = service["candidate"]["target"] if service["candidate"] else "none"
        yield f"  {service['name']} (owner {service['owner']['id']}): baseline {service['baseline']['target']}, candidate {candidate}"
        for transaction in service["transactions"]:
            changes = ", may change data" if transaction["may_change_data"] else ""
            share = transaction["share_percent"]
            yield f"    {transaction['name']}: {transaction['method']} {transaction['path']}, {share:g} % of the requests{changes}"
    if document["optimizations"]:
        yield "optimizations that the plan can take:"
    for item in document["optimizations"]:
        when = "named" if item["planned"] == "named" else "if a finding supports it"
        yield f"  {item['id']} {item['title']} ({item['service']}, owner {item['owner']['id']}, {item['risk']} risk): {when}"


def _sources(document: Mapping[str, Any]) -> Iterator[str]:
    yield "sources:"
    for source in document["sources"]:
        critical = "critical" if source["critical"] else "optional"
        asks = f", asked {source['asks']}" if source["asks"] else ""
        back = f" for the last {source['lookback_hours']:g} h" if source["lookback_hours"] else ""
        answer = source["answer"]
        said = "" if answer is None else "; answers" if answer["status"] == "ok" else f"; does not answer: {answer['reason']}"
        yield f"  {source['name']} ({source['kind']}, {source['provides']}, {critical}): {source['at']}{asks}{back}{said}"
    yield "queries of the baseline:"
    for query in document["queries"]:
        yield f"  {query['service']}/{query['metric']} [{query['unit']}] from {query['source']}: {query['query']}"
    for check in document["mirror"]:
        within = f"{check['production']:g} within {check['tolerance_percent']:g} %"
        yield f"  mirrors production: {check['name']} is {within} ({check['kind']}: {check['query']})"


def _gates(document: Mapping[str, Any]) -> Iterator[str]:
    for gate in document["gates"]:
        yield f"gate {gate['gate']} ({gate['name']}):"
        yield from _criteria(gate["criteria"])


def _criteria(criteria: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for criterion in criteria:
        waivable = "" if criterion["waivable"] else ", cannot be waived"
        yield f"  {criterion['criterion']} {criterion['comparison']} {criterion['threshold']:g}: {criterion['words']}{waivable}"


def _range(least: float, most: float) -> str:
    return _span(least) if least == most else f"{_span(least)} to {_span(most)}"


def _span(seconds: float) -> str:
    """Seconds as people say them: 45 s, 0:07:14, 3 days, 0:00:00."""
    return f"{seconds:g} s" if abs(seconds) < 60 else str(timedelta(seconds=round(seconds)))
