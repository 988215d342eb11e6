"""The order of the examples over HTTP: a bank that refuses, dawdles and dies, timers that outlive the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from perdure import wire
from perdure.client import AsyncClient
from perdure.errors import AuthorizerRefused
from perdure.json_value import Json, JsonObject
from perdure.testing.server_process import ServerProcess

pytestmark = pytest.mark.slow

SECONDS_MAX = 30
ADD_TEA: JsonObject = {"type": "add", "sku": "tea", "price": 450, "quantity": 2}


def checkout(card: str) -> JsonObject:
    return {"type": "checkout", "card": card}


def pay(card: str) -> JsonObject:
    return {"type": "pay", "card": card}


@pytest.fixture
async def customer(server_process: ServerProcess) -> AsyncIterator[AsyncClient]:
    async with server_process.client({"sub": "ada"}) as client:
        yield client


@pytest.fixture
async def staff(server_process: ServerProcess) -> AsyncIterator[AsyncClient]:
    async with server_process.client({"sub": "bob", "role": "staff"}) as client:
        yield client


async def make_order(staff: AsyncClient, **delays: int) -> None:
    """An order of ada's called ``o``; only staff may give it other delays than the usual ones."""
    await staff.create_instance("order", "o", {"customer": "ada", **delays})


async def reach(client: AsyncClient, value: Json) -> wire.State:
    """The order's state once it has this value."""
    async with asyncio.timeout(SECONDS_MAX), aclosing(client.subscribe("order", "o")) as states:
        async for state in states:
            if state.state == value:
                return state
    raise AssertionError("the server stopped telling states")


async def events(client: AsyncClient) -> list[str]:
    return [transition.event["type"] for transition in await client.list_transitions("order", "o")]


async def test_order_is_paid_shipped_and_refunded_in_parallel(customer: AsyncClient, staff: AsyncClient) -> None:
    await customer.create_instance("order", "o", {"customer": "ada"})
    assert (await customer.send("order", "o", "checkout")).state == "cart", "an empty cart is not paid for"
    await customer.send("order", "o", ADD_TEA)
    state = await customer.send("order", "o", checkout("tok_visa"))
    assert state.state == {"paid": {"shipping": "unpacked", "refund": "none"}}
    assert state.public_context["paid"] == 900

    with pytest.raises(AuthorizerRefused):
        await customer.send("order", "o", "pack")
    await staff.send("order", "o", "pack")
    await customer.send("order", "o", "requestRefund")
    state = await staff.send("order", "o", "ship")
    assert state.state == {"paid": {"shipping": "packed", "refund": "requested"}}, "what comes back is not sent"
    await staff.send("order", "o", "refuseRefund")
    await staff.send("order", "o", {"type": "ship", "tracking": "JD014"})
    await staff.send("order", "o", "deliver")
    await customer.send("order", "o", "requestRefund")
    state = await staff.send("order", "o", "approveRefund")
    assert state.state == {"paid": {"shipping": "delivered", "refund": "refunded"}}
    assert (state.public_context["refunded"], state.public_context["tracking"]) == (900, "JD014")


async def test_order_is_cancelled_when_its_third_card_is_declined_too(
    customer: AsyncClient, staff: AsyncClient
) -> None:
    await make_order(staff, retryMs=50)
    await customer.send("order", "o", ADD_TEA)
    state = await customer.send("order", "o", checkout("tok_declined"))
    assert state.state == {"payment": "waitingForCard"}
    assert state.public_context["problem"] == "the card was declined"
    await customer.send("order", "o", pay("tok_unreachable"))  # tried again by a timer, which is the third try
    state = await reach(customer, "cancelled")
    assert state.done
    assert state.public_context["problem"] == "the bank does not answer"
    assert (await staff.inspect_instance("order", "o")).context["tries"] == 3


async def test_declined_order_can_be_paid_with_another_card_or_cancelled(
    customer: AsyncClient, staff: AsyncClient
) -> None:
    await make_order(staff)
    await customer.send("order", "o", ADD_TEA)
    await customer.send("order", "o", checkout("tok_declined"))
    state = await customer.send("order", "o", pay("tok_refund_fails"))
    assert state.state == {"paid": {"shipping": "unpacked", "refund": "none"}}
    await customer.send("order", "o", "requestRefund")
    state = await staff.send("order", "o", "approveRefund")
    assert state.state == {"paid": {"shipping": "unpacked", "refund": "requested"}}
    assert state.public_context["problem"] == "the bank cannot pay back to this card"

    await customer.create_instance("order", "second", {"customer": "ada"})
    await customer.send("order", "second", ADD_TEA)
    await customer.send("order", "second", checkout("tok_declined"))
    assert (await customer.send("order", "second", "cancel")).state == "cancelled"


async def test_customers_see_and_change_their_own_orders_only(
    server_process: ServerProcess, customer: AsyncClient
) -> None:
    await customer.create_instance("order", "o", {"customer": "ada"})
    with pytest.raises(AuthorizerRefused):
        await customer.create_instance("order", "cheap", {"customer": "ada", "public": {"paid": 900}})
    async with server_process.client({"sub": "eve"}) as stranger:
        with pytest.raises(AuthorizerRefused):
            await stranger.get_instance("order", "o")
        with pytest.raises(AuthorizerRefused):
            await stranger.send("order", "o", ADD_TEA)
    assert (await customer.get_instance("order", "o")).public_context["items"] == []


async def test_answer_waits_for_a_slow_bank_while_everybody_sees_it_charging(
    customer: AsyncClient, staff: AsyncClient
) -> None:
    await make_order(staff, slowBankMs=700)
    await customer.send("order", "o", ADD_TEA)
    paying = asyncio.create_task(customer.send("order", "o", checkout("tok_slow")))
    await reach(customer, {"payment": "charging"})
    assert not paying.done()
    assert (await paying).state == {"paid": {"shipping": "unpacked", "refund": "none"}}


async def test_service_lost_in_a_kill_is_an_error_event_before_the_next_event(
    server_process: ServerProcess, customer: AsyncClient, staff: AsyncClient
) -> None:
    await make_order(staff, slowBankMs=60_000)
    await customer.send("order", "o", ADD_TEA)
    paying = asyncio.create_task(customer.send("order", "o", checkout("tok_slow")))
    await reach(customer, {"payment": "charging"})
    await server_process.kill()
    await asyncio.wait([paying])
    assert paying.exception() is not None, "nobody is told that a payment succeeded that nobody finished"

    await server_process.start()
    assert (await customer.get_instance("order", "o")).state == {"payment": "charging"}, "reading changes nothing"
    state = await customer.send("order", "o", pay("tok_visa"))
    assert state.state == {"paid": {"shipping": "unpacked", "refund": "none"}}
    assert (await events(staff))[-4:] == ["checkout", "error.platform.charge", "pay", "done.invoke.charge"]


async def test_reminder_and_expiry_come_though_the_server_was_away_when_they_were_due(
    server_process: ServerProcess, customer: AsyncClient, staff: AsyncClient
) -> None:
    await make_order(staff, reminderMs=300, expiryMs=1_500)
    await customer.send("order", "o", ADD_TEA)
    await server_process.kill()
    await server_process.start()
    state = await reach(customer, "expired")
    assert state.public_context["reminders"] == 1
    assert (await events(staff)) == [
        "xstate.init",
        "add",
        "xstate.after(reminder)#order.cart",
        "xstate.after(expiry)#order.cart",
    ]
