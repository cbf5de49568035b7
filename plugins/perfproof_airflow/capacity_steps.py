"""What capacity and cost are reckoned from: the samples of the baseline, the observed peak, the price; and the cost of the change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfproof.artifacts import Artifact
from perfproof.config import Service
from perfproof.errors import PerfproofError
from perfproof.prices import Price, price_from, price_of
from perfproof.telemetry import MetricKind
from perfproof_airflow.cycle import Cycle, now

CAPACITY = "evidence/capacity.json"
COST_CHANGE = "evidence/cost-change.json"
MEASUREMENT = "evidence/measurement.json"


def analyze(cycle: Cycle, *, scenarios: Sequence[Mapping[str, Any]], baseline: Mapping[str, Any]) -> dict[str, Any]:
    """Publishes evidence/capacity.json. A price that AWS does not answer stops nothing: the table is used, and the document says so."""
    from perfproof.capacity import capacity_document
    from perfproof_airflow.load_steps import observed_peaks

    services = [cycle.protocol.service(name) for name in cycle.parameters.services]
    inputs = [*scenarios, baseline]

    def produce() -> dict[str, Any]:
        quoted, refused = quoted_price(cycle)
        return capacity_document(
            services,
            load_documents=[cycle.document(reference) for reference in scenarios],
            baseline=cycle.document(baseline),
            profile=cycle.profile,
            cost=cycle.protocol.cost,
            optimizations=cycle.protocol.optimizations,
            now=now(),
            derived_from=[cycle.source(reference) for reference in inputs],
            observed=observed_peaks(cycle, {service.name for service in services}),
            samples={service.name: utilization_samples(cycle, service) for service in services},
            quoted=quoted,
            refused=refused,
        )

    return cycle.publish(CAPACITY, produce, inputs=inputs)


def quoted_price(cycle: Cycle) -> tuple[Price | None, str | None]:
    """The price of the AWS Price List, or None and why; both None where the protocol file does not ask for it."""
    from perfproof_airflow.hooks.aws_prices import AwsPricesHook

    wanted = cycle.protocol.cost.aws
    if wanted is None:
        return None, None
    try:
        return AwsPricesHook(wanted.connection).price(wanted, currency=cycle.protocol.cost.currency, fetched_at=now()), None
    except PerfproofError as error:
        return None, str(error)


def utilization_samples(cycle: Cycle, service: Service) -> dict[str, list[float]]:
    """The samples of each utilization metric in the baseline's window; none where the source's answer is no series."""
    from perfproof.load.observed_peak import samples_in

    name = f"evidence/baseline-{service.name}.json"
    if cycle.store.live(name) is None:
        return {}
    answers = cycle.document(name).get("answers", {})
    wanted = [metric.name for metric in service.metrics if metric.kind is MetricKind.UTILIZATION]
    return {metric: samples_in(str(answers[metric])) for metric in wanted if metric in answers}


def publish_cost_change(cycle: Cycle) -> dict[str, Any] | None:
    """Publishes evidence/cost-change.json: both sides of the measured blocks by the price that capacity.json used.

    None if the cycle has no measurement, analysis or validation.
    """
    from perfproof.cost_change import cost_change

    names, live = (MEASUREMENT, CAPACITY, Artifact.VALIDATION_REPORT), cycle.store.live_all()
    if any(name not in live for name in names):
        return None
    inputs = [cycle.reference(name) for name in names]
    measurement, capacity, validation = (cycle.document(reference) for reference in inputs)
    service = cycle.protocol.service(measurement["service"])
    used = next((s["cost"].get("price") for s in capacity["services"] if s["service"] == service.name), None)
    price = price_from(used or {}) or price_of(service.name, cost=cycle.protocol.cost)
    optimizations = validation.get("optimizations") or [validation["optimization_id"]]
    return cycle.publish(
        COST_CHANGE, lambda: cost_change(measurement, service=service, price=price, optimizations=optimizations), inputs=inputs
    )
