"""What an SLO proposal says about alerts: their definitions, and what they would have done with the old and the new target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfproof.config import Service
from perfproof.errors import ArtifactError
from perfproof.slos.backtest import back_test, back_test_document, back_test_words
from perfproof.slos.burn_rates import alerts_document
from perfproof.slos.captured import MetricHistory
from perfproof.slos.history import threshold_history
from perfproof.slos.indicator import SliKind
from perfproof.slos.objective import Objective, objective_document, objective_of, read_objective

NO_CAPTURES = "the recurring captures hold no value of this metric"
Update = Mapping[str, Any]


def alerting_of(update: Update, *, service: Service, history: MetricHistory | None, no_history: str = NO_CAPTURES) -> dict[str, Any]:
    """The fields that an update gains: `objective` (what the exports are made of), `burn_rate_alerts` and `back_test`.

    Where no alert can be defined, for a query that cannot be wrapped, say, there is no `objective`, and the others say why.
    """
    slo = next((s for s in service.slos if s.name == update["slo_name"] and s.metric == update["metric"]), None)
    try:
        objective = objective_of(service, metric=str(update["metric"]), target=float(update["new_value"]), slo=slo)
        alerts = {**alerts_document(objective.alerts), "counts": objective.indicator.kind.value, "because": objective.indicator.reason}
    except ArtifactError as error:
        reason = f"no burn-rate alert is defined: {error}"
        return {"burn_rate_alerts": {"alerts": [], "left_out": [reason]}, "back_test": _not_shown(reason)}
    return {
        "objective": objective_document(objective),
        "burn_rate_alerts": alerts,
        "back_test": _back_test(objective, update.get("previous_value"), history, no_history),
    }


def _not_shown(reason: str) -> dict[str, Any]:
    return {"status": "not shown", "words": [f"back-test: not shown ({reason})"], "history": None, "new": None, "previous": None}


def _back_test(objective: Objective, previous: Any, history: MetricHistory | None, no_history: str) -> dict[str, Any]:
    if history is None:
        return _not_shown(no_history)
    new = _replayed(objective, objective.target, history)
    old = _replayed(objective, float(previous), history) if previous is not None and previous != objective.target else None
    words = [f"target {objective.target:.12g}: {line}" for line in new["words"]]
    if old is not None:
        words += [f"target {float(previous):.12g} (before): {line}" for line in old["words"]]
    words.append("each capture stands for its whole interval; the captures are of builds before this change")
    return {"status": new["status"], "words": words, "history": dict(history.source), "new": new, "previous": old}


def _replayed(objective: Objective, target: float, history: MetricHistory) -> dict[str, Any]:
    """The back-test of samples against `target`: captures hold values of the metric, not requests."""
    events = threshold_history(history.times, history.values, target=target, direction=objective.direction, step=history.step)
    result = back_test(events, alerts=objective.alerts_on(SliKind.SAMPLES))
    return {**back_test_document(result), "target": target, "words": back_test_words(result)}


def objectives_of(proposal: Any, *, where: str) -> tuple[Objective, ...]:
    """The objectives in an SLO proposal. Raises ArtifactError for a proposal without, which an older version made."""
    updates = proposal.get("updates") if isinstance(proposal, Mapping) else None
    if not isinstance(updates, list) or not updates or not all(isinstance(u, Mapping) and "objective" in u for u in updates):
        raise ArtifactError(
            582, where=where, what="no SLO proposal with objectives", expected="updates with an objective",
            fix="propose again with this version, or name the protocol file",
        )  # fmt: skip
    return tuple(read_objective(update["objective"], where=f"{where}.updates[{place}].objective") for place, update in enumerate(updates))


def proposed_objectives(updates: Sequence[Update]) -> tuple[Objective, ...]:
    """The objectives of those updates that have one: a proposal of an older version has none, and then nothing is exported."""
    return tuple(read_objective(update["objective"], where="SLO proposal") for update in updates if "objective" in update)
