"""Guards, actions and assigners that fit their machine: no type-checker has anything to say."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar, assert_type

from perdure import Machine, Meta, Snapshot, Types, and_, initial, not_, raise_, send_parent, transition


@dataclass(frozen=True)
class Cart:
    items: list[str] = field(default_factory=list)
    total: float = 0.0


@dataclass(frozen=True)
class AddItem:
    type: ClassVar[str] = "add"
    item: str
    price: float = 1.0


@dataclass(frozen=True)
class Pay:
    type: ClassVar[str] = "pay"
    amount: float


types = Types[Cart, AddItem | Pay]()


def is_open() -> bool:
    return True


def has_items(cart: Cart) -> bool:
    return bool(cart.items)


def is_known(cart: Cart, event: AddItem | Pay) -> bool:
    return isinstance(event, Pay) or event.item in cart.items


def has_parameters(cart: Cart, event: AddItem | Pay, meta: Meta[Cart]) -> bool:
    return meta.params is not None and (meta.snapshot is None or meta.snapshot.context.total >= 0)


def takes_any_event(cart: Cart, event: object) -> bool:
    return event is not None


@types.on(Pay).guard
def is_enough(cart: Cart, event: Pay) -> bool:
    return event.amount >= cart.total


@types.on(AddItem).guard
def is_new(cart: Cart, event: AddItem) -> bool:
    return event.item not in cart.items


def add(cart: Cart, event: AddItem) -> Cart:
    return replace(cart, items=[*cart.items, event.item], total=cart.total + event.price)


def announce(cart: Cart) -> None:
    str(cart.total)


async def charge(cart: Cart, event: AddItem | Pay) -> str:
    return f"{cart.total} for {event.type}"


def later(cart: Cart) -> Awaitable[str]:
    return charge(cart, Pay(amount=1))


adding = types.on(AddItem)

machine = types.create_machine(
    {
        "id": "cart",
        "initial": "open",
        "context": Cart(),
        "states": {
            "open": {
                "on": {
                    "add": {"cond": "isNew", "actions": ["add", "announce"]},
                    "pay": {"cond": types.guard(lambda cart: cart.total > 0), "target": "paying"},
                },
            },
            "paying": {
                "entry": types.action(lambda cart, event: (cart.items, event.type)),
                "invoke": {"src": "charge", "onDone": "paid"},
                "after": {"patience": "open"},
            },
            "paid": {"type": "final", "data": types.expression(lambda cart: cart.total)},
        },
    },
    guards={
        "isOpen": is_open,
        "hasItems": has_items,
        "isKnown": is_known,
        "hasParameters": has_parameters,
        "takesAny": takes_any_event,
        "isEnough": is_enough,
        "isNew": is_new,
        "both": and_("isNew", not_("hasItems")),
        "other": "isNew",
    },
    actions={
        "announce": announce,
        "add": adding.assign(add),
        "fields": adding.assign(lambda cart, event: {"items": [*cart.items, event.item]}),
        "one by one": adding.assign(total=0.0, items=lambda cart, event: [*cart.items, event.item]),
        "constant": types.assign(total=0.0),
        "again": raise_(Pay(amount=1)),
        "tell": send_parent("told"),
    },
    services={"charge": charge, "later": later},
    delays={"patience": timedelta(minutes=1), "doubled": lambda cart: cart.total * 2},
)
assert_type(machine, Machine[Cart])

step = initial(machine)
assert_type(step.snapshot, Snapshot[Cart])
step = transition(machine, step.snapshot, AddItem(item="book"))
step = transition(machine, step.snapshot, {"type": "add", "item": "pen"})
step = transition(machine, step.snapshot, Pay(amount=3))
step = transition(machine, step.snapshot, "unknown")
assert_type(step.snapshot.context.total, float)
given: Mapping[str, Any] = {"total": 2}
assert_type(initial(machine, dict(given)).snapshot.context, Cart)
assert_type(initial(machine, Cart(total=3)).snapshot.context, Cart)
