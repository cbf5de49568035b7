"""perfproof: proof for performance changes. The pure core: no Airflow, no network, no clock, no hidden state."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("perfproof")
except PackageNotFoundError:  # a source tree on PYTHONPATH, not installed
    __version__ = "0+source"

__all__ = ["__version__"]
