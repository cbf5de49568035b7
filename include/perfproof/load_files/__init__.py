"""Result files of other load tools, read into one form that says what their numbers cannot support."""

from __future__ import annotations

from perfproof.load_files.form import LoadFile, Part, Requests, Tool, ToolSummary
from perfproof.load_files.reading import read_load_file

__all__ = ["LoadFile", "Part", "Requests", "Tool", "ToolSummary", "read_load_file"]
