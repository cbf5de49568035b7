"""The halt of the plan: nothing is asked while a dependency is unresolved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfproof.errors import ArtifactError


def require_resolved(plan: Mapping[str, Any]) -> None:
    """Raises ArtifactError naming each unresolved dependency: the specification's halt of phase 3, step 1."""
    unresolved = [f"{item['task']}: {item['dependency']}" for item in plan["unresolved_dependencies"]]
    if unresolved:
        raise ArtifactError(
            421, where="optimization plan", what="dependencies are unresolved", got="; ".join(unresolved),
            fix="resolve them, set them resolved in the protocol file, and start a new cycle",
        )  # fmt: skip
