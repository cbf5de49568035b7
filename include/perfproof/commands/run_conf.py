"""The parameters of a run from the command line: a JSON file as `perfproof run` takes it, or a name and single settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perfproof.errors import ParameterError
from perfproof.input_file import read_input
from perfproof.parameters import FIELDS
from perfproof.strict import read_json

MAX_CONF_BYTES = 1 << 20
# The default of the trigger form.
DEFAULT_PROTOCOL = "demo"
LISTS = ("services", "optimizations")


def read_conf(path: Path) -> dict[str, Any]:
    """The parameters in a JSON file. Raises ParameterError."""
    data = read_input(path, limit=MAX_CONF_BYTES, error=ParameterError, number=224)
    conf = read_json(data, where=str(path), error=ParameterError, number=225)
    if not isinstance(conf, dict):
        raise ParameterError(225, where=str(path), what="not a mapping of parameters", got=type(conf).__name__, fix='write {"protocol": …}')
    return conf


def given_conf(conf: Path | None, *, protocol: str | None, settings: Sequence[str]) -> dict[str, Any]:
    """The parameters of `--conf`, or of `--protocol`, with each `key=value` of `--set` put in.

    Lists are written with commas. Raises ParameterError 890 unless one of the two is given, 891 for what is not key=value, 892 for a key
    that is set twice.
    """
    if (conf is None) == (protocol is None):
        raise ParameterError(
            890, where="plan", what="neither or both of --conf and --protocol", fix="name a file of parameters, or a protocol file"
        )
    found = {"protocol": protocol} if conf is None else read_conf(conf)
    given: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in FIELDS or key == "protocol":
            expected = ", ".join(f"{field}=…" for field in FIELDS if field != "protocol")
            raise ParameterError(891, where="--set", what="not a parameter and its value", got=setting, expected=expected, fix="correct it")
        if key in given:
            raise ParameterError(892, where="--set", what="a parameter is set twice", got=key, fix="set it once")
        given[key] = [part.strip() for part in value.split(",") if part.strip()] if key in LISTS else value
    return {"protocol": DEFAULT_PROTOCOL, **found, **given}
