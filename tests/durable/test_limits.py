"""What is limited, and what happens to whoever meets a limit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perdure import (
    Address,
    ContextTooLarge,
    EventTooLarge,
    InvalidParameter,
    Limits,
    MailboxFull,
    TooMuchMail,
    assign,
    send,
    send_to,
)
from tests.durable.world import ORG, World, a_while, at, journal, reference, soon, sqlite_store, types


def limited(world: World, **limits: Any) -> None:
    world.settings = msgspec.structs.replace(world.settings, limits=Limits(**limits))


def note(context: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    return {"got": [*context.get("got", []), event["n"]]}


NOTING = {"initial": "a", "context": {"got": []}, "states": {"a": {"on": {"NOTE": {"actions": assign(note)}}}}}


# -- sizes -------------------------------------------------------------------------------------------------------------


async def test_an_event_over_its_limit_in_bytes_is_refused_and_one_at_it_is_not(world: World) -> None:
    limited(world, event_bytes_max=100)
    world.machine("m", NOTING)
    overhead = len('{"type":"NOTE","n":""}')
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), {"type": "NOTE", "n": "x" * (100 - overhead)})
        with pytest.raises(EventTooLarge, match="101 bytes of JSON; the limit is 100 bytes"):
            await runtime.send(at("m"), {"type": "NOTE", "n": "x" * (101 - overhead)})
        with pytest.raises(EventTooLarge):
            await runtime.send(at("m"), {"type": "NOTE", "n": "ü" * ((102 - overhead) // 2)})
        assert await types(runtime, at("m")) == ["xstate.init", "NOTE"]


async def test_an_event_that_lets_the_machine_send_one_over_the_limit_fails_and_leaves_no_trace(world: World) -> None:
    limited(world, event_bytes_max=100)
    big = {"type": "BIG", "text": "x" * 100}
    world.machine(
        "m", {"initial": "a", "states": {"a": {"on": {"GO": {"target": "b", "actions": send(big)}}}, "b": {}}}
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        with pytest.raises(EventTooLarge, match="m/one sends to m/one is"):
            await runtime.send(at("m"), "GO")
        assert (await runtime.read(at("m"))).state == "a"


async def test_a_context_over_its_limit_fails_the_event(world: World) -> None:
    limited(world, context_bytes_max=50)
    world.machine("m", NOTING)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        with pytest.raises(ContextTooLarge):
            await runtime.send(at("m"), {"type": "NOTE", "n": "x" * 50})
        assert (await runtime.read(at("m"))).context == {"got": []}


async def test_a_service_that_returns_more_than_the_limit_has_failed(world: World) -> None:
    limited(world, result_bytes_max=100)

    async def large() -> str:
        return "x" * 100

    failed = assign(lambda context, event: {"why": event["data"]})
    invoke = {"src": "large", "id": "it", "onDone": "done", "onError": {"target": "failed", "actions": failed}}
    states = {"a": {"invoke": invoke}, "done": {}, "failed": {}}
    world.machine("m", {"initial": "a", "states": states}, services={"large": large})
    async with world.running() as runtime:
        state = await runtime.create_instance(at("m"))
        assert state.state == "failed"
        assert state.context["why"] == {
            "name": "ResultTooLarge",
            "message": "the result is 102 bytes of JSON; the limit is 100 bytes",
        }


@pytest.mark.parametrize("name", ["", "x" * 129, "a b", "ü", "a/b", "a.b"])
async def test_a_name_outside_the_pattern_is_refused(world: World, name: str) -> None:
    world.machine("m", NOTING)
    async with world.running() as runtime:
        with pytest.raises(InvalidParameter, match="1 to 128 characters"):
            await runtime.create_instance(at("m", name))
        with pytest.raises(InvalidParameter, match="1 to 128 characters"):
            await runtime.create_machine(ORG, name)
        await runtime.create_instance(at("m", "x" * 128))


@pytest.mark.parametrize("what", ["m/i", ("m", "i"), None])
async def test_what_is_no_address_is_refused_and_says_how_to_make_one(world: World, what: Any) -> None:
    world.machine("m", NOTING)
    async with world.running() as runtime:
        for asked in (
            runtime.create_instance(what),
            runtime.send(what, "X"),
            runtime.send(what, "X", idempotency_key="k"),
            runtime.read(what),
            runtime.set_status(what, "paused"),
            runtime.delete_instance(what),
            runtime.subscribe(what),
        ):
            with pytest.raises(InvalidParameter, match=r"perdure\.address\(machine, name\)"):
                await asked


async def test_what_is_no_status_is_refused(world: World) -> None:
    world.machine("m", NOTING)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        unknown: Any = "stopped"
        with pytest.raises(InvalidParameter, match="a status is running or paused, not 'stopped'"):
            await runtime.set_status(at("m"), unknown)
        assert (await runtime.inspect(at("m"))).status == "running"


# -- how many ----------------------------------------------------------------------------------------------------------


async def test_an_event_that_sends_more_messages_than_a_turn_may_fails_and_leaves_no_trace(world: World) -> None:
    limited(world, mail_per_turn_max=3)
    sends = [send_to(reference("other"), "HI") for _ in range(4)]
    world.machine("other", {"initial": "a", "states": {"a": {}}})
    on = {"THREE": {"actions": sends[:3]}, "FOUR": {"actions": sends}}
    world.machine("m", {"initial": "a", "states": {"a": {"on": on}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("other"))
        await runtime.create_instance(at("m"))
        with pytest.raises(TooMuchMail, match="more than 3 messages"):
            await runtime.send(at("m"), "FOUR")
        await runtime.send(at("m"), "THREE")
        await soon(runtime.idle())
        assert await types(runtime, at("other")) == ["xstate.init", "HI", "HI", "HI"]


async def test_requests_beyond_the_mailbox_are_refused_and_those_within_are_applied(world: World) -> None:
    limited(world, inbox_max=2)
    world.machine("m", NOTING)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        requests = [runtime.send(at("m"), {"type": "NOTE", "n": n}) for n in range(5)]
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, MailboxFull)]
        assert len(refused) == 3
        assert (await runtime.read(at("m"))).context["got"] == [0, 1]
        await runtime.send(at("m"), {"type": "NOTE", "n": 5})


async def test_mail_beyond_the_mailbox_waits_in_the_store_and_is_applied_in_order(world: World) -> None:
    limited(world, inbox_max=2, in_flight_per_instance_max=2)
    to = send_to(reference("m"), lambda context, event: {"type": "NOTE", "n": event["n"]})
    world.machine("m", NOTING)
    world.machine("sender", {"initial": "a", "states": {"a": {"on": {"GO": {"actions": to}}}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.create_instance(at("sender"))
        for n in range(40):
            await runtime.send(at("sender"), {"type": "GO", "n": n})
        await soon(runtime.idle())
        assert (await runtime.read(at("m"))).context["got"] == list(range(40))


async def test_a_receiver_that_is_held_up_delays_nobody_else(world: World) -> None:
    limited(world, in_flight_max=100, in_flight_per_instance_max=4)
    held = asyncio.Event()
    reached = asyncio.Event()

    async def slow() -> None:
        reached.set()
        await held.wait()

    to_slow = send_to(reference("slow"), "HI")
    to_quick = send_to(reference("quick"), "HI")
    world.machine("slow", {"initial": "a", "states": {"a": {}}})
    world.machine("quick", {"initial": "a", "states": {"a": {}}})
    on = {"FLOOD": {"actions": [to_slow] * 300}, "GO": {"actions": to_quick}}
    world.machine("m", {"initial": "a", "states": {"a": {"on": on}}})
    async with world.running() as runtime:
        for machine in ("slow", "quick", "m"):
            await runtime.create_instance(at(machine))
        inner = runtime.host.turn

        async def turn(version: Any, address: Any, *rest: Any, **options: Any) -> Any:
            if address == at("slow"):
                await slow()
            return await inner(version, address, *rest, **options)

        runtime.host.turn = turn  # type: ignore[method-assign]
        await runtime.send(at("m"), "FLOOD")
        await soon(reached.wait())
        await runtime.send(at("m"), "GO")
        async with asyncio.timeout(30):
            while await types(runtime, at("quick")) != ["xstate.init", "HI"]:  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(0)
        assert len(await types(runtime, at("slow"))) < 300
        held.set()
        await soon(runtime.idle())
        assert len(await types(runtime, at("slow"))) == 301


async def test_a_timer_does_not_wait_for_a_flood_of_messages_that_is_due_before_it(tmp_path: Path) -> None:
    world = World(sqlite_store(tmp_path / "test.db"))
    limited(world, in_flight_max=8)
    names = [f"r{number}" for number in range(200)]
    flood = [send_to({**reference("sink"), "machineInstanceName": name}, "HI") for name in names]
    world.machine("sink", {"initial": "a", "states": {"a": {}}})
    states = {"a": {"on": {"GO": {"actions": flood}}, "after": {"100": "b"}}, "b": {}}
    world.machine("m", {"initial": "a", "states": states})
    async with world.running() as runtime:
        for name in names:
            await runtime.create_instance(at("sink", name))
        await runtime.create_instance(at("m"))
        await runtime.delivery.close()  # so that all of it is still there after the restart
        await runtime.send(at("m"), "GO")
    await world.clock.advance(100)
    turns: list[Address] = []
    async with world.running() as runtime:
        inner = runtime.host.turn

        async def turn(version: Any, address: Address, *rest: Any, **options: Any) -> Any:
            turns.append(address)
            return await inner(version, address, *rest, **options)

        runtime.host.turn = turn  # type: ignore[method-assign]
        await soon(runtime.idle())
    assert len(turns) == 201
    assert turns.index(at("m")) < 100


# -- endless conversations ---------------------------------------------------------------------------------------------


async def test_a_machine_that_messages_itself_without_end_is_stopped_by_the_limit_of_a_chain(world: World) -> None:
    limited(world, chain_max=20)
    world.machine("m", {"initial": "a", "states": {"a": {"on": {"GO": {"actions": send("GO")}}}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "GO")
        await soon(runtime.idle())
        assert len(await types(runtime, at("m"))) == 1 + 20
        (dead,) = (await runtime.store.list_dead_letters(ORG, cursor=None, limit=9)).rows
        assert dead.target == at("m")
        assert "ChainTooLong" in (dead.last_error or "")
        await runtime.send(at("m"), "OTHER")
        assert (await runtime.read(at("m"))).state == "a"


async def test_two_machines_that_message_each_other_without_end_are_stopped_by_the_limit_of_a_chain(
    world: World,
) -> None:
    limited(world, chain_max=20)
    world.machine(
        "ping", {"initial": "a", "states": {"a": {"on": {"HI": {"actions": send_to(reference("pong"), "HI")}}}}}
    )
    world.machine(
        "pong", {"initial": "a", "states": {"a": {"on": {"HI": {"actions": send_to(reference("ping"), "HI")}}}}}
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("ping"))
        await runtime.create_instance(at("pong"))
        await runtime.send(at("ping"), "HI")
        await soon(runtime.idle())
        entries = [*(await journal(runtime, at("ping"))), *(await journal(runtime, at("pong")))]
        assert len(entries) == 2 + 20
        assert len((await runtime.store.list_dead_letters(ORG, cursor=None, limit=9)).rows) == 1


async def test_a_chain_is_counted_across_a_restart(world: World) -> None:
    limited(world, chain_max=6)
    world.machine(
        "ping", {"initial": "a", "states": {"a": {"on": {"HI": {"actions": send_to(reference("pong"), "HI")}}}}}
    )
    world.machine(
        "pong", {"initial": "a", "states": {"a": {"on": {"HI": {"actions": send_to(reference("ping"), "HI")}}}}}
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("ping"))
        await runtime.create_instance(at("pong"))
        await runtime.send(at("ping"), "HI")
    for _ in range(3):
        async with world.running() as runtime:
            await a_while()
    async with world.running() as runtime:
        await soon(runtime.idle())
        entries = [*(await journal(runtime, at("ping"))), *(await journal(runtime, at("pong")))]
        assert len(entries) == 2 + 6


async def test_timers_that_wait_may_follow_one_another_for_ever(world: World) -> None:
    limited(world, chain_max=3)
    states = {"a": {"after": {"10": "b"}}, "b": {"after": {"10": "a"}}}
    world.machine("m", {"initial": "a", "states": states})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        for _ in range(20):
            await world.clock.advance(10)
            await soon(runtime.idle())
        assert len(await types(runtime, at("m"))) == 21


async def test_timers_without_a_delay_count_in_a_chain(world: World) -> None:
    limited(world, chain_max=6)
    states = {"a": {"after": {"0": "b"}}, "b": {"after": {"0": "a"}}}
    world.machine("m", {"initial": "a", "states": states})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        assert len(await types(runtime, at("m"))) == 6
