"""The looks at measured blocks: what was answered at each, what was confirmed, and what follows.

Everything is computed from the blocks, so whoever has the document comes to the same answer as the measuring did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from perfproof.judging.documents import interval, rounded
from perfproof.judging.measured_blocks import Block, Side, part, refuse
from perfproof.judging.question import Answer, Question
from perfproof.judging.sequential import Confirm, Design, GuardState, Measure, Step, Stop, guard_state, next_step, repeated
from perfproof.judging.verdicts import GuardLabel, GuardVerdict, TargetLabel


@dataclass(frozen=True, slots=True)
class Decision:
    """One asking of the rule. `confirmation` counts the fresh blocks a side that this look had so far."""

    look: int
    blocks: int
    confirmation: int
    confidence: float
    answer: Answer
    states: Mapping[str, GuardState]
    step: Step

    def document(self) -> dict[str, Any]:
        """One entry of `looks`."""
        more = self.step.blocks if isinstance(self.step, Measure | Confirm) else 0
        return {
            "look": self.look,
            "blocks": self.blocks,
            "confirmation_blocks": self.confirmation,
            "confidence": rounded(self.confidence, 6),
            "target": self.answer.target.label.value,
            "guards": {name: state.value for name, state in self.states.items()},
            "next": type(self.step).__name__.lower(),
            "more_blocks": more,
            "reason": self.step.reason,
        }


@dataclass(frozen=True, slots=True)
class Course:
    """All looks. `answer` is the last one, in which no regression stands that was not measured twice."""

    design: Design
    answer: Answer
    main: tuple[Block, ...]
    decisions: tuple[Decision, ...]
    confirmed: tuple[str, ...]
    unconfirmed: tuple[dict[str, Any], ...]
    used: int

    @property
    def step(self) -> Step:
        """What follows."""
        return self.decisions[-1].step

    def document(self, *, stopped_because: str) -> dict[str, Any]:
        """The field `sequential` of the validation report."""
        return {
            "looks": [decision.document() for decision in self.decisions],
            "used_blocks": self.used,
            "most_blocks": self.design.most,
            "confidence": self.design.confidence,
            "confirmed_regressions": list(self.confirmed),
            "unconfirmed_regressions": list(self.unconfirmed),
            "stopped_because": stopped_because,
        }


def read_design(measurement: Mapping[str, Any], *, confidence: float, where: str) -> Design | None:
    """The design of a measurement; None if it names none, as before there were looks. Raises ArtifactError."""
    if "design" not in measurement:
        return None
    found = part(measurement, "design", Mapping, where=where)
    place = f"{where}.design"
    first, step, most = (part(found, key, int, where=place) for key in ("first", "step", "most"))
    design = Design(first, step, most, float(part(found, "confidence", (int, float), where=place)))
    if not 1 <= first <= most or step < 0 or design.confidence != confidence:
        raise refuse(
            327, place, "validation not possible: not a design for this judge", "measure again",
            got=design.document(), expected=f"1 to most blocks at confidence {confidence:g}",
        )  # fmt: skip
    return design


def follow(design: Design, blocks: Sequence[Block], question: Question, *, where: str) -> Course:
    """Looks at the blocks as they were measured, look by look.

    Raises ArtifactError if they do not fit the design: their confidence would be another than the one that is stated.
    """
    looks = _checked(design, blocks, where)
    valid = [b for b in blocks if b.valid]
    decisions: list[Decision] = []
    confirmed: dict[str, GuardVerdict] = {}
    unconfirmed: list[dict[str, Any]] = []
    used = 0
    for look in range(1, looks + 1):
        size, level = design.sizes[look - 1], design.confidence_at(look)
        used += size - (design.sizes[look - 2] if look > 1 else 0)
        main = tuple(b for b in valid if not _fresh(b) and _look(b) <= look)
        seen = _with_claims(question.answer(main, confidence=level), question.answer(main, confidence=design.confidence))
        again = [b for b in blocks if _fresh(b) and _look(b) == look]
        repeats: list[Answer | None] = [None]
        if again:
            repeats.append(question.answer(_comparable(again, main), confidence=design.confidence))
        for repeat in repeats:
            count = design.confirmation if repeat else 0
            used += count
            states = _states(seen, repeat, confirmed)
            decided = seen.target.passes or seen.target.label is TargetLabel.SHORT
            step = next_step(design, look=look, used=used, target_decided=decided, guards=states)
            if not all(any(b.side is side for b in main) for side in Side):
                step = Stop("a side has no valid block")
            guards = tuple(
                _resolved(g, states[g.metric], confirmed, repeat, design, pending=isinstance(step, Confirm)) for g in seen.guards
            )
            # What was blamed although nobody guards it may not stand among a later look's verdicts.
            guards += tuple(g for name, g in confirmed.items() if all(name != other.metric for other in guards))
            decisions.append(Decision(look, size, count, level, replace(seen, guards=guards), states, step))
        confirmed |= {g.metric: g for g in guards if states[g.metric] is GuardState.CONFIRMED}
        unconfirmed += _unconfirmed(seen, repeat, states, look)
    return Course(design, decisions[-1].answer, main, tuple(decisions), tuple(confirmed), tuple(unconfirmed), used)


def _look(block: Block) -> int:
    return int(block.figures["look"])


def _fresh(block: Block) -> bool:
    return bool(block.figures["confirmation"])


def _checked(design: Design, blocks: Sequence[Block], where: str) -> int:
    """How many looks there were. Raises ArtifactError unless each has exactly the blocks that the design gives it."""
    for block in blocks:
        part(block.figures, "look", int, where=f"{where} block {block.order}")
        part(block.figures, "confirmation", bool, where=f"{where} block {block.order}")
    looks = max((_look(b) for b in blocks if not _fresh(b)), default=0)
    used = 0
    for look in range(1, looks + 1):
        mine = [b for b in blocks if _look(b) == look]
        main, fresh = ([sum(1 for b in mine if b.side is side and _fresh(b) is kind) for side in Side] for kind in (False, True))
        planned = design.sizes[look - 1] - (design.sizes[look - 2] if look > 1 else 0) if look <= len(design.sizes) else 0
        used += planned + fresh[1]
        # With one endpoint there is no baseline left to measure again.
        if main != [planned, planned] or fresh not in ([0, 0], [0, design.confirmation], [design.confirmation] * 2):
            raise _misfit(where, f"look {look} has {main} blocks a side and {fresh} fresh ones", f"{planned} a side")
    if not looks or used > design.most or any(not 1 <= _look(b) <= looks for b in blocks):
        raise _misfit(where, f"{used} blocks a side in {looks} looks", f"at most {design.most} a side, from look 1 on")
    return looks


def _misfit(where: str, got: str, expected: str) -> Exception:
    return refuse(
        326, f"{where}.blocks", "validation not possible: the blocks do not fit the design", "measure again", got=got, expected=expected
    )


def _comparable(fresh: Sequence[Block], main: Sequence[Block]) -> list[Block]:
    """The valid fresh blocks; with one endpoint, against the baseline as it was measured before it went."""
    gone = all(b.side is Side.CANDIDATE for b in fresh)
    return [b for b in main if gone and b.side is Side.BASELINE] + [b for b in fresh if b.valid]


def _with_claims(answer: Answer, single: Answer) -> Answer:
    """`answer`, with the regressions that a single look would claim: it takes fresh blocks to report them, not a later level."""
    claims = {g.metric: g for g in single.guards if g.label is GuardLabel.REGRESSION}
    guards = [claims.pop(g.metric) if g.metric in claims and g.label is GuardLabel.INCONCLUSIVE else g for g in answer.guards]
    missing = [claim for name, claim in claims.items() if all(g.metric != name for g in guards)]
    names = {g.metric for g in missing}
    return replace(answer, guards=(*guards, *missing), reported=tuple(r for r in answer.reported if r["metric"] not in names))


def _states(seen: Answer, repeat: Answer | None, confirmed: Mapping[str, GuardVerdict]) -> dict[str, GuardState]:
    # A metric that nobody guards is not among the fresh answers unless it looks worse there too.
    again = {g.metric for g in repeat.guards if repeated(g)} if repeat else set()
    states = {
        g.metric: guard_state(g, confirmed_before=g.metric in confirmed, again=g.metric in again if repeat else None) for g in seen.guards
    }
    return states | {name: GuardState.CONFIRMED for name in confirmed if name not in states}


def _resolved(
    guard: GuardVerdict,
    state: GuardState,
    confirmed: Mapping[str, GuardVerdict],
    repeat: Answer | None,
    design: Design,
    *,
    pending: bool,
) -> GuardVerdict:
    """The verdict as it may be reported at this look."""
    if guard.metric in confirmed:
        return confirmed[guard.metric]
    if guard.label is not GuardLabel.REGRESSION:
        return guard
    again = next((g.reason for g in repeat.guards if g.metric == guard.metric), "no worse than chance.") if repeat else ""
    fresh = f"measured again with {design.confirmation} fresh blocks a side, judged alone: {again}"
    if state is GuardState.CONFIRMED:
        return replace(guard, reason=f"{guard.reason} Confirmed, {fresh}")
    if state is GuardState.OPEN:
        reason = f"A regression was seen and not confirmed. First: {guard.reason} Then {fresh}"
    elif pending:
        reason = f"A regression was seen and not measured again yet. {guard.reason}"
    else:
        reason = (
            f"A regression was seen and not confirmed: of {design.most} blocks a side too few were left to measure {design.confirmation}"
            f" again. {guard.reason}"
        )
    return replace(guard, label=GuardLabel.INCONCLUSIVE, runs_needed=design.confirmation, reason=reason)


def _unconfirmed(seen: Answer, repeat: Answer | None, states: Mapping[str, GuardState], look: int) -> list[dict[str, Any]]:
    again = {g.metric: _figures(g) for g in repeat.guards} if repeat else {}
    return [
        {"metric": guard.metric, "look": look, "seen": _figures(guard), "again": again.get(guard.metric)}
        for guard in seen.guards
        if guard.label is GuardLabel.REGRESSION and states[guard.metric] is not GuardState.CONFIRMED
    ]


def _figures(guard: GuardVerdict) -> dict[str, Any]:
    return {
        "label": guard.label.value,
        "worsening": rounded(guard.worsening, 4),
        **interval(guard.ci_low, guard.ci_high, 4),
        "scale": guard.scale.value,
        "blocks": list(guard.blocks),
    }
