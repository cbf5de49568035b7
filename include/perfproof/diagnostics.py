"""The profiling step of phase 2: the profile document of a service, diagnostic coverage, and profiling-report.md."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from perfproof import markdown
from perfproof.config import Service
from perfproof.errors import ProfileError
from perfproof.findings import HOT_PATH, HOT_SHARE, findings_of
from perfproof.moments import stamp
from perfproof.profile_formats.collapsed import parse_collapsed
from perfproof.profiles import Profile, hot_functions, hot_paths, normalise
from perfproof.query_plans import plan_lines

# A share of 25 percent is known to +-11 points (95 percent confidence) from 60 samples; from fewer nothing is said.
MIN_SAMPLES = 60
# What the profiler could not read may be anything; beyond this share of all samples the rest is no picture of the whole.
MAX_UNREAD = 0.1
MIN_REQUESTS = 10
SHOWN_FUNCTIONS = 25
SHOWN_PLAN_LINES = 60
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")

Reference = Mapping[str, str]


def profile_document(
    *,
    service: Service,
    build: str,
    profiler: str,
    collapsed_text: str,
    seconds: float,
    rate_hz: float,
    requests_by_transaction: Mapping[str, int],
    collapsed: Reference,
    flame_graph: Reference,
    min_samples: int = MIN_SAMPLES,
) -> dict[str, Any]:
    """`evidence/profile-<service>.json` (shape 5): where the CPU time went, and whether the profile is conclusive.

    `requests_by_transaction` counts what each transaction received while the profiler ran. `collapsed` and `flame_graph`
    refer to the stored stacks and drawing. Status `inconclusive` with its reason is a result; to halt is the caller's.
    """
    profile = normalise(parse_collapsed(collapsed_text, where=f"profile of {service.name}"))
    transactions = [
        {
            "name": t.name,
            "weight": t.weight,
            "profiled": t.profiled and requests_by_transaction.get(t.name, 0) >= MIN_REQUESTS,
            "requests": requests_by_transaction.get(t.name, 0),
        }
        for t in service.transactions
    ]
    reasons = _inconclusive(service, profile, requests_by_transaction, min_samples)
    return {
        "service": service.name,
        "profiler": profiler,
        "build": build,
        "seconds": seconds,
        "rate_hz": rate_hz,
        "samples": profile.samples,
        "waiting_samples": profile.waiting,
        "unread_samples": profile.unread,
        "transactions": transactions,
        "hot_functions": [
            {"function": f.function, "self_percent": _percent(f.own), "total_percent": _percent(f.total)} for f in hot_functions(profile)
        ],
        "hot_paths": [
            {"frames": [{"function": name, "total_percent": _percent(share)} for name, share in p.frames], "self_percent": _percent(p.own)}
            for p in hot_paths(profile, share=HOT_SHARE)
        ],
        "collapsed": dict(collapsed),
        "flame_graph": dict(flame_graph),
        "status": "inconclusive" if reasons else "ok",
        "reason": "; ".join(reasons) or None,
    }


def _percent(share: float) -> float:
    return round(100 * share, 2)


def _inconclusive(service: Service, profile: Profile, requests: Mapping[str, int], min_samples: int) -> list[str]:
    reasons = []
    if profile.samples < min_samples:
        text = f"{profile.samples} samples of running code, at least {min_samples} are needed"
        reasons.append(f"{text} ({profile.waiting} more were of waiting threads)" if profile.waiting else text)
    if profile.unread > MAX_UNREAD * (profile.samples + profile.unread):
        reasons.append(f"{profile.unread} samples could not be read by the profiler")
    for transaction in service.transactions:
        count = requests.get(transaction.name, 0)  # a mapping, not the library  # nosec B113
        if transaction.profiled and count < MIN_REQUESTS:
            reasons.append(
                f"transaction {transaction.name} received {count} requests while it was profiled, at least {MIN_REQUESTS} are needed"
            )
    if not any(t.profiled for t in service.transactions):
        reasons.append("the protocol file marks no transaction as profiled")
    return reasons


def diagnostic_coverage(
    profiles: Iterable[Mapping[str, Any]], *, services: Sequence[Service], traffic: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """The coverage score in percent: the lower of the plain share of services profiled and the traffic share of profiled transactions.

    A service counts when its profile is conclusive. `traffic` is requests/s by service; without it each service counts
    the same, and `traffic_basis` says so. Raises ProfileError for no services, or traffic that is not a number.
    """
    if not services:
        raise ProfileError(141, where="diagnostic coverage", what="no prioritized services", fix="name at least one service")
    conclusive = {p["service"]: p for p in profiles if p["status"] == "ok" and any(t["profiled"] for t in p["transactions"])}
    shares = _traffic_shares(services, traffic)
    carried = 0.0
    for service in services:
        if service.name in conclusive:
            profiled = {t["name"] for t in conclusive[service.name]["transactions"] if t["profiled"]}
            carried += shares[service.name] * _weight(service, profiled) / _weight(service, {t.name for t in service.transactions})
    missing = [s.name for s in services if s.name not in conclusive]
    plain = 100 * (len(services) - len(missing)) / len(services)
    return {
        "diagnostic_coverage": round(min(plain, 100 * carried), 4),
        "services_profiled": len(services) - len(missing),
        "services_required": len(services),
        "missing_services": missing,
        "plain_percent": round(plain, 4),
        "traffic_percent": round(100 * carried, 4),
        "traffic_basis": "requests per second by service" if traffic else "every service counts the same: their traffic was not given",
    }


def _weight(service: Service, names: set[str]) -> float:
    return math.fsum(t.weight for t in service.transactions if t.name in names)


def _traffic_shares(services: Sequence[Service], traffic: Mapping[str, float] | None) -> dict[str, float]:
    if traffic is None:
        return {s.name: 1 / len(services) for s in services}
    rates = {s.name: traffic.get(s.name, math.nan) for s in services}
    for name, rate in rates.items():
        if not math.isfinite(rate) or rate < 0:
            raise ProfileError(
                142, where=f"traffic of {name}", what="not a rate of 0 or more", got=rate, fix="give its requests per second"
            )
    total = math.fsum(rates.values())
    if not total:
        raise ProfileError(143, where="traffic", what="no service has any", fix="send traffic while profiling")
    return {name: rate / total for name, rate in rates.items()}


def profiling_report(
    *, profiles: Sequence[Mapping[str, Any]], plans: Mapping[str, Any] | None, coverage: Mapping[str, Any], now: datetime
) -> str:
    """profiling-report.md: coverage, flame graphs with the hot functions, and query plans with what they show."""
    parts = ["# Profiling report", f"Made {stamp(now)}.", "## Coverage", _coverage(coverage), "## Flame graphs"]
    parts += [_profile(p) for p in profiles] or ["No profile was taken."]
    parts.append("## Query plans")
    services = plans["services"] if plans else []
    parts += [_service_plans(s) for s in services] or ["No query plans were taken."]
    return "\n\n".join(parts) + "\n"


def _coverage(coverage: Mapping[str, Any]) -> str:
    missing = ", ".join(markdown.text(name) for name in coverage["missing_services"]) or "none"
    profiled = f"{coverage['services_profiled']} of {coverage['services_required']}"
    return (
        f"Diagnostic coverage is {coverage['diagnostic_coverage']:g} percent: the lower of {coverage['plain_percent']:g} percent of the "
        f"prioritized services ({profiled}) and {coverage['traffic_percent']:g} percent of their traffic "
        f"({markdown.text(coverage['traffic_basis'])}). Not profiled: {missing}."
    )


def _profile(document: Mapping[str, Any]) -> str:
    taken = f"{markdown.text(document['profiler'])}, {document['seconds']:g} s at {document['rate_hz']:g} Hz"
    samples = f"{document['samples']} samples of running code ({document['waiting_samples']} of waiting threads left out)"
    status = f"{document['status']}, {markdown.text(document['reason'])}" if document["reason"] else document["status"]
    lines = [
        f"### {markdown.text(document['service'])}",
        f"Build {markdown.code(document['build'])}, {taken}: {samples}. Status: {status}.",
        _picture(document["flame_graph"], f"Flame graph of {document['service']}"),
        markdown.table(
            ["Transaction", "Share of traffic", "Requests while profiled", "Profiled"],
            [[t["name"], f"{t['weight']:g}", t["requests"], "yes" if t["profiled"] else "no"] for t in document["transactions"]],
        ),
    ]
    lines += [f"- **hot path**: {markdown.text(f.text)}" for f in findings_of([document], None) if f.kind == HOT_PATH]
    rows = [
        [markdown.Cell(markdown.code(f["function"])), f"{f['self_percent']:.1f}", f"{f['total_percent']:.1f}"]
        for f in document["hot_functions"][:SHOWN_FUNCTIONS]
    ]
    lines.append(markdown.table(["Function", "Own %", "With callees %"], rows) if rows else "No function was seen running.")
    return "\n\n".join(lines)


def _picture(reference: Mapping[str, str], title: str) -> str:
    name = reference["name"]
    link = f"![{markdown.text(title)}]({name})" if _NAME.match(name) else markdown.code(name)
    return f"{link}\n\n{markdown.code(name)}, SHA-256 {markdown.code(reference['sha256'])}"


def _service_plans(service: Mapping[str, Any]) -> str:
    requests = "unknown" if service["requests"] is None else f"{service['requests']:,}"
    lines = [f"### {markdown.text(service['service'])}", f"Requests while counted: {requests}."]
    lines += [f"- {markdown.text(f['text'])}" for f in service["findings"]]
    if not service["statements"]:
        lines.append("The database reported no statements.")
    for number, statement in enumerate(service["statements"], start=1):
        lines.append(f"#### Statement {number}")
        lines.append(markdown.block(statement["statement"], language="sql"))
        lines.append(
            f"{statement['calls']:,} calls, {statement['total_ms']:,.1f} ms in all, mean {_number(statement['mean_ms'])} ms, "
            f"{statement['rows']:,} rows, {_number(statement['share_percent'])} percent of the database's time."
        )
        lines += [f"- **{f['kind'].replace('_', ' ')}**: {markdown.text(f['text'])}" for f in statement["findings"]]
        if statement["error"]:
            lines.append(f"Note: {markdown.text(statement['error'])}")
        if statement["plan"]:
            title = "Plan, run with the sample parameters:" if statement["analyzed"] else "Plan, not run (planned rows only):"
            lines += [title, markdown.block("\n".join(plan_lines(statement["plan"])[:SHOWN_PLAN_LINES]))]
    return "\n\n".join(lines)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.3g}"
