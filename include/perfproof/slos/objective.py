"""An objective with everything that an export of it needs, and its form in the SLO proposal."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfproof.config import Service, Slo
from perfproof.errors import ArtifactError
from perfproof.slos.burn_rates import DAY, Alerts, Traffic, burn_rate_alerts
from perfproof.slos.indicator import Indicator, SliKind, indicator
from perfproof.slos.promql import filled
from perfproof.strict import build
from perfproof.telemetry import Direction, MetricKind, Unit

PERIOD_DAYS = 30
MAX_PERIOD_DAYS = 366
# Where no objective was ever in force and the metric itself states none.
FIRST_PERCENT = 99.0
TRAFFIC = {SliKind.REQUESTS: Traffic(100, 5), SliKind.SAMPLES: Traffic(30, 3)}
PLAIN = re.compile(r"[a-z0-9 _-]+")


@dataclass(frozen=True, slots=True)
class Objective:
    """`percent` of the events must keep `target` over `period_days`. `query` is the metric's own, with its placeholders.

    `buckets` are the upper ends, in the histogram's own unit, that the metric's histogram is known to have.
    """

    name: str
    service: str
    metric: str
    kind: MetricKind
    unit: Unit
    direction: Direction
    target: float
    percent: float
    period_days: int
    query: str
    instance: str
    escalation: str
    buckets: tuple[float, ...] = ()

    @property
    def slo(self) -> str:
        """The objective as one word of lower-case letters, digits and dashes; a name that is not such a word adds a digest of it."""
        lower = self.name.lower()
        words = re.sub(r"[^a-z0-9]+", "-", f"{self.service} {lower}").strip("-")[:80].strip("-")
        if PLAIN.fullmatch(lower) and len(lower) <= 60:
            return words
        return f"{words}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"

    @property
    def indicator(self) -> Indicator:
        """What counts as good."""
        return indicator(
            self.query, where=f"query of {self.metric}", kind=self.kind, unit=self.unit, direction=self.direction,
            target=self.target, buckets=self.buckets,
        )  # fmt: skip

    @property
    def alerts(self) -> Alerts:
        """The burn-rate alerts on it, with the low-traffic guard of its kind of events."""
        return self.alerts_on(self.indicator.kind)

    def alerts_on(self, kind: SliKind) -> Alerts:
        """The same alerts with the low-traffic guard of another kind of events."""
        return burn_rate_alerts(self.percent, traffic=TRAFFIC[kind], period=self.period_days * DAY)

    def filled(self, query: str, window: str) -> str:
        """`query` with instance, service and window in place."""
        return filled(query, instance=self.instance, service=self.service, window=window)


def objective_of(
    service: Service,
    *,
    metric: str,
    target: float,
    slo: Slo | None,
    period_days: int = PERIOD_DAYS,
    buckets: Sequence[float] = (),
) -> Objective:
    """The objective on a metric of `service` with that target; `slo` is the one in force, None for a first one.

    A metric that states its share itself (95 % of the requests for a p95 in a histogram) keeps to that; else the share is the
    objective in force, or 99 % for a first one.
    """
    spec = service.metric(metric)
    if spec is None:
        raise ArtifactError(574, where="SLO", what="not a metric of the service", got=metric, fix="correct the protocol file")
    found = Objective(
        name=slo.name if slo else metric,
        service=service.name,
        metric=metric,
        kind=spec.kind,
        unit=spec.unit,
        direction=spec.direction,
        target=target,
        percent=slo.objective_percent if slo else FIRST_PERCENT,
        period_days=period_days,
        query=spec.query,
        instance=service.endpoints.baseline.instance,
        escalation=slo.escalation_policy if slo else "UNKNOWN",
        buckets=tuple(buckets),
    )
    stated = found.indicator.percent
    return found if stated is None else dataclasses.replace(found, percent=stated)


def objective_document(objective: Objective) -> dict[str, Any]:
    """The objective as the SLO proposal holds it."""
    return {**dataclasses.asdict(objective), "buckets": list(objective.buckets)}


def read_objective(document: Any, *, where: str) -> Objective:
    """The objective that `objective_document` wrote. Raises ArtifactError for anything that no export may be made of."""
    found = build(Objective, document, where=where, error=ArtifactError)
    checks: Mapping[str, bool] = {
        "service": 0 < len(found.service) <= 200,
        "name": 0 < len(found.name) <= 200,
        "target": math.isfinite(found.target),
        "percent": 0 < found.percent <= 100,
        "period_days": 0 < found.period_days <= MAX_PERIOD_DAYS,
        "buckets": all(math.isfinite(bucket) for bucket in found.buckets),
        "instance": len(found.instance) <= 300,
    }
    for field, holds in checks.items():
        if not holds:
            raise ArtifactError(575, where=f"{where}.{field}", what="out of range", got=getattr(found, field), fix="propose again")
    found.indicator  # noqa: B018  raises for a query that is not closed
    return found


def require_distinct(objectives: Sequence[Objective]) -> None:
    """Raises ArtifactError if two objectives would have the same name in an export."""
    seen: dict[str, str] = {}
    for objective in objectives:
        other = seen.setdefault(objective.slo, objective.name)
        if other != objective.name or sum(o.slo == objective.slo for o in objectives) > 1:
            raise ArtifactError(576, where="SLO", what="two objectives of one name", got=[other, objective.name], fix="rename one")
