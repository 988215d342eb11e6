"""Timers are read before they are due: nobody asks the store when their time comes, and nothing else changes by it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from perdure import Runtime, assign, cancel, send
from perdure.durable.limits import Limits
from perdure.durable.near_timers import NearTimers
from perdure.durable.records import Address, Mail
from perdure.stores.memory import MemoryStore
from tests.durable.world import World, a_while, at, journal, soon, types


class CountingStore(MemoryStore):
    """A store that counts what it is asked for, and answers when a test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.read: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def due_mail(self, now: float, limit: int, **options: Any) -> list[Mail]:
        found = await super().due_mail(now, limit, **options)
        self.looks += 1
        self.read += [mail.id for mail in found]
        await self.may_answer.wait()
        return found


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def world(store: CountingStore) -> World:
    world = World(lambda: store)
    alarm_clock(world)
    return world


def alarm_clock(world: World) -> None:
    """A machine that sets alarms and cancels them, notes those that ring, and fails at one named "bad"."""
    ring = send(
        lambda context, event: {"type": "RING", "name": event["name"]},
        delay=lambda context, event: event["delay"],
        id="alarm",
    )

    def rung(context: Any, event: Any) -> list[str]:
        if event["name"] == context["bad"]:
            raise ValueError(event["name"])
        return [*context["rung"], event["name"]]

    on = {
        "SET": {"actions": ring},
        "CALL_OFF": {"actions": cancel("alarm")},
        "RING": {"actions": assign(rung=rung)},
        "SPOIL": {"actions": assign(bad=lambda context, event: event.get("name"))},
        "END": "ended",
    }
    states = {"on": {"on": on}, "ended": {"type": "final"}}
    world.machine("clock", {"initial": "on", "context": {"rung": [], "bad": None}, "states": states})


async def set_alarm(runtime: Runtime, name: str, delay: float, clock: str = "one") -> None:
    await runtime.send(at("clock", clock), {"type": "SET", "name": name, "delay": delay})


async def rung(runtime: Runtime, clock: str = "one") -> list[str]:
    context = (await runtime.read(at("clock", clock))).context
    assert isinstance(context, dict)
    return list(context["rung"])


async def test_timers_due_in_the_same_moment_are_read_once_and_each_at_its_time(
    world: World, store: CountingStore
) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("clock"))
        for number in range(50):
            await set_alarm(runtime, f"{number}", 10_000 + 10 * number)
        await world.clock.advance(9_900)
        store.looks = 0
        for number in range(50):
            await world.clock.advance(100 if number == 0 else 10)
            assert await rung(runtime) == [f"{earlier}" for earlier in range(number + 1)]
        assert store.looks <= 2
        assert len(store.read) == len(set(store.read)) == 50


async def test_a_timer_set_after_others_were_read_and_due_before_them_rings_before_them(world: World) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("clock"))
        await set_alarm(runtime, "late", 900)
        await set_alarm(runtime, "later", 950)
        await world.clock.advance(500)
        for name, delay in (("same time", 400), ("now", 0), ("soon", 100), ("between", 420)):
            await set_alarm(runtime, name, delay)
            await a_while()
        await world.clock.advance(99)
        assert await rung(runtime) == ["now"]
        await world.clock.advance(1)
        assert await rung(runtime) == ["now", "soon"]
        await world.clock.advance(400)
        assert await rung(runtime) == ["now", "soon", "late", "same time", "between", "later"]


async def test_a_timer_cancelled_after_it_was_read_is_not_even_tried(world: World) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("clock"))
        await set_alarm(runtime, "cancelled", 500)
        await world.clock.advance(100)
        await runtime.send(at("clock"), "CALL_OFF")
        await set_alarm(runtime, "set again", 600)
        before = dict(runtime.meters.turns)
        await world.clock.advance(1_000)
        assert await rung(runtime) == ["set again"]
        assert runtime.meters.turns == {**before, "committed": before["committed"] + 1}
        assert runtime.meters.mail_failed == 0


@pytest.mark.parametrize("farewell", ["delete", "end"])
async def test_the_timers_that_go_with_an_instance_are_not_even_tried(world: World, farewell: str) -> None:
    async with world.running() as runtime:
        for name in ("one", "two"):
            await runtime.create_instance(at("clock", name))
            await set_alarm(runtime, f"of {name}", 500, name)
        await world.clock.advance(100)
        if farewell == "delete":
            await runtime.delete_instance(at("clock"))
        else:
            await runtime.send(at("clock"), "END")
        before = dict(runtime.meters.turns)
        await world.clock.advance(1_000)
        assert await rung(runtime, "two") == ["of two"]
        assert runtime.meters.turns == {**before, "committed": before["committed"] + 1}
        assert runtime.meters.mail_failed == 0


async def test_a_timer_that_is_gone_when_its_time_comes_leaves_no_trace(world: World, store: CountingStore) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("clock"))
        await set_alarm(runtime, "gone", 500)
        await set_alarm(runtime, "there", 500)
        await world.clock.advance(100)
        gone, _ = await store.pending_mail(at("clock"))
        await store.drop_mail(gone.id)  # as another process might
        before = dict(runtime.meters.turns)
        looks = store.looks
        await world.clock.advance(400)
        assert await rung(runtime) == ["there"]
        assert await types(runtime, at("clock")) == ["xstate.init", "SET", "SET", "RING"]
        assert runtime.meters.turns == {**before, "committed": before["committed"] + 1}
        assert runtime.meters.mail_failed == 0
        assert store.looks <= looks + 2


async def test_timers_read_ahead_wait_behind_one_that_fails_and_others_do_not(world: World) -> None:
    async with world.running() as runtime:
        for name in ("one", "two"):
            await runtime.create_instance(at("clock", name))
        await runtime.send(at("clock"), {"type": "SPOIL", "name": "bad"})
        for name, delay in (("first", 400), ("bad", 500), ("behind", 500), ("last", 600)):
            await set_alarm(runtime, name, delay)
        await set_alarm(runtime, "of another", 550, "two")
        await world.clock.advance(700)
        assert await rung(runtime) == ["first"]
        assert await rung(runtime, "two") == ["of another"]
        await runtime.send(at("clock"), {"type": "SPOIL"})
        await world.clock.advance(1_000)
        assert await rung(runtime) == ["first", "bad", "behind", "last"]


async def test_what_waits_behind_a_failed_timer_goes_on_when_that_is_cancelled(world: World) -> None:
    ring = send(lambda context, event: {"type": "RING"}, delay=100, id="ring")
    fail = send(lambda context, event: {"type": "FAIL"}, delay=50, id="fail")

    def failing(context: Any, event: Any) -> int:
        raise ValueError

    on = {
        "SET": {"actions": [ring, fail]},
        "FAIL": {"actions": assign(n=failing)},
        "RING": "rung",
        "CALL_OFF": {"actions": cancel("fail")},
    }
    world.machine("m", {"initial": "on", "context": {"n": 0}, "states": {"on": {"on": on}, "rung": {}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "SET")
        await world.clock.advance(200)
        assert (await runtime.read(at("m"))).state == "on"
        await runtime.send(at("m"), "CALL_OFF")
        await a_while()
        assert (await runtime.read(at("m"))).state == "rung"


@pytest.mark.parametrize("ahead", [1, 2, 4, 7])
async def test_more_timers_than_are_read_at_a_time_all_ring_once_in_order(
    world: World, store: CountingStore, ahead: int
) -> None:
    world.settings = msgspec.structs.replace(world.settings, limits=Limits(timers_ahead_max=ahead))
    delays = [500.0] * 10 + [500 + place // 3 for place in range(40)] + [900.0]
    async with world.running() as runtime:
        await runtime.create_instance(at("clock"))
        for place, delay in enumerate(delays):
            await set_alarm(runtime, f"{place}", delay)
        await world.clock.advance(499)
        assert len(set(store.read)) <= 2 * ahead
        for _ in range(60):
            await world.clock.advance(10)
        expected = sorted(range(len(delays)), key=lambda place: delays[place])
        assert await rung(runtime) == [f"{place}" for place in expected]


async def test_known_timers_ring_while_the_store_takes_its_time_to_tell_of_more(
    world: World, store: CountingStore
) -> None:
    world.settings = msgspec.structs.replace(world.settings, limits=Limits(timers_ahead_max=4))
    async with world.running() as runtime:
        await runtime.create_instance(at("clock"))
        for number in range(8):
            await set_alarm(runtime, f"{number}", 2_000 + 10 * number)
        await world.clock.advance(1_999)
        store.may_answer.clear()
        looks = store.looks
        await world.clock.advance(31)
        assert store.looks > looks
        assert await rung(runtime) == ["0", "1", "2", "3"]
        await world.clock.advance(10)
        assert await rung(runtime) == ["0", "1", "2", "3"]
        store.may_answer.set()
        await soon(runtime.idle())
        assert await rung(runtime) == ["0", "1", "2", "3", "4"]
        await world.clock.advance(100)
        assert await rung(runtime) == [f"{number}" for number in range(8)]


async def test_timers_that_are_due_later_are_not_read(world: World, store: CountingStore) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("clock"))
        await set_alarm(runtime, "near", 900)
        for number in range(100):
            await set_alarm(runtime, f"{number}", 100_000 + number)
        for _ in range(20):
            await world.clock.advance(100)
        assert await rung(runtime) == ["near"]
        assert len(store.read) == 1


async def test_a_clock_set_forward_lets_timers_ring_in_order_and_one_set_back_lets_none_ring_early(
    world: World,
) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("clock"))
        for name, delay in (("a", 300), ("b", 5_000), ("c", 20_000)):
            await set_alarm(runtime, name, delay)
        await world.clock.advance(100)
        world.clock._now -= 1_000
        await set_alarm(runtime, "d", 10)
        await world.clock.advance(1_199)
        assert await rung(runtime) == ["d"]
        await world.clock.advance(1)
        assert await rung(runtime) == ["d", "a"]
        world.clock._now += 50_000
        await world.clock.advance(30_000)
        assert await rung(runtime) == ["d", "a", "b", "c"]


async def test_timers_that_were_read_and_not_yet_due_ring_after_a_restart(world: World) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("clock"))
        for name, delay in (("a", 300), ("b", 600)):
            await set_alarm(runtime, name, delay)
        await world.clock.advance(100)
    await world.clock.advance(400)
    async with world.running() as runtime:
        await soon(runtime.idle())
        assert await rung(runtime) == ["a"]
        await world.clock.advance(100)
        assert await rung(runtime) == ["a", "b"]
        assert len(await journal(runtime, at("clock"))) == 5


# -- the queue by itself -----------------------------------------------------------------------------------------------

ALICE, BOB = Address("o", "m", "alice"), Address("o", "m", "bob")


def timer(name: str, due_at: float, sender: Address = ALICE) -> Mail:
    return Mail(
        id=name,
        kind="event",
        sender=sender,
        target=sender,
        due_at=due_at,
        event={"type": "T"},
        send_id="t",
        is_delayed=True,
    )


def taken(near: NearTimers, now: float) -> list[str]:
    return [mail.id for mail in iter(lambda: near.take(now), None)]


def read(near: NearTimers, now: float, *found: Mail, next_due: float | None = None) -> None:
    near.absorb(near.look(now), found, found, next_due)


def test_what_was_set_again_after_a_cancellation_is_not_taken_for_what_was_cancelled() -> None:
    near = NearTimers(8)
    read(near, 0.0, timer("first", 500.0), timer("bob's", 500.0, BOB), next_due=1_200.0)
    near.withdraw(ALICE, ["t"])
    read(near, 500.0, timer("second", 1_200.0))
    assert taken(near, 2_000.0) == ["bob's", "second"]


def test_many_cancellations_are_not_remembered_for_ever() -> None:
    near = NearTimers(8)
    read(near, 0.0, timer("first", 500.0), timer("bob's", 500.0, BOB))
    for number in range(5_000):
        near.withdraw(ALICE, ["t", f"{number}"])
    assert len(near._cancelled) <= 1_000
    assert taken(near, 500.0) == ["bob's"]


def test_what_is_committed_while_the_store_is_asked_is_asked_for_again() -> None:
    near = NearTimers(8)
    look = near.look(0.0)
    near.noticed(300.0)
    found = [timer("a", 200.0), timer("b", 300.0), timer("c", 400.0)]
    near.absorb(look, found, found, None)
    assert taken(near, 1_000.0) == ["a"]
    assert near.look_at == 300.0
    assert near.look(300.0).after < 300.0


def test_what_is_forgotten_while_the_store_is_asked_is_asked_for_from_the_start() -> None:
    near = NearTimers(8)
    look = near.look(0.0)
    near.forget()
    near.absorb(look, [timer("a", 200.0)], [timer("a", 200.0)], None)
    assert near.look_at == 0.0
    assert near.look(0.0).after == 0.0
    assert taken(near, 1_000.0) == []
