"""Upgrades of living instances: when they happen, what they do, and what they leave alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure import EventFailed, InvalidState, Runtime, assign, persistent, send_parent
from perdure.durable.records import JournalEntry
from perdure.durable.upgrade import Migration
from perdure.errors import (
    AuthorizerRefused,
    InvalidParameter,
    MigrationFailed,
    NoMigrationPath,
    NotFound,
    StoreError,
)
from perdure.hosts.in_process import InProcessHost
from tests.durable.versions import migrate, register, renamed
from tests.durable.world import ORG, FaultyWorld, World, a_while, at, journal, soon, types

ORDER = at("order")

V1: dict[str, Any] = {
    "initial": "waiting",
    "context": {"total": 5},
    "states": {"waiting": {"on": {"PAY": "paid"}}, "paid": {}},
}
V2: dict[str, Any] = {
    "initial": "due",
    "context": {"total": 0, "currency": "EUR"},
    "states": {"due": {"on": {"PAY": "settled"}}, "settled": {}},
}
RENAMED = renamed(waiting="due", paid="settled")


def with_currency(old_paths: Any, new_paths: Any, context: dict[str, Any]) -> dict[str, Any]:
    return {**context, "currency": "EUR"}


async def order_at_v1(runtime: Runtime, v1: dict[str, Any] = V1, **options: Any) -> str:
    """An instance of the first version; its version's id."""
    version = await register(runtime, "1", v1, **options)
    await runtime.create_instance(ORDER)
    return version.id


async def version_2(runtime: Runtime, v2: dict[str, Any] = V2, **options: Any) -> str:
    """The second version with the way to it; its id."""
    version = await register(runtime, "2", v2, **options)
    await migrate(runtime, "1", "2", state=RENAMED, context=with_currency)
    return version.id


async def last(runtime: Runtime) -> JournalEntry:
    return (await journal(runtime, ORDER))[-1]


# -- when it happens -----------------------------------------------------------------------------------------------


async def test_an_instance_moves_with_its_next_event_which_the_new_version_handles(world: World) -> None:
    async with world.running() as runtime:
        v1 = await order_at_v1(runtime)
        v2 = await version_2(runtime)
        await runtime.upgrades.set_desired_version(ORDER, v2)
        before = await runtime.inspect(ORDER)
        state = await runtime.send(ORDER, "PAY")
        record = await runtime.inspect(ORDER)
        entries = await journal(runtime, ORDER)

    assert (before.version_id, before.desired_version_id, before.snapshot.value) == (v1, v2, "waiting")
    assert (state.state, state.context) == ("settled", {"total": 5, "currency": "EUR"})
    assert (record.version_id, record.desired_version_id) == (v2, None)
    assert [(entry.event["type"], entry.state, entry.version_id) for entry in entries] == [
        ("xstate.init", "waiting", v1),
        ("statebacked.upgrade", "due", v2),
        ("PAY", "settled", v2),
    ]


async def test_the_journal_says_which_way_an_upgrade_went(world: World) -> None:
    async with world.running() as runtime:
        v1 = await order_at_v1(runtime)
        await register(runtime, "2", V2)
        first = await migrate(runtime, "1", "2", state=RENAMED)
        v3 = (await register(runtime, "3", V2)).id
        second = await migrate(runtime, "2", "3")
        await runtime.upgrades.upgrade(ORDER, v3)

        assert (await last(runtime)).event == {
            "type": "statebacked.upgrade",
            "migrationPath": [first.id, second.id],
            "fromMachineVersionId": v1,
            "toMachineVersionId": v3,
        }


async def test_the_shortest_of_several_ways_is_taken(world: World) -> None:
    async with world.running() as runtime:
        await order_at_v1(runtime)
        targets = [await register(runtime, label, V2) for label in ("2", "3", "4")]
        for start, end in (("1", "2"), ("2", "3"), ("3", "4")):
            await migrate(runtime, start, end, state=RENAMED)
        short = await migrate(runtime, "2", "4")
        await runtime.upgrades.upgrade(ORDER, targets[-1].id)
        path = (await last(runtime)).event["migrationPath"]

    assert len(path) == 2
    assert path[1] == short.id


async def test_a_version_that_no_migration_leads_to_is_refused(world: World) -> None:
    async with world.running() as runtime:
        v1 = await order_at_v1(runtime)
        v2 = (await register(runtime, "2", V2)).id
        await migrate(runtime, "2", "1")  # the wrong way round
        with pytest.raises(NoMigrationPath, match=f"from version {v1} to {v2}"):
            await runtime.upgrades.set_desired_version(ORDER, v2)
        with pytest.raises(NoMigrationPath):
            await runtime.upgrades.upgrade(ORDER, v2)
        record = await runtime.inspect(ORDER)

    assert (record.version_id, record.desired_version_id) == (v1, None)


async def test_a_version_of_another_machine_is_refused(world: World) -> None:
    async with world.running() as runtime:
        await order_at_v1(runtime)
        other = await register(runtime, "1", V1, name="parcel")
        for version_id in (other.id, "ver_unknown"):
            with pytest.raises(InvalidParameter) as caught:
                await runtime.upgrades.set_desired_version(ORDER, version_id)
            assert caught.value.parameter == "targetMachineVersionId"
        with pytest.raises(NotFound):
            await runtime.upgrades.upgrade(at("order", "nobody"), (await version_2(runtime)))


async def test_the_present_version_takes_a_wish_back(world: World) -> None:
    async with world.running() as runtime:
        v1 = await order_at_v1(runtime)
        await runtime.upgrades.set_desired_version(ORDER, await version_2(runtime))
        await runtime.upgrades.set_desired_version(ORDER, v1)
        await runtime.send(ORDER, "PAY")
        record = await runtime.inspect(ORDER)

    assert (record.version_id, record.desired_version_id, record.snapshot.value) == (v1, None, "paid")


async def test_a_wish_outlives_a_restart(world: World) -> None:
    async with world.running() as runtime:
        await order_at_v1(runtime)
        v2 = await version_2(runtime)
        await runtime.upgrades.set_desired_version(ORDER, v2)
    async with world.running() as runtime:
        await register(runtime, "1", V1)
        await version_2(runtime)
        assert (await runtime.send(ORDER, "PAY")).state == "settled"


async def test_an_upgrade_without_an_event_happens_at_once(world: World) -> None:
    async with world.running() as runtime:
        await order_at_v1(runtime)
        v2 = await version_2(runtime)
        assert await runtime.upgrades.upgrade(ORDER, v2) is True
        assert (await runtime.read(ORDER)).state == "due"
        assert await types(runtime, ORDER) == ["xstate.init", "statebacked.upgrade"]


async def test_a_timer_brings_an_upgrade_about(world: World) -> None:
    async with world.running() as runtime:
        await order_at_v1(runtime, {**V1, "after": {"1000": ".paid"}})
        v2 = await version_2(runtime, {**V2, "after": {"1000": ".settled"}})
        await runtime.upgrades.set_desired_version(ORDER, v2)
        await world.clock.advance(1_000)
        await runtime.idle()
        record = await runtime.inspect(ORDER)

    assert (record.version_id, record.snapshot.value) == (v2, "settled")


async def test_the_write_authoriser_of_the_new_version_is_asked(world: World) -> None:
    async with world.running() as runtime:
        await order_at_v1(runtime)
        v2 = await version_2(runtime, allow_write=lambda request: request.state == "settled")
        await runtime.upgrades.set_desired_version(ORDER, v2)
        with pytest.raises(AuthorizerRefused):
            await runtime.send(ORDER, "PAY", auth_context={"sub": "ann"})
        record = await runtime.inspect(ORDER)

    assert (record.snapshot.value, record.desired_version_id) == ("waiting", v2)


async def test_a_paused_instance_moves_with_its_first_event_afterwards(world: World) -> None:
    async with world.running() as runtime:
        await order_at_v1(runtime)
        v2 = await version_2(runtime)
        await runtime.set_status(ORDER, "paused")
        assert await runtime.upgrades.upgrade(ORDER, v2) is False
        assert (await runtime.inspect(ORDER)).snapshot.value == "waiting"
        await runtime.set_status(ORDER, "running")
        assert (await runtime.send(ORDER, "PAY")).state == "settled"


async def test_an_instance_that_has_ended_keeps_its_version(world: World) -> None:
    ending = {**V1, "states": {"waiting": {"on": {"PAY": "paid"}}, "paid": {"type": "final"}}}
    async with world.running() as runtime:
        v1 = await order_at_v1(runtime, ending)
        await runtime.send(ORDER, "PAY")
        v2 = await version_2(runtime)
        for move in (runtime.upgrades.set_desired_version, runtime.upgrades.upgrade):
            with pytest.raises(InvalidState, match="has ended"):
                await move(ORDER, v2)
        record = await runtime.inspect(ORDER)

    assert (record.version_id, record.desired_version_id) == (v1, None)


# -- services ------------------------------------------------------------------------------------------------------


class Service:
    """A service that runs until the test lets it end."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.may_end = asyncio.Event()

    async def __call__(self, context: Any, event: Any) -> int:
        self.started.set()
        await self.may_end.wait()
        return 7


def calling(service: Any, done: str) -> dict[str, Any]:
    states = {
        "idle": {"on": {"CALL": "calling"}},
        "calling": {"invoke": {"id": "call", "src": service, "onDone": done, "onError": "failed"}},
        done: {},
        "failed": {},
    }
    return {"initial": "idle", "states": states, "on": {"NOTE": {"actions": assign(noted=True)}}}


async def test_an_instance_is_not_upgraded_while_a_service_runs(world: World) -> None:
    service = Service()
    async with world.running() as runtime:
        v1 = await order_at_v1(runtime, calling(service, "called"))
        call = asyncio.create_task(runtime.send(ORDER, "CALL"))
        await soon(service.started.wait())
        v2 = (await register(runtime, "2", calling(service, "answered"))).id
        await migrate(runtime, "1", "2", state=renamed(called="answered"))
        moved = await runtime.upgrades.upgrade(ORDER, v2)
        note = asyncio.create_task(runtime.send(ORDER, "NOTE"))
        while "NOTE" not in await types(runtime, ORDER):
            await a_while()
        during = await runtime.inspect(ORDER)
        service.may_end.set()
        await soon(asyncio.gather(call, note))
        settled = await runtime.inspect(ORDER)
        await runtime.send(ORDER, "NOTE")
        after = await runtime.inspect(ORDER)

    assert moved is False
    assert (during.version_id, during.desired_version_id, during.snapshot.value) == (v1, v2, "calling")
    assert (settled.version_id, settled.snapshot.value) == (v1, "called")
    assert (after.version_id, after.snapshot.value) == (v2, "answered")


async def test_an_instance_is_not_upgraded_while_an_action_runs(world: World) -> None:
    may_end = asyncio.Event()

    async def act(context: Any, event: Any) -> None:
        await may_end.wait()

    v1 = {"initial": "idle", "states": {"idle": {"on": {"ACT": {"actions": "act"}}}}}
    async with world.running() as runtime:
        await register(runtime, "1", v1, actions={"act": act})
        await runtime.create_instance(ORDER)
        acting = asyncio.create_task(runtime.send(ORDER, "ACT"))
        while "ACT" not in await types(runtime, ORDER):
            await a_while()
        v2 = (await register(runtime, "2", v1, actions={"act": act})).id
        await migrate(runtime, "1", "2")
        moved_meanwhile = await runtime.upgrades.upgrade(ORDER, v2)
        may_end.set()
        await soon(acting)
        moved_afterwards = await runtime.upgrades.upgrade(ORDER, v2)

    assert (moved_meanwhile, moved_afterwards) == (False, True)


async def test_the_error_of_a_lost_service_comes_before_the_upgrade_and_is_the_old_versions(world: World) -> None:
    service = Service()
    async with world.running() as runtime:
        await order_at_v1(runtime, calling(service, "called"))
        call = asyncio.create_task(runtime.send(ORDER, "CALL"))
        await soon(service.started.wait())
        call.cancel()
    async with world.running() as runtime:
        await register(runtime, "1", calling(service, "called"))
        v2 = (
            await register(
                runtime, "2", {"initial": "broken", "states": {"broken": {"on": {"MEND": "new"}}, "new": {}}}
            )
        ).id
        await migrate(runtime, "1", "2", state=renamed(failed="broken"))
        await runtime.upgrades.set_desired_version(ORDER, v2)
        await runtime.send(ORDER, "MEND")
        entries = await journal(runtime, ORDER)

    assert [(entry.event["type"], entry.state) for entry in entries[2:]] == [
        ("error.platform.call", "failed"),
        ("statebacked.upgrade", "broken"),
        ("MEND", "new"),
    ]


async def test_effects_of_a_lost_service_are_those_of_the_old_version(world: World) -> None:
    performed: list[str] = []

    def version(label: str, service: Any = None) -> dict[str, Any]:
        calling = {
            "invoke": {"id": "call", "src": service or Service(), "onError": {"target": "idle", "actions": "act"}}
        }
        on = {"CALL": "calling", "ACT": {"actions": "act"}}
        return {"initial": "idle", "states": {"idle": {"on": on}, "calling": calling}}

    def act_of(label: str) -> dict[str, Any]:
        return {"act": lambda context, event: performed.append(f"{label} {event['type']}")}

    service = Service()
    async with world.running() as runtime:
        await order_at_v1(runtime, version("1", service), actions=act_of("old"))
        call = asyncio.create_task(runtime.send(ORDER, "CALL"))
        await soon(service.started.wait())
        call.cancel()
    async with world.running() as runtime:
        await register(runtime, "1", version("1"), actions=act_of("old"))
        v2 = (await register(runtime, "2", version("2"), actions=act_of("new"))).id
        await migrate(runtime, "1", "2")
        await runtime.upgrades.set_desired_version(ORDER, v2)
        await runtime.send(ORDER, "ACT")

    assert performed == ["old error.platform.call", "new ACT"]


# -- failures, races, crashes --------------------------------------------------------------------------------------


def failing(path: Any, context: Any) -> Any:
    raise ValueError("no such customer")


async def test_a_migration_that_raises_fails_the_event_and_leaves_no_trace(world: World) -> None:
    async with world.running() as runtime:
        v1 = await order_at_v1(runtime)
        v2 = (await register(runtime, "2", V2)).id
        await migrate(runtime, "1", "2", state=failing)
        await runtime.upgrades.set_desired_version(ORDER, v2)
        before = await runtime.inspect(ORDER)
        with pytest.raises(MigrationFailed, match=r"upgrade_state of migration .* raised ValueError") as caught:
            await runtime.send(ORDER, "PAY")
        with pytest.raises(MigrationFailed):
            await runtime.upgrades.upgrade(ORDER, v2)
        after = await runtime.inspect(ORDER)
        await runtime.upgrades.set_desired_version(ORDER, v1)
        state = await runtime.send(ORDER, "PAY")

    assert isinstance(caught.value, EventFailed)
    assert "customer" not in str(caught.value)
    assert "no such customer" in caught.value.detail
    assert after == before
    assert state.state == "paid"


async def test_a_migration_that_leads_nowhere_says_which_path_is_no_state(world: World) -> None:
    async with world.running() as runtime:
        await order_at_v1(runtime)
        v2 = (await register(runtime, "2", V2)).id
        await migrate(runtime, "1", "2", state=renamed(waiting="dew"))
        with pytest.raises(MigrationFailed, match=r"dew is no state of machine 'order'.*Did you mean 'due'"):
            await runtime.upgrades.upgrade(ORDER, v2)


async def test_a_failing_migration_is_put_right_by_another_one(world: World) -> None:
    """Of two migrations between the same versions the later one counts."""
    bad = "def upgrade_state(path, context):\n    return ['nowhere']\n"
    good = "def upgradeState(path, context):\n    return {'waiting': 'due'}[path[0]]\n"
    async with world.running() as runtime:
        v1 = await order_at_v1(runtime)
        v2 = (await register(runtime, "2", V2)).id
        for source in (bad, good):
            await runtime.upgrades.deploy_migration(
                ORG, "order", source, from_version_id=v1, to_version_id=v2, file_name="order_1_2.py"
            )
            if source is bad:
                with pytest.raises(MigrationFailed):
                    await runtime.upgrades.upgrade(ORDER, v2)
        await runtime.upgrades.upgrade(ORDER, v2)
        assert (await runtime.read(ORDER)).state == "due"


async def test_events_and_upgrades_of_two_processes_do_not_get_lost_in_each_other() -> None:
    """Both lose and win compare-and-swaps; every event is applied once, in one of the two versions."""
    counting: dict[str, Any] = {
        "initial": "on",
        "context": {"seen": []},
        "states": {
            "on": {"on": {"ADD": {"actions": assign(seen=lambda context, event: [*context["seen"], event["n"]])}}}
        },
    }
    world = FaultyWorld()
    async with world.running() as one, world.running() as two:
        await order_at_v1(one, counting)
        await register(two, "1", counting)
        v2, _ = [(await register(runtime, "2", counting)).id for runtime in (one, two)]
        for runtime in (one, two):
            await migrate(runtime, "1", "2")
        gate = world.faults.hold("commit")
        moving = asyncio.create_task(one.upgrades.upgrade(ORDER, v2))
        await gate.wait_reached()
        first = await two.send(ORDER, {"type": "ADD", "n": 1})
        gate.open()
        assert await soon(moving) is True
        await asyncio.gather(
            *((one if n % 2 else two).send(ORDER, {"type": "ADD", "n": n}) for n in range(2, 30)),
        )
        record = await one.store.load(ORDER)
        entries = await journal(one, ORDER)

    assert first.context == {"seen": [1]}
    assert record is not None
    assert record.version_id == v2
    assert sorted(record.snapshot.context["seen"]) == list(range(1, 30))
    assert [entry.event["type"] for entry in entries].count("statebacked.upgrade") == 1
    assert [entry.event["type"] for entry in entries][1:3] == ["ADD", "statebacked.upgrade"]


async def test_an_upgrade_whose_commit_is_not_acknowledged_is_done_once() -> None:
    world = FaultyWorld()
    async with world.running() as runtime:
        await order_at_v1(runtime)
        v2 = await version_2(runtime)
        world.faults.fail("commit", "after")
        with pytest.raises(StoreError):
            await runtime.upgrades.upgrade(ORDER, v2)
        again = await runtime.upgrades.upgrade(ORDER, v2)
        assert await types(runtime, ORDER) == ["xstate.init", "statebacked.upgrade"]
    assert again is True


async def test_a_crash_before_the_commit_leaves_the_old_version_and_the_wish() -> None:
    world = FaultyWorld()
    async with world.running() as runtime:
        v1 = await order_at_v1(runtime)
        v2 = await version_2(runtime)
        await runtime.upgrades.set_desired_version(ORDER, v2)
        gate = world.faults.hold("commit")
        sending = asyncio.create_task(runtime.send(ORDER, "PAY"))
        await gate.wait_reached()
        world.faults.crash()
        gate.open()
        with pytest.raises(StoreError):
            await sending
    record = await world.store.load(ORDER)
    assert record is not None
    assert (record.version_id, record.desired_version_id, record.snapshot.value) == (v1, v2, "waiting")


async def test_the_code_of_the_old_version_need_not_be_there_any_more(world: World) -> None:
    async with world.running() as runtime:
        await order_at_v1(runtime)
    async with world.running() as runtime:
        v2 = await version_2(runtime)
        with pytest.raises(NotFound, match="is part of the application"):
            await runtime.send(ORDER, "PAY")
        await runtime.upgrades.set_desired_version(ORDER, v2)
        assert (await runtime.send(ORDER, "PAY")).state == "settled"


async def test_a_migration_whose_code_is_not_there_fails_the_event(world: World) -> None:
    async with world.running() as runtime:
        await order_at_v1(runtime)
        v2 = await version_2(runtime)
        await runtime.upgrades.set_desired_version(ORDER, v2)
    async with world.running() as runtime:
        await register(runtime, "2", V2)
        with pytest.raises(NotFound, match=r"the code of migration .* is part of the application"):
            await runtime.send(ORDER, "PAY")


# -- timers, children, entry actions -------------------------------------------------------------------------------


async def test_a_kept_state_keeps_the_time_of_its_timer_and_gets_the_new_ones(world: World) -> None:
    def version(**after: Any) -> dict[str, Any]:
        states = {"waiting": {"after": {key[1:]: value for key, value in after.items()}}, "a": {}, "b": {}, "c": {}}
        return {"initial": "waiting", "states": states}

    async with world.running() as runtime:
        await order_at_v1(runtime, version(_1000="a", _5000="b"))
        v2 = (await register(runtime, "2", version(_3000="c", _5000="b"))).id
        await migrate(runtime, "1", "2")
        await world.clock.advance(900)
        await runtime.upgrades.upgrade(ORDER, v2)
        pending = {mail.send_id: mail.due_at for mail in await runtime.store.pending_mail(ORDER)}
        started_at = (await runtime.inspect(ORDER)).created_at
        await world.clock.advance(4_000)
        await runtime.idle()
        state = (await runtime.read(ORDER)).state

    assert pending == {
        "xstate.after(5000)#order.waiting": started_at + 5_000,
        "xstate.after(3000)#order.waiting": started_at + 3_900,
    }
    assert state == "c"


async def test_timers_of_left_states_are_cancelled_and_those_of_new_ones_start(world: World) -> None:
    entered: list[str] = []
    v1 = {"initial": "waiting", "states": {"waiting": {"after": {"1000": "late"}}, "late": {}}}
    v2 = {
        "initial": "due",
        "states": {"due": {"entry": "enter", "after": {"1000": "late"}}, "late": {"entry": "enter"}},
    }
    async with world.running() as runtime:
        await order_at_v1(runtime, v1)
        act = {"enter": lambda context, event: entered.append(event["type"])}
        version = await register(runtime, "2", v2, actions=act)
        await migrate(runtime, "1", "2", state=RENAMED)
        await world.clock.advance(600)
        await runtime.upgrades.upgrade(ORDER, version.id)
        assert [mail.send_id for mail in await runtime.store.pending_mail(ORDER)] == ["xstate.after(1000)#order.due"]
        await world.clock.advance(600)
        await runtime.idle()
        early = (await runtime.read(ORDER)).state
        await world.clock.advance(400)
        await runtime.idle()
        late = (await runtime.read(ORDER)).state

    assert (early, late) == ("due", "late")
    assert entered == ["xstate.after(1000)#order.due"]


async def test_a_service_of_a_new_state_starts_after_the_commit(world: World) -> None:
    service = Service()
    service.may_end.set()
    v2 = {
        "initial": "due",
        "states": {"due": {"invoke": {"id": "bill", "src": service, "onDone": "billed"}}, "billed": {}},
    }
    async with world.running() as runtime:
        await order_at_v1(runtime)
        version = await register(runtime, "2", v2)
        await migrate(runtime, "1", "2", state=RENAMED)
        await runtime.upgrades.upgrade(ORDER, version.id)
        await runtime.idle()
        assert (await runtime.read(ORDER)).state == "billed"


async def test_a_persistent_child_is_carried_over_and_heard(world: World) -> None:
    kid = {
        "initial": "young",
        "states": {
            "young": {"on": {"CALL": {"actions": send_parent({"type": "WORD"})}, "LEAVE": "gone"}},
            "gone": {"type": "final"},
        },
    }

    def version(state: str) -> dict[str, Any]:
        having = {"invoke": {"id": "kid", "src": persistent("kid", name="tom"), "onDone": "alone"}}
        return {
            "initial": state,
            "context": {"words": 0},
            "on": {"WORD": {"actions": assign(words=lambda context: context["words"] + 1)}},
            "states": {state: having, "alone": {}},
        }

    async with world.running() as runtime:
        await register(runtime, "1", kid, name="kid")
        await order_at_v1(runtime, version("waiting"))
        await runtime.idle()
        v2 = (await register(runtime, "2", version("due"))).id
        await migrate(runtime, "1", "2", state=RENAMED)
        await runtime.upgrades.upgrade(ORDER, v2)
        await runtime.idle()
        await runtime.send(at("kid", "tom"), "CALL")
        await runtime.idle()
        words = (await runtime.read(ORDER)).context["words"]
        await runtime.send(at("kid", "tom"), "LEAVE")
        await runtime.idle()
        state = (await runtime.read(ORDER)).state
        kids = await types(runtime, at("kid", "tom"))

    assert (words, state) == (1, "alone")
    assert kids == ["xstate.init", "CALL", "LEAVE"]


async def test_eventless_transitions_of_the_new_version_are_taken(world: World) -> None:
    rich = {"always": {"target": "settled", "cond": lambda context: context["total"] > 3}}
    async with world.running() as runtime:
        await order_at_v1(runtime)
        v2 = await version_2(runtime, {**V2, "states": {"due": rich, "settled": {}}})
        await runtime.upgrades.upgrade(ORDER, v2)
        assert (await runtime.read(ORDER)).state == "settled"


async def test_a_watcher_sees_the_upgrade(world: World) -> None:
    async with world.running() as runtime:
        await order_at_v1(runtime)
        v2 = await version_2(runtime)
        subscription = await runtime.subscribe(ORDER)
        seen = [(await anext(subscription)).state]
        await runtime.upgrades.upgrade(ORDER, v2)
        seen.append((await anext(subscription)).state)
    assert seen == ["waiting", "due"]


async def test_migrations_between_versions_that_cannot_have_one_are_refused(world: World) -> None:
    async with world.running() as runtime:
        v1 = await order_at_v1(runtime)
        for start, end, parameter in (
            ("ver_no", v1, "fromMachineVersionId"),
            (v1, "ver_no", "toMachineVersionId"),
            (v1, v1, "toMachineVersionId"),
        ):
            with pytest.raises(InvalidParameter) as caught:
                await runtime.upgrades.check_versions(ORG, "order", start, end)
            assert caught.value.parameter == parameter
        with pytest.raises(NotFound):
            await runtime.upgrades.check_versions(ORG, "nothing", v1, v1)


async def test_a_better_way_made_by_another_process_is_found_once_what_is_known_has_aged() -> None:
    world = FaultyWorld()
    async with world.running() as one:
        v1 = await order_at_v1(one)
        await version_2(one)
        v3 = (await register(one, "3", V2)).id
        await migrate(one, "2", "3")
        for name in ("two", "three"):
            await one.create_instance(at("order", name), version_id=v1)
        await one.upgrades.upgrade(ORDER, v3)
        other = Runtime(world.store, InProcessHost(), clock=world.clock, entropy=world.entropy)
        direct = await migrate(other, "1", "3", state=RENAMED)
        one.host.provide_migration(direct.id, Migration(upgrade_state=RENAMED))
        await one.upgrades.upgrade(at("order", "two"), v3)
        await world.clock.advance(30_000)
        await one.upgrades.upgrade(at("order", "three"), v3)
        paths = [(await journal(one, at("order", name)))[-1].event["migrationPath"] for name in ("two", "three")]
    assert len(paths[0]) == 2
    assert paths[1] == [direct.id]


async def test_an_upgrade_without_an_event_tells_of_a_lost_service_first(world: World) -> None:
    service = Service()
    async with world.running() as runtime:
        await order_at_v1(runtime, calling(service, "called"))
        call = asyncio.create_task(runtime.send(ORDER, "CALL"))
        await soon(service.started.wait())
        call.cancel()
    async with world.running() as runtime:
        await register(runtime, "1", calling(service, "called"))
        v2 = (await register(runtime, "2", {"initial": "broken", "states": {"broken": {}}})).id
        await migrate(runtime, "1", "2", state=renamed(failed="broken"))
        assert await runtime.upgrades.upgrade(ORDER, v2) is True
        assert (await types(runtime, ORDER))[2:] == ["error.platform.call", "statebacked.upgrade"]
