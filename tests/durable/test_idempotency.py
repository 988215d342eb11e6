"""A request with an idempotency key is applied once and answered the same, however often it is made."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from perdure import (
    AuthorizerRefused,
    EventFailed,
    IdempotencyKeyReused,
    InstanceExists,
    InvalidParameter,
    PerdureError,
    assign,
)
from perdure.durable.records import Address
from perdure.durable.upkeep_records import Receipt
from perdure.stores.memory import MemoryStore
from perdure.testing.faulty_store import Faults, with_faults
from tests.durable.world import FaultyWorld, World, at, soon, types

COUNTING = {
    "initial": "a",
    "context": {"n": 0},
    "on": {"ADD": {"actions": assign(n=lambda context, event: context["n"] + event.get("by", 1))}},
    "states": {"a": {}},
}


async def test_an_event_sent_twice_with_a_key_is_applied_once_and_answered_the_same(world: World) -> None:
    world.machine("m", COUNTING)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        first = await runtime.send(at("m"), "ADD", idempotency_key="k1")
        await runtime.send(at("m"), "ADD", idempotency_key="k2")
        assert await runtime.send(at("m"), "ADD", idempotency_key="k1") == first
        assert (await runtime.read(at("m"))).context == {"n": 2}
        assert await types(runtime, at("m")) == ["xstate.init", "ADD", "ADD"]


async def test_an_instance_created_twice_with_a_key_is_created_once_and_answered_the_same(world: World) -> None:
    world.machine("m", COUNTING)
    async with world.running() as runtime:
        first = await runtime.create_instance(at("m"), {"n": 5}, idempotency_key="k")
        await runtime.send(at("m"), "ADD")
        assert await runtime.create_instance(at("m"), {"n": 5}, idempotency_key="k") == first
        with pytest.raises(InstanceExists):
            await runtime.create_instance(at("m"), {"n": 5}, idempotency_key="another")
        with pytest.raises(InstanceExists):
            await runtime.create_instance(at("m"), {"n": 5})


async def test_a_key_is_known_after_a_restart(world: World) -> None:
    world.machine("m", COUNTING)
    async with world.running() as runtime:
        created = await runtime.create_instance(at("m"), idempotency_key="c")
        sent = await runtime.send(at("m"), "ADD", idempotency_key="k")
    async with world.running() as runtime:
        assert await runtime.create_instance(at("m"), idempotency_key="c") == created
        assert await runtime.send(at("m"), "ADD", idempotency_key="k") == sent
        assert (await runtime.read(at("m"))).context == {"n": 1}


async def test_a_key_is_forgotten_after_its_time(world: World) -> None:
    world.machine("m", COUNTING)
    world.settings = msgspec.structs.replace(world.settings, receipt_lifetime=1_000)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "ADD", idempotency_key="k")
        await world.clock.advance(1_000)
        await runtime.send(at("m"), "ADD", idempotency_key="k")
        assert (await runtime.read(at("m"))).context == {"n": 1}
        await world.clock.advance(1)
        await runtime.send(at("m"), "ADD", idempotency_key="k")
        assert (await runtime.read(at("m"))).context == {"n": 2}
        await runtime.send(at("m"), "ADD", idempotency_key="k")
        assert (await runtime.read(at("m"))).context == {"n": 2}


@pytest.mark.parametrize(
    ("event", "options"),
    [
        ({"type": "ADD", "by": 2}, {}),
        ({"type": "SUB"}, {}),
        ({"type": "ADD"}, {"auth_context": {"sub": "somebody"}}),
    ],
    ids=["another payload", "another type", "another caller"],
)
async def test_a_key_of_another_request_is_refused(world: World, event: Any, options: Any) -> None:
    world.machine("m", COUNTING)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"), idempotency_key="c")
        await runtime.send(at("m"), "ADD", idempotency_key="k")
        for key in ("k", "c"):
            with pytest.raises(IdempotencyKeyReused, match="stands for another request to m/one"):
                await runtime.send(at("m"), event, idempotency_key=key, **options)
        assert (await runtime.read(at("m"))).context == {"n": 1}


async def test_fields_in_another_order_are_the_same_request(world: World) -> None:
    world.machine("m", COUNTING)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        first = await runtime.send(at("m"), {"type": "ADD", "by": 2}, idempotency_key="k")
        assert await runtime.send(at("m"), {"by": 2, "type": "ADD"}, idempotency_key="k") == first


async def test_of_the_same_request_made_at_once_one_is_applied_and_all_get_its_answer(world: World) -> None:
    world.machine("m", COUNTING)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        requests = [runtime.send(at("m"), "ADD", idempotency_key="k") for _ in range(10)]
        answers = await asyncio.gather(*requests, return_exceptions=True)
        assert answers == [answers[0]] * 10
        assert not isinstance(answers[0], BaseException)
        assert answers[0].context == {"n": 1}
        with pytest.raises(IdempotencyKeyReused):
            await asyncio.gather(
                runtime.send(at("m"), "ADD", idempotency_key="k2"), runtime.send(at("m"), "SUB", idempotency_key="k2")
            )


async def test_a_request_whose_caller_hangs_up_is_finished_and_answered_when_it_is_made_again(world: World) -> None:
    world.machine("m", COUNTING)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        request = asyncio.create_task(runtime.send(at("m"), "ADD", idempotency_key="k"))
        await asyncio.sleep(0)
        request.cancel()
        answer = await soon(runtime.send(at("m"), "ADD", idempotency_key="k"))
        assert answer.context == {"n": 1}
        assert await types(runtime, at("m")) == ["xstate.init", "ADD"]


async def test_the_answer_is_that_of_the_settled_instance_also_the_second_time(world: World) -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    took = assign(n=lambda context, event: event["data"])
    states = {
        "a": {"on": {"GO": "busy"}},
        "busy": {"invoke": {"src": "work", "onDone": {"target": "rest", "actions": took}}},
        "rest": {},
    }
    world.machine("m", {"initial": "a", "context": {"n": 0}, "states": states}, services={"work": work})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        first = await runtime.send(at("m"), "GO", idempotency_key="k")
        assert (first.state, first.context) == ("rest", {"n": 7})
        await runtime.send(at("m"), "OTHER")
        assert await runtime.send(at("m"), "GO", idempotency_key="k") == first
    async with world.running() as runtime:
        assert await runtime.send(at("m"), "GO", idempotency_key="k") == first


async def test_a_request_that_fails_leaves_no_receipt_and_may_be_made_again(world: World) -> None:
    is_allowed, is_broken = False, True

    def add(context: Any) -> int:
        if is_broken:
            raise ValueError
        return 1

    machine = {"initial": "a", "states": {"a": {"on": {"ADD": {"actions": assign(n=add)}}}}}
    world.machine("m", machine, allow_write=lambda request: request.type == "initialization" or is_allowed)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        with pytest.raises(AuthorizerRefused):
            await runtime.send(at("m"), "ADD", idempotency_key="k", auth_context={})
        is_allowed = True
        with pytest.raises(EventFailed):
            await runtime.send(at("m"), "ADD", idempotency_key="k", auth_context={})
        is_broken = False
        answer = await runtime.send(at("m"), "ADD", idempotency_key="k", auth_context={})
        assert answer.context == {"n": 1}


async def test_keys_go_with_their_instance(world: World) -> None:
    world.machine("m", COUNTING)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"), idempotency_key="c")
        await runtime.delete_instance(at("m"))
        await runtime.create_instance(at("m"), {"n": 9}, idempotency_key="c")
        assert (await runtime.read(at("m"))).context == {"n": 9}


@pytest.mark.parametrize("key", ["", "with blank", "ü", "x" * 256, "a\n"])
async def test_what_is_no_key_is_refused(world: World, key: str) -> None:
    world.machine("m", COUNTING)
    async with world.running() as runtime:
        with pytest.raises(InvalidParameter, match="1 to 255 printable ASCII"):
            await runtime.create_instance(at("m"), idempotency_key=key)


async def test_a_lost_acknowledgement_is_made_good_by_making_the_request_again() -> None:
    world = FaultyWorld()
    world.machine("m", COUNTING)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        world.faults.fail("commit", "after")
        with pytest.raises(PerdureError):
            await runtime.send(at("m"), "ADD", idempotency_key="k")
        answer = await runtime.send(at("m"), "ADD", idempotency_key="k")
        assert answer.context == {"n": 1}
        assert await types(runtime, at("m")) == ["xstate.init", "ADD"]


class BlindStore(MemoryStore):
    """A store that another process writes to: what is asked first, it does not know yet."""

    is_blind = False

    async def receipt(self, address: Address, key: str) -> Receipt | None:
        if self.is_blind:
            self.is_blind = False
            return None
        return await super().receipt(address, key)


async def test_a_request_that_another_process_has_just_applied_is_answered_from_its_receipt() -> None:
    store = BlindStore()
    world = World(lambda: with_faults(store, Faults()))
    world.machine("m", COUNTING)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        first = await runtime.send(at("m"), "ADD", idempotency_key="k")
        store.is_blind = True
        assert await runtime.send(at("m"), "ADD", idempotency_key="k") == first
        assert await types(runtime, at("m")) == ["xstate.init", "ADD"]
