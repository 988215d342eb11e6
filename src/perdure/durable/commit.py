"""A commit: everything one turn changes, applied all or nothing.

The order of the world around it is fixed: the turn computes a commit without touching anything; the store makes it
durable in one atomic write guarded by a compare-and-swap; only then are the turn's effects performed and its answer
given. A commit touches one instance. A message to another instance leaves in ``mail`` and is applied, by its id in
``consumed``, in the receiver's own commit; nothing relies on a transaction across instances.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perdure.durable.indexes import IndexValue
from perdure.durable.records import InstanceRecord, JournalEntry, Mail
from perdure.durable.upkeep_records import Receipt
from perdure.errors import PerdureError
from perdure.statechart.effect import Effect

__all__ = ["Commit", "Turn", "joined"]


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One atomic change of one instance. A store applies the parts in the order of these fields."""

    expected_sequence: int | None
    """The sequence number the turn started from; ``None`` when the instance must not exist yet. With the life that
    ``record`` names it is what the compare-and-swap compares."""
    consumed: tuple[str, ...] = ()
    """Ids of the mail this turn applied: deleted here, and each must still be pending."""
    cancelled: tuple[str, ...] = ()
    """Send ids: all delayed mail sent by this instance under them is deleted. Unknown ids are no error."""
    cancels_all: bool = False
    """The instance has ended: all its delayed mail is void, and it is a member of no group any more."""
    record: InstanceRecord
    snapshot_json: bytes
    """``record.snapshot`` encoded, since the turn needed the encoding for its limits."""
    journal: tuple[JournalEntry, ...] = ()
    leaves: tuple[str, ...] = ()
    """Groups the instance leaves. To leave one it is not in is no error."""
    joins: tuple[str, ...] = ()
    """Groups the instance joins. To join one it is in is no error, and it keeps its place."""
    indexes: tuple[IndexValue, ...] | None = None
    """All that the instance is indexed by from now on; ``None`` when that stays as it is."""
    mail: tuple[Mail, ...] = ()
    """Mail sent by this turn, in order. Inserted after ``cancelled``, so a cancel never reaches forward."""
    receipt: Receipt | None = None
    """Of the request that this turn applies, if it came with an idempotency key."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn comes to: the commit to make, and what to do once it is durable."""

    commit: Commit
    effects: tuple[Effect, ...] = ()
    """To be performed by whoever hosts the instance, in order. Everything that is mail is in the commit instead."""
    effects_before: tuple[Effect, ...] = ()
    """To be performed before those, with the code of the version that the instance had before this turn."""
    refused: PerdureError | None = None
    """The message itself was not applied, though the commit stands: the instance ended over a lost child."""
    is_plain: bool = False
    """Whether the commit holds nothing but a snapshot, journal entries and consumed mail."""


def joined(turns: Sequence[Turn]) -> Turn:
    """Turns of one instance as one, each begun where the one before it ended, all but the last of them plain."""
    first, last = turns[0].commit, turns[-1].commit
    commit = msgspec.structs.replace(
        last,
        expected_sequence=first.expected_sequence,
        consumed=tuple(mail_id for turn in turns for mail_id in turn.commit.consumed),
        journal=tuple(entry for turn in turns for entry in turn.commit.journal),
    )
    return Turn(commit=commit, effects=tuple(effect for turn in turns for effect in turn.effects))
