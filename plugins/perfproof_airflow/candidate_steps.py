"""Profiles and query plans of the candidate, set against those of the baseline. They inform; no gate reads them.

Runs after the verdict: a profiler that runs during a measured block would be part of what is measured. What cannot be compared is
documented with its reason, and the cycle goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from perfproof.candidate_profile import ProfiledSide, change_graph, comparison_document, inconclusive, named_functions, why_not_comparable
from perfproof.config import Endpoint, Service
from perfproof.errors import LoadError, ProfileError
from perfproof.query_plan_diff import CountedSide, not_compared, service_diff, to_explain
from perfproof_airflow.cycle import Cycle
from perfproof_airflow.hooks.endpoint import EndpointHook
from perfproof_airflow.load_steps import authorization, endpoint_of
from perfproof_airflow.profile_steps import (
    HEAVIEST,
    explained_statements,
    publish_profile,
    query_hook,
    record_under_load,
    statement_rows,
    verify_clearance,
)

log = logging.getLogger(__name__)
CANDIDATE_PLANS = "evidence/query-plans-candidate.json"
PLAN_DIFF = "evidence/query-plan-diff.json"


def profile_name(service: str) -> str:
    """Evidence name of the candidate's profile document."""
    return f"evidence/profile-candidate-{service}.json"


def statements_name(service: str) -> str:
    """Evidence name of the statements that were counted while the candidate was profiled."""
    return f"evidence/statements-candidate-{service}.json"


def comparison_name(service: str) -> str:
    """Evidence name of the comparison of a service's profiles."""
    return f"evidence/profile-comparison-{service}.json"


def compare_service(cycle: Cycle, name: str, *, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Profiles the candidate under the same authorized rate, and publishes the comparison of its profile with the baseline's.

    Raises ApprovalError for a clearance or authorization that does not verify. Everything else that is missing is the document's reason.
    """

    def produce() -> dict[str, Any]:
        service = cycle.protocol.service(name)
        endpoint = endpoint_of(service, "candidate")
        before = _side(cycle, f"evidence/profile-{name}.json")
        try:
            cleared, allowed = verify_clearance(cycle, name), authorization(cycle)
            _require_profilable(cycle, service, endpoint, cleared, baseline_build=before.document["build"])
            cycle.publish(
                profile_name(name),
                lambda: publish_profile(
                    cycle,
                    service,
                    # With the subject of the baseline it is sent the same requests at the same moments as that was in this round.
                    record_under_load(cycle, service, endpoint, allowed=allowed, subject="profile"),
                    subject=f"candidate-{name}",
                ),
                inputs=inputs,
            )
            return _compared(cycle, name, before, _side(cycle, profile_name(name)))
        except (ProfileError, LoadError) as error:
            log.warning("the candidate of %s is not compared: %s", name, error)
            return inconclusive(service=name, reason=str(error), before=before)

    return cycle.publish(comparison_name(name), produce, inputs=inputs)


def _side(cycle: Cycle, name: str) -> ProfiledSide:
    reference = cycle.reference(name)
    document = cycle.document(reference)
    stacks = cycle.store.get_object(document["collapsed"]["sha256"])
    return ProfiledSide(document, cycle.source(reference), stacks.decode("utf-8", "replace"))


def _require_profilable(cycle: Cycle, service: Service, endpoint: Endpoint, cleared: Mapping[str, Any], *, baseline_build: str) -> None:
    """Raises ProfileError for what was not cleared or has no profiler, and for a build that was profiled already."""
    name = service.name
    taken = {f"candidate-{name}", f"comparison-{name}"} & {other.name for other in cycle.protocol.services}
    if taken:
        raise ProfileError(
            790, where=name, what="another service is called as this one's evidence would be", got=min(taken), fix="rename that service"
        )
    if "candidate" not in cleared.get("deployments", ()):
        raise ProfileError(
            791, where=name, what="the profiling clearance is for the baseline only", fix="none in this cycle: the next one asks for both"
        )
    if endpoint.pprof_path is None and endpoint.pid_file is None:
        raise ProfileError(
            792, where=name, what="the candidate has no pid_file and no pprof_path to profile", fix="add one to the protocol file"
        )
    way = "py-spy" if endpoint.pprof_path is None else "pprof"
    if way not in cleared["profilers"]:
        raise ProfileError(
            793, where=name, what=f"the profiling clearance does not name {way}", fix="clear the approvals: it is asked anew"
        )
    answering = EndpointHook(endpoint, environment=cycle.protocol.environment.name).build().build
    if answering == baseline_build:
        raise ProfileError(
            794, where=name, what="the build that answers is the one that was profiled before", got=answering,
            fix="none if this service was not changed",
        )  # fmt: skip


def _compared(cycle: Cycle, name: str, before: ProfiledSide, after: ProfiledSide) -> dict[str, Any]:
    picture = None
    if why_not_comparable(before, after) is None:
        drawn = cycle.publish(
            f"evidence/profile-comparison-{name}-flame-graph.svg",
            lambda: change_graph(before, after, service=name),
            inputs=[cycle.reference(before.reference["name"]), cycle.reference(after.reference["name"])],
            per_try=True,
        )
        picture = cycle.source(drawn)
    named = named_functions(cycle.document("optimization-plan.json"), before.document)
    return comparison_document(service=name, before=before, after=after, named=named, picture=picture)


def compare_plans(cycle: Cycle, *, comparisons: Sequence[Mapping[str, Any]], plans: Mapping[str, Any]) -> dict[str, Any]:
    """Publishes the candidate's query plans, and what differs from the baseline's. `comparisons` are those of the profiles."""
    profiled = {d["service"]: d["profiles"]["candidate"] is not None for d in map(cycle.document, comparisons)}
    candidate = cycle.publish(CANDIDATE_PLANS, lambda: _explained(cycle, plans, profiled), inputs=[*comparisons, plans])
    return cycle.publish(PLAN_DIFF, lambda: _differences(cycle, plans, cycle.document(candidate)), inputs=[plans, candidate])


def _explained(cycle: Cycle, plans: Mapping[str, Any], profiled: Mapping[str, bool]) -> dict[str, Any]:
    """The same shape as the baseline's query plan document, and per service the reason where nothing was counted."""
    services: list[dict[str, Any]] = []
    for entry in cycle.document(plans)["services"]:
        service = cycle.protocol.service(entry["service"])
        hook = query_hook(endpoint_of(service, "candidate"))
        missing = None
        if hook is None:
            missing = "the candidate names no database"
        elif not profiled.get(service.name):
            missing = "the candidate was not profiled"
        if hook is None or missing is not None:
            services.append({"service": service.name, "requests": None, "statements": [], "findings": [], "reason": missing})
            continue
        counted = cycle.document(statements_name(service.name))
        rows = statement_rows(counted, where=f"the candidate of {service.name}")
        chosen = to_explain(rows, baseline=entry, heaviest=HEAVIEST)
        try:
            services.append({**explained_statements(hook, service, counted, rows=rows, chosen=chosen), "reason": None})
        except ProfileError as error:
            log.warning("the plans of the candidate of %s are not compared: %s", service.name, error)
            services.append({"service": service.name, "requests": None, "statements": [], "findings": [], "reason": str(error)})
    return {"services": services}


def _differences(cycle: Cycle, plans: Mapping[str, Any], candidate: Mapping[str, Any]) -> dict[str, Any]:
    after = {entry["service"]: entry for entry in candidate["services"]}
    found = []
    for entry in cycle.document(plans)["services"]:
        name = entry["service"]
        reason = "the baseline names no database" if entry["requests"] is None else after[name]["reason"]
        if reason is not None:
            found.append(not_compared(service=name, reason=reason))
            continue
        sides = [_counted(cycle, f"evidence/statements-{name}.json", entry), _counted(cycle, statements_name(name), after[name])]
        found.append(service_diff(service=name, before=sides[0], after=sides[1]))
    return {"services": found}


def _counted(cycle: Cycle, name: str, explained: Mapping[str, Any]) -> CountedSide:
    counted = cycle.document(name)
    return CountedSide(counted["requests"], statement_rows(counted, where=name), explained)
