"""What a detector is: something that says of texts which hold an identifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pyarrow as pa

from wardlake.model.treatments import IdentifierKind


class Matcher(Protocol):
    """A detector that works on whole arrays of texts. It is sent to Spark's workers, so it pickles and holds no handle."""

    @property
    def name(self) -> str:
        """What findings call it: `pattern`, `dictionary`, `known-value`."""
        ...

    def match(self, values: pa.StringArray) -> Mapping[IdentifierKind, pa.BooleanArray]:
        """Which of these texts (distinct, without nulls) hold an identifier of which kind; kinds without a hit may be absent.

        Each array is as long as `values`.
        """
        ...
