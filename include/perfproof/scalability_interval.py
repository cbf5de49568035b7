"""How well a stress test's steps know the Universal Scalability Law: intervals by profile likelihood.

In the form N/X = a + b (N - 1) + c N (N - 1) with relative residuals the law is linear, so all parameters whose sum of squares is at
most RSS + t^2 s^2 are an ellipsoid, cut where b or c would be negative. The interval of a figure is its smallest and largest value
there. It needs no random numbers and no large sample. s^2 = RSS / (steps - 3), t is Student's with steps - 3 degrees of freedom.
Source: D. M. Bates and D. G. Watts, "Nonlinear Regression Analysis and Its Applications" (1988), 6.1 (profile t).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfproof.scalability import ScalabilityFit, fit_scalability

# One degree of freedom has t = 12.7: an interval that excludes nothing.
MIN_STEPS = 5
CONFIDENCE = 0.95
METHOD = "profile likelihood, Student's t with steps - 3 degrees of freedom"
# Directions from the best parameters in which the edge of the region is looked at: 1.5 degrees apart.
AROUND, ALONG = 240, 120
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure between two ends. An end is None where the steps do not bound it."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ScalabilityInterval:
    """The fit with its parameters' intervals, the highest throughput (req/s) of the law, and the requests in service where that is.

    Without coherency cost there is no such concurrency (`value` None), and throughput levels off at its highest.
    """

    fit: ScalabilityFit
    rate_of_one: Interval
    contention: Interval
    coherency: Interval
    highest_throughput: Interval
    peak_concurrency: Interval
    steps: int
    confidence: float = CONFIDENCE


def scalability_interval(
    concurrency: Sequence[float], *, throughput: Sequence[float], confidence: float = CONFIDENCE
) -> ScalabilityInterval | str:
    """The law's intervals, or the reason why these steps give none: no fit, fewer than five usable steps, or too much scatter."""
    fit = fit_scalability(concurrency, throughput=throughput)
    if isinstance(fit, str):
        return fit
    points = sorted((n, x) for n, x in zip(concurrency, throughput, strict=True) if n > 0 and x > 0)
    if len(points) < MIN_STEPS:
        return f"{len(points)} usable steps, {MIN_STEPS} needed for an interval of three parameters"
    n, x = np.array([p[0] for p in points]), np.array([p[1] for p in points])
    design = np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=1) * (x / n)[:, None]
    best = np.array([1, fit.contention, fit.coherency]) / fit.rate_of_one
    region = np.vstack([best[None, :], *_edge(design, best, confidence)])

    def interval(figure: Callable[[Array], Array]) -> Interval:
        every = figure(region)
        # The first row is the best fit itself.
        return Interval(_finite(every[0]), _finite(every.min()), _finite(every.max()))

    return ScalabilityInterval(
        fit=fit,
        rate_of_one=interval(lambda rows: 1 / rows[:, 0]),
        contention=interval(lambda rows: rows[:, 1] / rows[:, 0]),
        coherency=interval(lambda rows: rows[:, 2] / rows[:, 0]),
        highest_throughput=interval(_highest),
        peak_concurrency=interval(_peaks),
        steps=len(points),
        confidence=confidence,
    )


def _edge(design: Array, best: Array, confidence: float) -> list[Array]:
    """Parameters on the edge of the region: the ellipsoid's surface, and its sections where b, c or both are 0.

    The figures are largest and smallest on the edge: throughput grows with the parameters' common factor, and the
    concurrency of the peak does not depend on it.
    """
    from scipy.special import stdtrit

    freedom = len(design) - design.shape[1]
    free = _least_squares(design)[1]
    t = float(stdtrit(freedom, (1 + confidence) / 2))
    limit = float(np.sum((design @ best - 1) ** 2)) + t**2 * free / freedom
    found = []
    for columns in ([0, *rest] for rest in itertools.chain.from_iterable(itertools.combinations((1, 2), k) for k in range(3))):
        part = design[:, columns]
        centre, least = _least_squares(part)
        if limit < least:
            continue
        _, scale, turned = np.linalg.svd(part, full_matrices=False)
        if scale[-1] <= 1e-12 * scale[0]:
            continue
        offsets = math.sqrt(limit - least) * (_directions(len(columns)) / scale) @ turned
        full = np.zeros((len(offsets), 3))
        full[:, columns] = centre + offsets
        found.append(full[(full[:, 0] > 0) & (full[:, 1] >= 0) & (full[:, 2] >= 0)])
    return found


def _least_squares(design: Array) -> tuple[Array, float]:
    solution: Array = np.asarray(np.linalg.lstsq(design, np.ones(len(design)), rcond=None)[0], dtype=np.float64)
    return solution, float(np.sum((design @ solution - 1) ** 2))


def _directions(dimensions: int) -> Array:
    if dimensions == 1:
        return np.array([[1.0], [-1.0]])
    around = np.linspace(0, 2 * math.pi, AROUND, endpoint=False)
    if dimensions == 2:
        # A section's circle is the sharp edge of the region, and costs little.
        around = np.linspace(0, 2 * math.pi, 20 * AROUND, endpoint=False)
        return np.stack([np.cos(around), np.sin(around)], axis=1)
    height, angle = np.meshgrid(np.cos(np.linspace(0, math.pi, ALONG)), around)
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=-1).reshape(-1, 3)


def _highest(parameters: Array) -> Array:
    """The highest X(N) over N >= 1 of each row (a, b, c): 1 / (b - c + 2 sqrt(c (a - b))), 1/a where it falls from one on, else 1/b."""
    a, b, c = parameters.T
    inner = a - b >= c
    with np.errstate(divide="ignore"):
        return np.where(inner, 1 / np.where(inner, b - c + 2 * np.sqrt(c * np.maximum(a - b, 0)), 1), 1 / a)


def _peaks(parameters: Array) -> Array:
    """N of the highest throughput of each row, infinite where it never falls; one at least."""
    a, b, c = parameters.T
    with np.errstate(divide="ignore", invalid="ignore"):
        place = np.sqrt(np.maximum(a - b, 0) / c)
    return np.maximum(np.where(c > 0, place, np.where(a > b, math.inf, 1.0)), 1.0)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
