"""The forms in which objectives go live, and the files that a cycle writes of them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from perfproof.config import CloudWatchTarget
from perfproof.errors import ArtifactError
from perfproof.slos.cloudwatch import NAMESPACE, cloudwatch_alarms
from perfproof.slos.grafana import grafana_dashboard
from perfproof.slos.objective import Objective
from perfproof.slos.openslo import openslo
from perfproof.slos.prometheus_rules import prometheus_rules
from perfproof.slos.rule_tests import rule_tests
from perfproof.slos.sloth import sloth

RULES_FILE, TESTS_FILE = "slo-rules.yaml", "slo-rules.test.yaml"


class Format(StrEnum):
    """What reads the export."""

    PROMETHEUS = "prometheus"
    PROMTOOL_TEST = "promtool-test"
    OPENSLO = "openslo"
    SLOTH = "sloth"
    CLOUDWATCH = "cloudwatch"
    GRAFANA = "grafana"


def export(
    form: Format,
    objectives: Sequence[Objective],
    *,
    rules_file: str = RULES_FILE,
    namespace: str = NAMESPACE,
    actions: Sequence[str] = (),
    prefix: str = "",
) -> bytes:
    """The objectives in one form. `rules_file` is what the promtool test names; `namespace`, `actions` and `prefix` are CloudWatch's."""
    match form:
        case Format.PROMETHEUS:
            return prometheus_rules(objectives)
        case Format.PROMTOOL_TEST:
            return rule_tests(objectives, rules_file=rules_file)
        case Format.OPENSLO:
            return openslo(objectives)
        case Format.SLOTH:
            return sloth(objectives)
        case Format.CLOUDWATCH:
            return cloudwatch_alarms(objectives, namespace=namespace, actions=actions, prefix=prefix)
        case Format.GRAFANA:
            return grafana_dashboard(objectives)


FILES = {
    Format.PROMETHEUS: RULES_FILE,
    Format.PROMTOOL_TEST: TESTS_FILE,
    Format.OPENSLO: "slo.openslo.yaml",
    Format.SLOTH: "slo.sloth.yaml",
    Format.CLOUDWATCH: "slo-cloudwatch.json",
}


def exported_files(objectives: Sequence[Objective], *, cloudwatch: CloudWatchTarget | None = None) -> dict[str, bytes]:
    """The files that a cycle writes for the objectives of one service, by name; the panels go into its dashboard.

    `cloudwatch` says how the alarms are called that are made of it. A test file is left out where no series can be made for a
    pattern in a query: the rules are as good without.
    """
    found: dict[str, bytes] = {}
    for form, name in FILES.items() if objectives else ():
        try:
            found[name] = (
                export(form, objectives)
                if cloudwatch is None
                else export(form, objectives, namespace=cloudwatch.namespace, actions=cloudwatch.actions, prefix=cloudwatch.prefix)
            )
        except ArtifactError:
            if form is not Format.PROMTOOL_TEST:
                raise
    return found
