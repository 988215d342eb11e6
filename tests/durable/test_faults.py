"""The store fails, is late or loses its answer: nothing is lost, applied twice, overtaken or waited for in vain."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure import Definition, InstanceExists, NotFound, Runtime, assign, persistent, send, send_to
from perdure.errors import StoreError
from perdure.stores.memory import MemoryStore
from tests.durable.world import ORG, FaultyWorld, World, a_while, at, reference, soon, types

COUNTER: dict[str, Any] = {
    "initial": "on",
    "context": {"count": 0},
    "states": {"on": {"on": {"ADD": {"actions": assign(count=lambda context: context["count"] + 1)}}}},
}
COLLECTOR: dict[str, Any] = {
    "initial": "a",
    "context": {"got": []},
    "states": {"a": {"on": {"*": {"actions": assign(got=lambda c, e: [*c["got"], e["type"]])}}}},
}
RETRIES = (1_000, 5_000, 15_000, 30_000)


def sender_of(**targets: list[str]) -> dict[str, Any]:
    """A machine that at GO sends each event of each list to that machine's instance ``one``."""
    actions = [send_to(reference(machine), event) for machine, events in targets.items() for event in events]
    return {"initial": "a", "states": {"a": {"on": {"GO": {"actions": actions}}}}}


@pytest.fixture
def world() -> FaultyWorld:
    return FaultyWorld()


async def all_idle(world: World, runtime: Runtime, *pauses: float) -> None:
    for pause in (0, *pauses):
        await world.clock.advance(pause)
        await soon(runtime.idle())


# -- lost acknowledgements ---------------------------------------------------------------------------------------------


async def test_after_a_lost_acknowledgement_the_state_that_stands_is_read(world: FaultyWorld) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        world.faults.fail("commit", "after")
        with pytest.raises(StoreError):
            await runtime.send(at("m"), "ADD")
        assert (await runtime.read(at("m"))).context["count"] == 1


async def test_mail_of_a_commit_whose_acknowledgement_was_lost_is_delivered(world: FaultyWorld) -> None:
    world.machine("collector", COLLECTOR)
    world.machine("m", sender_of(collector=["HI"]))
    async with world.running() as runtime:
        await runtime.create_instance(at("collector"))
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        world.faults.fail("commit", "after")
        with pytest.raises(StoreError):
            await runtime.send(at("m"), "GO")
        await soon(runtime.idle())
        assert (await runtime.read(at("collector"))).context["got"] == ["HI"]


async def test_a_service_that_a_lost_acknowledgement_stopped_is_not_taken_for_the_next_one(world: FaultyWorld) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    started: list[int] = []
    cancelled: list[int] = []

    async def service() -> int:
        number = len(started)
        started.append(number)
        try:
            await gates[number].wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    world.machine(
        "m",
        {
            "initial": "idle",
            "states": {
                "idle": {"on": {"CALL": "busy"}},
                "busy": {
                    "invoke": {
                        "id": "call",
                        "src": service,
                        "onDone": {"target": "ok", "actions": assign(result=lambda c, e: e["data"])},
                    },
                    "on": {"LEAVE": "idle"},
                },
                "ok": {},
            },
        },
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        first = asyncio.ensure_future(runtime.send(at("m"), "CALL"))
        await a_while()
        assert len(started) == 1
        world.faults.fail("commit", "after")
        with pytest.raises(StoreError):
            await runtime.send(at("m"), "LEAVE")
        second = asyncio.ensure_future(runtime.send(at("m"), "CALL"))
        await a_while()
        assert (started, cancelled) == ([0, 1], [0])
        gates[0].set()
        await a_while()
        assert (await runtime.read(at("m"))).state == "busy"
        gates[1].set()
        assert (await soon(second)).context["result"] == 1
        await soon(first)


async def test_a_child_whose_creation_was_not_acknowledged_at_the_last_attempt_has_not_failed(
    world: FaultyWorld,
) -> None:
    invoke = {"id": "kid", "src": persistent("kid", name="one"), "onError": "sad"}
    world.machine("m", {"initial": "a", "states": {"a": {"invoke": invoke}, "sad": {}}})
    world.machine("kid", {"initial": "a", "states": {"a": {}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        world.faults.fail("commit", times=4)
        await all_idle(world, runtime, *RETRIES[:3])
        world.faults.fail("commit", "after")
        await all_idle(world, runtime, 30_000, 30_000)
        assert (await runtime.read(at("kid"))).state == "a"
        assert (await runtime.read(at("m"))).state == "a"


async def test_after_a_lost_acknowledgement_of_a_delete_the_watchers_end_with_the_next_attempt(
    world: FaultyWorld,
) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        subscription = await runtime.subscribe(at("m"))
        await anext(subscription)
        world.faults.fail("delete_instance", "after")
        with pytest.raises(StoreError):
            await runtime.delete_instance(at("m"))
        with pytest.raises(NotFound):
            await runtime.delete_instance(at("m"))
        with pytest.raises(StopAsyncIteration):
            await soon(anext(subscription))


# -- refusals ----------------------------------------------------------------------------------------------------------


async def test_what_a_service_returned_survives_a_store_that_fails_for_a_while(world: FaultyWorld) -> None:
    async def pay() -> str:
        world.faults.fail("commit", times=3)
        return "receipt"

    invoke = {"id": "pay", "src": pay, "onDone": "paid", "onError": "unpaid"}
    world.machine("m", {"initial": "a", "states": {"a": {"invoke": invoke}, "paid": {}, "unpaid": {}}})
    async with world.running() as runtime:
        created = asyncio.ensure_future(runtime.create_instance(at("m")))
        for _ in range(4):
            await world.clock.advance(1_000)
        assert (await soon(created)).state == "paid"
        assert await types(runtime, at("m")) == ["xstate.init", "done.invoke.pay"]


async def test_what_a_service_returned_is_given_up_with_the_time_of_its_instance(world: FaultyWorld) -> None:
    async def pay() -> str:
        world.faults.fail("commit", times=1_000)
        return "receipt"

    invoke = {"id": "pay", "src": pay, "onDone": "paid", "onError": "unpaid"}
    world.machine("m", {"initial": "a", "states": {"a": {"invoke": invoke}, "paid": {}, "unpaid": {}}})
    async with world.running() as runtime:
        created = asyncio.ensure_future(runtime.create_instance(at("m")))
        for _ in range(95):
            await world.clock.advance(1_000)
        assert (await soon(created)).state == "a"
        world.faults.end()
        assert (await soon(runtime.send(at("m"), "NEXT"))).state == "unpaid"


@pytest.mark.parametrize("method", ["commit", "load", "due_mail", "next_times", "defer_mail", "bury_mail", "machine"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_mail_arrives_once_and_in_order_though_a_method_fails_again_and_again(
    world: FaultyWorld, method: str, moment: Any
) -> None:
    world.machine("collector", COLLECTOR)
    world.machine("m", sender_of(collector=["A", "B", "C"]))
    async with world.running() as runtime:
        await runtime.create_instance(at("collector"))
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        runtime.forget(at("collector"))
        await runtime.send(at("m"), "GO")
        world.faults.fail(method, moment, times=3)
        for _ in range(40):
            await world.clock.advance(1_000)
        world.faults.end()
        await all_idle(world, runtime, 30_000)
        assert (await runtime.read(at("collector"))).context["got"] == ["A", "B", "C"]


async def test_mail_is_not_stuck_when_its_failure_cannot_be_recorded(world: FaultyWorld) -> None:
    """Neither the mail that failed nor what waited in the same inbox."""
    world.machine("collector", COLLECTOR)
    world.machine("m", sender_of(collector=["A", "B"]))
    world.machine("other", sender_of(collector=["X"]))
    async with world.running() as runtime:
        for machine in ("collector", "m", "other"):
            await runtime.create_instance(at(machine))
        await soon(runtime.idle())
        world.faults.fail("defer_mail", times=2)
        held = world.faults.hold("commit")
        waiting = asyncio.ensure_future(runtime.send(at("collector"), "CLIENT"))
        await held.wait_reached()
        await runtime.send(at("m"), "GO")
        await runtime.send(at("other"), "GO")
        for _ in range(20):
            await asyncio.sleep(0)
        world.faults.fail("commit", times=2)
        held.open()
        with pytest.raises(StoreError):
            await soon(waiting)
        for _ in range(10):
            await world.clock.advance(1_000)
        await all_idle(world, runtime)
        got = (await runtime.read(at("collector"))).context["got"]
        assert sorted(got) == ["A", "B", "X"]
        assert got.index("A") < got.index("B")


async def test_a_store_that_fails_at_everything_is_not_asked_without_a_pause(world: FaultyWorld) -> None:
    world.machine("collector", COLLECTOR)
    world.machine("m", sender_of(collector=["A"]))
    async with world.running() as runtime:
        await runtime.create_instance(at("collector"))
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        world.faults.fail("defer_mail", times=100_000)
        gate = world.faults.hold("commit", "after")
        sent = asyncio.ensure_future(runtime.send(at("m"), "GO"))
        await gate.wait_reached()
        world.faults.fail("commit", times=100_000)
        gate.open()
        await soon(sent)
        before = world.faults.calls["commit"]
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert world.faults.calls["commit"] - before <= 2
        world.faults.end()
        await world.clock.advance(1_000)
        await all_idle(world, runtime, 1_000)
        assert (await runtime.read(at("collector"))).context["got"] == ["A"]


class BrokenRow(Exception):
    """What a store may raise that nobody foresaw."""


async def test_delivery_outlives_an_error_that_nobody_foresaw(world: FaultyWorld) -> None:
    class Surprising(MemoryStore):
        surprises = 1

        async def due_mail(self, now: float, limit: int, **options: Any) -> Any:
            if self.surprises:
                self.surprises -= 1
                raise BrokenRow
            return await super().due_mail(now, limit, **options)

    world.store = Surprising()
    world.machine("m", {"initial": "a", "states": {"a": {"after": {"100": "b"}}, "b": {}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        for _ in range(3):
            await world.clock.advance(1_000)
        await soon(runtime.idle())
        assert (await runtime.read(at("m"))).state == "b"


# -- order -------------------------------------------------------------------------------------------------------------


async def test_mail_does_not_overtake_while_the_failure_before_it_is_being_recorded(world: FaultyWorld) -> None:
    refusing = True

    def allow_write(request: Any) -> bool:
        return not (refusing and request.event is not None and request.event["type"] == "A")

    world.machine("collector", COLLECTOR, allow_write=allow_write)
    world.machine("m", sender_of(collector=["A", "B"]))
    async with world.running() as runtime:
        await runtime.create_instance(at("collector"))
        await runtime.create_instance(at("m"))
        held = world.faults.hold("defer_mail")
        await runtime.send(at("m"), "GO")
        await held.wait_reached()
        runtime.delivery.notice(await runtime.store.pending_mail(at("collector")))
        for _ in range(20):
            await asyncio.sleep(0)
        world.faults.fail("defer_mail")
        held.open()
        for _ in range(20):
            await asyncio.sleep(0)
        refusing = False
        await world.clock.advance(1_000)
        await all_idle(world, runtime, *RETRIES)
        assert (await runtime.read(at("collector"))).context["got"] == ["A", "B"]


async def test_mail_does_not_overtake_what_failed_while_the_store_was_asked_for_it(world: FaultyWorld) -> None:
    refusing = True

    def allow_write(request: Any) -> bool:
        return not (refusing and request.event is not None and request.event["type"] == "A")

    world.machine("collector", COLLECTOR, allow_write=allow_write)
    world.machine("m", sender_of(collector=["A", "B"]))
    async with world.running() as runtime:
        await runtime.create_instance(at("collector"))
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        slow_turn = world.faults.hold("defer_mail")
        await runtime.send(at("m"), "GO")
        await slow_turn.wait_reached()
        look = world.faults.hold("due_mail", "after")
        runtime.delivery.notice(await runtime.store.pending_mail(at("collector")))
        await look.wait_reached()  # the store has answered A and B, neither of them deferred yet
        slow_turn.open()
        for _ in range(20):
            await asyncio.sleep(0)  # the failure of A is recorded now
        refusing = False
        look.open()
        for _ in range(20):
            await asyncio.sleep(0)
        assert (await runtime.read(at("collector"))).context["got"] == []
        await all_idle(world, runtime, 1_000)
        assert (await runtime.read(at("collector"))).context["got"] == ["A", "B"]


async def test_messages_to_itself_do_not_overtake_one_that_failed(world: FaultyWorld) -> None:
    accepts = False

    def is_accepted() -> bool:
        if not accepts:
            raise ValueError("not yet")
        return True

    note = assign(got=lambda c, e: [*c["got"], e["number"]])
    world.machine(
        "m",
        {
            "initial": "a",
            "context": {"got": []},
            "states": {
                "a": {
                    "on": {
                        "GO": {"actions": send(lambda c, e: {"type": "NOTE", "number": e["number"]})},
                        "NOTE": {"cond": is_accepted, "actions": note},
                    }
                }
            },
        },
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), {"type": "GO", "number": 1})
    async with world.running() as runtime:
        await soon(runtime.idle())
        accepts = True
        await runtime.send(at("m"), {"type": "GO", "number": 2})
        await all_idle(world, runtime, *RETRIES)
        assert (await runtime.read(at("m"))).context["got"] == [1, 2]


# -- what is cached ----------------------------------------------------------------------------------------------------


async def test_a_read_beside_a_delete_does_not_bring_the_instance_back(world: FaultyWorld) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
    async with world.running() as runtime:
        slow_read = world.faults.hold("load", "after")
        reading = asyncio.ensure_future(runtime.read(at("m")))
        await slow_read.wait_reached()
        await runtime.delete_instance(at("m"))
        slow_read.open()
        await soon(reading)
        with pytest.raises(NotFound):
            await runtime.read(at("m"))
        assert (await runtime.create_instance(at("m"))).context["count"] == 0


async def test_a_read_beside_a_commit_does_not_bring_the_former_state_back(world: FaultyWorld) -> None:
    world.settings = type(world.settings)(closing_grace=0, cached_instances=1)
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.create_instance(at("m", "other"))
        slow_read = world.faults.hold("load", "after")
        reading = asyncio.ensure_future(runtime.read(at("m")))
        await slow_read.wait_reached()
        await runtime.send(at("m"), "ADD")
        await runtime.send(at("m", "other"), "ADD")  # which pushes the newer record out of the cache
        slow_read.open()
        await soon(reading)
        assert (await runtime.read(at("m"))).context["count"] == 1


async def test_what_user_code_does_to_a_context_in_an_event_that_fails_leaves_no_trace(world: FaultyWorld) -> None:
    def grow(context: dict[str, Any]) -> list[int]:
        context["items"].append(1)
        raise ValueError("after all not")

    world.machine(
        "m",
        {"initial": "a", "context": {"items": []}, "states": {"a": {"on": {"GROW": {"actions": assign(items=grow)}}}}},
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        with pytest.raises(Exception, match="after all not"):
            await runtime.send(at("m"), "GROW")
        assert (await runtime.send(at("m"), "OTHER")).context == {"items": []}


async def test_what_allow_read_does_to_a_context_leaves_no_trace(world: FaultyWorld) -> None:
    world.machine("m", COUNTER)
    world.definitions["m"] = Definition(
        machine=world.definitions["m"].machine,
        allow_read=lambda request: request.context.setdefault("reader", "me") == "me",
        allow_write=lambda request: True,
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        assert (await runtime.read(at("m"), auth_context={})).context == {"count": 0}
        assert (await runtime.send(at("m"), "ADD")).context == {"count": 1}


async def test_what_a_caller_does_to_an_answer_leaves_no_trace(world: FaultyWorld) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        answer = await runtime.create_instance(at("m"))
        answer.context["count"] = 100
        assert (await runtime.send(at("m"), "ADD")).context == {"count": 1}


async def test_an_instance_that_another_runtime_has_deleted_can_be_created_again(world: FaultyWorld) -> None:
    world.machine("m", COUNTER)
    async with world.running() as one, world.running() as other:
        await one.create_instance(at("m"))
        await other.delete_instance(at("m"))
        assert (await one.create_instance(at("m"))).context["count"] == 0
        with pytest.raises(InstanceExists):
            await other.create_instance(at("m"))


# -- children that cannot be created -----------------------------------------------------------------------------------


def family(world: World) -> None:
    invoke = {"id": "kid", "src": persistent("kid", name="one"), "onError": "sad"}
    world.machine("m", {"initial": "a", "states": {"a": {"invoke": invoke, "on": {"OUT": "b"}}, "sad": {}, "b": {}}})
    world.machine("kid", {"initial": "a", "states": {"a": {}}}, allow_write=lambda request: False)


async def fail_creation(world: World, runtime: Runtime) -> None:
    await runtime.create_instance(at("m"))
    await all_idle(world, runtime, *RETRIES[:3])


async def test_the_parent_of_a_child_that_cannot_be_created_is_told_once_though_the_store_fails(
    world: FaultyWorld,
) -> None:
    family(world)
    async with world.running() as runtime:
        await fail_creation(world, runtime)
        world.faults.fail("bury_mail")
        for _ in range(40):
            await world.clock.advance(1_000)
        await all_idle(world, runtime, 30_000)
        assert (await runtime.read(at("m"))).state == "sad"
        assert (await types(runtime, at("m"))).count("error.platform.kid") == 1
        assert len((await runtime.store.list_dead_letters(ORG, cursor=None, limit=9)).rows) == 1


async def test_the_parent_of_a_child_that_cannot_be_created_is_told_though_the_process_stops_before(
    world: FaultyWorld,
) -> None:
    family(world)
    async with world.running() as runtime:
        await fail_creation(world, runtime)
        held = world.faults.hold("commit")  # the parent's
        await world.clock.advance(30_000)
        await held.wait_reached()
    async with world.running() as runtime:
        await all_idle(world, runtime, 30_000)
        assert (await runtime.read(at("m"))).state == "sad"


async def test_an_instance_that_wants_itself_as_a_child_is_told_that_it_cannot(world: FaultyWorld) -> None:
    invoke = {"id": "me", "src": persistent("m", name="one"), "onError": "sad"}
    world.machine("m", {"initial": "a", "states": {"a": {"invoke": invoke}, "sad": {}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await all_idle(world, runtime, *RETRIES, 30_000)
        assert (await runtime.read(at("m"))).state == "sad"


async def test_mail_whose_retry_comes_between_two_questions_to_the_store_is_tried_in_time() -> None:
    """Messages are asked for and then the times to come; what is due in between is in neither answer."""
    world = FaultyWorld()
    whom = {"type": "statebacked.instance", "id": "x", "machineName": "b", "machineInstanceName": "late"}
    world.machine("a", {"initial": "on", "states": {"on": {"on": {"GO": {"actions": send_to(whom, "ADD")}}}}})
    count = {"ADD": {"actions": assign(n=lambda context: context["n"] + 1)}}
    world.machine("b", {"initial": "on", "context": {"n": 0}, "states": {"on": {"on": count}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("a"))
        await runtime.send(at("a"), "GO")
        await soon(runtime.idle())
        await runtime.create_instance(at("b", "late"))
        held = world.faults.hold("due_mail", "after")
        runtime.delivery.wake()
        await held.wait_reached()
        await world.clock.advance(1_000)
        held.open()
        await soon(runtime.idle())
        assert (await runtime.read(at("b", "late"))).context == {"n": 1}
