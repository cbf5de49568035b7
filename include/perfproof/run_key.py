"""The directory name of a run: readable, safe in any file system, and unique per (dag, run)."""

from __future__ import annotations

import hashlib
import re

SLUG_LENGTH = 40
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
RUN_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}-[0-9a-f]{16}")


def run_key(dag_id: str, run_id: str) -> str:
    """A slug of `run_id`, a dash, and 16 hexadecimal digits of sha256(dag_id, NUL, run_id).

    The slug is for people: at most 40 letters, digits, `_` and `-`, everything else turned into dashes. Airflow allows run ids
    such as `.`, `-rf`, or 250 characters with colons, so the digest alone tells two runs apart.
    """
    slug = _UNSAFE.sub("-", run_id).strip("-_")[:SLUG_LENGTH].rstrip("-_") or "run"
    digest = hashlib.sha256(f"{dag_id}\0{run_id}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{slug}-{digest[:16]}"
