"""What telemetry systems answer, read strictly into samples."""
