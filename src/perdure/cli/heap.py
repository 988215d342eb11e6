"""The garbage collector in a process that is a server and nothing else.

Python's collector looks for cycles each time 700 objects more were made than freed, and now and then through all that
is alive. In a server all that it imported is alive, for good: some 70,000 objects, and looking through them holds up
every request for 50 ms or more. And with a hundred requests in flight, 700 objects more are nothing. So here what is
alive when the server begins to serve is left out of the search, and the search waits for more. Nothing is collected
less: what nobody refers to any more is freed at once in any case, and cycles that come up while serving are found.

Of a process that belongs to somebody else, whose application perdure is mounted in or whose program it is a library of,
the collector is left alone.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["YOUNG_OBJECTS_MAX", "serving_heap"]

YOUNG_OBJECTS_MAX = 10_000
"""How many objects more than freed are made between two searches among the young: a search takes about 2 ms then."""


@contextmanager
def serving_heap() -> Iterator[None]:
    """Within the block what is alive at its beginning counts as permanent, and the young are searched less often."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
