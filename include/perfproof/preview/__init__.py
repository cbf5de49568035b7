"""What a run would do, before it is triggered: load, people, queries, gates, and what is missing. Nothing is opened or sent here."""

from perfproof.preview.document import preview
from perfproof.preview.found import Found

__all__ = ["Found", "preview"]
