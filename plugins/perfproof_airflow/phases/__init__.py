"""The protocol, phase by phase: one task group each. Reading these modules in order is reading the protocol."""
