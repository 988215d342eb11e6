"""What runs in this process for an instance: its ephemeral children, their attempts, its asynchronous actions.

Most instances run nothing most of the time, and have none of this. What children and actions have to say becomes
messages to the instance, with what makes them void should their child be stopped meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from perdure.actors.child_runner import ChildRunner
from perdure.durable.attempts import Attempts
from perdure.durable.envelope import Envelope
from perdure.durable.message import AttemptDue, Deliver
from perdure.durable.records import Address, InstanceRecord, Mail
from perdure.durable.running_actions import RunningActions
from perdure.json_value import JsonObject
from perdure.statechart.effect import ActorTarget, Cancel, ChildTarget, InstanceTarget, Send, StartChild, StopChild
from perdure.statechart.event import error_platform_type

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["RunningServices", "lost_children"]


class RunningServices:
    """The services of one resident. Implements ``perdure.actors.child_runner.Home`` for its children."""

    def __init__(
        self, runtime: Runtime, address: Address, say: Callable[[Envelope], None], stir: Callable[[], None]
    ) -> None:
        """``say`` takes a message for the instance; ``stir`` is called when something has ended that kept it from
        settling.
        """
        self._runtime = runtime
        self._say = say
        self._stir = stir
        self._children = ChildRunner(
            self,
            InstanceTarget(address.machine, address.instance),
            runtime.clock,
            runtime.threads,
            copy=runtime.copied_result,
        )
        self._actions = RunningActions(address, self.report, stir)
        self._attempts = Attempts(runtime, self._children.stop, self.child_ended)

    @property
    def children(self) -> int:
        """How many ephemeral children run."""
        return self._children.running

    @property
    def actions_are_idle(self) -> bool:
        return self._actions.are_idle

    @property
    def are_idle(self) -> bool:
        """Whether nothing runs that keeps the instance from settling."""
        return self._children.is_idle and self._actions.are_idle

    @property
    def are_nothing(self) -> bool:
        """Whether there is nothing here that an instance's newest record could contradict."""
        return not (self._children.runs_anything or self._attempts.run_anything)

    def is_live(self, child: tuple[str, int]) -> bool:
        """Whether the child of this id and session was started here, and its instance has yet to learn its end."""
        return self._children.is_live(*child)

    def attempts(self, due: AttemptDue) -> bool:
        """Whether the attempt that this mail backs is running here."""
        return self._attempts.runs(due)

    # -- what the instance asks of it --------------------------------------------------------------

    def start_child(self, effect: StartChild, behavior: Any) -> None:
        self._children.start(effect, behavior)
        self._attempts.started(effect)

    def stop_child(self, effect: StopChild) -> None:
        self._children.stop(effect)
        mail, _ = self._attempts.ended(effect.id, effect.session)
        self._runtime.delivery.release(mail)

    def send_to_child(self, effect: Send) -> None:
        self._children.send(effect)

    def cancel_sends(self, effect: Cancel) -> None:
        self._children.cancel(effect)

    def keep_running(self, work: Awaitable[Any], label: str) -> None:
        self._actions.start(work, label)

    def keep_mail(self, mail: Iterable[Mail]) -> None:
        """A commit has begun attempts: their mail is not for delivery while they run."""
        self._attempts.keep(mail)

    def keep_only(self, record: InstanceRecord) -> None:
        """Stop what is not of this record."""
        wanted = {(child.id, child.session) for child in record.snapshot.children.values() if not child.is_persistent}
        self._children.keep_only(wanted)
        self._attempts.release(but=wanted)

    def forget(self, child: tuple[str, int]) -> None:
        """The instance has taken the word of this child's end, or failed to."""
        self._children.forget(*child)

    def stop_all(self) -> None:
        """Stop everything at once, and forget what it still had to say."""
        self._children.stop_all()
        self._attempts.release()
        self._actions.stop()

    def ending(self) -> list[asyncio.Task[Any]]:
        """What has been stopped, or is about to be, and has not ended yet."""
        return [*self._children.stopping(), *self._actions.running]

    # -- what they have to say ---------------------------------------------------------------------

    def report(self, event: JsonObject) -> None:
        """An event of the platform for the instance."""
        self._say(Envelope(Deliver(event=event), is_external=False, trace=self._runtime.tracer.current()))

    def child_ended(self, child_id: str, session: int, event: JsonObject) -> None:
        mail, attempt = self._attempts.ended(child_id, session)
        trace = self._runtime.tracer.current()
        if mail is not None and attempt is not None and event["type"] == error_platform_type(child_id):
            self._children.forget(child_id, session)
            failure = self._attempts.failure(attempt, mail, event["data"])
            self._say(Envelope(failure, mail=mail, is_external=False, trace=trace))
        else:
            message, child = Deliver(event=event, mail_id=None if mail is None else mail.id), (child_id, session)
            self._say(Envelope(message, mail=mail, child=child, is_last_word=True, is_external=False, trace=trace))

    def child_said(
        self, event: JsonObject, origin: ChildTarget | ActorTarget | None, speaker: tuple[str, int] | None
    ) -> None:
        trace = self._runtime.tracer.current()
        self._say(Envelope(Deliver(event=event, origin=origin), child=speaker, is_external=False, trace=trace))

    def children_came_to_rest(self) -> None:
        self._stir()


def lost_children(record: InstanceRecord, services: RunningServices | None) -> tuple[str, ...]:
    """The ids of the ephemeral children that nobody runs any more, but those that are tried again by their mail."""
    return tuple(
        child.id
        for child in record.snapshot.children.values()
        if not child.is_persistent
        and child.retry is None
        and (services is None or not services.is_live((child.id, child.session)))
    )
