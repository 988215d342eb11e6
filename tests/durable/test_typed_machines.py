"""Typed machines as instances: values inside, and JSON in the store, the journal, the mail and before authorisers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pydantic
import pytest

from perdure import (
    Definition,
    InvalidParameter,
    Types,
    WriteRequest,
    assign,
    create_machine,
    initial,
    persistent,
    send_parent,
)
from perdure.durable.message import Create, Deliver
from perdure.durable.records import InstanceRecord
from perdure.durable.turn import turn
from perdure.hosts.in_process import load_definition
from tests.durable.world import World, at, journal, sqlite_store


@dataclass(frozen=True)
class Item:
    name: str
    price: float = 1.0


@dataclass(frozen=True)
class Cart:
    owner: str = "nobody"
    items: list[Item] = field(default_factory=list)
    paid: str | None = None


class AddItem(msgspec.Struct, frozen=True, tag="add"):
    item: Item


class Pay(pydantic.BaseModel, frozen=True):
    type: ClassVar[str] = "pay"
    card: str = pydantic.Field(min_length=4)


types = Types[Cart, AddItem | Pay]()
BOOK = {"type": "add", "item": {"name": "book"}}
BOOK_ITEM = {"name": "book", "price": 1.0}


class Shop:
    """A world with a typed machine that keeps what its functions and authorisers were shown."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: list[Any] = []
        self.requests: list[WriteRequest] = []
        world.definitions["shop"] = Definition(
            machine=self.machine(), allow_read=lambda request: True, allow_write=self.allow
        )

    def machine(self) -> Any:
        return types.create_machine(
            {
                "id": "shop",
                "initial": "open",
                "context": Cart(),
                "states": {
                    "open": {
                        "on": {
                            "add": {"actions": ["add", "note"]},
                            "pay": "paying",
                            "wait": {"actions": "waiting"},
                        }
                    },
                    "paying": {"invoke": {"src": "charge", "onDone": {"target": "paid", "actions": "paid"}}},
                    "paid": {"type": "final", "data": types.expression(lambda cart: cart)},
                },
            },
            actions={
                "add": types.on(AddItem).assign(lambda cart, event: replace(cart, items=[*cart.items, event.item])),
                "note": self.note,
                "paid": assign(paid=lambda cart, event: event["data"]),
                "waiting": lambda: None,
            },
            services={"charge": self.charge},
            strict_events=False,
        )

    def note(self, cart: Cart, event: AddItem | Pay) -> None:
        self.seen.append((cart, event))

    async def charge(self, cart: Cart, event: AddItem | Pay) -> str:
        self.seen.append((cart, event))
        return f"{len(cart.items)} items"

    def allow(self, request: WriteRequest) -> bool:
        self.requests.append(request)
        return True


async def record_in_store(world: World, machine: str) -> InstanceRecord:
    async with world.running() as runtime:
        record = await runtime.store.load(at(machine))
    assert record is not None
    return record


async def test_an_instance_goes_on_with_its_values_after_a_restart(tmp_path: Path) -> None:
    shop = Shop(World(sqlite_store(tmp_path / "test.db")))
    async with shop.world.running() as runtime:
        created = await runtime.create_instance(at("shop"), {"owner": "me"}, auth_context={})
        assert created.context == {"owner": "me", "items": [], "paid": None}
        await runtime.send(at("shop"), BOOK, auth_context={})
        await runtime.idle()
    stored = await record_in_store(shop.world, "shop")
    assert stored.snapshot.context == {"owner": "me", "items": [BOOK_ITEM], "paid": None}
    async with shop.world.running() as runtime:
        assert (await runtime.send(at("shop"), AddItem(Item("pen", 2.0)))).context["items"][1]["name"] == "pen"
        ended = await runtime.send(at("shop"), {"type": "pay", "card": "1234"}, auth_context={})
        assert (ended.state, ended.done) == ("paid", True)
        assert ended.context["paid"] == "2 items"
        assert [entry.event for entry in await journal(runtime, at("shop"))][1:4] == [
            BOOK,
            {"type": "add", "item": {"name": "pen", "price": 2.0}},
            {"type": "pay", "card": "1234"},
        ]
    one, two = Item("book"), Item("pen", 2.0)
    assert shop.seen == [
        (Cart("me", [one]), AddItem(one)),
        (Cart("me", [one, two]), AddItem(two)),
        (Cart("me", [one, two]), Pay(card="1234")),
    ]
    assert [request.context for request in shop.requests] == [
        {"owner": "me"},
        {"owner": "me", "items": [], "paid": None},
        {"owner": "me", "items": [BOOK_ITEM, {"name": "pen", "price": 2.0}], "paid": None},
    ]
    assert [request.event for request in shop.requests] == [None, BOOK, {"type": "pay", "card": "1234"}]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"type": "add"}, "missing required field `item`"),
        ({"type": "add", "item": {"name": 5}}, r"Expected `str`, got `int` - at `\$\.item"),
        ({"type": "pay", "card": "12"}, r"at least 4 characters - at `\$\.card`"),
    ],
)
async def test_an_event_that_does_not_fit_is_refused_and_leaves_no_trace(
    world: World, event: dict[str, Any], words: str
) -> None:
    Shop(world)
    async with world.running() as runtime:
        await runtime.create_instance(at("shop"))
        with pytest.raises(InvalidParameter, match=words) as refusal:
            await runtime.send(at("shop"), event)
        assert refusal.value.parameter == "event"
        assert len(await journal(runtime, at("shop"))) == 1
        assert (await runtime.send(at("shop"), BOOK)).context["items"] == [BOOK_ITEM]


async def test_a_context_that_does_not_fit_creates_nothing(world: World) -> None:
    Shop(world)
    async with world.running() as runtime:
        with pytest.raises(InvalidParameter, match="Expected `str`") as refusal:
            await runtime.create_instance(at("shop"), {"owner": 5})
        assert refusal.value.parameter == "context"
        assert (await runtime.create_instance(at("shop"), {"owner": "me"})).context["owner"] == "me"


def test_authorisers_see_json_after_a_service_was_lost() -> None:
    requests: list[WriteRequest] = []
    invoke = {"src": lambda: None, "id": "s", "onError": {"actions": assign(owner="lost")}}
    definition = Definition(
        machine=create_machine({"id": "m", "context": Cart, "invoke": invoke}),
        allow_read=lambda request: True,
        allow_write=lambda request: requests.append(request) is None,  # type: ignore[func-returns-value]
    )

    def take(record: InstanceRecord | None, message: Create | Deliver, *lost: str) -> InstanceRecord:
        name = "fresh".upper
        return turn(definition, at("m"), record, message, now=1.0, fresh_name=name, lost=lost).commit.record

    created = take(None, Create(version_id="v"))
    after = take(created, Deliver(event={"type": "GO"}, auth_context={}), "s")
    assert [request.context for request in requests] == [{"owner": "lost", "items": [], "paid": None}]
    assert after.snapshot.context == requests[0].context


async def test_what_typed_instances_tell_one_another_is_json(world: World) -> None:
    tell = send_parent(lambda cart, event: AddItem(Item(cart.owner)))
    Shop(world)
    world.machine("child", {"context": Cart, "entry": tell, "initial": "a", "states": {"a": {"type": "final"}}})
    world.machine(
        "parent",
        {
            "context": Cart(items=[Item("first")]),
            "initial": "a",
            "states": {
                "a": {
                    "invoke": {
                        "src": persistent("child", name="kid"),
                        "id": "kid",
                        "data": {"items": lambda cart: cart.items, "owner": "mine"},
                    },
                    "on": {"add": {"actions": assign(items=lambda cart, event: [*cart.items, event.item])}},
                }
            },
        },
        events={"add": AddItem},
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"))
        await runtime.idle()
        child = await runtime.inspect(at("child", "kid"))
        assert child.snapshot.context == {"owner": "mine", "items": [{"name": "first", "price": 1.0}], "paid": None}
        parent = await runtime.inspect(at("parent"))
        assert [item["name"] for item in parent.snapshot.context["items"]] == ["first", "mine"]
        events = [entry.event for entry in await journal(runtime, at("parent"))]
        assert {"type": "add", "item": {"name": "mine", "price": 1.0}} in events


MODULE = """{future}
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
import pydantic

from perdure import Types


@dataclass(frozen=True)
class Item:
    name: str


{kind}
    items: list[Item] = {default}


@dataclass(frozen=True)
class Add:
    type: ClassVar[str] = "add"
    item: Item


types = Types[Cart, Add]()
machine = types.create_machine({{"context": Cart}})


def allow_read(request: Any) -> bool:
    return True


allow_write = allow_read
"""


@pytest.mark.parametrize("future", ["", "from __future__ import annotations"])
@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("@dataclass\nclass Cart:", "field(default_factory=list)"),
        ("class Cart(msgspec.Struct):", "[]"),
        ("class Cart(pydantic.BaseModel):", "[]"),
    ],
)
def test_deployed_code_may_declare_its_types_itself(future: str, kind: str, default: str) -> None:
    source = MODULE.format(future=future, kind=kind, default=default)
    for _ in range(2):  # as when it is checked first and run later
        machine = load_definition(source, "shop.py").machine
        context = initial(machine, {"items": [{"name": "book"}]}).snapshot.context
        assert (type(context).__name__, context.items[0].name) == ("Cart", "book")
