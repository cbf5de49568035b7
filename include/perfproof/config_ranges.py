"""Numbers of a protocol file that have the right type and are still none that could be meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from perfproof.config_refusals import check_unique, refusal

if TYPE_CHECKING:
    from perfproof.config import AwsPrices, Baseline, Cost, Service

# What lasts longer is no time-out and no test any more.
MAX_DAYS = 30
MAX_SECONDS = MAX_DAYS * 86_400.0
# Large enough for whatever is meant, and small enough to be multiplied without an overflow.
MAX_NUMBER = 1e12


def check_positive(value: float, where: str, *, most: float = MAX_NUMBER, number: int = 191) -> None:
    """Raises ConfigError `number` unless `value` is above 0 and at most `most`."""
    if not 0 < value <= most:
        raise refusal(number, where, "out of range", "correct the value", got=value, expected=f"above 0, at most {most:.12g}")


def check_not_negative(value: float, where: str, *, most: float = MAX_NUMBER, number: int = 191) -> None:
    """Raises ConfigError `number` unless `value` is 0 to `most`."""
    if not 0 <= value <= most:
        raise refusal(number, where, "out of range", "correct the value", got=value, expected=f"0 to {most:.12g}")


def check_baseline(baseline: Baseline, where: str) -> None:
    """Raises ConfigError for a window, a step or a limit by which nothing can be measured."""
    check_positive(baseline.window_seconds, f"{where}.window_seconds", most=MAX_SECONDS)
    check_positive(baseline.step_seconds, f"{where}.step_seconds", most=baseline.window_seconds)
    check_positive(baseline.min_coverage, f"{where}.min_coverage", most=1)
    check_positive(baseline.min_samples, f"{where}.min_samples")
    check_positive(baseline.max_staleness_seconds, f"{where}.max_staleness_seconds", most=MAX_SECONDS)
    check_positive(baseline.regression_limit_percent, f"{where}.regression_limit_percent")


def check_cost(cost: Cost, where: str, *, services: Sequence[str]) -> None:
    """Raises ConfigError for prices that are none, a currency or a day that is none, or services that are not among `services`."""
    if len(cost.currency) != 3 or not cost.currency.isascii() or not cost.currency.isupper():
        raise refusal(196, f"{where}.currency", "not a currency", "write it like USD", got=cost.currency, expected="three capital letters")
    check_not_negative(cost.core_hour, f"{where}.core_hour")
    check_not_negative(cost.gib_hour, f"{where}.gib_hour")
    if cost.as_of is not None and not _is_day(cost.as_of):
        raise refusal(810, f"{where}.as_of", "not a day", "write it like 2025-02-16", got=cost.as_of)
    for instance in cost.instances:
        place = f"{where}.instances[{instance.type}]"
        check_positive(instance.vcpu, f"{place}.vcpu")
        check_positive(instance.gib, f"{place}.gib")
        check_not_negative(instance.hour, f"{place}.hour")
        _check_known(instance.services, place, services)
    check_unique([i.type for i in cost.instances], f"{where}.instances", "instance")
    if cost.aws is not None:
        _check_aws(cost.aws, f"{where}.aws")
        _check_known(cost.aws.services, f"{where}.aws", services)


def _check_aws(aws: AwsPrices, where: str) -> None:
    wanted = {
        "connection": (aws.connection, re.compile(r"[A-Za-z0-9_.-]{1,200}"), "aws_prices"),
        "region": (aws.region, re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}"), "eu-central-1"),
        "instance_type": (aws.instance_type, re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+"), "m7i.large"),
        "operating_system": (aws.operating_system, re.compile(r"[A-Za-z][A-Za-z ]{0,40}"), "Linux"),
    }
    for key, (value, pattern, example) in wanted.items():
        if not pattern.fullmatch(value):
            raise refusal(811, f"{where}.{key}", "cannot be asked for", f"write it like {example}", got=value)


def _check_known(names: Sequence[str], where: str, services: Sequence[str]) -> None:
    unknown = [name for name in names if name not in services]
    if unknown:
        raise refusal(
            812, f"{where}.services", "unknown service", "name services of this file", got=unknown[0], expected=", ".join(services)
        )


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def check_service_numbers(service: Service, where: str) -> None:
    """Raises ConfigError for limits, objectives and factors out of range."""
    check_positive(service.limits.cpu_cores, f"{where}.limits.cpu_cores")
    check_positive(service.limits.memory_mib, f"{where}.limits.memory_mib")
    for slo in service.slos:
        place = f"{where}.slos[{slo.name}]"
        check_not_negative(slo.target, f"{place}.target")
        check_positive(slo.objective_percent, f"{place}.objective_percent", most=100)
        if slo.sla is not None:
            check_not_negative(slo.sla, f"{place}.sla")
    for guard in service.guards:
        check_positive(guard.factor, f"{where}.guards[{guard.name}].factor")
        check_not_negative(guard.margin, f"{where}.guards[{guard.name}].margin", number=156)
        check_not_negative(guard.floor, f"{where}.guards[{guard.name}].floor", number=156)
