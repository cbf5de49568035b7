"""What pages show of a cycle: projections of its log and of the documents that the log commits, as JSON documents.

A projection invents nothing: what the log does not say is null. Every text in it may be hostile, and whoever shows it escapes it.
"""
