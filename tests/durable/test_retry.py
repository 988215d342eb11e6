"""Services that may be tried again: as often as said, with the pauses said, and through every crash."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from perdure import EventFailed, InstanceState, MachineConfigError, Meta, Runtime, assign, create_machine, persistent
from perdure.statechart.retry import Retry
from tests.durable.world import ORG, FaultyWorld, World, a_while, at, journal, soon, types

RESULT = assign(result=lambda context, event: event["data"])


class Service:
    """A service that fails as often as it is told to, and remembers how it was called."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.calls: list[tuple[Any, int, str | None]] = []
        self.hold = asyncio.Event()
        self.holds = False

    async def called(self, times: int) -> None:
        """Return once it has been called so often."""
        async with asyncio.timeout(30):
            while len(self.calls) < times:  # noqa: ASYNC110 - the calls are what is waited for
                await asyncio.sleep(0)

    async def __call__(self, context: Any, event: Any, meta: Meta) -> str:
        self.calls.append(({**context}, meta.attempt, meta.idempotency_key))
        if self.holds:
            await self.hold.wait()
        if len(self.calls) <= self.failures:
            raise RuntimeError(f"failure {len(self.calls)}")
        return f"call {len(self.calls)}"


def working(world: World, service: Service, **retry: Any) -> None:
    async def work(context: Any, event: Any, meta: Meta) -> str:
        return await service(context, event, meta)

    invoke = {
        "id": "work",
        "src": "work",
        "retry": {"attempts": 3, "backoff": 1_000, **retry},
        "onDone": {"target": "done", "actions": RESULT},
        "onError": {"target": "failed", "actions": RESULT},
    }
    states = {
        "idle": {"on": {"GO": "busy"}},
        "busy": {"invoke": invoke, "on": {"LEAVE": "idle", "COUNT": {"actions": assign(n=lambda c: c["n"] + 1)}}},
        "done": {},
        "failed": {},
    }
    world.machine("m", {"initial": "idle", "context": {"n": 0}, "states": states}, services={"work": work})


async def begun(runtime: Runtime, service: Service) -> asyncio.Task[InstanceState]:
    """Create the instance and have its first attempt be under way; the request that waits for it."""
    await runtime.create_instance(at("m"))
    request = asyncio.create_task(runtime.send(at("m"), "GO"))
    await service.called(1)
    return request


async def settle(world: World, runtime: Any, milliseconds: float = 0.0) -> None:
    await soon(runtime.idle())
    if milliseconds:
        await world.clock.advance(milliseconds)
        await soon(runtime.idle())


async def test_a_service_that_succeeds_at_once_is_run_once_and_leaves_no_mail(world: World) -> None:
    service = Service()
    working(world, service)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        state = await runtime.send(at("m"), "GO")
        assert (state.state, state.context["result"]) == ("done", "call 1")
        assert await runtime.store.pending_mail(at("m")) == []
        await settle(world, runtime, 100_000)
        assert len(service.calls) == 1


async def test_a_failing_service_is_tried_again_after_growing_pauses_with_one_key(world: World) -> None:
    service = Service(failures=2)
    working(world, service)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        assert (await runtime.send(at("m"), "GO")).state == "busy"
        await settle(world, runtime, 499)
        assert len(service.calls) == 1
        await settle(world, runtime, 501)
        assert len(service.calls) == 2
        await settle(world, runtime, 999)
        assert len(service.calls) == 2
        await settle(world, runtime, 1_001)
        assert (await runtime.read(at("m"))).context["result"] == "call 3"
        assert [attempt for _, attempt, _ in service.calls] == [1, 2, 3]
        (key,) = {key for _, _, key in service.calls}
        assert key is not None
        assert await types(runtime, at("m")) == ["xstate.init", "GO", "done.invoke.work"]
        assert await runtime.store.pending_mail(at("m")) == []


async def test_after_the_last_attempt_the_machine_gets_the_error(world: World) -> None:
    service = Service(failures=9)
    working(world, service)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "GO")
        for _ in range(4):
            await settle(world, runtime, 60_000)
        state = await runtime.read(at("m"))
        assert (state.state, state.context["result"]) == ("failed", {"name": "RuntimeError", "message": "failure 3"})
        assert len(service.calls) == 3
        assert await runtime.store.pending_mail(at("m")) == []


async def test_a_service_that_was_running_when_the_process_ended_is_run_again_with_the_same_key_and_input(
    world: World,
) -> None:
    service = Service()
    service.holds = True
    working(world, service)
    async with world.running() as runtime:
        request = await begun(runtime, service)
    await asyncio.gather(request, return_exceptions=True)
    service.holds = False
    async with world.running() as runtime:
        await settle(world, runtime)
        state = await runtime.read(at("m"))
        assert (state.state, state.context["result"]) == ("done", "call 2")
    (first, again) = service.calls
    assert (first[0], first[2]) == (again[0], again[2])
    assert (first[1], again[1]) == (1, 2)


async def test_a_service_that_kills_its_process_each_time_is_not_tried_for_ever(world: World) -> None:
    service = Service()
    service.holds = True
    working(world, service)
    async with world.running() as runtime:
        request = await begun(runtime, service)
    await asyncio.gather(request, return_exceptions=True)
    for _ in range(2):
        before = len(service.calls)
        async with world.running():
            await service.called(before + 1)
    assert len(service.calls) == 3
    async with world.running() as runtime:
        await settle(world, runtime)
        state = await runtime.read(at("m"))
        assert state.state == "failed"
        assert "at attempt 3, its last" in state.context["result"]["message"]
        assert len(service.calls) == 3


async def test_the_wait_for_the_next_attempt_survives_a_restart(world: World) -> None:
    service = Service(failures=1)
    working(world, service, backoff=10_000)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "GO")
        await settle(world, runtime)
    async with world.running() as runtime:
        await settle(world, runtime, 4_999)
        assert len(service.calls) == 1
        await settle(world, runtime, 5_001)
        assert (await runtime.read(at("m"))).state == "done"


async def test_leaving_the_state_ends_the_attempts_also_those_still_to_come(world: World) -> None:
    service = Service(failures=9)
    working(world, service)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "GO")
        await runtime.send(at("m"), "LEAVE")
        assert await runtime.store.pending_mail(at("m")) == []
        await settle(world, runtime, 100_000)
        assert len(service.calls) == 1
        service.holds = True
        request = asyncio.create_task(runtime.send(at("m"), "GO"))
        await service.called(2)
        await runtime.send(at("m"), "LEAVE")
        await soon(request)
        await settle(world, runtime, 100_000)
        assert len(service.calls) == 2
        assert await runtime.store.pending_mail(at("m")) == []
        assert (await runtime.read(at("m"))).state == "idle"


@pytest.mark.parametrize("runs", [True, False], ids=["while an attempt runs", "between two attempts"])
async def test_an_instance_that_ends_leaves_no_attempt_and_no_dead_letter(world: World, runs: bool) -> None:
    service = Service(failures=9)
    service.holds = runs
    invoke = {"id": "work", "src": "work", "retry": {"attempts": 3, "backoff": 1_000}}
    states = {"busy": {"invoke": invoke, "on": {"END": "over"}}, "over": {"type": "final"}}

    async def work(context: Any, event: Any, meta: Meta) -> str:
        return await service(context, event, meta)

    world.machine("m", {"initial": "busy", "context": {}, "states": states}, services={"work": work})
    async with world.running() as runtime:
        created = asyncio.create_task(runtime.create_instance(at("m")))
        await service.called(1)
        if not runs:
            await settle(world, runtime)
        assert (await soon(runtime.send(at("m"), "END"))).state == "over"
        await soon(created)
        await settle(world, runtime, 100_000)
        assert len(service.calls) == 1
        assert await runtime.store.pending_mail(at("m")) == []
        assert (await runtime.store.list_dead_letters(ORG, cursor=None, limit=9)).rows == []


async def test_an_attempt_that_takes_longer_than_its_timeout_has_failed(world: World) -> None:
    service = Service()
    service.holds = True
    working(world, service, timeout=5_000, attempts=2, backoff=0)
    async with world.running() as runtime:
        request = await begun(runtime, service)
        await world.clock.advance(5_000)
        await service.called(2)
        await world.clock.advance(5_000)
        await settle(world, runtime)
        await soon(request)
        state = await runtime.read(at("m"))
        assert state.state == "failed"
        assert state.context["result"] == {
            "name": "TimeoutError",
            "message": "attempt 2 of 'work' took longer than 5000 ms",
        }


async def test_an_attempt_that_still_runs_at_the_processing_timeout_has_failed_and_the_next_one_begins(
    world: World,
) -> None:
    service = Service()
    service.holds = True
    working(world, service)
    async with world.running() as runtime:
        request = await begun(runtime, service)
        service.holds = False
        await world.clock.advance(runtime.settings.processing_timeout)
        assert (await soon(request)).state == "busy"
        await settle(world, runtime, 1_000)
        assert [attempt for _, attempt, _ in service.calls] == [1, 2]
        assert (await runtime.read(at("m"))).context["result"] == "call 2"
        assert await types(runtime, at("m")) == ["xstate.init", "GO", "done.invoke.work"]


async def test_events_are_taken_between_attempts_and_the_service_is_given_what_it_was_first(world: World) -> None:
    service = Service(failures=1)
    working(world, service)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "GO")
        await runtime.send(at("m"), "COUNT")
        await settle(world, runtime, 1_000)
        assert (await runtime.read(at("m"))).context["n"] == 1
        assert [context for context, _, _ in service.calls] == [{"n": 0}, {"n": 0}]


async def test_what_an_attempt_does_to_what_it_was_given_is_nothing_to_the_next_one(world: World) -> None:
    seen: list[tuple[list[int], list[str]]] = []

    async def work(context: Any, event: Any) -> None:
        seen.append(([*context["numbers"]], [*event["names"]]))
        context["numbers"].clear()
        event["names"].append("another")
        raise RuntimeError("no")

    invoke = {"src": "work", "retry": {"attempts": 3, "backoff": 1_000}, "onError": "failed"}
    states = {"idle": {"on": {"GO": "busy"}}, "busy": {"invoke": invoke}, "failed": {}}
    world.machine("m", {"initial": "idle", "context": {"numbers": [1]}, "states": states}, services={"work": work})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), {"type": "GO", "names": ["one"]})
        await settle(world, runtime, 1_000)
        await settle(world, runtime, 2_000)
        assert (await runtime.read(at("m"))).state == "failed"
        assert seen == [([1], ["one"])] * 3


async def test_what_a_service_is_given_to_try_again_has_to_be_json(world: World) -> None:
    invoke = {"id": "work", "src": "work", "data": lambda: {"thing": object()}, "retry": {"attempts": 2}}
    states = {"idle": {"on": {"GO": "busy"}}, "busy": {"invoke": invoke}}
    world.machine("m", {"initial": "idle", "states": states}, services={"work": lambda: None})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        with pytest.raises(EventFailed, match="what the service 'work' of m/one is given is not JSON"):
            await runtime.send(at("m"), "GO")
        assert (await runtime.read(at("m"))).state == "idle"


async def test_a_paused_instance_begins_no_attempt(world: World) -> None:
    service = Service(failures=1)
    working(world, service)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "GO")
        await runtime.set_status(at("m"), "paused")
        await settle(world, runtime, 1_000)
        assert len(service.calls) == 1
        await runtime.set_status(at("m"), "running")
        await settle(world, runtime, 30_000)
        assert (await runtime.read(at("m"))).state == "done"


async def test_a_pause_however_long_uses_up_no_attempt(world: World) -> None:
    service = Service(failures=1)
    working(world, service)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "GO")
        await runtime.set_status(at("m"), "paused")
        for _ in range(30):
            await settle(world, runtime, 30_000)
        assert len(service.calls) == 1
        await runtime.set_status(at("m"), "running")
        await settle(world, runtime, 30_000)
        assert (await runtime.read(at("m"))).state == "done"


async def test_a_result_whose_acknowledgement_was_lost_is_applied_once() -> None:
    world = FaultyWorld()
    service = Service()
    service.holds = True
    working(world, service)
    async with world.running() as runtime:
        request = await begun(runtime, service)
        world.faults.fail("commit", "after")
        service.hold.set()
        await a_while()
        await world.clock.advance(2_000)
        await settle(world, runtime, 60_000)
        await asyncio.gather(request, return_exceptions=True)
        assert (await runtime.read(at("m"))).state == "done"
        assert [entry.event["type"] for entry in await journal(runtime, at("m"))].count("done.invoke.work") == 1
        assert (await runtime.store.list_dead_letters(ORG, cursor=None, limit=9)).rows == []


@pytest.mark.parametrize(
    ("retry", "defect"),
    [
        (5, "retry cannot be"),
        ({}, "the attempts cannot be"),
        ({"attempts": 0}, "the attempts cannot be"),
        ({"attempts": True}, "the attempts cannot be"),
        ({"attempts": 101}, "the attempts cannot be"),
        ({"attempts": 3, "backof": 1}, "backof"),
        ({"attempts": 3, "backoff": "soon"}, "a time cannot be"),
        ({"attempts": 3, "backoff": {"inital": 1}}, "inital"),
        ({"attempts": 3, "backoff": {"factor": 0.5}}, "the factor cannot be"),
        ({"attempts": 3, "timeout": "x"}, "a time cannot be"),
        ({"attempts": 3, "timeout": 0}, "no attempt succeeds in no time"),
        ({"attempts": 3, "timeout": -5}, "no attempt succeeds in no time"),
    ],
)
def test_a_senseless_retry_is_a_defect_of_the_machine(retry: Any, defect: str) -> None:
    with pytest.raises(MachineConfigError, match=defect):
        create_machine(
            {"initial": "a", "states": {"a": {"invoke": {"src": "s", "retry": retry}}}}, services={"s": lambda: 1}
        )


def test_a_persistent_child_is_not_tried_again() -> None:
    with pytest.raises(MachineConfigError, match="a persistent child is not tried again"):
        create_machine(
            {"initial": "a", "states": {"a": {"invoke": {"src": persistent("m"), "retry": {"attempts": 2}}}}}
        )


def test_times_of_a_retry_may_be_timedeltas_and_the_backoff_a_number() -> None:
    retry = {"attempts": 2, "backoff": timedelta(seconds=2), "timeout": timedelta(minutes=1)}
    machine = create_machine(
        {"initial": "a", "states": {"a": {"invoke": {"src": "s", "retry": retry}}}}, services={"s": lambda: 1}
    )
    (invoke,) = machine.by_id["(machine).a"].invokes
    assert invoke.retry == Retry(attempts=2, backoff=2_000.0, timeout=60_000.0)


def test_the_pauses_of_a_retry_grow_to_their_bound() -> None:
    retry = Retry(attempts=9, backoff=100.0, backoff_max=500.0)
    assert [retry.pause_after(attempt, 1.0) for attempt in (1, 2, 3, 4, 9)] == [100.0, 200.0, 400.0, 500.0, 500.0]
    assert retry.pause_after(2, 0.0) == 100.0
