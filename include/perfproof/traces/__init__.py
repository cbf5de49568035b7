"""Traces of requests: spans of any store in one form, which span of a trace took the time, and which did over all slow ones."""

from __future__ import annotations

from perfproof.traces.item import trace_item, trace_items
from perfproof.traces.slowest import slowest_spans
from perfproof.traces.spans import Span, Trace

__all__ = ["Span", "Trace", "slowest_spans", "trace_item", "trace_items"]
