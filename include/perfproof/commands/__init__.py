"""The commands of `perfproof`: each module has `add_arguments(parser)` and `run(options)`, which returns the exit code."""
