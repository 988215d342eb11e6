"""The timers of a system: their order, their cancelling, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perdure import assign, cancel, create_machine, interpret, send, spawn
from perdure.actors.timers import EMPTY_ENTRIES_MIN
from perdure.testing.simulated_clock import SimulatedClock
from tests.actors.machines import note


class CountingClock(SimulatedClock):
    """Counts how often it is asked to call back."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def call_later(self, milliseconds: float, callback: Callable[[], object]) -> Callable[[], None]:
        self.asked += 1
        return super().call_later(milliseconds, callback)


def test_timers_fire_in_the_order_of_their_times_and_equal_ones_as_they_were_set() -> None:
    heard: list[Any] = []
    delays = [30, 10, 20, 10, 0]
    machine = create_machine(
        {
            "entry": [send({"type": "T", "n": n}, delay=delay, id=str(n)) for n, delay in enumerate(delays)],
            "on": {"T": {"actions": note(heard)}},
        }
    )
    clock = SimulatedClock()
    interpret(machine, clock=clock).start()
    clock.advance(100)
    assert [event["n"] for event in heard] == [4, 1, 3, 2, 0]


def test_a_timer_that_sets_another_is_seen_at_its_own_time_within_one_advance() -> None:
    times: list[float] = []
    clock = SimulatedClock(now=0)
    machine = create_machine(
        {
            "entry": send("TICK", delay=10),
            "on": {"TICK": {"actions": [lambda: times.append(clock.now()), send("TICK", delay=10)]}},
        }
    )
    with interpret(machine, clock=clock):
        clock.advance(35)
    clock.advance(100)
    assert times == [10, 20, 30]


def test_cancel_forgets_every_timer_of_its_id_and_no_other() -> None:
    heard: list[Any] = []
    machine = create_machine(
        {
            "entry": [send("A", delay=10), send("A", delay=20), send("B", delay=15), cancel("A"), cancel("C")],
            "on": {"*": {"actions": note(heard)}},
        }
    )
    clock = SimulatedClock()
    actor = interpret(machine, clock=clock).start()
    clock.advance(100)
    assert [event["type"] for event in heard] == ["B"]
    assert len(actor.system.timers) == 0


def test_a_timer_that_is_set_again_at_every_event_does_not_pile_up() -> None:
    machine = create_machine(
        {
            "initial": "a",
            "states": {"a": {"after": {60_000: "b"}, "on": {"AGAIN": {"target": "a", "internal": False}}}, "b": {}},
        }
    )
    clock = SimulatedClock()
    actor = interpret(machine, clock=clock).start()
    other = interpret(create_machine({"entry": [send("X", delay=1)]}), clock=clock).start()
    for _ in range(1_000):
        actor.send("AGAIN")
    assert len(actor.system.timers) == 1
    assert len(actor.system.timers._heap) <= EMPTY_ENTRIES_MIN + 3
    other.stop()
    clock.advance(60_000)
    assert actor.snapshot.value == "b"


def test_ten_thousand_timers_wake_the_clock_once_for_each_time_that_comes() -> None:
    count = 10_000
    order = [(7_919 * n) % count for n in range(count)]
    kid = create_machine(
        {
            "id": "kid",
            "initial": "a",
            "context": {"delay": 0},
            "states": {"a": {"after": [{"delay": lambda context: context["delay"], "target": "b"}]}, "b": {}},
        }
    )
    machine = create_machine(
        {
            "id": "m",
            "context": {},
            "entry": assign(kids=lambda: [spawn(kid, f"k{n}", data={"delay": 1_000 + n % 10}) for n in order]),
        }
    )
    clock = CountingClock()
    actor = interpret(machine, clock=clock).start()
    asked = clock.asked
    clock.advance(1_004)
    assert sum(each.place() == "b" for each in actor.system) == count // 2
    clock.advance(5)
    assert sum(each.place() == "b" for each in actor.system) == count
    assert asked <= 11
    assert clock.asked - asked <= 10


async def test_a_program_with_an_event_loop_awaits_the_clock() -> None:
    machine = create_machine({"initial": "a", "states": {"a": {"after": {10: "b"}}, "b": {}}})
    clock = SimulatedClock()
    actor = interpret(machine, clock=clock).start()
    slept = clock.sleep(10)
    await clock.advance(10)
    await slept
    assert actor.snapshot.value == "b"


def test_a_clock_called_off_does_not_call_back() -> None:
    clock, called = SimulatedClock(), list[str]()
    call_off = clock.call_later(10, lambda: called.append("never"))
    clock.call_later(10, lambda: called.append("once"))
    call_off()
    clock.advance(10)
    clock.advance(10)
    assert called == ["once"]
