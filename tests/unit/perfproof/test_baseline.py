"""Cells, completeness and the documents of a baseline."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import statistics
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.baseline import (
    Cell,
    Reason,
    Requirements,
    Window,
    adherence_percent,
    baseline_csv,
    baseline_document,
    cells_of,
    completeness,
    failed_series,
    measure_cell,
    read_baseline,
    require_sources,
    required_cells,
    service_document,
)
from perfproof.baseline.document import adherence_key, round_down, window_record
from perfproof.config import Service, Slo, load_protocol
from perfproof.errors import ArtifactError, TelemetryError
from perfproof.schemas import document_problems, read_baseline_csv
from perfproof.telemetry import Direction, MetricKind, MetricSpec, Series, Unit, document_bytes, sha256_hex

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
END = NOW.timestamp()
WINDOW = Window(END - 60, END, 2)
LATENCY = MetricSpec("api_latency_p95", MetricKind.LATENCY, Unit.MILLISECONDS, Direction.LOWER, "prometheus", "p95")
THROUGHPUT = MetricSpec("throughput", MetricKind.THROUGHPUT, Unit.PER_SECOND, Direction.HIGHER, "prometheus", "rps")
ERRORS = MetricSpec("error_rate", MetricKind.ERROR_RATE, Unit.PERCENT, Direction.LOWER, "prometheus", "errors")
CPU = MetricSpec("cpu_utilization", MetricKind.UTILIZATION, Unit.PERCENT, Direction.LOWER, "prometheus", "cpu")


def series_of(samples: list[tuple[float, float]], spec: MetricSpec = LATENCY, **changes: object) -> Series:
    series = Series(
        metric=spec.name,
        service="api",
        unit=spec.unit,
        source=spec.source,
        query=spec.query,
        start=WINDOW.start,
        end=WINDOW.end,
        step=WINDOW.step,
        times=tuple(moment for moment, _ in samples),
        values=tuple(value for _, value in samples),
        fetched_at=NOW,
        raw_sha256=sha256_hex(repr(samples).encode()),
    )
    return dataclasses.replace(series, **changes)  # type: ignore[arg-type]


def full(value: float = 100.0) -> list[tuple[float, float]]:
    return [(WINDOW.start + 2 * number, value) for number in range(1, 31)]


def measured(series: Series, spec: MetricSpec = LATENCY) -> Cell:
    return measure_cell(
        spec,
        "api",
        series,
        window_start=WINDOW.start,
        window_end=WINDOW.end,
        step=WINDOW.step,
        min_coverage=0.9,
        min_samples=10,
        max_staleness_seconds=10,
        collection_method="Prometheus range query (prometheus)",
    )


def cell_with(metric: str, *, valid: int = 30, critical: bool = True, service: str = "api") -> Cell:
    cell = measured(series_of(full()))
    value = None if valid == 0 else cell.value
    return dataclasses.replace(cell, metric=metric, service=service, samples_valid=valid, value=value, critical=critical)


def test_a_complete_series_gives_the_median_and_full_coverage() -> None:
    """Thirty good samples: their median, coverage 1, no reasons."""
    samples = [(moment, float(number)) for number, (moment, _) in enumerate(full())]
    cell = measured(series_of(samples))
    assert (cell.value, cell.coverage, cell.score, cell.reasons) == (14.5, 1.0, 1.0, ())
    assert cell.samples_expected == 30


def test_the_sample_at_the_start_belongs_to_the_window_before() -> None:
    """The window is open at its start, so adjacent windows share no sample."""
    cell = measured(series_of([(WINDOW.start, 9.0), *full(1.0)]))
    assert (cell.samples_valid, cell.value) == (30, 1.0)


def test_a_gap_is_missing_and_never_filled() -> None:
    """Half of the steps without samples: coverage one half, TOO_FEW, score below 1."""
    cell = measured(series_of(full()[15:]))
    assert (cell.samples_valid, cell.coverage, cell.reasons) == (15, 0.5, (Reason.TOO_FEW,))
    assert cell.score == pytest.approx(0.5 / 0.9)


def test_many_samples_in_one_step_cover_one_step() -> None:
    """A burst cannot make up for a gap."""
    burst = [(WINDOW.end - 2 + 0.05 * number, 5.0) for number in range(1, 40)]
    assert measured(series_of(burst)).samples_valid == 1


@pytest.mark.parametrize(
    ("series", "reasons"),
    [
        (series_of([]), (Reason.NODATA, Reason.TOO_FEW)),
        (series_of([(WINDOW.start - 500, 1.0)]), (Reason.NODATA, Reason.TOO_FEW)),
        (series_of(full(math.nan)), (Reason.TOO_FEW, Reason.NAN)),
        (series_of(full(math.inf)), (Reason.TOO_FEW, Reason.NAN)),
        (series_of([(m, math.nan if n < 4 else 1.0) for n, (m, _) in enumerate(full())]), (Reason.TOO_FEW, Reason.NAN)),
        (series_of(full()[:20]), (Reason.STALE, Reason.TOO_FEW)),
        (series_of(full(), unit=Unit.SECONDS), (Reason.TOO_FEW, Reason.UNIT)),
        (series_of([*full()[:-1], (END, -1.0)]), (Reason.TOO_FEW, Reason.UNIT)),
        (series_of(full(), query="  "), (Reason.TOO_FEW, Reason.UNTRACEABLE)),
        (series_of(full(), source="elsewhere"), (Reason.TOO_FEW, Reason.UNTRACEABLE)),
        (series_of(full(), metric="another"), (Reason.TOO_FEW, Reason.UNTRACEABLE)),
        (series_of(full(), service="another"), (Reason.TOO_FEW, Reason.UNTRACEABLE)),
        (series_of(full(), raw_sha256="A" * 64), (Reason.TOO_FEW, Reason.UNTRACEABLE)),
        (series_of(full(), raw_sha256="a" * 63), (Reason.TOO_FEW, Reason.UNTRACEABLE)),
        (series_of([], error="HTTP 400"), (Reason.TOO_FEW, Reason.FETCH_ERROR)),
        (series_of([*full(), (END, 100.0)]), (Reason.DUPLICATE,)),
    ],
)
def test_each_defect_has_its_reason(series: Series, reasons: tuple[Reason, ...]) -> None:
    """Every reason code arises from its own defect, in the order of the enumeration."""
    assert measured(series).reasons == tuple(sorted(reasons, key=list(Reason).index))


@pytest.mark.parametrize("samples", [[], full(math.nan), full(-1.0)])
def test_without_a_valid_sample_there_is_no_value(samples: list[tuple[float, float]]) -> None:
    """No valid sample: no value, score 0, never a zero that looks measured."""
    cell = measured(series_of(samples))
    assert (cell.value, cell.score, cell.samples_valid) == (None, 0.0, 0)


def test_a_moment_with_two_values_counts_for_nothing() -> None:
    """Which of two contradicting values is true cannot be known, so neither counts."""
    cell = measured(series_of([*full(), (END, 7.0)]))
    assert (cell.samples_valid, cell.reasons) == (29, (Reason.DUPLICATE,))


@pytest.mark.parametrize(
    ("spec", "value", "possible"),
    [(ERRORS, 100.0, True), (ERRORS, 250.0, False), (CPU, 104.0, True), (CPU, 180.0, False), (LATENCY, 9e9, True), (THROUGHPUT, 0.0, True)],
)
def test_values_that_a_unit_cannot_have_condemn_the_cell(spec: MetricSpec, value: float, possible: bool) -> None:
    """An error rate of 250 %, or a CPU of 180 % without a unit per core, says that the unit is wrong."""
    cell = measured(series_of([*full(1.0)[:-1], (END, value)], spec), spec)
    assert (Reason.UNIT not in cell.reasons) is possible
    assert (cell.value is not None) is possible


@pytest.mark.parametrize(("left_out", "stale"), [(5, False), (6, True)])
def test_the_allowed_age_itself_is_still_fresh(left_out: int, stale: bool) -> None:
    """Ten seconds are allowed: a newest sample of 10 s is fresh, one of 12 s is stale."""
    cell = measured(series_of(full()[:-left_out]))
    assert (Reason.STALE in cell.reasons, cell.score == 0.0) == (stale, stale)


def test_stale_metrics_score_nothing() -> None:
    """Enough samples, but the newest is older than allowed."""
    cell = measured(series_of(full()[:-6]))
    assert cell.staleness_seconds == 12.0
    assert cell.score == 0.0


@given(
    st.lists(
        st.tuples(st.integers(-5, 36), st.one_of(st.floats(0, 1e6), st.sampled_from([math.nan, math.inf, -math.inf]))),
        max_size=60,
    )
)
def test_a_cell_agrees_with_counting_by_hand(points: list[tuple[int, float]]) -> None:
    """Slow twin: walk through the steps, keep the moments with exactly one finite value, and take their median."""
    samples = [(WINDOW.start + 2 * step, value) for step, value in points]
    kept = []
    for step in range(1, 31):
        found = {("x" if not math.isfinite(v) else v) for s, v in points if s == step}
        if len(found) == 1 and "x" not in found:
            kept.append(found.pop())
    cell = measured(series_of(samples))
    assert cell.samples_valid == len(kept)
    assert cell.value == (float(f"{statistics.median(kept):.6g}") if kept else None)


def test_eight_of_ten_metrics_are_eighty_percent() -> None:
    """The specification's anti-pattern 1: 80 %, and the two missing metrics by name."""
    names = [f"metric_{number}" for number in range(8)]
    required = [("api", name) for name in [*names, "memory_utilization", "error_rate"]]
    found = completeness([cell_with(name) for name in names], required)
    assert (found.percentage, found.collected, found.required) == (80.0, 8, 10)
    assert found.missing == ("memory_utilization", "error_rate")
    assert found.critical_missing == found.missing


def test_twelve_of_twelve_can_be_ninety_seven() -> None:
    """Partial coverage of one optional metric: all twelve collected, completeness 97."""
    names = [f"metric_{number}" for number in range(12)]
    cells = [cell_with(name) for name in names[:-1]]
    partial = dataclasses.replace(cell_with(names[-1], valid=576, critical=False), samples_expected=1000)
    found = completeness([*cells, partial], [("api", name) for name in names])
    assert (found.percentage, found.collected, found.missing, found.critical_missing) == (97.0, 12, (), ())


def test_a_critical_metric_must_be_covered_fully() -> None:
    """A critical metric with a score below 1 is named, even if it counts as collected."""
    found = completeness([cell_with("p95", valid=20)], [("api", "p95")])
    assert (found.missing, found.critical_missing) == ((), ("p95",))


def test_several_services_are_told_apart_by_name() -> None:
    """One metric name in two services: the missing one is named with its service."""
    found = completeness([cell_with("p95")], [("api", "p95"), ("payment", "p95")])
    assert (found.percentage, found.missing) == (50.0, ("payment/p95",))


def test_nothing_required_is_no_pass() -> None:
    """An empty requirement is 0 %, not 100 %."""
    assert completeness([cell_with("p95")], []).percentage == 0.0


def test_of_two_cells_for_one_metric_the_worse_counts() -> None:
    """A second, better measurement cannot hide the first."""
    assert completeness([cell_with("p95"), cell_with("p95", valid=0)], [("api", "p95")]).percentage == 0.0


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12))
def test_completeness_is_the_mean_of_the_scores(valid: list[int]) -> None:
    """Slow twin of the formula of section 1: mean of min(1, c / 0.9) over cells with at least 10 samples."""
    cells = [cell_with(f"m{number}", valid=count) for number, count in enumerate(valid)]
    expected = sum(min(1.0, count / 30 / 0.9) if count >= 10 else 0.0 for count in valid) / len(valid) * 100
    assert completeness(cells, [("api", c.metric) for c in cells]).percentage == pytest.approx(expected, abs=1e-6)


def test_a_silent_source_halts() -> None:
    """A required source without one valid sample is a halt that names it, not a smaller denominator."""
    silent = dataclasses.replace(measured(series_of([])), source="cloudwatch")
    with pytest.raises(TelemetryError, match=r"TEL-251 .*cloudwatch"):
        require_sources([cell_with("p95"), silent])


def test_a_cell_without_origin_halts() -> None:
    """Baselines without verification are a halt."""
    with pytest.raises(TelemetryError, match=r"TEL-252 .*api/api_latency_p95"):
        require_sources([cell_with("p95"), measured(series_of(full(), query=""))])


def test_no_cells_at_all_halt() -> None:
    """Nothing measured is nothing to judge."""
    with pytest.raises(TelemetryError, match="TEL-250"):
        require_sources([])


def slo(target: float, metric: str = "api_latency_p95", unit: Unit = Unit.MILLISECONDS) -> Slo:
    return Slo("API Latency p95", metric, target, unit, 99, 500, "page the lead", "above target for 10 minutes")


def test_adherence_is_the_share_of_samples_at_or_below_the_target() -> None:
    """Three of thirty samples above the target; one exactly at it keeps it."""
    samples = [(m, 300.0 if n < 3 else 250.0 if n == 3 else 100.0) for n, (m, _) in enumerate(full())]
    assert adherence_percent(slo(250), LATENCY, series_of(samples), window=WINDOW) == 90.0


def test_adherence_turns_round_where_higher_is_better() -> None:
    """A throughput objective is kept at or above its target."""
    samples = [(m, 900.0 if n < 15 else 1000.0) for n, (m, _) in enumerate(full())]
    series = series_of(samples, THROUGHPUT)
    assert adherence_percent(slo(1000, "throughput", Unit.PER_SECOND), THROUGHPUT, series, window=WINDOW) == 50.0


def test_without_samples_there_is_no_adherence() -> None:
    """No data, or an objective in another unit, is not 100 % adherence."""
    assert adherence_percent(slo(250), LATENCY, series_of([]), window=WINDOW) is None
    assert adherence_percent(slo(250, unit=Unit.SECONDS), LATENCY, series_of(full()), window=WINDOW) is None


def shop() -> Service:
    return load_protocol(DEMO.read_bytes(), where="demo.yaml").services[0]


def shop_cells(service: Service) -> list[Cell]:
    cells = []
    for spec in service.metrics:
        series = series_of(full(50.0), spec, service="shop", metric=spec.name)
        cells.append(
            measure_cell(
                spec, "shop", series, window_start=WINDOW.start, window_end=WINDOW.end, step=2, min_coverage=0.9, min_samples=20,
                max_staleness_seconds=10, collection_method="Prometheus range query (prometheus)",
            )
        )  # fmt: skip
    return cells


def shop_document(cells: list[Cell] | None = None) -> dict[str, object]:
    service = shop()
    return baseline_document(
        shop_cells(service) if cells is None else cells,
        window=window_record(WINDOW),
        protocol_sha256="a" * 64,
        services=[service],
        builds={"shop": "1.4.2"},
        adherence={adherence_key("shop", "Orders latency p95"): 99.5},
        now=NOW,
    )


def test_the_document_holds_what_the_specification_asks_for() -> None:
    """SLO and SLA values, methodology, sources and the four figures; valid by the schema of the artifact."""
    document = shop_document()
    assert document_problems("baseline-metrics.json", document) == []
    assert (document["baseline_completeness"], document["metrics_collected"], document["missing_metrics"]) == (100, 7, [])
    assert document["slos"] == [
        {
            "slo_name": "Orders latency p95",
            "service": "shop",
            "metric": "orders_latency_p95",
            "target": 250,
            "sla": 500,
            "unit": "ms",
            "objective_percent": 99,
            "adherence_percent": 99.5,
            "met": True,
        }
    ]
    assert "median" in str(document["collection_methodology"])
    assert document["window"] == {"start": "2025-02-16T09:59:00Z", "end": "2025-02-16T10:00:00Z", "step_seconds": 2}


def test_an_objective_without_samples_is_neither_met_nor_missed() -> None:
    """Adherence null gives met null."""
    service = shop()
    document = baseline_document(
        shop_cells(service), window=window_record(WINDOW), protocol_sha256="a" * 64, services=[service], builds={"shop": None},
        adherence={}, now=NOW,
    )  # fmt: skip
    assert (document["slos"][0]["adherence_percent"], document["slos"][0]["met"]) == (None, None)


def test_a_metric_that_was_never_asked_for_is_refused() -> None:
    """Leaving out a cell cannot raise completeness."""
    with pytest.raises(TelemetryError, match=r"TEL-253 .*shop/memory_utilization"):
        shop_document(shop_cells(shop())[:-1])


def test_cells_of_different_requirements_cannot_be_joined() -> None:
    """A cell measured under weaker rules does not hide among the others."""
    cells = shop_cells(shop())
    weaker = dataclasses.replace(cells[0], requirements=Requirements(0.1, 1, 1e9))
    with pytest.raises(TelemetryError, match="TEL-254"):
        shop_document([weaker, *cells[1:]])


def test_a_metric_measured_twice_is_refused() -> None:
    """Two cells for one metric: one of them would be chosen by chance."""
    cells = shop_cells(shop())
    with pytest.raises(TelemetryError, match="TEL-254"):
        shop_document([*cells, cells[0]])


def test_the_document_reads_back_as_the_same_cells() -> None:
    """What this version writes, it reads: cells, requirements and figures."""
    cells = shop_cells(shop())
    data = document_bytes(shop_document())
    document = read_baseline(data, where="baseline-metrics.json")
    assert cells_of(document) == cells
    assert completeness(cells_of(document), required_cells([shop()])).percentage == 100.0


def test_a_service_part_reads_back_as_the_same_cells() -> None:
    """The part of a service goes through JSON between two tasks."""
    service = shop()
    cells = shop_cells(service)
    part = service_document(service, cells, window=WINDOW, adherence={"Orders latency p95": None}, build="1.4.2", answers={})
    assert cells_of(json.loads(document_bytes(part))) == cells
    assert part["adherence"] == {"shop/Orders latency p95": None}


def test_a_cell_without_value_reads_back() -> None:
    """NODATA survives the way through the file."""
    service = shop()
    cells = shop_cells(service)
    empty = measure_cell(
        service.metrics[0], "shop", series_of([], service.metrics[0], service="shop"), window_start=WINDOW.start, window_end=WINDOW.end,
        step=2, min_coverage=0.9, min_samples=20, max_staleness_seconds=10, collection_method="x",
    )  # fmt: skip
    document = read_baseline(document_bytes(shop_document([empty, *cells[1:]])), where="b")
    assert document["missing_metrics"] == ["orders_latency_p95"]
    assert document["baseline_completeness"] == 85.71
    assert cells_of(document)[0].value is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(baseline_completeness=97), "baseline_completeness: the cells do not give"),
        (lambda d: d.update(metrics_collected=6), "metrics_collected"),
        (lambda d: d.update(missing_metrics=["x"]), "missing_metrics"),
        (lambda d: d.update(schema_version=2), "another version"),
        (lambda d: d.pop("schema_version"), "key 'schema_version' is missing"),
        (lambda d: d.pop("cells"), "key 'cells' is missing"),
        (lambda d: d.update(cells=[]), "no cells"),
        (lambda d: d.update(protocol_sha256="A" * 64), "not a SHA-256"),
        (lambda d: d.update(collected_at="2025-02-30T10:00:00Z"), "not a moment"),
        (lambda d: d["cells"].append(d["cells"][0]), "two cells"),
        (lambda d: d["cells"][0].update(unit="parsec"), "unknown name"),
        (lambda d: d["cells"][0].update(value="450"), "wrong type"),
        (lambda d: d["cells"][0].update(value=True), "wrong type"),
        (lambda d: d["cells"][0].update(value=None), "contradict"),
        (lambda d: d["cells"][0].update(samples_valid=31), "more samples than steps"),
        (lambda d: d["cells"][0].update(coverage=0.5), "coverage: the samples do not give"),
        (lambda d: d["cells"][0].update(raw_sha256="b" * 63), "not a SHA-256"),
        (lambda d: d["cells"][0].update(reasons=["BAD"]), "unknown name"),
        (lambda d: d["cells"][0].update(direction="up"), "unknown name"),
        (lambda d: d["requirements"].update(min_coverage=0.0), "out of range"),
        (lambda d: d["slos"][0].pop("sla"), "key 'sla' is missing"),
    ],
)
def test_a_baseline_file_that_is_not_true_is_refused(change: object, words: str) -> None:
    """Each falsehood in a previous baseline is one clear line."""
    document = json.loads(document_bytes(shop_document()))
    change(document)  # type: ignore[operator]
    with pytest.raises(ArtifactError) as caught:
        read_baseline(document_bytes(document), where="baseline-metrics.json")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_csv_has_the_six_columns_of_the_specification() -> None:
    """Header and order as in the specification's example, one row per cell, read back without complaint."""
    data = baseline_csv(shop_document())
    assert data.splitlines()[0] == b"metric_name,service,value,unit,collection_method,timestamp"
    assert data.splitlines()[1] == b"orders_latency_p95,shop,50,ms,Prometheus range query (prometheus),2025-02-16T10:00:00Z"
    rows, complaints = read_baseline_csv(data)
    assert (len(rows), complaints) == (7, ())


def test_csv_text_cannot_become_a_formula() -> None:
    """A collection method that a spreadsheet would run is written as text; line ends cannot break the row."""
    document = {
        "cells": [{**dict.fromkeys(("metric_name", "service", "unit", "timestamp"), "x"), "value": None, "collection_method": "=1+1\n,"}]
    }
    row = list(csv.reader(io.StringIO(baseline_csv(document).decode())))[1]
    assert row == ["x", "x", "", "x", "'=1+1\\n,", "x"]


@pytest.mark.parametrize(("value", "cut"), [(94.999, 94.99), (94.9999999999, 95.0), (28.999999999999996, 29.0), (97.0, 97.0), (0.0, 0.0)])
def test_percentages_are_cut_and_never_rounded_up_to_a_threshold(value: float, cut: float) -> None:
    """94.999 % is not 95 %; what binary fractions add is forgiven."""
    assert round_down(value) == cut


def test_a_refused_query_leaves_a_fetch_error() -> None:
    """A failed fetch is a cell with its reason, so completeness sees it."""
    series = failed_series(LATENCY, "api", start=WINDOW.start, end=WINDOW.end, step=2, fetched_at=NOW, error="HTTP 400")
    cell = measured(series)
    assert Reason.FETCH_ERROR in cell.reasons
    assert cell.score == 0.0
