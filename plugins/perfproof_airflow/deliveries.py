"""Report and notes on their way to a recipient: into his directory, and through his channel; each delivery is an entry of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perfproof.announcements import one_line
from perfproof.config import Recipient
from perfproof.errors import ArtifactError
from perfproof.evidence import EntryType
from perfproof.evidence.secrets import masked
from perfproof.notifications import TITLES, File, Kind, Notification
from perfproof.telemetry import sha256_hex
from perfproof_airflow import settings
from perfproof_airflow.cycle import Cycle
from perfproof_airflow.whole_files import write_files

FILE = "file"
References = Sequence[Mapping[str, Any]]


def deliver_to(cycle: Cycle, recipient: Recipient, references: References) -> None:
    """Takes each way of the recipient. A file that arrives otherwise halts; a channel that fails is logged, and gate 4 judges it."""
    if recipient.directory is not None:
        _to_directory(cycle, recipient, recipient.directory, references)
    if recipient.channel is not None:
        _to_channel(cycle, recipient, recipient.channel, references)


def _to_directory(cycle: Cycle, recipient: Recipient, given: str, references: References) -> None:
    directory = settings.workspace_root() / given / cycle.run
    files = {Path(str(reference["name"])).name: cycle.read(reference) for reference in references}
    write_files(directory, files)
    for reference in references:
        name = Path(str(reference["name"])).name
        if sha256_hex((directory / name).read_bytes()) != reference["sha256"]:
            raise ArtifactError(
                411, where=recipient.name, what="what was delivered differs from what was sent", got=name, fix="share again"
            )
        body = {"recipient": recipient.name, "channel": FILE, "address": f"{given}/{cycle.run}/{name}", **_cited(reference)}
        cycle.record(EntryType.NOTIFY_DELIVERED, body)


def _to_channel(cycle: Cycle, recipient: Recipient, channel: str, references: References) -> None:
    """One message about all of them, and an entry for each. Who has them in this round is not told again."""
    from perfproof_airflow.notifiers import deliver_through

    message = _message(cycle, references).mapped(lambda text: masked(text, known=settings.known_secrets()))
    keys = [cycle.idem(f"distribution:{recipient.name}:{channel}", [str(reference["sha256"])]) for reference in references]
    if all(cycle.store.find(key) is not None for key in keys):
        return
    outcome = deliver_through(channel, message)
    for key, reference in zip(keys, references, strict=True):
        body = {
            "recipient": recipient.name, "channel": outcome.channel, "address": masked(outcome.recipient, known=settings.known_secrets()),
            "kind": str(message.kind), "message_sha256": message.sha256, **_cited(reference),
        }  # fmt: skip
        if outcome.error is None:
            cycle.record_once(EntryType.NOTIFY_DELIVERED, body, key=key)
        else:
            cycle.record(EntryType.NOTIFY_FAILED, {**body, "error": outcome.error})


def _cited(reference: Mapping[str, Any]) -> dict[str, str]:
    return {"artifact": str(reference["name"]), "sha256": str(reference["sha256"])}


def _message(cycle: Cycle, references: References) -> Notification:
    """What is delivered, with digests; e-mail attaches the files themselves."""
    files = tuple(File(str(r["name"]), str(r["sha256"]), cycle.read(r)) for r in references)
    first = one_line(files[0].name, limit=80)
    lines = [f"{first} of cycle {one_line(cycle.run, limit=200)}:", *(f"{file.name} sha256:{file.sha256}" for file in files)]
    return Notification(
        kind=Kind.DISTRIBUTION, title=f"{TITLES[Kind.DISTRIBUTION]}: {first}", text="\n".join(lines), run=cycle.run,
        step=cycle.task_id.rpartition(".")[2], link=cycle.link, about=f"distribution {first}", files=files,
    )  # fmt: skip
