"""Every kind of source that a protocol file may name has a hook, and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perfproof.config import Protocol, Provides, Source, SourceKind, load_protocol
from perfproof.errors import ConfigError
from perfproof.source_checks import FORMS
from perfproof_airflow.hooks import baseline
from perfproof_airflow.hooks.context_sources import context_hook
from perfproof_airflow.hooks.metric_sources import METRIC_KINDS, metric_hook
from perfproof_airflow.hooks.workspace import Workspace

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
READ_OTHERWISE = {SourceKind.JSON_LINES, SourceKind.ARTIFACT}


def source_of(kind: SourceKind) -> Source:
    """A source with what its kind needs."""
    form = FORMS[kind]
    return Source(name="one", kind=kind, provides=Provides(form.provides[0]), critical=True, **dict.fromkeys(form.needs, "some_name"))


@pytest.mark.parametrize("kind", sorted(SourceKind))
def test_each_kind_is_read_in_one_way(kind: SourceKind, tmp_path: Path) -> None:
    """By a hook of metrics, by one of context, or as a file; and none opens anything before it is asked."""
    source, workspace = source_of(kind), Workspace(tmp_path)
    if kind in METRIC_KINDS:
        hook: Any = metric_hook(source, workspace=workspace)
        assert FORMS[kind].provides == ("metrics",)
        assert hook.collection_method and callable(hook.query_range_raw) and callable(hook.probe)
        with pytest.raises(ConfigError, match="CFG-254"):
            context_hook(source, workspace=workspace)
    elif kind in READ_OTHERWISE:
        for other in (metric_hook, context_hook):
            with pytest.raises(ConfigError):
                other(source, workspace=workspace)
    else:
        assert callable(context_hook(source, workspace=workspace).items)
        with pytest.raises(ConfigError, match="CFG-253"):
            metric_hook(source, workspace=workspace)


def test_every_kind_has_a_form_and_no_other() -> None:
    """The names of the table are those of the enumerations."""
    assert set(FORMS) == set(SourceKind)
    assert {name for form in FORMS.values() for name in form.provides} == set(Provides)


def with_source(**changes: Any) -> Protocol:
    """The demo's protocol with another source of metrics, and no fact that is asked of Prometheus."""
    import yaml

    document = yaml.safe_load(DEMO.read_text())
    document["sources"][0] |= changes
    facts = document["environment"]["mirrors_production"]
    document["environment"]["mirrors_production"] = [fact for fact in facts if fact["kind"] == "sql"]
    return load_protocol(json.dumps(document).encode(), where="changed.yaml")


@pytest.mark.parametrize(("kind", "window"), [("prometheus", (960.0, 1000.0)), ("openmetrics", (1000.0, 1040.0))])
def test_a_window_that_we_scrape_ourselves_begins_now(kind: str, window: tuple[float, float]) -> None:
    """What a store recorded is measured over the window that ends now."""
    protocol = with_source(kind=kind)
    assert baseline.baseline_window(protocol, protocol.services[0], now=1000.0) == window


def test_a_fact_that_is_asked_of_prometheus_needs_one() -> None:
    """Before anything starts."""
    document = DEMO.read_text().replace("kind: prometheus,", "kind: datadog,")
    with pytest.raises(ConfigError, match="CFG-255"):
        load_protocol(document.encode(), where="changed.yaml")


def test_metrics_that_are_scraped_are_asked_first() -> None:
    """The others' samples are then there when they are asked for."""
    protocol = load_protocol(DEMO.read_bytes(), where="demo.yaml")
    names = [spec.name for spec in baseline._scraped_first(protocol, protocol.services[0])]
    assert names == [spec.name for spec in protocol.services[0].metrics]
