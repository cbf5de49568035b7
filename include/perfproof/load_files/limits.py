"""What a tool's numbers cannot support, in sentences that more than one reader needs."""

from __future__ import annotations

CLOSED = (
    "closed model: a user waits for the answer before the next request, so a service that stalls is asked less and its slow moments are "
    "under-counted (coordinated omission); p95 and p99 are lower bounds"
)
FROM_SENDING = "latency counts from when the request was sent, not from when it was due: waiting inside the generator is not in it"
NO_ROWS = "a summary: without requests there is no confidence interval, no blocks, and no verdict"
AVERAGED = "percentiles of parts of the test cannot be combined into one of the whole"
MILLISECONDS = "the tool's clock has whole milliseconds: a latency below 10 ms is known to 10 % at best"
