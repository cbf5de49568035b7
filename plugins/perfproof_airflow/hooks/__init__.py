"""Hooks: each wraps one client, keeps no state, answers perfproof's dataclasses and raises perfproof's errors."""
