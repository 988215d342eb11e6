"""Live views for blocking code: a subscription as an iterator, and an actor that a thread keeps up to date.

The same promises as ``perdure.client.async_live``. An iterator that waits for the next state can be ended from another
thread by ``Subscription.close``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from perdure import wire
from perdure.client import watching
from perdure.client.local_actor import LocalActor, OnError, OnState
from perdure.client.watching import PING, View, realtime_url
from perdure.errors import PerdureError
from perdure.json_value import JsonObject

if TYPE_CHECKING:
    from perdure.client.sync_client import Client

__all__ = ["Actor", "Subscription"]


class Subscription:
    """The states of an instance, each newer than the one before, until it is closed.

    Iterate over it in one thread; ``with`` closes it.
    """

    def __init__(
        self,
        url: str,
        machine: str,
        instance: str,
        *,
        token: Callable[[], str | None],
        renew: Callable[[], bool],
        org: str | None,
    ) -> None:
        self._url = url
        self._token = token
        self._renew = renew
        self._org = org
        self._view = View(url, machine, instance)
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._connection: ClientConnection | None = None
        self._states = self._run()

    def __iter__(self) -> Iterator[wire.State]:
        return self

    def __next__(self) -> wire.State:
        return next(self._states)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it, from any thread; whoever waits for a state gets ``StopIteration``. Safe to call twice."""
        self._closed.set()
        with self._lock:
            connection = self._connection
        if connection is not None:
            connection.close()

    def _run(self) -> Iterator[wire.State]:
        while not self._closed.is_set():
            failure: Exception | None = None
            try:
                target = realtime_url(self._url, self._token(), self._org)
                with connect(target, max_size=watching.MESSAGE_BYTES_MAX, close_timeout=1) as connection:
                    with self._lock:
                        self._connection = connection
                    connection.send(self._view.opening())
                    yield from self._received(connection)
            except (OSError, WebSocketException) as error:
                if self._view.must_renew(error) and self._renew():
                    continue
                failure = error
            if not self._closed.is_set():
                self._closed.wait(self._view.lost(failure) / 1000)

    def _received(self, connection: ClientConnection) -> Iterator[wire.State]:
        while not self._closed.is_set():
            try:
                frame = connection.recv(timeout=watching.PING_SECONDS)
            except TimeoutError:
                connection.send(PING)
                continue
            state = self._view.received(frame)
            if state is not None:
                yield state


class Actor:
    """A local stand-in for an instance. Use it as ``with client.actor(machine, instance) as actor:``.

    Entering gets the instance, or creates it; from then on a thread follows it until the block ends. Listeners are
    called in that thread, or in the one that sends.
    """

    def __init__(
        self, client: Client, machine: str, instance: str, context: JsonObject | None, version: str | None
    ) -> None:
        self._client = client
        self._context = context
        self._version = version
        self._local = LocalActor(machine, instance)
        self._changed = threading.Condition(threading.RLock())
        self._subscription = client.subscribe(machine, instance)
        self._thread = threading.Thread(target=self._follow, name=f"actor {self._local.id}", daemon=True)

    def __enter__(self) -> Self:
        machine, instance = self._local.machine, self._local.instance
        self._offer(self._client.get_or_create_instance(machine, instance, self._context, version=self._version))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._subscription.close()
        self._thread.join()

    @property
    def id(self) -> str:
        """``machine/instance``."""
        return self._local.id

    @property
    def in_flight_events(self) -> tuple[JsonObject, ...]:
        """The events that this actor has sent and the server has not answered yet, oldest first."""
        return self._local.in_flight_events

    def get_snapshot(self) -> wire.State:
        """The newest state that got here."""
        return self._local.get_snapshot()

    def subscribe(self, on_state: OnState, on_error: OnError | None = None) -> Callable[[], None]:
        """Call back with each newer state from now on; what this returns ends it.

        ``on_error`` is called once when the instance can no longer be followed.
        """
        return self._local.subscribe(on_state, on_error)

    def send(self, event: JsonObject | str) -> wire.State:
        """Send an event; the state once the instance has settled. Raises what ``Client.send`` raises."""
        with self._local.flying(event) as whole_event:
            state = self._client.send(self._local.machine, self._local.instance, whole_event)
        self._offer(state)
        return state

    def wait_for(self, predicate: Callable[[wire.State], bool], *, timeout_seconds: float | None = None) -> wire.State:
        """The first state from the present one on of which the predicate is true.

        Raises ``TimeoutError``, and the error that ended the following of the instance.
        """
        with self._changed:
            came = self._changed.wait_for(
                lambda: predicate(self.get_snapshot()) or self._local.failure is not None, timeout_seconds
            )
            if not came:
                raise TimeoutError(f"{self.id} did not come to that state within {timeout_seconds} s")
            state = self.get_snapshot()
            if self._local.failure is not None and not predicate(state):
                raise self._local.failure
            return state

    def _offer(self, state: wire.State) -> None:
        with self._changed:
            if self._local.offer(state):
                self._changed.notify_all()

    def _follow(self) -> None:
        try:
            for state in self._subscription:
                self._offer(state)
        except PerdureError as error:
            with self._changed:
                self._local.fail(error)
                self._changed.notify_all()
