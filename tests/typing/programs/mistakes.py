"""Functions that do not fit their machine; each line that has to be an error says so."""

from dataclasses import dataclass, field
from typing import ClassVar

from perdure import Types, initial, transition


@dataclass(frozen=True)
class Cart:
    items: list[str] = field(default_factory=list)
    total: float = 0.0


@dataclass(frozen=True)
class AddItem:
    type: ClassVar[str] = "add"
    item: str


@dataclass(frozen=True)
class Pay:
    type: ClassVar[str] = "pay"
    amount: float


@dataclass(frozen=True)
class Order:
    number: int


types = Types[Cart, AddItem | Pay]()


def of_another_context(order: Order) -> bool:
    return order.number > 0


def of_one_event(cart: Cart, event: AddItem) -> bool:
    return event.item in cart.items


def no_answer(cart: Cart) -> str:
    return "yes"


def four(cart: Cart, event: AddItem | Pay, meta: object, more: int) -> bool:
    return True


def act_on_order(order: Order) -> None:
    str(order.number)


types.guard(of_another_context)  # error
types.guard(of_one_event)  # error
types.on(Pay).guard(of_one_event)  # error
types.guard(no_answer)  # error
types.guard(four)  # error
types.guard(lambda cart: cart.itms == [])  # error
types.on(Pay).guard(lambda cart, event: event.item == "book")  # error
types.action(act_on_order)  # error
types.service(act_on_order)  # error
types.assign(lambda cart: cart.totl)  # error
types.assign(lambda cart: 5)  # error
types.on(AddItem).assign(lambda cart, event: {"items": [*cart.items, event.amount]})  # error
types.on(AddItem).assign(items=lambda cart, event: [*cart.items, event.itm])  # error

types.create_machine({}, guards={"wrong": of_another_context})  # error
types.create_machine({}, guards={"wrong": of_one_event})  # error
types.create_machine({}, guards={"wrong": no_answer})  # error
types.create_machine({}, guards={"wrong": 5})  # error
types.create_machine({}, actions={"wrong": act_on_order})  # error
types.create_machine({}, services={"wrong": act_on_order})  # error
types.create_machine({}, delays={"wrong": of_another_context})  # error

machine = types.create_machine({"context": Cart()})
step = initial(machine)
assert step.snapshot.context.itms  # error
initial(machine, Order(number=1))  # error
transition(machine, step.snapshot, 5)  # error
other = Types[Order, Pay]().create_machine({"context": Order(number=1)})
transition(machine, initial(other).snapshot, "pay")  # error
