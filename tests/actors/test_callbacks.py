"""Callbacks as children: functions of ``(send_back, receive)``."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from perdure import InvalidParameter, assign, create_machine, from_callback, interpret, respond, spawn
from tests.actors.machines import child, note
from tests.actors.parents import Parent


def test_a_callback_sends_events_to_its_parent_and_needs_no_event_loop() -> None:
    parent = Parent(from_callback(lambda send_back, receive: send_back({"type": "HELLO", "n": 1})))
    parent.actor.start()
    assert parent.heard == [{"type": "HELLO", "n": 1}]


def test_a_callback_hears_what_it_is_sent() -> None:
    heard: list[Any] = []

    def callback(send_back: Any, receive: Any) -> None:
        def listener(event: dict[str, Any]) -> None:
            heard.append(event)
            send_back("THANKS")

        receive(listener)

    parent = Parent(from_callback(callback))
    parent.actor.start()
    parent.actor.send({"type": "FORWARD", "n": 1})
    assert (heard, parent.types) == ([{"type": "FORWARD", "n": 1}], ["THANKS"])


def test_a_callback_is_given_context_event_and_meta_when_it_takes_them() -> None:
    given: list[Any] = []

    def callback(send_back: Any, receive: Any, context: Any, event: Any, meta: Any) -> None:
        given.append((context, event["type"], meta.reference["path"]))

    Parent(from_callback(callback), data={"x": 1}).actor.start()
    assert given == [({"x": 1}, "xstate.init", "parent/kid")]


def test_leaving_the_state_runs_the_cleanup_once() -> None:
    cleaned: list[str] = []
    parent = Parent(from_callback(lambda send_back, receive: lambda: cleaned.append("cleaned")))
    parent.actor.start()
    parent.actor.send("LEAVE")
    parent.actor.stop()
    assert cleaned == ["cleaned"]


def test_what_a_callback_sends_after_its_cleanup_is_dropped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[Any] = []
    parent = Parent(from_callback(lambda send_back, receive: kept.append(send_back)))
    parent.actor.start()
    parent.actor.send("LEAVE")
    kept[0]("TOO_LATE")
    assert parent.heard == []
    assert "its sender has ended" in caplog.text


def test_a_parent_can_respond_to_a_callback() -> None:
    heard: list[Any] = []

    def callback(send_back: Any, receive: Any) -> None:
        receive(heard.append)
        send_back("ASK")

    machine = create_machine(
        {"invoke": {"id": "kid", "src": from_callback(callback)}, "on": {"ASK": {"actions": respond("ANSWER")}}}
    )
    interpret(machine).start()
    assert heard == [{"type": "ANSWER"}]


def test_a_callback_that_does_not_receive_drops_events_and_its_sender_is_told() -> None:
    parent = Parent(from_callback(lambda send_back: None))
    parent.actor.start()
    parent.actor.send("FORWARD")
    assert "does not receive events" in parent.heard[0]["data"]["message"]


@pytest.mark.parametrize("when", ["begun", "sent"])
def test_a_callback_or_listener_that_raises_fails_and_is_cleaned_up(when: str) -> None:
    cleaned: list[str] = []

    def broken(event: Any = None) -> None:
        raise ValueError("boom")

    def callback(send_back: Any, receive: Any) -> Any:
        if when == "begun":
            broken()
        receive(broken)
        return lambda: cleaned.append("cleaned")

    parent = Parent(from_callback(callback))
    parent.actor.start()
    if when == "sent":
        parent.actor.send("FORWARD")
    assert [(event["type"], event["data"]["message"]) for event in parent.heard] == [("error.platform.kid", "boom")]
    assert cleaned == (["cleaned"] if when == "sent" else [])


def test_a_cleanup_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def cleanup() -> None:
        raise ValueError("boom")

    parent = Parent(from_callback(lambda send_back, receive: cleanup))
    parent.actor.start()
    parent.actor.send("LEAVE")
    assert parent.actor.snapshot.value == "without"
    assert "a cleanup raised" in caplog.text


def test_a_callback_is_refused_what_is_no_event() -> None:
    def callback(send_back: Any, receive: Any) -> None:
        with pytest.raises(InvalidParameter):
            send_back(5)

    Parent(from_callback(callback)).actor.start()


async def test_a_callback_may_send_from_a_thread_of_its_own() -> None:
    def callback(send_back: Any, receive: Any) -> Any:
        thread = threading.Thread(target=lambda: send_back("FROM_THREAD"))
        thread.start()
        return thread.join

    parent = Parent(from_callback(callback))
    async with parent.actor:
        await parent.hears("FROM_THREAD")


async def test_an_asynchronous_callback_is_done_when_it_returns_and_cancelled_when_it_is_stopped() -> None:
    ended: list[str] = []

    async def callback(send_back: Any, receive: Any, context: Any) -> str:
        inbox: asyncio.Queue[Any] = asyncio.Queue()
        receive(inbox.put_nowait)
        try:
            send_back("READY")
            await inbox.get()
            return "result"
        finally:
            ended.append("ended")

    parent = Parent(from_callback(callback))
    async with parent.actor:
        await parent.hears("READY")
        parent.actor.send("FORWARD")
        assert (await parent.hears("done.invoke.kid"))["data"] == "result"
        parent.actor.send("LEAVE")
        parent.actor.send("BACK")
        parent.heard.clear()
        await parent.hears("READY")
    assert ended == ["ended", "ended"]


def test_a_callback_can_be_spawned_by_name() -> None:
    heard: list[Any] = []
    machine = create_machine(
        {
            "id": "m",
            "context": {},
            "entry": assign(ref=lambda: spawn("ticker")),
            "on": {"TICK": {"actions": note(heard)}},
        },
        services={"ticker": from_callback(lambda send_back: send_back("TICK"))},
    )
    actor = interpret(machine).start()
    assert heard == [{"type": "TICK"}]
    assert child(actor, "ticker-1").kind == "callback"


@pytest.mark.parametrize("function", [None, 5, lambda a, b, c, d, e, f: None, lambda *, key: None])
def test_what_cannot_be_called_with_send_back_and_receive_is_refused_when_it_is_made(function: Any) -> None:
    with pytest.raises(TypeError, match="send_back, receive"):
        from_callback(function)
