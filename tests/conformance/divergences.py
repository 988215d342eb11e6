"""The table of docs/conformance.md: the recorded cases in which perdure differs from XState v4 on purpose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Divergence", "listed_divergences"]

DOCUMENT = Path(__file__).parents[2] / "docs" / "conformance.md"
ROW = re.compile(r"^\| `(?P<case>\w+: [^`]+)` \| (?P<xstate>[^|]+) \| (?P<perdure>[^|]+) \| (?P<why>[^|]+) \|$", re.M)


@dataclass(frozen=True)
class Divergence:
    """One row: what each does, and the reason."""

    case: str
    xstate: str
    perdure: str
    why: str


def listed_divergences() -> dict[str, Divergence]:
    """Every row by its case."""
    rows = [Divergence(**row.groupdict()) for row in ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))]
    found = {row.case: row for row in rows}
    assert len(found) == len(rows), "docs/conformance.md lists a case twice"
    return found
