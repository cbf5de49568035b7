"""Small statistics for few, noisy blocks. One idea per file; each has a slow and obvious oracle in its test.

The unit of replication is the block (one run of load), never the request: requests inside a block share a queue.
"""
