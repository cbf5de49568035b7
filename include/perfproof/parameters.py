"""The parameters of one cycle, as a person gave them in the trigger form, checked against the protocol file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfproof.config import Protocol
from perfproof.errors import ParameterError
from perfproof.strict import in_words

MAX_OBJECTIVE = 500
TEMPLATE_MARKS = ("{{", "{%", "{#")


@dataclass(frozen=True, slots=True)
class Parameters:
    """What this cycle is about. `optimizations` empty: consider every one the protocol file names."""

    protocol: str
    environment: str
    services: tuple[str, ...]
    objective: str
    target_metric: str
    optimizations: tuple[str, ...]
    load_profile: str

    def document(self) -> dict[str, Any]:
        """The parameters as they stand in the log's first entry."""
        return {
            "protocol": self.protocol,
            "environment": self.environment,
            "services": list(self.services),
            "objective": self.objective,
            "target_metric": self.target_metric,
            "optimizations": list(self.optimizations),
            "load_profile": self.load_profile,
        }


FIELDS = ("protocol", "environment", "services", "objective", "target_metric", "optimizations", "load_profile")


def read_parameters(raw: Mapping[str, Any], protocol: Protocol) -> Parameters:
    """`raw` (the run's params) as Parameters. Empty fields take the protocol file's own value.

    Raises ParameterError for an unknown field, a wrong type, template text, control characters, or a name that the protocol
    file does not know.
    """
    for name, value in raw.items():
        if name not in FIELDS:
            raise ParameterError(201, where=f"params.{name}", what="unknown parameter", expected=", ".join(FIELDS), fix="remove it")
        _check_text(name, value)
    services = _names(raw, "services") or tuple(s.name for s in protocol.services)
    known = {s.name for s in protocol.services}
    _known("services", services, known)
    target = _text(raw, "target_metric") or protocol.target_metric
    metrics = {m.name for s in protocol.services if s.name in services for m in s.metrics}
    _known("target_metric", (target,), metrics)
    optimizations = _names(raw, "optimizations")
    _known("optimizations", optimizations, {o.id for o in protocol.optimizations if o.service in services})
    environment = _text(raw, "environment") or protocol.environment.name
    _known("environment", (environment,), {protocol.environment.name})
    profile = _text(raw, "load_profile") or next(iter(protocol.load.profiles))
    _known("load_profile", (profile,), set(protocol.load.profiles))
    objective = _text(raw, "objective") or protocol.objective
    if len(objective) > MAX_OBJECTIVE:
        raise ParameterError(
            203,
            where="params.objective",
            what="too long",
            got=f"{len(objective)} characters",
            expected=f"at most {MAX_OBJECTIVE}",
            fix="shorten",
        )
    return Parameters(
        protocol=_text(raw, "protocol") or protocol.name,
        environment=environment,
        services=services,
        objective=objective,
        target_metric=target,
        optimizations=optimizations,
        load_profile=profile,
    )


def _check_text(name: str, value: Any) -> None:
    texts = value if isinstance(value, list) else [value]
    for text in texts:
        if isinstance(text, str) and any(mark in text for mark in TEMPLATE_MARKS):
            raise ParameterError(202, where=f"params.{name}", what="template text is not allowed", got=text, fix="write the value itself")
        if isinstance(text, str) and not text.isprintable():
            raise ParameterError(208, where=f"params.{name}", what="a control character in text", got=text, fix="write it in one line")


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ParameterError(204, where=f"params.{name}", what="wrong type", got=in_words(value), expected="text", fix="give text")
    return value.strip()


def _names(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = raw.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ParameterError(
            204, where=f"params.{name}", what="wrong type", got=in_words(value), expected="a list of names", fix="give a list"
        )
    if len(set(value)) != len(value):
        raise ParameterError(205, where=f"params.{name}", what="a name stands twice", got=", ".join(value), fix="name each once")
    return tuple(value)


def _known(name: str, values: Sequence[str], known: set[str]) -> None:
    for value in values:
        if value not in known:
            raise ParameterError(
                206, where=f"params.{name}", what="the protocol file does not know this name", got=value,
                expected=" | ".join(sorted(known)), fix="choose one of these",
            )  # fmt: skip


def check_not_closed(closed_rounds: Sequence[Any], *, round: int, run_id: str) -> None:  # noqa: A002  the name in the log
    """Returns unless the evidence says that this very round of the run was closed already.

    Clearing tasks begins a new round, so only a run that was triggered anew under its old id finds its own closing here: its
    answers and measurements are those of the run before. Raises ParameterError 209.
    """
    if round in closed_rounds:
        raise ParameterError(
            209, where="run_id", what="the evidence of this run is closed", got=run_id, expected="an id that no run had before",
            fix="trigger a new run, or clear tasks of the old one",
        )  # fmt: skip
