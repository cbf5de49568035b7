"""The samples of a Prometheus answer, [time, "value"], as numbers: all of a series at once where its text is in the usual form.

The usual form is what Prometheus and what speaks its API write: no white space. It is checked and converted by a few passes over
the bytes, which is faster than making a list and a text of every sample. Whatever differs is read sample by sample, with an error
that names the sample. Both ways accept the same samples.
"""

from __future__ import annotations

import functools
import re
from array import array
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from perfproof.answers.refusal import AnswerRefusal
from perfproof.strict import MAX_INTEGER

Samples = tuple[NDArray[np.float64], NDArray[np.float64]]
SAMPLE = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|Inf)|NaN")
NUMBER_CHARACTERS = b"0123456789+-.eE"
STRUCTURE = b'[,""],'
QUOTE, COMMA, OPENING, CLOSING = b'",[]'


def samples_in(text: bytes) -> Samples | None:
    """Times and values of `[time,"value"],[time,"value"],…`; None if it is not exactly that, in numbers as JSON writes them.

    NaN is among them, infinity is not.
    """
    # NaN becomes null, the number of JSON that is none; a null that was sent is found by the structure, which has no letters.
    words = text.replace(b'"NaN"', b'""') if b"N" in text else text
    structure = words.translate(None, NUMBER_CHARACTERS)
    count = (len(structure) + 1) // len(STRUCTURE)
    if structure != _structure(count) or not _close(text):
        return None
    numbers = (text if words is text else text.replace(b'"NaN"', b"null")).translate(None, b'[]"')
    try:
        found = orjson.loads(b"[" + numbers + b"]")
        table = array("d", found) if words is text else array("d", [np.nan if number is None else number for number in found])
    except (ValueError, TypeError, OverflowError):
        return None
    if len(table) != 2 * count:
        return None
    samples = np.frombuffer(table, dtype=np.float64)
    times, values = samples[::2].copy(), samples[1::2].copy()
    # Beyond, whole numbers have neighbours that are the same float; such times are none, and the slow way says so.
    return (times, values) if bool((np.abs(times) < MAX_INTEGER).all()) else None


def samples_of(pairs: list[Any], *, refuse: AnswerRefusal) -> Samples:
    """Times and values of what JSON made of the samples. Refuses the first that is none."""
    found = [sample_of(pair, refuse=refuse) for pair in pairs]
    table = np.array(found, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def sample_of(pair: Any, *, refuse: AnswerRefusal) -> tuple[float, float]:
    """Time and value of one sample."""
    if not isinstance(pair, list) or len(pair) != 2 or isinstance(pair[0], bool) or not isinstance(pair[0], int | float):
        raise refuse("not a sample", pair, "check that this is a Prometheus API", expected='[time, "value"]')
    if not isinstance(pair[1], str) or not SAMPLE.fullmatch(pair[1]):
        raise refuse("not a sample value", pair[1], "check that this is a Prometheus API", expected="a number as text")
    return float(pair[0]), float(pair[1])


@functools.lru_cache(maxsize=8)
def _structure(count: int) -> bytes:
    return (STRUCTURE * count)[:-1]


def _close(text: bytes) -> bool:
    """Whether, in text of the right structure, no character of a number stands where JSON has none, such as before a bracket."""
    characters = np.frombuffer(text, dtype=np.uint8)
    quotes = np.flatnonzero(characters == QUOTE)
    before, after = quotes[::2], quotes[1:-1:2]
    return bool(
        text[:1] == b"["
        and text[-2:] == b'"]'
        and (characters[before - 1] == COMMA).all()
        and (characters[after + 1] == CLOSING).all()
        and (characters[after + 2] == COMMA).all()
        and (characters[after + 3] == OPENING).all()
    )
