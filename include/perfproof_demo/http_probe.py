"""One small GET over loopback: is a server there, and what does it say."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any


def get(url: str, *, seconds: float = 2) -> bytes | None:
    """The body of a 200 answer from `url`, or None for anything else."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=seconds) as answer:
            return bytes(answer.read())
    except (urllib.error.URLError, OSError, ValueError):
        return None


def get_json(url: str, *, seconds: float = 2) -> dict[str, Any] | None:
    """The JSON object that `url` answers, or None."""
    body = get(url, seconds=seconds)
    try:
        document = json.loads(body) if body is not None else None
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
