"""The performance report: a projection of the artifacts. It prints what they say and computes nothing."""

from __future__ import annotations

from perfproof.report.content import sections
from perfproof.report.evidence import Evidence
from perfproof.report.html import render_html
from perfproof.report.markdown import render_markdown

__all__ = ["Evidence", "render_html", "render_markdown", "sections"]
