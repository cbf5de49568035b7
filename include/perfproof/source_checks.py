"""What a source of a protocol file must name, and what it can be a source of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfproof.config_ranges import check_positive
from perfproof.config_refusals import check_identifier, check_unique, refusal

if TYPE_CHECKING:
    from perfproof.config import Protocol, Source

LONGEST_LOOKBACK_HOURS = 24 * 90


@dataclass(frozen=True, slots=True)
class _Form:
    """What a kind of source needs, and what it can provide; `also` may be given too. Names as `perfproof.config.sources` has them."""

    needs: tuple[str, ...]
    provides: tuple[str, ...]
    also: tuple[str, ...] = ()


_METRICS = ("metrics",)
_ANYTHING = ("metrics", "logs", "traces", "alerts", "incidents", "deployments", "backlog")
FORMS: Mapping[str, _Form] = {
    "prometheus": _Form(("connection", "probe"), _METRICS),
    "cloudwatch": _Form(("connection", "probe"), _METRICS),
    "datadog": _Form(("connection", "probe"), _METRICS),
    "openmetrics": _Form(("connection", "probe"), _METRICS),
    "metric_file": _Form(("path", "probe"), _METRICS),
    "json_lines": _Form(("path",), ("logs", "traces")),
    "cloudwatch_logs": _Form(("connection", "query"), ("logs",)),
    "jaeger": _Form(("connection", "query"), ("traces",)),
    "tempo": _Form(("connection", "query"), ("traces",)),
    "xray": _Form(("connection",), ("traces",), ("query",)),
    "alertmanager": _Form(("connection",), ("alerts",), ("query",)),
    "cloudwatch_alarms": _Form(("connection",), ("alerts",), ("query",)),
    "pagerduty": _Form(("connection",), ("incidents",), ("query",)),
    "git_tags": _Form(("path",), ("deployments",), ("query", "service")),
    "airflow_runs": _Form(("connection", "query"), ("deployments",), ("service",)),
    "artifact": _Form(("artifact",), _ANYTHING),
}
_PLACES = ("connection", "probe", "path", "artifact", "query", "service")


def check_sources(protocol: Protocol, where: str) -> None:
    """Raises ConfigError for a source that lacks what its kind needs, or that names what its kind cannot use."""
    check_unique([s.name for s in protocol.sources], f"{where}.sources", "source")
    artifacts, services = {a.name for a in protocol.prerequisites}, {s.name for s in protocol.services}
    for source in protocol.sources:
        place = f"{where}.sources[{source.name}]"
        check_identifier(source.name, f"{place}.name")
        _check_form(source, place)
        if source.artifact and source.artifact not in artifacts:
            raise refusal(148, f"{place}.artifact", "not among the prerequisites", "add it there", got=source.artifact)
        if source.service is not None and source.service not in services:
            raise refusal(171, f"{place}.service", "unknown service", "name one of the services", got=source.service)
        check_positive(source.lookback_hours, f"{place}.lookback_hours", most=LONGEST_LOOKBACK_HOURS, number=145)
    if not any(s.provides == "metrics" and s.critical for s in protocol.sources):
        raise refusal(149, f"{where}.sources", "no critical source of metrics", "declare one")


def _check_form(source: Source, place: str) -> None:
    form = FORMS[source.kind]
    for key in form.needs:
        if not getattr(source, key):
            raise refusal(147, place, f"a source of kind {source.kind} needs {key}", f"add {key}")
    for key in _PLACES:
        if getattr(source, key) is not None and key not in (*form.needs, *form.also):
            raise refusal(250, f"{place}.{key}", f"a source of kind {source.kind} has no {key}", "remove it", got=getattr(source, key))
    if source.provides not in form.provides:
        raise refusal(
            252, f"{place}.provides", f"a source of kind {source.kind} cannot provide it", "correct kind or provides",
            got=source.provides.value, expected=" or ".join(form.provides),
        )  # fmt: skip
