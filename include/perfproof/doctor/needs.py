"""Which Connections an installation needs: those of its protocol files, of its notifiers, and its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perfproof.approvals.keys import KEY_CONNECTION
from perfproof.channels import Channel, ChannelKind, read_channel, split_names
from perfproof.config import ApplyWay, Protocol, SourceKind
from perfproof.doctor.connections import Need
from perfproof.doctor.finding import Area, Finding, told_by
from perfproof.errors import ConfigError
from perfproof.evidence.envelope import SIGNING_CONNECTION

HTTP, AWS, GENERIC, POSTGRES = ("http",), ("aws",), ("generic",), ("postgres",)
AWS_KINDS = frozenset((SourceKind.CLOUDWATCH, SourceKind.CLOUDWATCH_LOGS, SourceKind.CLOUDWATCH_ALARMS, SourceKind.XRAY))
CHANNEL_TYPES = {
    ChannelKind.SLACK: ("slackwebhook",),
    ChannelKind.EMAIL: ("smtp",),
    ChannelKind.PAGERDUTY: ("pagerduty_events",),
    ChannelKind.WEBHOOK: HTTP,
}


def needs_of(
    protocols: Sequence[Protocol], *, notifiers: str, api_connection: str, evidence_connection: str | None
) -> tuple[list[Need], list[Finding]]:
    """Every Connection that is needed, each once, and the findings about recipients that name none as they should.

    `notifiers` is the option of that name; `evidence_connection` is None for evidence on disk.
    """
    wrong: list[Finding] = []
    named = [
        Need(KEY_CONNECTION, GENERIC, ("signing acts",), is_key=True),
        Need(SIGNING_CONNECTION, GENERIC, ("signing checkpoints",), is_key=True),
        Need(api_connection, HTTP, ("retries of a gate",), without="a retry then says what to clear by hand"),
    ]
    if evidence_connection is not None:
        named.append(Need(evidence_connection, AWS, ("evidence in S3",)))
    recipients = [("[perfproof] notifiers", name) for name in split_names(notifiers)]
    for protocol in protocols:
        named += _of_protocol(protocol)
        receiving = (*protocol.distribution.report, protocol.distribution.next_protocol, protocol.distribution.monitoring)
        recipients += [(f"protocol {protocol.name}, recipient {r.name}", r.channel) for r in receiving if r.channel is not None]
    for place, name in recipients:
        try:
            named += _of_channel(read_channel(name), place)
        except ConfigError as error:
            wrong.append(told_by(Area.CONNECTIONS, 107, error, where=place))
    return _merged(named), wrong


def _of_protocol(protocol: Protocol) -> Iterator[Need]:
    name = f"protocol {protocol.name}"
    for source in protocol.sources:
        if source.connection is not None:
            yield Need(source.connection, AWS if source.kind in AWS_KINDS else HTTP, (f"source {source.name} of {name}",))
    for service in protocol.services:
        for side, endpoint in (("baseline", service.endpoints.baseline), ("candidate", service.endpoints.candidate)):
            if endpoint is not None and endpoint.database_connection is not None:
                yield Need(endpoint.database_connection, POSTGRES, (f"database of the {side} of {service.name} of {name}",))
    if protocol.cost.aws is not None:
        yield Need(protocol.cost.aws.connection, AWS, (f"prices of {name}",))
    cloudwatch = protocol.instrumentation.cloudwatch
    if cloudwatch is not None and ApplyWay.CLOUDWATCH in protocol.instrumentation.apply:
        yield Need(cloudwatch.connection, AWS, (f"alarms of {name}",))


def _of_channel(channel: Channel, place: str) -> Iterator[Need]:
    if channel.kind in CHANNEL_TYPES:
        yield Need(channel.target, CHANNEL_TYPES[channel.kind], (f"{channel.kind} of {place}",))


def _merged(needs: Sequence[Need]) -> list[Need]:
    """One need for each id: what somebody must have is not optional, and a type must fit everybody."""
    found: dict[str, Need] = {}
    for need in needs:
        before = found.get(need.id)
        if before is None:
            found[need.id] = need
            continue
        # A Connection that two need in different ways fits neither: the types of the first are demanded, and the uses say why.
        uses = tuple(dict.fromkeys((*before.uses, *need.uses)))
        without = before.without if need.without is not None else None
        found[need.id] = Need(need.id, tuple(t for t in before.types if t in need.types) or before.types, uses, without, before.is_key)
    return list(found.values())
