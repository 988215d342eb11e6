"""Seeds of worlds in which something broke once, and what it was. They are run every time.

A seed stands for its world only as long as the machines, the clients and the faults of the worlds stay as they are: who
changes those keeps in mind that each of these has a test of its own in ``tests/durable``, which stays. The first three
broke in worlds whose runtimes could not die at an await yet, and all of ``BEFORE_TRADES`` in worlds without those.
"""

from __future__ import annotations

BEFORE_TRADES: dict[int, str] = {
    226: "what a member told itself was overtaken by its share of the broadcast that it sent after it",
    243: "word that a former adoption had failed was taken for one of a later child under the same id",
    279: "a request whose turn was in hand when the runtime closed was never answered",
    341: "what an instance sent to itself overtook what it had sent before and what had failed",
    390: "mail overtook mail of the same sender whose failure was not recorded yet",
}

WITH_TRADES: dict[int, str] = {
    12: "the journal did not tell a persistent child that reports an error from one that has failed",
    197: "a process that remembered a deleted instance wrote it over the one that had taken its name",
    318: "an instance that was paused for a minute lost the attempts of its service to the dead letters",
}

REGRESSIONS = BEFORE_TRADES | WITH_TRADES
