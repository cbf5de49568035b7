"""The judge's parts: what a block value is, how two sides are compared, and which answer follows. Entry: `perfproof.comparison`."""
