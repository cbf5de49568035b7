"""Each export is what its tool reads: promtool where it is there, the shapes of boto3, OpenSLO, Sloth and Grafana always."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.errors import ArtifactError
from perfproof.slos.exports import FILES, RULES_FILE, TESTS_FILE, Format, export, exported_files
from perfproof.slos.indicator import SliKind
from perfproof.slos.objective import Objective, objective_document, read_objective
from perfproof.slos.openslo import openslo_problems
from perfproof.slos.prometheus_rules import alert_name

HOSTILE = '<b>x</b>{{ $labels.a | query }} "} or vector(1) \n# \\ {{.window}} ☃'
KINDS = ["samples", "buckets", "errors", "throughput"]


@pytest.fixture(params=KINDS)
def objective(request: pytest.FixtureRequest) -> Objective:
    found: Objective = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def hostile(samples: Objective) -> Objective:
    return replace(samples, name=HOSTILE, service=HOSTILE, escalation=HOSTILE, instance=HOSTILE)


def written(objectives: Sequence[Objective], directory: Path) -> None:
    for name, data in exported_files(objectives).items():
        (directory / name).write_bytes(data)


def called(promtool: str, *arguments: str, cwd: Path) -> str:
    done = subprocess.run([promtool, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules(objectives: Sequence[Objective]) -> list[dict[str, Any]]:
    document = yaml.safe_load(export(Format.PROMETHEUS, objectives))
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_promtool_takes_the_rules(promtool: str, every: Sequence[Objective], hostile: Objective, tmp_path: Path) -> None:
    """All kinds of objectives and hostile names, with every lint."""
    (tmp_path / RULES_FILE).write_bytes(export(Format.PROMETHEUS, [*every, hostile]))
    assert "SUCCESS" in called(promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES_FILE, cwd=tmp_path)


def test_each_alert_fires_on_a_burn_and_is_quiet_without(promtool: str, objective: Objective, tmp_path: Path) -> None:
    """The generated tests, run by promtool itself."""
    written([objective], tmp_path)
    assert "SUCCESS" in called(promtool, "test", "rules", TESTS_FILE, cwd=tmp_path)


def test_the_generated_tests_can_fail(promtool: str, samples: Objective, tmp_path: Path) -> None:
    """Rules with another threshold do not pass them."""
    one_day = replace(samples, period_days=1)
    written([one_day], tmp_path)
    spoiled = (tmp_path / RULES_FILE).read_text().replace("> bool 60", "> bool 6000")
    (tmp_path / RULES_FILE).write_text(spoiled)
    done = subprocess.run([promtool, "test", "rules", TESTS_FILE], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0 and "FAILED" in done.stdout + done.stderr


RATIO = r"perfproof:slo_error_ratio:rate{}\{{[^}}]*\}} > [0-9.e-]+"
SPOILED = {
    "short window left out": rf" and {RATIO.format('5m')}",
    "long window left out": rf"^{RATIO.format('1h')} and ",
    "guard left out": r" and (on \(\) )?(?!perfproof:slo_error_ratio)[^>]* >= [0-9.]+",
}


@pytest.mark.parametrize("spoil", SPOILED)
@pytest.mark.parametrize("kind", ["samples", "errors"])
def test_each_window_and_the_guard_are_tested_by_themselves(
    promtool: str, kind: str, spoil: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Rules in which one of them is left out fail the generated tests of the alert over 1h."""
    objective = request.getfixturevalue(kind)
    written([objective], tmp_path)
    document = yaml.safe_load((tmp_path / RULES_FILE).read_text())
    (rule,) = (rule for group in document["groups"] for rule in group["rules"] if rule.get("alert", "").endswith("_page_1h"))
    before, rule["expr"] = rule["expr"], re.sub(SPOILED[spoil], "", rule["expr"])
    assert rule["expr"] != before
    (tmp_path / RULES_FILE).write_text(yaml.safe_dump(document, width=1000))
    tests = yaml.safe_load((tmp_path / TESTS_FILE).read_text())
    tests["tests"] = [test for test in tests["tests"] if "_page_1h" in test["name"]]
    (tmp_path / TESTS_FILE).write_text(yaml.safe_dump(tests, width=1000))
    done = subprocess.run([promtool, "test", "rules", TESTS_FILE], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0 and "FAILED" in done.stdout + done.stderr


def test_every_alert_is_tested_for_windows_and_guard(objective: Objective) -> None:
    """The names of the tests say what they are about."""
    names = [test["name"] for test in yaml.safe_load(export(Format.PROMTOOL_TEST, [objective]))["tests"]]
    for alert in objective.alerts.alerts:
        mine = [name for name in names if name.startswith(f"{alert_name(objective, alert)} ")]
        guard = "until there are enough samples" if objective.indicator.kind is SliKind.SAMPLES else "at too few requests"
        for words in ("fires on a burn and ends with it", "below its threshold", "only its short window burns", guard):
            assert any(words in name for name in mine), (words, mine)
    assert len(names) == len(set(names))


def test_lowered_alerts_fire_too(promtool: str, samples: Objective, tmp_path: Path) -> None:
    """An objective of 90 %, tight ones of 99.9 %, and text that tries to be a template."""
    written([replace(samples, percent=90, period_days=7, escalation=HOSTILE)], tmp_path)
    assert "SUCCESS" in called(promtool, "test", "rules", TESTS_FILE, cwd=tmp_path)
    written([replace(samples, percent=99.9, period_days=2)], tmp_path)
    assert "SUCCESS" in called(promtool, "test", "rules", TESTS_FILE, cwd=tmp_path)


def test_the_rules_hold_each_alert_with_both_windows_and_the_guard(objective: Objective) -> None:
    """Four burn-rate alerts and one on a missing metric, without a placeholder left."""
    alerts = [rule for rule in rules([objective]) if "alert" in rule]
    assert len(alerts) == 5 and alerts[-1]["expr"].startswith("absent(") and alerts[-1]["for"]
    traffic = objective.alerts.traffic
    for rule, alert in zip(alerts, objective.alerts.alerts, strict=False):
        assert rule["expr"].count(f"> {alert.threshold:.9g} ") == 2
        assert f">= {traffic.min_events:g} " in rule["expr"] and rule["expr"].endswith(f">= {traffic.min_bad:g}")
        assert rule["labels"]["severity"] == alert.pair.severity.value
    assert "$" not in "".join(rule["expr"] for rule in rules([objective]))


def test_a_period_that_is_a_window_too_is_recorded_once(samples: Objective) -> None:
    """Prometheus would write two values for one moment."""
    names = [rule["record"] for rule in rules([replace(samples, period_days=3)]) if "record" in rule]
    assert len(names) == len(set(names))


def test_hostile_text_begins_nothing(hostile: Objective) -> None:
    """Neither a template of Prometheus nor one of Sloth, and every form can be read again."""
    for rule in rules([hostile]):
        for part in ("labels", "annotations"):
            for text in rule.get(part, {}).values() if "alert" in rule else ():
                assert "{{" not in text.replace('{{ "{{" }}', "") and "\n" not in text
    document = yaml.safe_load(export(Format.SLOTH, [hostile]))
    query = document["slos"][0]["sli"]["raw"]["error_ratio_query"]
    assert query.count("{{.window}}") == 1 and query.endswith("[{{.window}}:1m])")
    assert openslo_problems(list(yaml.safe_load_all(export(Format.OPENSLO, [hostile])))) == []
    for form in (Format.CLOUDWATCH, Format.GRAFANA):
        json.loads(export(form, [hostile]))


def test_openslo_is_what_openslo_demands(every: Sequence[Objective]) -> None:
    """Each document alone, and what they refer to is there."""
    documents = list(yaml.safe_load_all(export(Format.OPENSLO, every)))
    assert openslo_problems(documents) == []
    assert [d["kind"] for d in documents].count("SLO") == len(every)
    assert [d["kind"] for d in documents].count("AlertPolicy") == 4 * len(every)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["metadata"].update(name="Upper Case"),
        lambda d: d.update(apiVersion="openslo/v2"),
        lambda d: d.update(extra=1),
        lambda d: d["spec"].update(budgetingMethod="None"),
        lambda d: d["spec"].update(timeWindow=[]),
        lambda d: d["spec"].update(indicatorRef="x"),
        lambda d: d["spec"].update(service="unknown"),
        lambda d: d["spec"].update(alertPolicies=["unknown"]),
        lambda d: d["spec"]["objectives"][0].update(target=99),
        lambda d: d["spec"]["objectives"][0].pop("op"),
        lambda d: d["spec"].update(description="x" * 1051),
    ],
)
def test_the_check_of_openslo_finds_what_is_wrong(samples: Objective, spoil: Any) -> None:
    """Each spoiled document is a problem."""
    documents = list(yaml.safe_load_all(export(Format.OPENSLO, [samples])))
    spoil(next(d for d in documents if d["kind"] == "SLO"))
    assert openslo_problems(documents)


def test_sloth_has_one_service_and_a_window_in_each_query(every: Sequence[Objective], samples: Objective) -> None:
    """Events for requests, a raw ratio for samples; two services are two files."""
    document = yaml.safe_load(export(Format.SLOTH, every))
    assert (document["version"], document["service"]) == ("prometheus/v1", "shop")
    for slo in document["slos"]:
        queries = [query for kind in slo["sli"].values() for query in kind.values()]
        assert queries and all("{{.window}}" in query and "$" not in query for query in queries)
        assert 0 < slo["objective"] <= 100 and slo["alerting"]["page_alert"]["labels"] == {"severity": "page"}
    with pytest.raises(ArtifactError, match="ART-581"):
        export(Format.SLOTH, [samples, replace(samples, service="other")])


def test_boto3_takes_the_alarms(every: Sequence[Objective], hostile: Objective) -> None:
    """The parameters fit the service model that botocore ships; CloudWatch's limits hold; what it cannot do is said."""
    session = pytest.importorskip("botocore.session").get_session()
    validate = pytest.importorskip("botocore.validate").ParamValidator().validate
    model = session.get_service_model("cloudwatch")
    document = json.loads(export(Format.CLOUDWATCH, [*every, hostile], actions=["arn:aws:sns:eu-west-1:1:pages"]))
    for key, operation in (("metric_alarms", "PutMetricAlarm"), ("composite_alarms", "PutCompositeAlarm")):
        for alarm in document[key]:
            report = validate(alarm, model.operation_model(operation).input_shape)
            assert not report.has_errors(), report.generate_report()
    names = [alarm["AlarmName"] for alarm in document["metric_alarms"]]
    assert len(names) == len(set(names))
    for alarm in document["metric_alarms"]:
        for query in alarm.get("Metrics", ()):
            assert query.get("MetricStat", {}).get("Period", 60) <= 86_400
    for composite in document["composite_alarms"]:
        assert all(f'ALARM("{name}")' not in composite["AlarmRule"] or name in names for name in names)
        assert composite["AlarmRule"].count(" AND ") == composite["AlarmRule"].count(" OR ") + 1
        assert composite["AlarmActions"] == ["arn:aws:sns:eu-west-1:1:pages"]
    assert len(document["left_out"]) == 5 and all("3d" in reason for reason in document["left_out"])


def test_the_dashboard_has_what_grafana_needs(every: Sequence[Objective]) -> None:
    """Ids once, a place in 24 columns without overlap, an expression in each target, and only recorded series."""
    document = json.loads(export(Format.GRAFANA, every))
    assert document["title"] and document["uid"] and document["schemaVersion"] >= 36
    ids = [panel["id"] for panel in document["panels"]]
    assert len(ids) == len(set(ids)) == 3 * len(every)
    taken: set[tuple[int, int]] = set()
    recorded = {rule["record"] for rule in rules(every) if "record" in rule}
    for panel in document["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["type"] in ("stat", "timeseries") and panel["title"]
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None and [s["value"] for s in steps[1:]] == sorted(s["value"] for s in steps[1:])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        for target in panel["targets"]:
            assert target["expr"].split("{")[0] in recorded


def test_two_objectives_of_one_name_are_refused(samples: Objective) -> None:
    """One would silently replace the other."""
    for form in Format:
        with pytest.raises(ArtifactError, match="ART-576"):
            export(form, [samples, samples])


def test_names_that_look_alike_stay_apart(samples: Objective) -> None:
    """What is lost in a name of letters and digits is kept as a digest."""
    assert samples.slo == "shop-orders-latency-p95"
    assert len({replace(samples, name=name).slo for name in ("é", "è", "a!", "a?", "x" * 200, "x" * 199 + "y")}) == 6


def test_the_same_objectives_give_the_same_bytes(every: Sequence[Objective]) -> None:
    """Evidence has digests."""
    assert exported_files(every) == exported_files(every) and set(exported_files(every)) == set(FILES.values())
    assert exported_files([]) == {}


def test_an_objective_is_read_as_it_was_written(every: Sequence[Objective]) -> None:
    """Through JSON."""
    for one in every:
        assert read_objective(json.loads(json.dumps(objective_document(one))), where="x") == one


@pytest.mark.parametrize(
    "change", [{"percent": 0}, {"percent": 101}, {"period_days": 0}, {"name": ""}, {"query": "up)"}, {"unit": "parsec"}, {"more": 1}]
)
def test_a_spoiled_objective_is_refused(samples: Objective, change: dict[str, Any]) -> None:
    """Before anything is written of it."""
    with pytest.raises(ArtifactError):
        read_objective({**objective_document(samples), **change}, where="x")


def test_a_pattern_that_nothing_simple_matches_has_no_test_file(errors: Objective) -> None:
    """It says so instead of writing a test that tests nothing; a cycle's other files are written."""
    wild = replace(errors, query=errors.query.replace('outcome="error"', 'outcome=~"[a-f]{3}x"'))
    with pytest.raises(ArtifactError, match="ART-578"):
        export(Format.PROMTOOL_TEST, [wild])
    assert set(FILES.values()) - set(exported_files([wild])) == {TESTS_FILE}


def test_usual_patterns_are_tested(promtool: str, errors: Objective, tmp_path: Path) -> None:
    """`5..` is a code like 500."""
    written([replace(errors, query=errors.query.replace('outcome="error"', 'code=~"5..|429"'), period_days=2)], tmp_path)
    assert 'code="500"' in (tmp_path / TESTS_FILE).read_text()
    assert "SUCCESS" in called(promtool, "test", "rules", TESTS_FILE, cwd=tmp_path)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("5..", "500"), ("a|b", "a"), ("(x-.*)", "x-x"), ("a.+", "ax"), (r"api\\.shop", "api.shop"), ("(?P<n", None), ("[ab]", None)],
)
def test_a_label_that_a_pattern_matches_is_found(errors: Objective, pattern: str, text: str | None) -> None:
    """Or it is said that none is."""
    asked = replace(errors, query=errors.query.replace('outcome="error"', f'code=~"{pattern}"'))
    if text is None:
        with pytest.raises(ArtifactError, match="ART-578"):
            export(Format.PROMTOOL_TEST, [asked])
    else:
        assert f'code="{text}"' in export(Format.PROMTOOL_TEST, [asked]).decode()


def test_an_objective_without_a_budget_divides_by_nothing(promtool: str, samples: Objective, errors: Objective, tmp_path: Path) -> None:
    """100 %: no burn-rate alert and no budget, and every file is still what its tool reads."""
    everything = [replace(samples, percent=100), replace(errors, percent=100)]
    written(everything, tmp_path)
    called(promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES_FILE, cwd=tmp_path)
    assert [rule["alert"] for rule in rules(everything) if "alert" in rule] == ["shop_orders_latency_p95_metric_absent"]
    assert openslo_problems(list(yaml.safe_load_all((tmp_path / FILES[Format.OPENSLO]).read_text()))) == []
    assert json.loads(export(Format.GRAFANA, everything))["panels"] == []
