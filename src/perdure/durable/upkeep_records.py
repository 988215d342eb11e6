"""Rows that keep a store in good order: receipts of requests, how long journals are kept, what machine code has logged.

Plain values like those of ``perdure.durable.records``. Times are milliseconds since the Unix epoch.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from perdure.durable.records import Address, InstanceRecord
from perdure.json_value import Json, encode_json
from perdure.statechart.snapshot import StateValue

__all__ = ["Answer", "JournalRetention", "LogEntry", "OutputType", "Receipt", "decode_answer", "encode_answer"]


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a request with an idempotency key came to. It lies with its instance and goes with it."""

    key: str
    """What the caller calls the request; unique within the instance."""
    fingerprint: str
    """Of all that the request says, and of who says it: tells another request under the same key apart."""
    at: float
    answer: bytes
    """The state that was answered, as JSON."""
    expired_before: float = 0.0
    """Only in a commit: a receipt under the same key that is older than this is void, and gives way."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an instance as a receipt keeps it."""

    ts: float
    state: StateValue
    context: Json
    tags: tuple[str, ...]
    done: bool


def encode_answer(record: InstanceRecord) -> bytes:
    """What a receipt says of an instance."""
    snapshot = record.snapshot
    return encode_json(
        Answer(
            ts=record.ts,
            state=snapshot.value,
            context=snapshot.context,
            tags=snapshot.tags,
            done=snapshot.is_done,
        )
    )


_answers = msgspec.json.Decoder(Answer)


def decode_answer(answer: bytes) -> Answer:
    """What ``encode_answer`` wrote."""
    return _answers.decode(answer)


class JournalRetention(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the journals of a machine's instances is kept. The newest entry of each always is."""

    org: str
    machine: str
    entries_max: int | None = None
    """So many of the newest entries of each instance; ``None`` is no limit."""
    age_max: float | None = None
    """In milliseconds; ``None`` is no limit."""


OutputType: TypeAlias = Literal["stdout", "stderr"]


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the code of a machine has printed or logged; it may have several lines."""

    org: str
    machine: str
    instance: str
    version_id: str
    at: float
    output_type: OutputType
    text: str

    @property
    def address(self) -> Address:
        return Address(self.org, self.machine, self.instance)
