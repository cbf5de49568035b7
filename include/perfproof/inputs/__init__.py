"""Readers and validators of what people and other protocols supply. Each takes bytes and answers data or one clear error."""
