"""Rules of other gates, read from their own files and judged here: Keptn's `slo.yaml`, Kayenta's canary configuration."""

from __future__ import annotations
