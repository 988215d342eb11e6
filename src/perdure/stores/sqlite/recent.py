"""The instances committed last, kept as rows, so that the next turn's load does not have to ask a thread.

Only commits fill it: a row read from the file could be older than one that was committed meanwhile. It is right because
one process at a time has the file open. Should another program change the file all the same, a commit loses its
compare-and-swap, the row is dropped and the next load reads the file again. Used by the event loop's thread alone.
"""

from __future__ import annotations

from perdure.durable.records import Address
from perdure.stores.sqlite.rows import Row

__all__ = ["RecentInstances"]

_ROW_BYTES = 1000
"""What a row costs beside its snapshot: an estimate on the high side."""


class RecentInstances:
    """Rows by address, up to about ``bytes_max``; the ones committed longest ago go first."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._rows: dict[Address, Row] = {}

    def get(self, address: Address) -> Row | None:
        return self._rows.get(address)

    def keep(self, address: Address, row: Row) -> None:
        self.drop(address)
        self._rows[address] = row
        self._bytes += _cost(row)
        while self._bytes > self._bytes_max:
            self.drop(next(iter(self._rows)))

    def drop(self, address: Address) -> None:
        row = self._rows.pop(address, None)
        if row is not None:
            self._bytes -= _cost(row)


def _cost(row: Row) -> int:
    return _ROW_BYTES + len(row[-1])
