"""The cycle in a minute, for people who read one table: what was slow, what was done, what came of it, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfproof.artifacts import Artifact
from perfproof.report.blocks import Ref, Table, figure, percent, sentence
from perfproof.report.evidence import COST_CHANGE, Document, Evidence

MAX_NAMED = 6
SURE = {
    "proved": "Proved: the whole interval reaches what was asked for.",
    "met": "Not proved: the measured value reaches what was asked for, but part of its interval does not.",
    "short": "The measurement says that less came than was asked for.",
    "inconclusive": "Not decided: the interval holds both enough and too little.",
}
STEPS = {
    "prioritization": "what to work on",
    "load_test_authorization": "load tests",
    "profiling_clearance": "profiling",
    "plan": "the plan",
    "implementation": "the changes",
    "rollback": "rolling back",
    "slo_updates": "the new objectives",
    "waiver": "exceptions",
}
UNKNOWN_COST = "What the change does to the cost of requests is not known"


def minute(evidence: Evidence) -> Table:
    """Eight answers in words, each with the evidence that it is from."""
    validation = (Artifact.VALIDATION_REPORT,)
    answers: list[tuple[str, tuple[str, ...], Sequence[str]]] = [
        ("What was slow", _slow(evidence), (Artifact.INTAKE_REPORT,)),
        ("What was changed", _changed(evidence), (Artifact.OPTIMIZATION_PLAN,)),
        ("How much better it got", _better(evidence.validation), validation),
        ("What got worse", _worse(evidence.validation), validation),
        ("What it costs", _cost(evidence.cost_change), (COST_CHANGE,)),
        ("Who agreed", _agreed(evidence.approvals), ()),
        ("How sure we are", _sure(evidence.validation), validation),
        ("What is open", _open(evidence), ()),
    ]
    rows = tuple((question, (*told, *(Ref(name) for name in evidence.known(*names)))) for question, told, names in answers)
    return Table(("In a minute", ""), rows)


def _slow(evidence: Evidence) -> tuple[str, ...]:
    pains = sorted(evidence.intake["pain_points"], key=lambda p: int(p.get("rank") or 0))
    before, metric = evidence.validation["baseline"], evidence.validation["target_metric"]
    was = f"{metric} was {figure(before.get('value'), before.get('unit'))} before the change."
    if not pains:
        return (was, "No metric was beyond its objective, and nothing was reported.")
    first = pains[0]
    impact = str(first.get("business_impact") or "UNKNOWN")
    told = f"{first.get('service')}: {sentence(first.get('symptom'))}" + ("" if impact == "UNKNOWN" else f" {sentence(impact)}")
    more = len(pains) - 1
    return (told, was, f"{more} more under Intake summary." if more else "")


def _changed(evidence: Evidence) -> tuple[str, ...]:
    done = implemented(evidence)
    titles = tuple(f"{task['id']}: {sentence(task['title'])}" for task in evidence.plan["tasks"] if task["id"] in done)
    shown = titles[:MAX_NAMED]
    more = (f"{len(titles) - len(shown)} more under Optimization.",) if len(titles) > len(shown) else ()
    return (*shown, *more) or ("Nothing of the plan.",)


def implemented(evidence: Evidence) -> set[Any]:
    """The ids of the optimizations that were measured."""
    return set(evidence.validation.get("optimizations") or [evidence.validation.get("optimization_id")])


def _better(validation: Document) -> tuple[str, ...]:
    before, after, gain = validation["baseline"], validation["optimized"], validation["improvement"].get("percentage")
    verdict = validation.get("verdict") or {}
    if not isinstance(gain, int | float):
        return ("Not known: a side has no value.",)
    unit = before.get("unit")
    word = "better" if gain > 0 else "worse" if gain < 0 else "no change"
    measured = f"{figure(before.get('value'), unit)} before, {figure(after.get('value'), unit)} after"
    told = f"{measured}: {percent(abs(gain))} {word}." if gain else f"{measured}: no change."
    asked = verdict.get("threshold_percent")
    return (told, true_range(verdict), f"At least {percent(asked)} was asked for." if isinstance(asked, int | float) else "")


def true_range(verdict: Document) -> str:
    """The interval of the improvement as a sentence, positive is better; empty where the evidence gives none."""
    low, high = (v if isinstance(v, int | float) else None for v in (verdict.get("ci_low"), verdict.get("ci_high")))
    sure = verdict.get("interval_confidence") or verdict.get("confidence")
    if (low is None and high is None) or not isinstance(sure, int | float):
        return ""
    # Rounded down: the interval is at least this sure.
    begin = f"With {int(1000 * sure) / 10:g} % confidence the true change is"
    if low is None or high is None:
        return f"{begin} at {'most' if low is None else 'least'} {_way(high if low is None else low)}."
    return f"{begin} between {_way(low)} and {_way(high)}."


def _way(gain: float | None) -> str:
    value = float(gain or 0.0)
    return f"{abs(value):.3g} % {'worse' if value < 0 else 'better'}"


def _worse(validation: Document) -> tuple[str, ...]:
    guards = validation.get("guards") or ()
    worse = tuple(f"{r['metric']} got worse beyond its margin." for r in validation["regressions"][:MAX_NAMED])
    undecided = [str(g["metric"]) for g in guards if g["label"] not in ("no regression", "regression")]
    good = [str(g["metric"]) for g in guards if g["label"] == "no regression"]
    told = list(worse)
    if good:
        told.append(f"{'Nothing else' if worse or undecided else 'Nothing'} that is guarded: {named(good)} stayed within the margins.")
    if undecided:
        told.append(f"Not decided for {named(undecided)}.")
    return tuple(told) or ("Not known: no guard metric was judged.",)


def named(names: Sequence[str]) -> str:
    """The names in a row, the rest counted."""
    shown = [*names[:MAX_NAMED], *([f"{len(names) - MAX_NAMED} more"] if len(names) > MAX_NAMED else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _cost(document: Document | None) -> tuple[str, ...]:
    if document is None:
        return (f"{UNKNOWN_COST}: this cycle did not reckon it.",)
    change, currency = document.get("change_percent"), str((document.get("price") or {}).get("currency") or "")
    if not isinstance(change, int | float):
        return (f"{UNKNOWN_COST}: {sentence(document.get('reason') or 'no reason is given')}",)
    old, new = (figure(document[side].get("per_1000"), currency) for side in ("before", "after"))
    told = f"1,000 requests cost {old} before and {new} after, {percent(abs(change))} {'less' if change < 0 else 'more'}."
    low, high = document.get("ci_low"), document.get("ci_high")
    if not (isinstance(low, int | float) and isinstance(high, int | float)):
        return (told, "How far that is from the true change is not known.")
    if low <= 0 <= high:
        return (told, "The interval holds no change as well, so the cost may be what it was.")
    return (told,)


def _agreed(records: Sequence[Document]) -> tuple[str, ...]:
    """Who decided about what, each person once for a step."""
    people: dict[str, dict[str, None]] = {}
    for record in sorted(records, key=lambda r: (str(r.get("decided_at")), str(r.get("step")), str(r.get("role")))):
        if record.get("decision") == "approve":
            person = f"{(record.get('person') or {}).get('name')} ({record.get('role_label')})"
            people.setdefault(str(record.get("step")), {})[person] = None
    told = [f"{(STEPS.get(step) or step.replace('_', ' '))}: {named(list(who))}." for step, who in people.items()]
    return tuple(line[:1].upper() + line[1:] for line in told) or ("Nobody: no approval is recorded.",)


def _sure(validation: Document) -> tuple[str, ...]:
    verdict = validation.get("verdict") or {}
    told = [SURE.get(str(verdict.get("label")), "No verdict is recorded.")]
    old, new = verdict.get("blocks") or (None, None)
    if "interleaved" in validation and old is not None:
        how = "in turns, so both met the same environment" if validation["interleaved"] else "one after the other, which is weaker"
        told.append(f"Both builds were measured {how}: {old} and {new} blocks.")
    wrong = (validation.get("calibration") or {}).get("false_improved") or {}
    if isinstance(wrong.get("high"), int | float):
        tried = validation["calibration"].get("repetitions")
        told.append(
            f"When nothing had changed, {wrong.get('count')} of {tried} comparisons would have passed as improved "
            f"(at most {percent(round(100 * wrong['high'], 1))} in truth)."
        )
    warned = [str(g["metric"]) for g in validation.get("guards") or () if g.get("warning")]
    if warned:
        told.append(f"Look at the spread of {named(warned)}: it changed, see Validation.")
    return tuple(told)


def _open(evidence: Evidence) -> tuple[str, ...]:
    validation, done = evidence.validation, implemented(evidence)
    undecided = [str(g["metric"]) for g in validation.get("guards") or () if g["label"] not in ("no regression", "regression")]
    unguarded = [str(u.get("metric")) for u in validation.get("unguarded") or ()]
    planned = [str(task["title"]) for task in evidence.plan["tasks"] if task["id"] not in done]
    hypotheses = [str(h.get("id")) for h in evidence.hypotheses["hypotheses"] if h.get("status") == "open"]
    silent = [str(s.get("name")) for s in evidence.intake["sources"] if s.get("status") != "ok"]
    unwatched = [str(f.get("text")) for f in evidence.intake.get("findings") or ()]
    missed = [str(b.get("issue")) for b in evidence.load_results.get("bottlenecks") or ()]
    excused = [f"gate {w.get('gate')}, {str(w.get('criterion')).replace('_', ' ')}" for w in evidence.waivers]
    parts = (
        ("Excused by a waiver", excused),
        ("Guards that are not decided", undecided),
        ("Load targets missed before the change", missed),
        ("Planned and not done", planned),
        ("Causes neither confirmed nor refuted", hypotheses),
        ("Seen, but too noisy to guard", unguarded),
        ("Objectives without an alert on them", unwatched),
        ("Sources that said nothing", silent),
    )
    return tuple(f"{title}: {sentence(named(names))}" for title, names in parts if names) or ("Nothing that this cycle knows of.",)
