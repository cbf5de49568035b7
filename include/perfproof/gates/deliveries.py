"""Which ways to a recipient were not taken: a channel may have failed without stopping the run, and gate 4 says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfproof.artifacts import Artifact
from perfproof.channels import Channel, read_channel
from perfproof.config import Recipient
from perfproof.gates.figures import text_at
from perfproof.markdown import visible
from perfproof.telemetry import sha256_hex

FILE = "file"


def ways_missing(
    artifact: Artifact, contents: Mapping[str, bytes], deliveries: Sequence[Mapping[str, Any]], recipients: Sequence[Recipient]
) -> list[str]:
    """A sentence for each way of a required recipient by which exactly these bytes of `artifact` did not reach him."""
    if artifact.value not in contents:
        return []
    digest = sha256_hex(contents[artifact.value])
    sent = [d for d in deliveries if d.get("artifact") == artifact.value and d.get("sha256") == digest]
    missing = []
    for recipient in recipients:
        if not recipient.required:
            continue
        mine = [d for d in sent if text_at(d, "recipient") == recipient.name]
        if recipient.directory is not None and not any(d.get("channel") == FILE for d in mine):
            missing.append(f"{artifact} was not delivered to {visible(recipient.name)} by file")
        channel = read_channel(recipient.channel) if recipient.channel is not None else None
        if channel is not None and not any(_through(d, channel) for d in mine):
            missing.append(f"{artifact} was not delivered to {visible(recipient.name)} by {channel.kind}")
    return missing


def _through(delivery: Mapping[str, Any], channel: Channel) -> bool:
    return (delivery.get("channel"), delivery.get("address")) == (channel.kind.value, channel.recipient)
