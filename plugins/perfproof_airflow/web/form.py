"""The fields of a form that a page sent: bounded, and each at most once."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from perfproof.errors import ParameterError

MAX_BYTES = 256 * 1024
MAX_FIELDS = 200


async def form_of(request: Request) -> dict[str, str]:
    """The fields by name. Raises ParameterError for another content type, too much, no UTF-8, or a field that comes twice."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise _refused("not the fields of a form", kind)
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MAX_BYTES:
            raise _refused("too much for a form", f"more than {MAX_BYTES} bytes")
    try:
        pairs = parse_qsl(data.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise _refused("not the fields of a form", "bytes that are not UTF-8, or too many fields") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _refused("a field comes twice", ", ".join(name for name, _ in pairs))
    return fields


FormDep = Annotated[dict[str, str], Depends(form_of)]


def _refused(what: str, got: str) -> ParameterError:
    return ParameterError(880, where="form", what=what, got=got, fix="send the form of the page")
