"""Bugs put in by hand where services are tried again, events are passed on, and requests have a key."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, cast
from unittest import mock

import msgspec

from perdure.durable import attempt_turn, family, outbox
from perdure.durable import turn as turn_module
from perdure.durable.commit import Commit
from perdure.durable.message import TakeIn
from perdure.durable.store import Store
from perdure.statechart import macrostep
from perdure.statechart.effect import ParentTarget
from tests.simulation.store import AuditedStore
from tests.simulation.world import Bugs

__all__ = ["MUTANTS_OF_TRADES"]


class KeyOfTheAttempt(Bugs):
    """Each attempt has an idempotency key of its own."""

    def planted(self) -> contextlib.AbstractContextManager[object]:
        real = attempt_turn.begun

        def begun(work: Any, child: Any, effect: Any) -> Any:
            effect = real(work, child, effect)
            return msgspec.structs.replace(effect, idempotency_key=f"{effect.idempotency_key}.{child.attempt}")

        return mock.patch.object(attempt_turn, "begun", begun)


class AttemptOfTheProcess(Bugs):
    """Nothing but the process knows of an attempt that runs."""

    def planted(self) -> contextlib.AbstractContextManager[object]:
        real = attempt_turn.post_attempt

        def post_attempt(work: Any, child: Any, delay: float) -> None:
            if delay:
                real(work, child, delay)

        return mock.patch.object(attempt_turn, "post_attempt", post_attempt)


class AttemptsUncounted(Bugs):
    """An attempt that a crash has ended is begun again as the same."""

    def planted(self) -> contextlib.AbstractContextManager[object]:
        real = attempt_turn.begun

        def begun(work: Any, child: Any, effect: Any) -> Any:
            former = work.record.snapshot.children.get(child.id)
            if former is not None and former.session == child.session:
                child = former
            return real(work, child, effect)

        return mock.patch.object(attempt_turn, "begun", begun)


class TimersNotPassedOn(Bugs):
    """Children that should get every event of their parent do not get those of its timers."""

    def planted(self) -> contextlib.AbstractContextManager[object]:
        real = macrostep.Macrostep.forward_automatically

        def forward(step: Any, event: Any) -> None:
            if not event["type"].startswith("xstate.after"):
                real(step, event)

        return mock.patch.object(macrostep.Macrostep, "forward_automatically", forward)


class ErrorsUnheard(Bugs):
    """What a child escalates is taken from the mail, and not given to the machine."""

    def planted(self) -> contextlib.AbstractContextManager[object]:
        real = family.is_awaited
        return mock.patch.object(
            family, "is_awaited", lambda snapshot, message: message.is_platform and real(snapshot, message)
        )


class ErrorsHeardTwice(Bugs):
    """What a child escalates is sent twice."""

    def planted(self) -> contextlib.AbstractContextManager[object]:
        real = outbox.Outbox.route_send

        def route_send(out: Any, effect: Any) -> None:
            real(out, effect)
            if isinstance(effect.target, ParentTarget) and effect.event["type"] == "xstate.error":
                real(out, effect)

        return mock.patch.object(outbox.Outbox, "route_send", route_send)


class SnapshotsUnsent(Bugs):
    """Parents that asked for snapshots are not told where a child stands after its first commit."""

    def planted(self) -> contextlib.AbstractContextManager[object]:
        real = family.has_news

        def has_news(parents: Any, before: Any, after: Any) -> bool:
            return (before is None or any(tie.sync for tie in parents)) and real(parents, before, after)

        return mock.patch.object(family, "has_news", has_news)


class AdoptionHalfWritten(Bugs):
    """The journal says whom the host has had adopted, and not how."""

    def planted(self) -> contextlib.AbstractContextManager[object]:
        real = turn_module.adoption
        return mock.patch.object(turn_module, "adoption", lambda wish: real(TakeIn(child=wish.child)))


class ReceiptAfterTheCommit(Bugs):
    """The receipt of a request is written once its commit is."""

    def store(self, store: Store, inner: AuditedStore) -> Store:
        class Late:
            def __getattr__(self, name: str) -> Any:
                return getattr(store, name)

            async def commit(self, commit: Commit) -> None:
                await store.commit(msgspec.structs.replace(commit, receipt=None))
                await asyncio.sleep(0)
                kept = inner._instances.get(commit.record.address)
                if commit.receipt is not None and kept is not None:
                    kept.receipts[commit.receipt.key] = commit.receipt

        return cast(Store, Late())


class RedrivenAndKept(Bugs):
    """A dead letter that is sent again stays a dead letter."""

    def store(self, store: Store, inner: AuditedStore) -> Store:
        class Forgetful:
            def __getattr__(self, name: str) -> Any:
                return getattr(store, name)

            async def redrive_dead_letter(self, org: str, mail_id: str) -> bool:
                letter = inner._dead_letter(org, mail_id)
                is_redriven = await store.redrive_dead_letter(org, mail_id)
                if letter is not None:
                    inner._dead_letters.append(letter)
                return is_redriven

        return cast(Store, Forgetful())


MUTANTS_OF_TRADES: dict[str, type[Bugs]] = {
    "a key for each attempt": KeyOfTheAttempt,
    "attempts die with their process": AttemptOfTheProcess,
    "attempts are not counted": AttemptsUncounted,
    "timers are not passed on": TimersNotPassedOn,
    "an escalated error is unheard": ErrorsUnheard,
    "an escalated error is heard twice": ErrorsHeardTwice,
    "snapshots are not sent": SnapshotsUnsent,
    "half of an adoption is written down": AdoptionHalfWritten,
    "receipt after its commit": ReceiptAfterTheCommit,
    "redriven and kept": RedrivenAndKept,
}
