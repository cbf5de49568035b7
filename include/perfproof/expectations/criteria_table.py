"""The criteria of a gate as rows, and as a frame for who needs one: pandas takes longer to import than a cycle to verify."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from perfproof.expectations.suites import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

Row = tuple[str, float, float, str]


@dataclass(frozen=True, slots=True)
class CriteriaTable:
    """One row for each criterion: its name, actual (NaN where there is none), threshold and comparison."""

    rows: tuple[Row, ...]
    columns: ClassVar[tuple[str, ...]] = COLUMNS

    @classmethod
    def of(cls, rows: Iterable[tuple[str, float | None, float, str]]) -> CriteriaTable:
        """The table of these rows."""
        return cls(tuple((name, math.nan if actual is None else actual, threshold, how) for name, actual, threshold, how in rows))

    def itertuples(self, *, index: bool = False, name: str | None = None) -> Iterator[Row]:  # noqa: ARG002  as of a frame
        """The rows, as a frame gives them with these arguments."""
        return iter(self.rows)

    def frame(self) -> pd.DataFrame:
        """The same as a frame."""
        import pandas as pd

        return pd.DataFrame(list(self.rows), columns=list(COLUMNS))
