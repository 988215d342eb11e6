"""Typed machines over HTTP: JSON in, JSON out, and 400 for what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.world import ORG, World, problem

CART = (Path(__file__).parent / "typed_machine.py").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
async def cart(world: World) -> None:
    await world.runtime.create_machine(ORG, "cart")
    await world.runtime.deploy(ORG, "cart", CART, file_name="cart.py")


async def test_events_and_answers_of_a_typed_machine_are_json(client: httpx.AsyncClient) -> None:
    created = await client.post("/machines/cart", json={"slug": "mine", "context": {"public": {"items": ["pen"]}}})
    assert (created.status_code, created.json()["publicContext"]) == (200, {"items": ["pen"]})
    answer = await client.post("/machines/cart/i/mine/events", json={"event": {"type": "add", "item": "book"}})
    assert (answer.status_code, answer.json()["publicContext"]) == (200, {"items": ["pen", "book"]})
    read = await client.get("/machines/cart/i/mine")
    assert read.json()["publicContext"] == {"items": ["pen", "book"]}


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"type": "add"}, "the event 'add' does not fit: it is no AddItem: Object missing required field `item`"),
        ({"type": "add", "item": 5}, "Expected `str`, got `int` - at `$.item`"),
        ({"type": "ad", "item": "book"}, "takes no event 'ad'. Did you mean 'add'?"),
        ("remove", "takes no event 'remove'"),
    ],
)
async def test_an_event_that_does_not_fit_answers_400_and_changes_nothing(
    client: httpx.AsyncClient, event: Any, words: str
) -> None:
    before = await client.post("/machines/cart", json={"slug": "mine"})
    answer = await client.post("/machines/cart/i/mine/events", json={"event": event})
    assert problem(answer) == (400, "invalid-parameter")
    assert answer.json()["parameter"] == "event"
    assert words in answer.json()["error"]
    assert (await client.get("/machines/cart/i/mine")).json() == before.json()


async def test_a_context_that_does_not_fit_answers_400_and_creates_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.post("/machines/cart", json={"slug": "mine", "context": {"limit": "many"}})
    assert problem(answer) == (400, "invalid-parameter")
    assert answer.json()["parameter"] == "context"
    assert "at `$.limit`" in answer.json()["error"]
    assert problem(await client.get("/machines/cart/i/mine")) == (404, "not-found")
