"""Events that wait for one instance share a commit, and nobody can tell but by the time it takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure import EventFailed, Runtime, assign, cancel, send, send_to
from perdure.errors import AuthorizerRefused, StoreError
from tests.durable.world import FaultyWorld, at, journal, reference, soon, types

COUNT = assign(n=lambda context: context["n"] + 1)


def spoil(context: dict[str, Any]) -> dict[str, Any]:
    context["n"] = 1_000_000  # which no assigner may do, least of all before it fails
    raise RuntimeError("no")


class BellWorld(FaultyWorld):
    """A world in which actions can be heard."""

    def __init__(self) -> None:
        super().__init__()
        self.rang: list[int] = []


@pytest.fixture
def world() -> BellWorld:
    world = BellWorld()
    world.machine(
        "counter",
        {
            "context": {"n": 0},
            "on": {
                "COUNT": {"actions": COUNT},
                "RING": {"actions": [COUNT, "ring"]},
                "SPOIL": {"actions": assign(spoil)},
                "LATER": {"actions": [COUNT, send("RING", delay=1000, id="later")]},
                "FIRST": {"actions": send("COUNT", delay=1000, id="first")},
                "SECOND": {"actions": send("RING", delay=1000, id="second")},
                "CANCEL": {"actions": cancel("second")},
            },
        },
        actions={"ring": lambda context: world.rang.append(context["n"])},
    )
    return world


async def at_once(runtime: Runtime, *events: str) -> list[Any]:
    """What each of these events is answered that arrive together."""
    sends = (runtime.send(at("counter"), event) for event in events)
    return list(await soon(asyncio.gather(*sends, return_exceptions=True)))


async def test_events_that_wait_share_a_commit_and_each_is_answered_where_it_has_led(world: BellWorld) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("counter"))
        commits = world.faults.calls["commit"]
        answers = await at_once(runtime, *["COUNT"] * 10)
        assert [answer.context["n"] for answer in answers] == list(range(1, 11))
        assert [answer.ts for answer in answers] == sorted({answer.ts for answer in answers})
        assert world.faults.calls["commit"] - commits == 1
        assert [entry.sequence for entry in await journal(runtime, at("counter"))] == list(range(1, 12))
    async with world.running() as runtime:
        assert (await runtime.read(at("counter"))).context["n"] == 10


async def test_a_commit_is_shared_by_so_many_events_at_most(world: BellWorld) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("counter"))
        commits = world.faults.calls["commit"]
        answers = await at_once(runtime, *["COUNT"] * 100)
        assert [answer.context["n"] for answer in answers] == list(range(1, 101))
        assert world.faults.calls["commit"] - commits == 4


async def test_actions_run_in_order_after_the_commit_with_what_each_was_called_with(world: BellWorld) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("counter"))
        gate = world.faults.hold("commit")
        answers = asyncio.ensure_future(at_once(runtime, "RING", "COUNT", "RING"))
        await gate.wait_reached()
        assert world.rang == []
        gate.open()
        await answers
        assert world.rang == [1, 3]


async def test_an_event_that_fails_among_others_fails_alone_and_spoils_nothing(world: BellWorld) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("counter"))
        one, two, failed, three, last = await at_once(runtime, "COUNT", "COUNT", "SPOIL", "COUNT", "SPOIL")
        assert [answer.context["n"] for answer in (one, two, three)] == [1, 2, 3]
        assert isinstance(failed, EventFailed)
        assert isinstance(last, EventFailed)
        assert (await runtime.read(at("counter"))).context["n"] == 3
        failed, one = await at_once(runtime, "SPOIL", "COUNT")
        assert isinstance(failed, EventFailed)
        assert one.context["n"] == 4


async def test_events_that_share_a_commit_are_answered_apart_though_an_assigner_changes_the_context_in_place(
    world: BellWorld,
) -> None:
    def append(context: dict[str, Any]) -> list[int]:
        context["items"].append(len(context["items"]))
        items: list[int] = context["items"]
        return items

    world.machine("m", {"context": {"items": []}, "on": {"ADD": {"actions": assign(items=append)}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        answers = await soon(asyncio.gather(*(runtime.send(at("m"), "ADD") for _ in range(3))))
        assert world.faults.calls["commit"] == 2
        assert [answer.context["items"] for answer in answers] == [[0], [0, 1], [0, 1, 2]]


async def test_a_refused_writer_among_others_is_refused_alone(world: BellWorld) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("counter"))
        answers = await soon(
            asyncio.gather(
                *(runtime.send(at("counter"), "COUNT", auth_context={"sub": sub}) for sub in ("me", "stranger", "me")),
                return_exceptions=True,
            )
        )
        assert isinstance(answers[1], AuthorizerRefused)
        assert [answers[0].context["n"], answers[2].context["n"]] == [1, 2]


async def test_an_event_that_sends_mail_ends_a_shared_commit_and_its_mail_is_sent_once(world: BellWorld) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("counter"))
        commits = world.faults.calls["commit"]
        answers = await at_once(runtime, "COUNT", "LATER", "COUNT", "LATER")
        assert [answer.context["n"] for answer in answers] == [1, 2, 3, 4]
        assert world.faults.calls["commit"] - commits == 2
        await world.clock.advance(1000)
        await soon(runtime.idle())
        assert (await types(runtime, at("counter")))[1:] == ["COUNT", "LATER", "COUNT", "LATER", "RING", "RING"]
        assert world.rang == [5, 6]


async def test_timers_that_are_due_together_share_a_commit(world: BellWorld) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("counter"))
        await at_once(runtime, *["LATER"] * 8)
        commits = world.faults.calls["commit"]
        await world.clock.advance(1000)
        await soon(runtime.idle())
        assert world.rang == list(range(9, 17))
        assert world.faults.calls["commit"] - commits == 1
        assert await runtime.store.pending_mail(at("counter")) == []


async def test_a_timer_that_is_gone_is_left_out_and_the_others_of_its_commit_are_applied(world: BellWorld) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("counter"))
        await at_once(runtime, "LATER", "LATER", "LATER")
        (_, second, _) = await runtime.store.pending_mail(at("counter"))
        gate = world.faults.hold("commit")
        await world.clock.advance(1000)
        await gate.wait_reached()
        await runtime.store.drop_mail(second.id)
        gate.open()
        await soon(runtime.idle())
        assert (await types(runtime, at("counter"))).count("RING") == 2
        assert world.rang == [4, 5]
        assert runtime.meters.mail_failed == 0


async def test_a_timer_that_another_one_cancels_in_the_same_moment_is_cancelled(world: BellWorld) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("counter"))
        await at_once(runtime, "FIRST", "SECOND")
        gate = world.faults.hold("commit")
        cancelled = asyncio.ensure_future(runtime.send(at("counter"), "CANCEL"))
        await gate.wait_reached()
        await world.clock.advance(1000)
        gate.open()
        await soon(cancelled)
        await soon(runtime.idle())
        assert world.rang == []
        assert (await types(runtime, at("counter")))[1:] == ["FIRST", "SECOND", "CANCEL", "COUNT"]


async def test_a_store_that_fails_fails_all_that_share_the_commit_and_applies_none(world: BellWorld) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("counter"))
        world.faults.fail("commit")
        answers = await at_once(runtime, "COUNT", "COUNT", "RING")
        assert [type(answer) for answer in answers] == [StoreError] * 3
        assert world.rang == []
        assert (await runtime.send(at("counter"), "COUNT")).context["n"] == 1


async def test_a_lost_acknowledgement_of_a_shared_commit_applies_nothing_twice(world: BellWorld) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("counter"))
        world.faults.fail("commit", "after")
        answers = await at_once(runtime, "COUNT", "COUNT")
        assert [type(answer) for answer in answers] == [StoreError] * 2
        assert (await runtime.send(at("counter"), "COUNT")).context["n"] == 3


def opened(context: dict[str, Any]) -> bool:
    if context["locked"]:
        raise ValueError("it is locked")
    return True


LOCK = {
    "context": {"locked": False, "opened": False},
    "on": {"LOCK": {"actions": assign(locked=True)}, "OPEN": {"actions": assign(opened=opened)}},
}


async def test_a_request_is_not_refused_over_what_a_shared_commit_that_failed_would_have_led_to(
    world: BellWorld,
) -> None:
    world.machine("lock", LOCK)
    async with world.running() as runtime:
        await runtime.create_instance(at("lock"))
        world.faults.fail("commit")
        sends = (runtime.send(at("lock"), event) for event in ("LOCK", "OPEN"))
        failed, answer = await soon(asyncio.gather(*sends, return_exceptions=True))
        assert isinstance(failed, StoreError)
        assert answer.context == {"locked": False, "opened": True}


async def test_a_request_is_not_refused_in_place_of_mail_that_waits_behind_what_a_shared_commit_failed_with(
    world: BellWorld,
) -> None:
    world.machine("lock", LOCK)
    lock = reference("lock")
    world.machine("sender", {"on": {"GO": {"actions": [send_to(lock, "LOCK"), send_to(lock, "OPEN")]}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("lock"))
        await runtime.create_instance(at("sender"))
        await runtime.send(at("sender"), "GO")
        world.faults.fail("commit")
        gate = world.faults.hold("due_mail", "after")
        await gate.wait_reached()
        sending = asyncio.ensure_future(runtime.send(at("lock"), "OTHER"))
        gate.open()
        assert (await soon(sending)).context == {"locked": False, "opened": False}
        await soon(runtime.idle())
        assert [(mail.event, mail.attempts) for mail in await runtime.store.pending_mail(at("lock"))] == [
            ({"type": "LOCK"}, 1),
            ({"type": "OPEN"}, 0),
        ]


async def test_what_waits_at_a_shared_commit_when_the_runtime_closes_is_answered(world: BellWorld) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("counter"))
        gate = world.faults.hold("commit")
        answers = asyncio.ensure_future(at_once(runtime, "COUNT", "COUNT"))
        await gate.wait_reached()
    assert len([answer for answer in await soon(answers) if isinstance(answer, Exception)]) == 2


async def test_events_that_share_a_commit_with_one_of_another_process_are_computed_again(world: BellWorld) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("counter"))
        gate = world.faults.hold("commit")
        answers = asyncio.ensure_future(at_once(runtime, "COUNT", "COUNT", "COUNT"))
        await gate.wait_reached()
        async with world.running() as other:  # over the same store
            await other.send(at("counter"), "COUNT")
            gate.open()
            assert [answer.context["n"] for answer in await answers] == [2, 3, 4]
            assert runtime.meters.conflicts == 1
