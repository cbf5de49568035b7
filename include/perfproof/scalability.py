"""The Universal Scalability Law fitted to the steps of a stress test, and an honest word when they do not carry a fit.

X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)): throughput at N requests in service. lambda is the throughput
of one, sigma the share that waits for each other (contention), kappa the price of keeping each other informed (coherency).
Source: N. J. Gunther, "Guerrilla Capacity Planning" (2007), chapter 4.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MIN_STEPS = 4
MIN_SPREAD = 2.0
MIN_CONCURRENCY = 2.0
MIN_BEND = 0.10
MIN_R_SQUARED = 0.8


@dataclass(frozen=True, slots=True)
class ScalabilityFit:
    """Parameters of the law. `peak_throughput` (req/s) is None when throughput never falls again (kappa = 0).

    `r_squared` is of throughput. `contention_limit` is lambda / sigma, where throughput levels off without coherency cost.
    """

    rate_of_one: float
    contention: float
    coherency: float
    peak_concurrency: float | None
    peak_throughput: float | None
    contention_limit: float | None
    r_squared: float

    def throughput(self, concurrency: float) -> float:
        """X(N) in req/s."""
        n = concurrency
        return self.rate_of_one * n / (1 + self.contention * (n - 1) + self.coherency * n * (n - 1))


def fit_scalability(concurrency: Sequence[float], *, throughput: Sequence[float]) -> ScalabilityFit | str:
    """The least-squares fit with no negative parameter, or the reason why these steps identify none.

    `concurrency` is the mean number of requests in service per step (Little's law), `throughput` the answers per second.
    In the form N/X = a + b (N - 1) + c N (N - 1) the law is linear; residuals are relative, so that no step outweighs
    the others.
    """
    points = sorted((n, x) for n, x in zip(concurrency, throughput, strict=True) if n > 0 and x > 0)
    n = np.array([p[0] for p in points])
    x = np.array([p[1] for p in points])
    reason = _why_not(n, x)
    if reason:
        return reason
    inverse = n / x
    design = np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=1) / inverse[:, None]
    coefficients = _non_negative_least_squares(design, np.ones_like(n))
    if coefficients is None:
        return "no law with a positive rate fits these steps"
    a, b, c = coefficients
    fit = _fit(a, b, c, n, x)
    if fit.r_squared < MIN_R_SQUARED:
        return f"the steps scatter too much around the law: R squared is {fit.r_squared:.2f}, {MIN_R_SQUARED:g} needed"
    return fit


def _why_not(n: np.ndarray, x: np.ndarray) -> str | None:
    if len(n) < MIN_STEPS:
        return f"{len(n)} usable steps, {MIN_STEPS} needed for three parameters"
    if n[-1] < MIN_CONCURRENCY:
        return (
            f"at most {n[-1]:.1f} requests were in service at once, {MIN_CONCURRENCY:g} needed: "
            "requests hardly met, so nothing shows how they slow each other down"
        )
    if n[-1] / n[0] < MIN_SPREAD:
        return f"the steps span a factor of {n[-1] / n[0]:.1f} in concurrency, {MIN_SPREAD:g} needed"
    # Proportional growth to the last step fits every sigma and kappa near zero, whatever the limit is.
    bend = 1 - (x[-1] / n[-1]) / (x[0] / n[0])
    if bend < MIN_BEND:
        return f"throughput per request in service fell by {max(0.0, bend):.0%} only, {MIN_BEND:.0%} needed: the limit was not approached"
    return None


def _non_negative_least_squares(design: np.ndarray, wanted: np.ndarray) -> tuple[float, float, float] | None:
    """The best of all sets of parameters that are free while the rest is zero: with three there are four such sets."""
    best: tuple[float, tuple[float, float, float]] | None = None
    for free in itertools.chain.from_iterable(itertools.combinations((1, 2), k) for k in range(3)):
        columns = [0, *free]
        solution, *_ = np.linalg.lstsq(design[:, columns], wanted, rcond=None)
        if solution[0] <= 0 or np.any(solution < 0):
            continue
        error = float(np.sum((design[:, columns] @ solution - wanted) ** 2))
        full = [0.0, 0.0, 0.0]
        for column, value in zip(columns, solution, strict=True):
            full[column] = float(value)
        if best is None or error < best[0]:
            best = (error, (full[0], full[1], full[2]))
    return None if best is None else best[1]


def _fit(a: float, b: float, c: float, n: np.ndarray, x: np.ndarray) -> ScalabilityFit:
    rate, contention, coherency = 1 / a, b / a, c / a
    # dX/dN = 0 at N^2 = (1 - sigma) / kappa
    peak = math.sqrt((1 - contention) / coherency) if coherency > 0 and contention < 1 else None
    draft = ScalabilityFit(rate, contention, coherency, peak, None, rate / contention if contention > 0 else None, 0.0)
    predicted = np.array([draft.throughput(float(v)) for v in n])
    spread = float(np.sum((x - x.mean()) ** 2))
    r_squared = 1 - float(np.sum((x - predicted) ** 2)) / spread if spread > 0 else 0.0
    top = draft.throughput(peak) if peak is not None else None
    return ScalabilityFit(rate, contention, coherency, peak, top, draft.contention_limit, r_squared)
