"""Requests with an idempotency key: however often one is made, it is applied once and answered the same.

The receipt of a request is written by the commit that applies it, so that there is the one with the other or neither.
A request under a key whose receipt is there is answered from it, also after a restart, and nothing is asked or run
again; for that reason the receipt knows who asked. What fails leaves no receipt: the same request may be tried again.
Of the same request made several times at once, one runs and all get its answer.

The receipt says what the commit led to. If the instance went on before it settled, what was answered then is put on the
receipt afterwards; a process that dies in between leaves the state of the commit there.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from perdure.durable.checked_input import ensure_address
from perdure.durable.envelope import Envelope
from perdure.durable.message import Create, Deliver
from perdure.durable.records import Address
from perdure.durable.upkeep_records import Receipt, decode_answer, encode_answer
from perdure.durable.watchers import InstanceState, state_of
from perdure.errors import IdempotencyKeyReused, InvalidParameter, ReceiptExists, StoreError, text_of
from perdure.logs import get_logger

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["KeyedRequests"]

logger = get_logger("perdure.durable")

FIRST_FIELDS = ("event", "auth_context", "sender", "is_platform", "mail_id", "chain", "receipt", "origin")
FORMS: dict[type, tuple[tuple[str, ...], ...]] = {
    Create: (("version_id", "context", "auth_context", "sender", "parents", "mail_id", "chain", "receipt"),),
    Deliver: ((*FIRST_FIELDS, "session", "is_share"), FIRST_FIELDS),
}
"""Which fields of a message fingerprints are made of, the present ones first. Written down, though most of them say
nothing of a request, so that a field more does not make a request that is tried again another one.
"""

KEY = re.compile(r"[\x21-\x7e]{1,255}")


class KeyedRequests:
    """The requests with a key of one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._running: dict[tuple[Address, str], tuple[str, asyncio.Task[InstanceState]]] = {}

    async def answer(self, address: Address, key: str, message: Create | Deliver) -> InstanceState:
        """The answer to a request, applied now or earlier.

        Raises ``InvalidParameter`` for what is no key, ``IdempotencyKeyReused`` when the key stands for another
        request, and whatever the request itself raises.
        """
        ensure_address(address)
        if not isinstance(key, str) or KEY.fullmatch(key) is None:
            raise InvalidParameter(
                "an idempotency key has 1 to 255 printable ASCII characters and no blank", "idempotency-key"
            )
        place, fingerprints = (address, key), fingerprints_of(message)
        running = self._running.get(place)
        if running is None:
            # A task of its own: the request goes on when its first caller hangs up, and others may wait for it.
            task = asyncio.create_task(self._perform(address, key, fingerprints, message), name=f"request {key}")
            task.add_done_callback(lambda ended: self._ended(place, ended))
            running = self._running[place] = (fingerprints[0], task)
        self._check(running[0], fingerprints, address, key)
        return await asyncio.shield(running[1])

    def _ended(self, place: tuple[Address, str], task: asyncio.Task[InstanceState]) -> None:
        del self._running[place]
        if not task.cancelled():
            task.exception()  # nobody may wait for it any more

    async def _perform(
        self, address: Address, key: str, fingerprints: tuple[str, ...], message: Create | Deliver
    ) -> InstanceState:
        runtime, now = self._runtime, self._runtime.clock.now()
        expired_before = now - runtime.settings.receipt_lifetime
        known = await self._answered(address, key, fingerprints, expired_before)
        if known is not None:
            return known
        receipt = Receipt(key=key, fingerprint=fingerprints[0], at=now, answer=b"", expired_before=expired_before)
        envelope = Envelope(msgspec.structs.replace(message, receipt=receipt), settles=True)
        runtime.submit(address, envelope)
        try:
            record = await envelope.answer
        except ReceiptExists:  # another process was faster, or an acknowledgement was lost
            known = await self._answered(address, key, fingerprints, expired_before)
            if known is None:
                raise
            return known
        if record is None:
            raise await runtime.absent(address)
        if record.ts != envelope.applied_ts:
            try:
                await runtime.store.amend_receipt(address, key, encode_answer(record))
            except StoreError as error:
                logger.warning("a receipt keeps the state of its commit", instance=str(address), error=text_of(error))
        return state_of(record, is_own=True)

    async def _answered(
        self, address: Address, key: str, fingerprints: tuple[str, ...], expired_before: float
    ) -> InstanceState | None:
        receipt = await self._runtime.store.receipt(address, key)
        if receipt is None or receipt.at < expired_before:
            return None
        self._check(receipt.fingerprint, fingerprints, address, key)
        answer = decode_answer(receipt.answer)
        return InstanceState(
            address=address,
            ts=answer.ts,
            state=answer.state,
            context=answer.context,
            tags=answer.tags,
            done=answer.done,
        )

    def _check(self, known: str, fingerprints: tuple[str, ...], address: Address, key: str) -> None:
        if known not in fingerprints:
            raise IdempotencyKeyReused(
                f"the idempotency key {key!r} stands for another request to {address}: take a fresh one"
            )


def fingerprints_of(message: Create | Deliver) -> tuple[str, ...]:
    """Of all that a request says, and of who says it: the one that goes on its receipt, and those that the same request
    was given by earlier releases, whose receipts count as well.
    """
    return tuple(fingerprint(message, fields) for fields in FORMS[type(message)])


def fingerprint(message: Create | Deliver, fields: Sequence[str]) -> str:
    said = {name: None if name == "receipt" else getattr(message, name) for name in fields}
    return hashlib.sha256(msgspec.json.encode([type(message).__name__, said], order="sorted")).hexdigest()
