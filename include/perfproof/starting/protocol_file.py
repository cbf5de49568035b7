"""The protocol file of a service that nobody has described yet: every key that it needs, with what to correct beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from perfproof.config.sources import SourceKind
from perfproof.starting.given import APPROVING, Given, Person
from perfproof.statistics.percentiles import smallest_sample

HEAD = """\
# Protocol file of {name}, begun with `perfproof init`. Every key: docs/configuration.md of perfproof.
# Lines with CORRECT hold a value that init could not know: read them before anybody signs what they say.
"""
STEPS = """\
approvals:
  expires_after_days: 7
  steps:
    prioritization: [product_owner]
    load_test_authorization: [sre_lead]
    profiling_clearance: [security]
    gate_1_decision: [sre_lead]
    gate_2_decision: [sre_lead]
    gate_3_decision: [product_owner]
    gate_4_decision: [product_owner]
    plan: [product_owner, sre_lead]
    implementation: [task_owner]
    rollback: [task_owner]
    slo_updates: [product_owner, sre_lead]
    handoff: [product_owner]
"""
LATEST = ".artifacts/performance/latest"
# Enough requests beyond the fewest that a percentile is judged by, since a few may be late.
SPARE = 1.1
# p95 needs 72. With so many, 8 blocks a side usually decide whether the error rate is worse by half a point.
BLOCK_REQUESTS = 180


def protocol_file(given: Given) -> str:
    """The YAML of `given`. It is text with remarks; whoever writes it to disk loads it first."""
    parts = [_head, _people, _starts_from, _environment, _sources, _baseline, _service, _load, _changes, _ends]
    return "".join(line + "\n" if line else "\n" for part in parts for line in part(given))


def _quoted(text: str) -> str:
    # A string of JSON is one of YAML, whatever it holds.
    return json.dumps(text, ensure_ascii=False)


def _head(given: Given) -> Iterator[str]:
    yield HEAD.format(name=given.name).rstrip()
    yield "schema_version: 1"
    yield f"name: {given.name}"
    yield f"target_metric: {given.target_metric}"
    yield f"objective: {_quoted(f'Make {given.paths[0].name} of {given.service} faster.')}  # CORRECT: what the cycle shall achieve"
    yield "context_directory: .cursor/context-kit"
    yield "instrumentation_directory: instrumentation"
    yield ""


def _people(given: Given) -> Iterator[str]:
    yield "# Ids are user names in Airflow. Whoever triggers a run, or owns the change, cannot approve it."
    yield "roles:"
    for role, people in given.roles:
        yield f"  {role}:"
        yield f"    label: {APPROVING[role]}"
        yield f"    people: [{', '.join(map(_person, people))}]"
    yield "  engineer:"
    yield "    label: Implementing Engineer"
    yield f"    people: [{_person(given.owner)}]"
    yield ""
    yield STEPS


def _person(person: Person) -> str:
    return f"{{id: {_quoted(person.id)}, name: {_quoted(person.name)}}}"


def _starts_from(given: Given) -> Iterator[str]:
    files = [
        ("MONITORING-PACKAGE.zip", given.inputs, True, 30, "monitoring_package"),
        ("DEPLOYMENT-REPORT.md", given.inputs, True, 30, "deployment_report"),
        ("INCIDENT-REPORT.md", given.inputs, False, 90, "incident_report"),
        ("performance-intake-backlog.json", LATEST, False, 90, "intake_backlog"),
        ("baseline-metrics.json", LATEST, False, 90, "baseline_metrics"),
    ]
    yield "# What a cycle starts from. init wrote templates of the first three: replace them by what you have."
    yield "prerequisites:"
    for name, directory, required, days, validator in files:
        path = _quoted(f"{directory}/{name}")
        yield f"  - {{name: {name}, path: {path}, required: {str(required).lower()}, max_age_days: {days}, validator: {validator}}}"
    yield ""


def _environment(given: Given) -> Iterator[str]:
    yield "environment:"
    yield f"  name: {_quoted(given.environment)}  # the target answers it at build_path, or no load is sent"
    yield "  production: false"
    yield "  # CORRECT: facts in which this environment must be like production. Nothing is compared as long as the list is empty:"
    yield "  # - {name: connections of the pool, kind: metric, query: pool_size, production: 20}"
    yield "  mirrors_production: []"
    yield ""


def _sources(given: Given) -> Iterator[str]:
    place = f"path: {_quoted(given.file)}" if given.file is not None else f"connection: {given.connection}"
    yield "sources:"
    yield f"  - {{name: metrics, kind: {given.source}, provides: metrics, critical: true, {place}, probe: {_quoted(_probe(given))}}}"
    yield "  - {name: monitoring, kind: artifact, provides: alerts, critical: false, artifact: MONITORING-PACKAGE.zip}"
    yield "  - {name: incidents, kind: artifact, provides: incidents, critical: false, artifact: INCIDENT-REPORT.md}"
    yield "  - {name: deployments, kind: artifact, provides: deployments, critical: true, artifact: DEPLOYMENT-REPORT.md}"
    yield "  - {name: backlog, kind: artifact, provides: backlog, critical: false, artifact: performance-intake-backlog.json}"
    yield ""


def _probe(given: Given) -> str:
    """A question that the source answers whenever it works."""
    instance = f"{given.baseline.host}:{given.baseline.port}"
    query = next(metric.query for metric in given.metrics if metric.name == given.target_metric)
    own = {SourceKind.PROMETHEUS: f'up{{instance="{instance}"}}', SourceKind.OPENMETRICS: "process_cpu_seconds_total"}
    step = str(max(1, round(given.scrape_seconds)))
    filled = query.replace("$instance", instance).replace("$service", given.service).replace("$step", step).replace("$window", step)
    return own.get(given.source, filled)


def _baseline(given: Given) -> Iterator[str]:
    step = given.scrape_seconds
    yield "baseline:"
    yield f"  window_seconds: {40 * step:g}  # the baseline is measured over the last so many seconds: users must have been there"
    yield f"  step_seconds: {step:g}  # how often the metrics are recorded; rates are taken over five of them"
    yield "  min_coverage: 0.9"
    yield "  min_samples: 15"
    # CloudWatch's newest periods are not asked for.
    yield f"  max_staleness_seconds: {5 * step + (120 if given.source is SourceKind.CLOUDWATCH else 0):g}"
    yield "  regression_limit_percent: 50  # a baseline that is worse than the last cycle's by more halts the cycle"
    yield ""


def _service(given: Given) -> Iterator[str]:
    yield "services:"
    yield f"  - name: {given.service}"
    yield f"    owner: {_quoted(given.owner.id)}"
    yield '    business_impact: "Not described yet."  # CORRECT: what its slowness costs'
    yield "    critical: true"
    yield '    scaling_policy: "Not described yet."  # CORRECT'
    yield "    limits: {cpu_cores: 1, memory_mib: 512}  # CORRECT: what one instance may use"
    yield "    endpoints:"
    for side, endpoint in given.endpoints:
        yield f"      {side}:"
        yield f"        host: {_quoted(endpoint.host)}"
        yield f"        port: {endpoint.port}"
        yield f'        build_path: /build  # answers {{"build": …, "environment": {_quoted(given.environment)}}}'
        yield "        metrics_path: /metrics  # Prometheus or OpenMetrics text"
        if given.pprof_path is not None:
            yield f"        pprof_path: {_quoted(given.pprof_path)}"
        else:
            yield f"        pid_file: run/{given.service}-{side}.pid  # digits; for profiling. Go: pprof_path in its place"
        if given.database is not None:
            yield f"        database_connection: {_quoted(given.database.replace('{side}', side))}"
    if given.candidate is None:
        yield "      # candidate: with a second deployment both are measured side by side, else one after the other"
    yield "    slos:"
    yield f"      - name: {_quoted(f'{given.paths[0].name} latency p95')}"
    yield f"        metric: {given.target_metric}"
    yield f"        target: {given.slo_ms:g}  # CORRECT: the objective in force"
    yield "        unit: ms"
    yield "        objective_percent: 99"
    yield "        sla: null"
    yield '        escalation_policy: "Not described yet."  # CORRECT'
    yield f"        alert_threshold: {_quoted(f'p95 above {given.slo_ms:g} ms for 10 minutes')}"
    yield "    transactions:"
    for path in given.paths:
        spans = ", ".join(f"{name}: {{first: {span.first}, last: {span.last}}}" for name, span in path.parameters)
        more = f", parameters: {{{spans}}}" if spans else ""
        yield f"      - {{name: {path.name}, method: {path.method}, path: {_quoted(path.path)}, weight: 1{more}}}"
    yield "    metrics:"
    for metric in given.metrics:
        yield f"      - name: {metric.name}"
        yield f"        kind: {metric.kind}"
        yield f"        unit: {metric.unit}"
        yield f"        direction: {metric.direction}"
        yield "        source: metrics"
        yield f"        query: {_quoted(metric.query)}"
    yield "    # What must not get worse, from metrics_path: CORRECT what your service calls otherwise."
    yield "    guards:"
    yield "      - {name: cpu_ms_per_request, kind: counter_per_request, unit: ms/request, direction: lower_is_better, margin: 0.05,"
    yield "         floor: 0.3, series: process_cpu_seconds_total, factor: 1000}"
    yield "      - {name: memory_rss, kind: gauge, unit: MiB, direction: lower_is_better, margin: 0.05, floor: 16,"
    yield "         series: process_resident_memory_bytes, factor: 0.00000095367431640625}"
    yield "      - {name: error_rate, kind: error_rate, unit: percent, direction: lower_is_better, margin: 0, floor: 0.5}"
    yield ""


def _load(given: Given) -> Iterator[str]:
    targets = dict.fromkeys((*(endpoint for _, endpoint in given.endpoints), *given.allow))
    rate = given.rate
    peak = max(15, math.ceil(SPARE * smallest_sample(0.99) / rate))
    block = max(5, math.ceil(BLOCK_REQUESTS / rate))
    longest = 2 + max(peak, 4 * 5, block, 15)
    yield "# The SRE lead signs these bounds. Nothing else can be sent to, and no test is larger."
    yield "load:"
    yield f"  allow: [{', '.join(f'{{host: {_quoted(t.host)}, port: {t.port}}}' for t in targets)}]"
    yield f"  max_rate: {4 * rate:g}"
    yield f"  max_duration_seconds: {longest}"
    yield "  max_tests: 240"
    yield "  window_hours: 24"
    yield "  abort: {error_rate_percent: 60, p99_ms: 20000, over_seconds: 5}"
    yield "  profiles:"
    yield "    modest:"
    yield f"      peak: {{rate: {rate:g}, seconds: {peak}, warmup_seconds: 2}}  # CORRECT: the highest rate that users reach"
    yield f"      stress: {{rates: [{', '.join(f'{step * rate:g}' for step in (1, 2, 3, 4))}], seconds_each: 5}}"
    yield from _failure(given)
    yield f"      targets: {{p50_ms: {given.slo_ms:g}, p95_ms: {given.slo_ms:g}, p99_ms: {2 * given.slo_ms:g}, error_rate_percent: 0.5}}"
    yield f"      measurement: {{blocks: 8, max_blocks: 24, block_seconds: {block}, rate: {rate:g}, warmup_seconds: 1}}"
    yield ""


def _failure(given: Given) -> Iterator[str]:
    common = f"rate: {given.rate:g}, seconds: 12"
    if given.database is not None:
        yield f"      failure: {{{common}, fault: terminate_database_connections, fault_at_second: 3, recover_within_seconds: 5}}"
        return
    yield "      # The proxy stands between the service and what it depends on, see docs/load-safety.md:"
    yield "      #   python -m perfproof_airflow.fault_proxy --listen PORT --control PORT --target HOST:PORT"
    yield f"      failure: {{{common}, fault: lost_connections, fault_at_second: 3, recover_within_seconds: 5,"
    yield f"                proxy: {{host: 127.0.0.1, port: {given.fault_proxy}, seconds: 2}}}}"


def _changes(given: Given) -> Iterator[str]:
    cause = "database_contention" if given.database is not None else "code_hot_path"
    yield "optimizations:"
    yield "  - id: OPT-001"
    yield f"    title: {_quoted(given.change)}"
    yield f"    service: {given.service}"
    yield f"    cause: {cause}  # or code_hot_path, database_contention, infrastructure_limit"
    yield f"    owner: {_quoted(given.owner.id)}"
    yield "    risk: medium"
    yield '    risk_notes: "Not described yet. Roll back by deploying the build before."  # CORRECT'
    yield "    expected_gain_percent: 20  # CORRECT"
    yield '    confirms: "Not described yet."  # CORRECT: what in profile or query plans would confirm it'
    yield ""


def _ends(_: Given) -> Iterator[str]:
    yield "cost: {currency: USD, core_hour: 0.04, gib_hour: 0.005}  # CORRECT: your prices"
    yield ""
    yield "distribution:"
    yield "  report:"
    yield "    - {name: Stakeholders, directory: outbox/stakeholders}"
    yield "  next_protocol: {name: Protocol 22, directory: outbox/protocol-22}"
    yield "  monitoring: {name: Protocol 19, directory: outbox/protocol-19}"
