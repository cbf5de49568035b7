"""Series of many kinds with known changes, made in other ways than those that the detector was built with.

Noise: gamma, Laplace, uniform, and mixtures; level: any power of ten. Kinds without a change tell the false alarms.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from labelled import Labelled

Made = tuple[np.ndarray, list[int]]
Kind = Callable[[np.random.Generator], Made]


def _noise(g: np.random.Generator, length: int, spread: float) -> np.ndarray:
    """Around 1, with a deviation of `spread`, of one of four shapes."""
    which = int(g.integers(4))
    if which == 0:
        return np.asarray(g.gamma(1 / spread**2, spread**2, length))
    if which == 1:
        return np.asarray(1 + g.laplace(0, spread / np.sqrt(2), length))
    if which == 2:
        return np.asarray(1 + g.uniform(-1.732 * spread, 1.732 * spread, length))
    slow = g.random(length) < 0.1
    return np.asarray(1 + spread * np.where(slow, g.normal(2, 1.5, length), g.normal(-0.2, 0.6, length)))


def _leveled(g: np.random.Generator, length: int, places: list[int], *, least: float, most: float, spread: float) -> Made:
    values = _noise(g, length, spread)
    for at in places:
        values[at:] *= 1 + float(g.uniform(least, most)) * (1 if g.random() < 0.6 else -0.7)
    return values, places


def _places(g: np.random.Generator, length: int, count: int, apart: int) -> list[int]:
    places: list[int] = []
    for at in sorted(g.integers(apart, length - apart, count).tolist()):
        if not places or at - places[-1] >= apart:
            places.append(int(at))
    return places


def steps(g: np.random.Generator) -> Made:
    """150 to 600 values, one to three steps of 8 to 60 % in noise of 1 to 6 %."""
    length = int(g.integers(150, 601))
    return _leveled(g, length, _places(g, length, int(g.integers(1, 4)), 25), least=0.08, most=0.6, spread=float(g.uniform(0.01, 0.06)))


def short(g: np.random.Generator) -> Made:
    """20 to 60 values, one step of 20 to 80 % in noise of 1 to 6 %."""
    length = int(g.integers(20, 61))
    return _leveled(g, length, [int(g.integers(6, length - 6))], least=0.2, most=0.8, spread=float(g.uniform(0.01, 0.06)))


def long(g: np.random.Generator) -> Made:
    """2,000 to 3,000 values, one to five steps."""
    length = int(g.integers(2000, 3001))
    return _leveled(g, length, _places(g, length, int(g.integers(1, 6)), 60), least=0.06, most=0.5, spread=float(g.uniform(0.02, 0.08)))


def level_and_spread(g: np.random.Generator) -> Made:
    """A step after which the noise is three times as large."""
    values, places = _leveled(g, 300, [int(g.integers(60, 240))], least=0.3, most=0.8, spread=0.03)
    values[places[0] :] += 2 * 0.03 * g.normal(size=300 - places[0])
    return values, places


def ramps(g: np.random.Generator) -> Made:
    """A step that takes six values to arrive; the label is its middle."""
    at = int(g.integers(60, 240))
    rise = np.clip((np.arange(300) - at + 3) / 6, 0, 1) * float(g.uniform(0.25, 0.7))
    return _noise(g, 300, 0.03) * (1 + rise), [at]


def excursions(g: np.random.Generator) -> Made:
    """8 to 20 values at another level, then back."""
    at, width = int(g.integers(60, 220)), int(g.integers(8, 21))
    values = _noise(g, 300, 0.03)
    values[at : at + width] *= float(g.uniform(1.3, 1.8))
    return values, [at, at + width]


def quantised(g: np.random.Generator) -> Made:
    """Whole milliseconds around 20: few distinct values, one step of three to six."""
    at = int(g.integers(60, 240))
    values = 20 + g.normal(0, 0.8, 300)
    values[at:] += float(g.uniform(3, 6))
    return np.round(values), [at]


def counts(g: np.random.Generator) -> Made:
    """Queries per request: 3 on average, then 8."""
    at = int(g.integers(60, 240))
    return np.concatenate([g.poisson(3, at), g.poisson(8, 300 - at)]).astype(float), [at]


def from_zeros(g: np.random.Generator) -> Made:
    """Errors: hardly any, then several a run."""
    at = int(g.integers(60, 240))
    return np.concatenate([g.poisson(0.05, at), g.poisson(4, 300 - at)]).astype(float), [at]


def still(g: np.random.Generator) -> Made:
    """No change, 15 to 1,000 values, noise of 1 to 30 %."""
    return _noise(g, int(g.integers(15, 1001)), float(g.uniform(0.01, 0.3))), []


def spikes(g: np.random.Generator) -> Made:
    """No change, but every twentieth value is 1.5 to 10 times as large."""
    values = _noise(g, 400, 0.03)
    values[g.random(400) < 0.05] *= float(g.uniform(1.5, 10))
    return values, []


def few_values(g: np.random.Generator) -> Made:
    """No change, three distinct values."""
    return g.choice([10.0, 11.0, 12.0], 300, p=[0.2, 0.7, 0.1]), []


def zeros(g: np.random.Generator) -> Made:
    """No change, nine tenths zero."""
    return g.poisson(0.1, 300).astype(float), []


def _dependent(kept: float) -> Kind:
    def made(g: np.random.Generator) -> Made:
        values = g.normal(size=int(g.integers(40, 501)) + 50)
        for i in range(1, len(values)):
            values[i] += kept * values[i - 1]
        return 100 + 5 * values[50:], []

    return made


def seasonal(g: np.random.Generator) -> Made:
    """No change of the level, but a day of 24 values that goes up and down by 5 to 20 %, in noise of 3 %."""
    hours = np.arange(480)
    return _noise(g, 480, 0.03) * (1 + float(g.uniform(0.05, 0.2)) * np.sin(2 * np.pi * (hours + int(g.integers(24))) / 24)), []


def drifts(g: np.random.Generator) -> Made:
    """No step, but 20 to 60 % more from end to end: not still, so what is found there is no false alarm, and is shown."""
    return _noise(g, 400, 0.03) * np.linspace(1, float(g.uniform(1.2, 1.6)), 400), []


CHANGED: dict[str, Kind] = {
    "steps": steps, "short (20 to 60)": short, "long (2,000 and more)": long, "level and spread": level_and_spread, "ramps": ramps,
    "excursions": excursions, "quantised": quantised, "counts": counts, "from zeros": from_zeros,
}  # fmt: skip
UNCHANGED: dict[str, Kind] = {
    "four noises, 15 to 1,000": still, "spikes": spikes, "three values": few_values, "mostly zeros": zeros,
    "AR 0.3": _dependent(0.3), "AR 0.5": _dependent(0.5), "a day's season": seasonal, "drifts": drifts,
}  # fmt: skip


def generated(kinds: dict[str, Kind], *, each: int, seed: int) -> dict[str, Labelled]:
    """`each` series of every kind, at a level of any power of ten. The same seed gives the same series."""
    result = {}
    for place, (name, kind) in enumerate(kinds.items()):
        generator = np.random.default_rng([seed, 7, place])
        series, labels = {}, {}
        for number in range(each):
            values, places = kind(generator)
            series[str(number)] = (values * 10.0 ** int(generator.integers(-3, 5))).tolist()
            labels[str(number)] = places
        result[name] = Labelled(series, labels)
    return result
