"""The asynchronous actions of one instance: custom actions that return something to be awaited.

An action is an effect, so that it runs after the commit that asks for it. One that raises is logged with its instance
and comes back to the machine as ``error.execution``; the transition stands. The instance has not settled while one
runs. Whoever stops an action does not hear of it again: neither what it raises on its way out is reported, nor does it
count as running.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from perdure.actors.actor import error_data
from perdure.durable.records import Address
from perdure.json_value import JsonObject
from perdure.logs import get_logger
from perdure.machine_output import note_error
from perdure.statechart.event import ERROR_EXECUTION

__all__ = ["RunningActions"]

logger = get_logger("perdure.durable")


class RunningActions:
    """The actions of one resident that run."""

    def __init__(self, address: Address, report: Callable[[JsonObject], None], ended: Callable[[], None]) -> None:
        """``report`` gets the event of an action that has raised, ``ended`` is called whenever one has come to its
        end."""
        self._address = address
        self._report = report
        self._ended = ended
        self._running: set[asyncio.Task[None]] = set()

    @property
    def are_idle(self) -> bool:
        return not self._running

    @property
    def running(self) -> tuple[asyncio.Task[None], ...]:
        return tuple(self._running)

    def start(self, work: Awaitable[Any], label: str) -> None:
        """Await ``work``, which the action that is called ``label`` has returned."""

        async def run() -> None:
            try:
                await work
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                if action in self._running:  # or else it was stopped, and nobody wants to hear of it
                    logger.exception("action raised", instance=str(self._address), action=label)
                    note_error(error)
                    self._report({"type": ERROR_EXECUTION, "data": {"action": label, **error_data(error)}})

        def ended(action: asyncio.Task[None]) -> None:
            if inspect.iscoroutine(work):
                work.close()  # it may have been stopped before it had begun
            self._running.discard(action)
            self._ended()

        action = asyncio.create_task(run(), name=f"action {label}")
        self._running.add(action)
        action.add_done_callback(ended)

    def stop(self) -> None:
        """Cancel all that run. They may take a moment to end, but are no longer counted."""
        stopped, self._running = self._running, set()
        for action in stopped:
            action.cancel()
