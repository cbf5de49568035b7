"""What pages show of evidence: artifacts as tables, charts and text. Pure, and everything that others wrote is text."""
