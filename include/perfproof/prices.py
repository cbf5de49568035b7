"""What a core and a GiB of memory cost for an hour, by which source and of which day, and what a request costs by it.

Three sources, the first that there is: the AWS Price List, an instance of the protocol file's table, its prices per core and GiB.
An instance is shared by what binds first: a service, or a request, takes the larger of its shares of the cores and of the memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from perfproof.config import Cost, Limits

PROTOCOL_FILE = "protocol file"
AWS_PRICE_LIST = "AWS Price List"
SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Price:
    """A price with its origin. `as_of` is the day that the source names, None if it names none.

    Either `core_hour` and `gib_hour` are given, or `instance` with its cores, memory and price of an hour.
    """

    currency: str
    source: str
    as_of: str | None
    core_hour: float | None = None
    gib_hour: float | None = None
    instance: str | None = None
    vcpu: float | None = None
    gib: float | None = None
    instance_hour: float | None = None
    note: str | None = None

    def hourly(self, limits: Limits) -> float:
        """Price of an hour of what one instance of a service may use."""
        return self._of(limits.cpu_cores, limits.memory_mib / 1024)

    def of_request(self, *, cpu_seconds: float, gib_seconds: float) -> float:
        """Price of one request that uses a core for `cpu_seconds` and holds `gib_seconds` of memory."""
        return self._of(cpu_seconds, gib_seconds) / SECONDS_PER_HOUR

    def _of(self, cores: float, gib: float) -> float:
        if self.instance_hour is not None and self.vcpu and self.gib:
            return self.instance_hour * max(cores / self.vcpu, gib / self.gib)
        return cores * (self.core_hour or 0.0) + gib * (self.gib_hour or 0.0)

    def document(self) -> dict[str, Any]:
        """The fields that are known, as `capacity.json` keeps them."""
        return {name: value for name, value in asdict(self).items() if value is not None or name == "as_of"}


def price_from(document: Mapping[str, Any]) -> Price | None:
    """The price that `document` wrote, None if a figure in it is no price."""
    figures: dict[str, float | None] = {}
    for name in ("core_hour", "gib_hour", "vcpu", "gib", "instance_hour"):
        value = document.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0):
            return None
        figures[name] = value
    complete = figures["vcpu"] and figures["gib"] if figures["instance_hour"] is not None else True
    table = figures["core_hour"] is not None and figures["gib_hour"] is not None
    if not complete or (figures["instance_hour"] is None and not table):
        return None
    if not all(isinstance(document.get(name), str) for name in ("currency", "source")):
        return None
    as_of, instance, note = (None if document.get(name) is None else str(document[name]) for name in ("as_of", "instance", "note"))
    return Price(
        currency=document["currency"], source=document["source"], as_of=as_of, core_hour=figures["core_hour"], gib_hour=figures["gib_hour"],
        instance=instance, vcpu=figures["vcpu"], gib=figures["gib"], instance_hour=figures["instance_hour"], note=note,
    )  # fmt: skip


def price_of(service: str, *, cost: Cost, quoted: Price | None = None, refused: str | None = None) -> Price:
    """The price by which a service is reckoned. `quoted` is the AWS Price List's answer, `refused` why there is none."""
    wanted = cost.aws is not None and (not cost.aws.services or service in cost.aws.services)
    if wanted and quoted is not None:
        return quoted
    note = f"{AWS_PRICE_LIST} was not used: {refused or 'it was not asked'}" if wanted else None
    own = next((i for i in cost.instances if not i.services or service in i.services), None)
    if own is not None:
        return Price(
            currency=cost.currency, source=PROTOCOL_FILE, as_of=cost.as_of, instance=own.type, vcpu=own.vcpu, gib=own.gib,
            instance_hour=own.hour, note=note,
        )  # fmt: skip
    return Price(
        currency=cost.currency, source=PROTOCOL_FILE, as_of=cost.as_of, core_hour=cost.core_hour, gib_hour=cost.gib_hour, note=note
    )
