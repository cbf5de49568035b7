"""What a protocol file may not say about a service: its traffic, metrics, guards and objectives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfproof.config_ranges import check_service_numbers
from perfproof.config_refusals import check_identifier, check_unique, refusal
from perfproof.load.requests import is_allowed_method, placeholders, request_problem

if TYPE_CHECKING:
    from perfproof.config import Protocol, Service, Transaction


def check_service(protocol: Protocol, service: Service, where: str) -> None:
    """Raises ConfigError for the first thing in `service` that contradicts itself or the rest of the file."""
    check_identifier(service.name, f"{where}.name")
    if protocol.person(service.owner) is None:
        raise refusal(150, f"{where}.owner", "not a person of any role", "add the person to a role", got=service.owner)
    _check_traffic(service, where)
    _check_metrics(protocol, service, where)
    _check_guards(service, where)
    check_unique([s.name for s in service.slos], f"{where}.slos", "objective")
    for slo in service.slos:
        metric = service.metric(slo.metric)
        if metric is None:
            raise refusal(158, f"{where}.slos[{slo.name}].metric", "not a metric of this service", "name one", got=slo.metric)
        if slo.unit != metric.unit:
            raise refusal(
                159, f"{where}.slos[{slo.name}].unit", "not the unit of its metric", "give the target in that unit",
                got=slo.unit.value, expected=metric.unit.value,
            )  # fmt: skip
    check_service_numbers(service, where)


def _check_traffic(service: Service, where: str) -> None:
    if not service.transactions or sum(t.weight for t in service.transactions) <= 0:
        raise refusal(151, f"{where}.transactions", "no traffic", "give transactions with positive weights")
    check_unique([t.name for t in service.transactions], f"{where}.transactions", "transaction")
    for transaction in service.transactions:
        place = f"{where}.transactions[{transaction.name}]"
        check_identifier(transaction.name, f"{place}.name")
        if not is_allowed_method(transaction) or not is_request_path(transaction.path) or transaction.weight < 0:
            raise refusal(
                152, place, "only GET, HEAD and POST with a body, a path from /, and a weight of 0 or more",
                "correct it", got=f"{transaction.method} {transaction.path} {transaction.weight:g}",
            )  # fmt: skip
        problem = request_problem(transaction)
        if problem is not None:
            raise refusal(
                271, f"{place}.{problem.key}", problem.what, "correct it, or leave it out", got=problem.got, expected=problem.expected
            )
        _check_parameters(transaction, place)


def _check_parameters(transaction: Transaction, where: str) -> None:
    in_path, in_body = placeholders(transaction)
    if in_path | in_body != set(transaction.parameters):
        raise refusal(
            192, where, "path and parameters do not fit", "give each {name} of the path a range, and only what path or body name",
            got=sorted(transaction.parameters), expected=sorted(in_path | in_body),
        )  # fmt: skip
    for name, span in transaction.parameters.items():
        if span.first > span.last:
            raise refusal(192, f"{where}.parameters.{name}", "first is above last", "exchange them", got=f"{span.first} to {span.last}")


def _check_metrics(protocol: Protocol, service: Service, where: str) -> None:
    if not service.metrics:
        raise refusal(153, f"{where}.metrics", "no metrics", "name what the baseline must hold")
    check_unique([m.name for m in service.metrics], f"{where}.metrics", "metric")
    sources = {s.name for s in protocol.sources if s.provides == "metrics"}
    for metric in service.metrics:
        check_identifier(metric.name, f"{where}.metrics[{metric.name}]")
        if metric.source not in sources:
            raise refusal(154, f"{where}.metrics[{metric.name}].source", "not a source of metrics", "name one", got=metric.source)
        if not metric.query.strip():
            raise refusal(196, f"{where}.metrics[{metric.name}].query", "empty", "write the query")


def _check_guards(service: Service, where: str) -> None:
    if not service.guards:
        raise refusal(155, f"{where}.guards", "no guard metrics", "without guards no regression can be seen")
    check_unique([g.name for g in service.guards], f"{where}.guards", "guard")
    for guard in service.guards:
        check_identifier(guard.name, f"{where}.guards[{guard.name}]")
        if guard.margin < 0 or guard.floor < 0 or (guard.margin == 0 and guard.floor == 0):
            raise refusal(156, f"{where}.guards[{guard.name}]", "needs a positive margin or floor", "give one", got=guard.margin)
        if guard.kind != "error_rate" and not guard.series:
            raise refusal(157, f"{where}.guards[{guard.name}].series", "missing", "name the series of /metrics")


def is_request_path(text: str) -> bool:
    """Whether `text` is a path on the target itself: `//elsewhere` would name another host."""
    return text.startswith("/") and not text.startswith("//") and text.isascii() and text.isprintable() and not set(text) & set(" \\#")
