"""Dead letters: listed, read, re-driven and dropped, by the library."""

from __future__ import annotations

from typing import Any

import pytest

from perdure import NotFound, Runtime, assign, send_to
from tests.durable.world import ORG, World, at, reference, soon, types

NOTING = {
    "initial": "a",
    "context": {"got": []},
    "states": {"a": {"on": {"NOTE": {"actions": assign(got=lambda context, event: [*context["got"], event["n"]])}}}},
}


class Gatekeeper:
    """Refuses messages of other instances until it is told otherwise."""

    is_open = False

    def __call__(self, request: Any) -> bool:
        return self.is_open or request.sender is None


async def with_dead_letters(world: World, runtime: Runtime, numbers: int) -> None:
    """Let so many messages from m to collector be dead letters."""
    await runtime.create_instance(at("collector"))
    await runtime.create_instance(at("m"))
    for n in range(numbers):
        await runtime.send(at("m"), {"type": "GO", "n": n})
    for _ in range(5 * numbers):
        await soon(runtime.idle())
        await world.clock.advance(30_000)
    await soon(runtime.idle())


def declare(world: World) -> Gatekeeper:
    gatekeeper = Gatekeeper()
    to = send_to(reference("collector"), lambda context, event: {"type": "NOTE", "n": event["n"]})
    world.machine("collector", NOTING, allow_write=gatekeeper)
    world.machine("m", {"initial": "a", "states": {"a": {"on": {"GO": {"actions": to}}}}})
    return gatekeeper


async def test_a_dead_letter_is_listed_and_read_with_what_it_says_and_why_it_was_given_up(world: World) -> None:
    declare(world)
    async with world.running() as runtime:
        await with_dead_letters(world, runtime, 1)
        (listed,) = (await runtime.dead_letters.list(ORG)).rows
        letter = await runtime.dead_letters.read(ORG, listed.id)
        assert letter == listed
        assert (letter.sender, letter.target, letter.event) == (at("m"), at("collector"), {"type": "NOTE", "n": 0})
        assert letter.attempts == 5
        assert letter.last_error == "AuthorizerRefused: allow_write of machine 'collector' refused"
        assert letter.buried_at is not None
        assert (await runtime.dead_letters.list("org_other")).rows == []
        with pytest.raises(NotFound):
            await runtime.dead_letters.read("org_other", listed.id)


async def test_a_redriven_dead_letter_is_applied_once_what_refused_it_has_changed(world: World) -> None:
    gatekeeper = declare(world)
    async with world.running() as runtime:
        await with_dead_letters(world, runtime, 1)
        (letter,) = (await runtime.dead_letters.list(ORG)).rows
        gatekeeper.is_open = True
        await runtime.dead_letters.redrive(ORG, letter.id)
        await soon(runtime.idle())
        assert (await runtime.read(at("collector"))).context == {"got": [0]}
        assert (await runtime.dead_letters.list(ORG)).rows == []
        with pytest.raises(NotFound):
            await runtime.dead_letters.redrive(ORG, letter.id)


async def test_a_redriven_dead_letter_that_fails_again_has_all_its_attempts_and_is_one_again(world: World) -> None:
    declare(world)
    async with world.running() as runtime:
        await with_dead_letters(world, runtime, 1)
        (letter,) = (await runtime.dead_letters.list(ORG)).rows
        await runtime.dead_letters.redrive(ORG, letter.id)
        for _ in range(6):
            await soon(runtime.idle())
            await world.clock.advance(30_000)
        (again,) = (await runtime.dead_letters.list(ORG)).rows
        assert (again.id, again.attempts) == (letter.id, 5)


async def test_all_dead_letters_are_redriven_in_their_order(world: World) -> None:
    gatekeeper = declare(world)
    async with world.running() as runtime:
        await with_dead_letters(world, runtime, 3)
        gatekeeper.is_open = True
        assert await runtime.dead_letters.redrive_all("org_other") == 0
        assert await runtime.dead_letters.redrive_all(ORG) == 3
        await soon(runtime.idle())
        assert (await runtime.read(at("collector"))).context == {"got": [0, 1, 2]}


async def test_a_dropped_dead_letter_is_never_applied(world: World) -> None:
    gatekeeper = declare(world)
    async with world.running() as runtime:
        await with_dead_letters(world, runtime, 3)
        first, *_ = (await runtime.dead_letters.list(ORG)).rows
        gatekeeper.is_open = True
        await runtime.dead_letters.drop(ORG, first.id)
        with pytest.raises(NotFound):
            await runtime.dead_letters.drop(ORG, first.id)
        assert await runtime.dead_letters.drop_all(ORG) == 2
        await world.clock.advance(30_000)
        await soon(runtime.idle())
        assert await types(runtime, at("collector")) == ["xstate.init"]
