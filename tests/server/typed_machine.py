"""A machine version module with types of its own, as it is deployed in these tests."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from perdure import ReadRequest, Types, WriteRequest


@dataclass(frozen=True)
class Public:
    items: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Cart:
    public: Public = field(default_factory=Public)
    limit: int = 3


class AddItem(msgspec.Struct, frozen=True, tag="add"):
    item: str


types = Types[Cart, AddItem]()
machine = types.create_machine(
    {
        "id": "cart",
        "on": {
            "add": {
                "cond": types.guard(lambda cart, event: len(cart.public.items) < cart.limit),
                "actions": types.assign(lambda cart, event: {"public": Public([*cart.public.items, event.item])}),
            }
        },
    },
    strict_events=True,
)


def allow_read(request: ReadRequest) -> bool:
    return isinstance(request.context, dict)


def allow_write(request: WriteRequest) -> bool:
    return isinstance(request.context, dict)
