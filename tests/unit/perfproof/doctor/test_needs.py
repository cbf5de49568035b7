"""The Connections that protocol files, notifiers and the installation name, each once and with what fits."""

from __future__ import annotations

from pathlib import Path

from perfproof.config import load_protocol
from perfproof.doctor.connections import Need
from perfproof.doctor.needs import needs_of

DEMO = (Path(__file__).parents[4] / "include" / "protocols" / "demo.yaml").read_bytes()


def needed(notifiers: str = "", evidence: str | None = None) -> tuple[dict[str, Need], list[str | None]]:
    protocol = load_protocol(DEMO, where="demo.yaml")
    needs, wrong = needs_of([protocol, protocol], notifiers=notifiers, api_connection="perfproof_api", evidence_connection=evidence)
    return {need.id: need for need in needs}, [finding.code for finding in wrong]


def test_the_demo_needs_its_sources_and_databases() -> None:
    """Named twice, needed once; the installation's own are there too."""
    needs, wrong = needed()
    assert {name: need.types for name, need in needs.items()} == {
        "perfproof_approvals": ("generic",), "perfproof_signing": ("generic",), "perfproof_api": ("http",),
        "perfproof_prometheus": ("http",), "perfproof_shop_baseline": ("postgres",), "perfproof_shop_candidate": ("postgres",),
    }  # fmt: skip
    assert wrong == []
    assert {name for name, need in needs.items() if need.without is not None} == {"perfproof_api"}
    assert {name for name, need in needs.items() if need.is_key} == {"perfproof_signing", "perfproof_approvals"}


def test_recipients_and_the_bucket_need_theirs() -> None:
    """Of the type of each channel; a callable needs none."""
    needs, wrong = needed("slack:chat, email:mail?to=a@b.c, pagerduty:page, webhook:hook, my.package:post", evidence="bucket")
    assert {name: needs[name].types for name in ("chat", "mail", "page", "hook", "bucket")} == {
        "chat": ("slackwebhook",), "mail": ("smtp",), "page": ("pagerduty_events",), "hook": ("http",), "bucket": ("aws",),
    }  # fmt: skip
    assert wrong == []


def test_a_recipient_that_cannot_be_read_is_a_problem_and_not_an_end() -> None:
    """The other Connections are found all the same, and what may be a secret is not repeated."""
    needs, wrong = needed("slack:https://hooks.example/T0/B0/secret")
    assert wrong == ["DOC-107"]
    assert "perfproof_prometheus" in needs


def test_a_connection_that_something_must_have_is_not_optional() -> None:
    """The Connection for retries as a source of deployments: it must be there."""
    text = DEMO.decode().replace(
        "  - {name: backlog,",
        "  - {name: runs, kind: airflow_runs, provides: deployments, critical: false, connection: perfproof_api, query: deploy}\n"
        "  - {name: backlog,",
    )
    protocol = load_protocol(text.encode(), where="demo.yaml")
    needs, _ = needs_of([protocol], notifiers="", api_connection="perfproof_api", evidence_connection=None)
    (api,) = (need for need in needs if need.id == "perfproof_api")
    assert api.without is None and len(api.uses) == 2
