"""CloudWatch: its queries as the protocol file writes them, its answers, and its alarms."""
