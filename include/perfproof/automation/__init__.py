"""The specification's automation entry points, one per gate: `python -m perfproof.automation.validate_gate_14_<name> DIR`."""
