"""OpenSLO documents against a JSON Schema written from the fields that OpenSLO v1 documents.

The schema is the project's own: the published one demands a field of alert policies that the specification does not have, and
misspells the ratio of an SLI, so that it refuses OpenSLO's own examples.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from perfproof.slos.exports import Format, export
from perfproof.slos.objective import Objective

NAME = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}
DESCRIPTION = {"type": "string", "maxLength": 1050}
DURATION = {"type": "string", "pattern": "^[1-9][0-9]*[mhdwMQY]$"}


def fields(required: dict[str, Any], optional: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """An object with these fields and no others."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False, **more}


METADATA = fields(
    {"name": NAME}, {"displayName": {"type": "string", "minLength": 1}, "labels": {"type": "object"}, "annotations": {"type": "object"}}
)
SOURCE = fields({"spec": {"type": "object"}}, {"metricSourceRef": NAME, "type": {"type": "string"}})
METRIC = fields({"metricSource": SOURCE})
RATIO = fields(
    {"counter": {"type": "boolean"}, "total": METRIC},
    {"good": METRIC, "bad": METRIC},
    oneOf=[{"required": ["good"]}, {"required": ["bad"]}],
)
SLI = fields({}, {"description": DESCRIPTION, "thresholdMetric": METRIC, "ratioMetric": RATIO}, minProperties=1, maxProperties=1)
INDICATOR = fields({"metadata": METADATA, "spec": SLI})
WINDOW = fields({"duration": DURATION, "isRolling": {"const": True}})
OPERATOR = {"enum": ["lte", "gte", "lt", "gt"]}
OBJECTIVE = fields(
    {"target": {"type": "number", "minimum": 0, "exclusiveMaximum": 1}},
    {"displayName": {"type": "string"}, "op": OPERATOR, "value": {"type": "number"}},
    dependentRequired={"op": ["value"], "value": ["op"]},
)
CONDITION = fields(
    {"kind": {"const": "burnrate"}, "op": OPERATOR, "threshold": {"type": "number"}, "lookbackWindow": DURATION, "alertAfter": DURATION}
)
SPECS = {
    "Service": fields({}, {"description": DESCRIPTION}),
    "DataSource": fields({"type": {"type": "string"}, "connectionDetails": {"type": "object"}}, {"description": DESCRIPTION}),
    "AlertNotificationTarget": fields({"target": {"type": "string"}}, {"description": DESCRIPTION}),
    "AlertPolicy": fields(
        {
            "alertWhenNoData": {"type": "boolean"},
            "alertWhenResolved": {"type": "boolean"},
            "alertWhenBreaching": {"type": "boolean"},
            "conditions": {
                "type": "array", "minItems": 1, "maxItems": 1,
                "items": fields({
                    "kind": {"const": "AlertCondition"}, "metadata": METADATA,
                    "spec": fields({"severity": {"type": "string"}, "condition": CONDITION}, {"description": DESCRIPTION}),
                }),
            },
            "notificationTargets": {"type": "array", "minItems": 1, "items": fields({"targetRef": NAME})},
        },
        {"description": DESCRIPTION},
    ),
    "SLO": fields(
        {
            "service": NAME,
            "indicator": INDICATOR,
            "timeWindow": {"type": "array", "minItems": 1, "maxItems": 1, "items": WINDOW},
            "budgetingMethod": {"enum": ["Occurrences", "Timeslices", "RatioTimeslices"]},
            "objectives": {"type": "array", "minItems": 1, "items": OBJECTIVE},
        },
        {"description": DESCRIPTION, "alertPolicies": {"type": "array", "items": NAME}},
    ),
}  # fmt: skip


def schema(kind: str) -> dict[str, Any]:
    return fields({"apiVersion": {"const": "openslo/v1"}, "kind": {"const": kind}, "metadata": METADATA, "spec": SPECS[kind]})


def problems(document: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema(document["kind"])).iter_errors(document)]


def test_every_document_fits_the_schema_of_its_kind(every: Sequence[Objective]) -> None:
    """Each kind that is written, for each kind of objective, with no field that OpenSLO does not know."""
    documents = list(yaml.safe_load_all(export(Format.OPENSLO, every)))
    assert {document["kind"] for document in documents} == set(SPECS)
    assert [problem for document in documents for problem in problems(document)] == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["metadata"].update(name="Upper"),
        lambda d: d["spec"].update(extra=1),
        lambda d: d["spec"].pop("budgetingMethod"),
        lambda d: d["spec"]["objectives"][0].update(target=1),
        lambda d: d["spec"]["objectives"][0].pop("value"),
        lambda d: d["spec"]["timeWindow"][0].update(duration="30 days"),
        lambda d: d["spec"]["indicator"]["spec"].update(ratioMetric={}),
    ],
)
def test_the_schema_refuses_what_is_wrong(samples: Objective, spoil: Callable[[Any], Any]) -> None:
    """Each spoiled document has a problem."""
    documents = list(yaml.safe_load_all(export(Format.OPENSLO, [samples])))
    slo = next(document for document in documents if document["kind"] == "SLO")
    assert problems(copy.deepcopy(slo)) == []
    spoil(slo)
    assert problems(slo)
