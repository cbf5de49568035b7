"""What the samples of JMeter mean, in CSV and in XML alike."""

from __future__ import annotations

import re

from perfproof.load_files.limits import CLOSED, FROM_SENDING, MILLISECONDS

LIMITS = (
    f"{CLOSED}; that holds unless a plugin of the thread group sets the arrivals, which the file does not say",
    FROM_SENDING,
    MILLISECONDS,
    "elapsed has the time to connect in it, for the requests that opened a connection",
    "timeStamp is taken for the start, as JMeter is delivered (sampleresult.timestamp.start=true)",
    "a sample is what the plan calls one: redirects and embedded resources are part of the sample that caused them",
)
# What a transaction controller writes in the place of an answer.
_TRANSACTION = re.compile(r"Number of samples in transaction : ([0-9]{1,9}), number of failing samples : [0-9]{1,9}")


def samples_in_transaction(message: str) -> int | None:
    """Of how many samples a row is the sum; None for a sample."""
    found = _TRANSACTION.fullmatch(message)
    return int(found[1]) if found else None


def transactions_left_out(number: int) -> list[str]:
    """In words, that sums of samples are no samples; nothing for none."""
    return [f"{number} sums of transaction controllers: their samples are counted themselves"] if number else []
