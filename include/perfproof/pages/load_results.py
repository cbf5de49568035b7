"""Load tests: what was offered and what came back, and the curve over the steps of a test that climbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfproof.pages.blocks import Chart, Code, Mark, Paragraph, Ref, ShownBlock, Subheading, Table, Tone
from perfproof.pages.charts import Line, lines_chart, number
from perfproof.report.blocks import figure, percent

PERCENTILES = (("p50", "pp-a"), ("p95", "pp-b"), ("p99", "pp-c"))
STATUSES = {"met": Tone.GOOD, "breached": Tone.BAD}


def load_results(document: Mapping[str, Any]) -> tuple[ShownBlock, ...]:
    """Every scenario of the document, its targets, its curve and its rows."""
    blocks: list[ShownBlock] = [
        Paragraph(f"{issue.get('service')}: {issue.get('issue')}", mark=Mark(str(issue.get("severity")), Tone.WARNING))
        for issue in document.get("bottlenecks") or ()
    ]
    for scenario in document["scenarios"]:
        blocks += _scenario(scenario)
    return tuple(blocks)


def load_test(document: Mapping[str, Any]) -> tuple[ShownBlock, ...]:
    """One load test as it was measured."""
    if "scenario" not in document or "requests" not in document:
        return ()
    return tuple(_scenario(document))


def _scenario(scenario: Mapping[str, Any]) -> list[ShownBlock]:
    reasons = "; ".join(str(reason) for reason in scenario.get("invalid_reasons") or ())
    mark = Mark("valid", Tone.GOOD) if scenario.get("valid") is True else Mark("INVALID", Tone.BAD)
    endpoint = f" against the {scenario['endpoint']}" if scenario.get("endpoint") else ""
    told = (
        f"{scenario.get('service')}{endpoint}, build {scenario.get('build')}: {figure(scenario.get('requests'))} requests in "
        f"{figure(scenario.get('seconds'), 's')} from {scenario.get('started_at')}, {figure(scenario.get('errors'))} errors. {reasons}"
    )
    blocks: list[ShownBlock] = [Subheading(f"Scenario {scenario.get('scenario')}"), Paragraph(told, mark=mark)]
    steps = scenario.get("steps") or ()
    if steps:
        blocks += [*curve(steps, name=str(scenario.get("scenario"))), steps_table(steps)]
    results = scenario.get("results") or {}
    if results:
        blocks.append(Table(("What", "Measured", "95 % at most", "Target", "Status"), tuple(_targets(results)), "Targets of the scenario"))
    elif scenario.get("latency"):
        blocks.append(_measured(scenario))
    transactions = scenario.get("by_transaction") or {}
    if transactions:
        rows = tuple(
            (name, figure(one.get("requests")), figure(one.get("errors")), *(figure(one.get(p), "ms") for p, _ in PERCENTILES),
             ", ".join(map(str, one.get("too_few_samples_for") or ())) or None)
            for name, one in transactions.items()
        )  # fmt: skip
        blocks.append(Table(("Transaction", "Requests", "Errors", "p50", "p95", "p99", "Too few samples for"), rows, "By transaction"))
    if scenario.get("fault"):
        fault = scenario["fault"]
        facts = tuple((str(key).replace("_", " "), value if isinstance(value, bool) else str(value)) for key, value in fault.items())
        blocks.append(Table(("Fault", ""), facts))
    if isinstance(scenario.get("rows"), Mapping):
        rows_of = scenario["rows"]
        blocks.append(Table(("Requests one by one", "SHA-256"), ((Ref(str(rows_of.get("name"))), Code(str(rows_of.get("sha256")))),)))
    return blocks


def curve(steps: Sequence[Mapping[str, Any]], *, name: str) -> list[ShownBlock]:
    """Latency and throughput over the offered rate."""
    rates = [number(step.get("rate")) for step in steps]
    latency = [Line(p, kind, tuple(zip(rates, (number(s.get(p)) for s in steps), strict=True))) for p, kind in PERCENTILES]
    reached = [
        Line("offered", "pp-c", tuple((rate, rate) for rate in rates)),
        Line("answered", "pp-a", tuple(zip(rates, (number(s.get("throughput")) for s in steps), strict=True))),
    ]
    found: list[ShownBlock] = []
    for lines, what, unit in ((latency, "Latency", "ms"), (reached, "Throughput", "requests/s")):
        title = f"{what} over the offered rate, {name}"
        svg = lines_chart(lines, title=title, x_label="offered requests/s", y_label=unit)
        if svg is not None:
            found.append(Chart(svg, title))
    return found


def steps_table(steps: Sequence[Mapping[str, Any]]) -> Table:
    """The steps of a test that climbs."""
    header = ("Offered", "Seconds", "Complete", "Requests", "Errors", "Dropped", "Throughput", "At once", "p50", "p95", "p99", "Error rate")
    rows = tuple(
        (
            figure(s.get("rate"), "req/s"), figure(s.get("seconds")), s.get("complete"), figure(s.get("requests")), figure(s.get("errors")),
            figure(s.get("dropped")), figure(s.get("throughput"), "req/s"), figure(s.get("concurrency")),
            *(figure(s.get(p), "ms") for p, _ in PERCENTILES), percent(s.get("error_rate")),
        )
        for s in steps
    )  # fmt: skip
    return Table(header, rows, "Steps, in the order of the rate")


def _targets(results: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for name, one in results.items():
        unit = one.get("unit")
        if name == "latency":
            upper, targets, statuses = (one.get(key) or {} for key in ("upper_95", "targets", "statuses"))
            rows += [
                (f"latency {p}", *(figure(part.get(p), unit) for part in (one, upper, targets)), _status(statuses.get(p)))
                for p, _ in PERCENTILES
                if p in one
            ]
        else:
            shown = str(name).replace("_", " ")
            figures = (figure(one.get(key), unit) for key in ("actual", "upper_95", "target"))
            rows.append((shown, *figures, _status(one.get("status"))))
    return rows


def _measured(scenario: Mapping[str, Any]) -> Table:
    latency, service_time, upper = (scenario.get(key) or {} for key in ("latency", "service_time", "upper_95"))
    rows: list[tuple[Any, ...]] = [
        (f"latency {p}", *(figure(part.get(p), "ms") for part in (latency, upper, service_time))) for p, _ in PERCENTILES
    ]
    rows += [
        ("throughput", figure(scenario.get("throughput"), "req/s"), None, None),
        ("error rate", percent(scenario.get("error_rate")), percent(upper.get("error_rate")), None),
    ]
    header = ("What", "Measured", "95 % at most", "From the real start")
    return Table(header, tuple(rows), "What was measured; latency from the intended start")


def _status(status: Any) -> Any:
    return None if status is None else Mark(str(status), STATUSES.get(str(status), Tone.WARNING))
