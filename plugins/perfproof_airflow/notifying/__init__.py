"""The channels through which notifications leave: one module for each way."""
