"""Typed machines: user code sees values, everything that leaves is JSON, and what does not fit changes nothing."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import msgspec
import pydantic
import pytest

from perdure.errors import EventFailed, InvalidParameter, SnapshotMismatch
from perdure.json_value import decode_json, encode_json
from perdure.statechart import (
    Machine,
    Meta,
    Scope,
    and_,
    assign,
    choose,
    create_machine,
    decode_snapshot,
    encode_snapshot,
    escalate,
    forward_to,
    initial,
    log,
    persistent,
    pure,
    raise_,
    send,
    send_parent,
    send_to,
    spawn_persistent,
    start,
    transition,
)
from perdure.statechart.callables import accepted_parameters
from perdure.statechart.effect import Done, Log, RunAction, Send, StartChild
from perdure.statechart.step import stop
from tests.unit.statechart.playing import defects, play


@dataclass(frozen=True)
class Item:
    name: str
    price: float = 1.0


@dataclass(frozen=True)
class Cart:
    items: list[Item] = field(default_factory=list)
    total: float = 0.0
    ref: dict[str, Any] | None = None


@dataclass(frozen=True)
class AddItem:
    type: ClassVar[str] = "add"
    item: Item


class StructCart(msgspec.Struct, frozen=True):
    items: list[Item] = []
    total: float = 0.0


class ModelCart(pydantic.BaseModel, frozen=True):
    items: list[Item] = []
    total: float = 0.0


BOOK = {"type": "add", "item": {"name": "book", "price": 2}}
EVENTS = {"add": AddItem}


def add(cart: Cart, event: AddItem) -> Cart:
    return replace(cart, items=[*cart.items, event.item], total=cart.total + event.item.price)


def shop(**root: Any) -> Machine[Any]:
    return create_machine({"id": "m", "context": Cart, **root}, events=EVENTS)


# -- the context -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Cart, StructCart, ModelCart])
def test_assigners_see_and_replace_the_typed_context(kind: Any) -> None:
    seen: list[Any] = []

    def note(cart: Any) -> dict[str, Any]:
        seen.append(cart)
        return {"total": cart.total + 1}

    step = play({"context": kind, "on": {"GO": {"actions": assign(note)}}}, "GO", "GO")
    assert seen == [kind(), kind(total=1.0)]
    assert step.snapshot.context == kind(total=2.0)


def test_an_assigner_may_change_fields_by_name_or_return_a_whole_value() -> None:
    on = {
        "FIELDS": {"actions": assign(total=lambda cart: cart.total + 1, items=[{"name": "pen"}])},
        "WHOLE": {"actions": assign(lambda cart: replace(cart, total=cart.total * 10))},
    }
    step = play({"context": Cart, "on": on}, "FIELDS", "WHOLE")
    assert step.snapshot.context == Cart([Item("pen")], 10.0)


def test_the_value_before_stays_as_it_was() -> None:
    machine = shop(on={"add": {"actions": assign(add)}})
    before = initial(machine).snapshot
    after = transition(machine, before, BOOK).snapshot
    assert before.context == Cart()
    assert after.context == Cart([Item("book", 2.0)], 2.0)


@pytest.mark.parametrize(
    ("assigner", "words"),
    [
        (lambda: {"total": "much"}, "made a context that does not fit: it is no Cart: Expected `float`"),
        (lambda: {"totl": 5}, "Cart has no field 'totl'. Did you mean 'total'?"),
        (lambda: Cart(total="much"), "made a context that does not fit"),  # type: ignore[arg-type]
        (lambda: 5, "must return a Cart or a mapping of fields to change, not int"),
        (lambda: Item("book"), "must return a Cart or a mapping"),
        (lambda: 1 / 0, "raised ZeroDivisionError"),
    ],
)
def test_an_assigner_that_makes_no_context_fails_the_event_and_says_where(assigner: Any, words: str) -> None:
    machine = shop(on={"GO": {"actions": assign(assigner)}})
    with pytest.raises(EventFailed) as error:
        transition(machine, initial(machine).snapshot, "GO")
    assert "$.on.GO" in str(error.value)
    assert words in str(error.value)


def test_a_field_that_no_assigner_can_change_is_a_defect_of_the_config() -> None:
    (defect,) = defects({"context": Cart, "entry": assign({"totl": 5, "total": 1})})
    assert str(defect) == "$.entry: the context, a Cart, has no field 'totl'. Did you mean 'total'?"


def test_an_assigner_that_cannot_be_called_is_a_defect_in_a_typed_machine_too() -> None:
    (defect,) = defects({"context": Cart, "entry": assign(lambda one, two, three, four: {})})
    assert "needs 4 arguments" in str(defect)


def test_a_snapshot_holds_the_value_and_its_json_has_the_same_future() -> None:
    machine = shop(on={"add": {"actions": assign(add)}})
    snapshot = transition(machine, initial(machine).snapshot, BOOK).snapshot
    stored = encode_snapshot(snapshot)
    assert decode_json(stored)["context"] == {"items": [{"name": "book", "price": 2.0}], "total": 2.0, "ref": None}
    restored = decode_snapshot(stored)
    assert restored.context == decode_json(stored)["context"]
    assert transition(machine, restored, BOOK) == transition(machine, snapshot, BOOK)


def test_the_json_of_a_model_is_written_too() -> None:
    machine = create_machine({"context": ModelCart})
    assert decode_snapshot(encode_snapshot(initial(machine).snapshot)).context == {"items": [], "total": 0.0}


def test_a_snapshot_whose_context_does_not_fit_is_refused_and_says_where() -> None:
    machine = shop()
    wrong = msgspec.structs.replace(initial(machine).snapshot, context={"items": [{"name": 5}]})
    words = r"the snapshot's context does not fit machine 'm': it is no Cart: Expected `str`, got `int` - at `\$\.items"
    with pytest.raises(SnapshotMismatch, match=words):
        transition(machine, wrong, "GO")
    with pytest.raises(SnapshotMismatch, match=words):
        stop(machine, wrong)


def test_an_event_that_changes_nothing_changes_nothing_in_a_restored_snapshot() -> None:
    machine = shop(on={"SAME": {"actions": assign(total=0.0)}})
    snapshot = initial(machine).snapshot
    assert not transition(machine, snapshot, "SAME").changed
    restored = transition(machine, decode_snapshot(encode_snapshot(snapshot)), "SAME")
    assert not restored.changed
    assert restored.snapshot == snapshot


def test_stopping_shows_exit_actions_the_value() -> None:
    machine = shop(exit=log(lambda cart: cart.total))
    stored = decode_snapshot(encode_snapshot(initial(machine).snapshot))
    assert stop(machine, stored).effects == (Log(0.0),)


def test_a_machine_that_has_ended_ignores_events_whatever_they_are() -> None:
    machine = create_machine({"context": Cart, "type": "final"}, events=EVENTS)
    snapshot = initial(machine).snapshot
    assert transition(machine, snapshot, {"type": "add"}).snapshot is snapshot


# -- events ----------------------------------------------------------------------------------------


def test_guards_see_typed_events_and_meta_has_typed_snapshots() -> None:
    seen: list[Any] = []

    def guard(cart: Cart, event: AddItem, meta: Meta[Cart]) -> bool:
        seen.append((cart, event, meta.snapshot and meta.snapshot.context, meta.params))
        return True

    machine = create_machine(
        {"context": Cart, "on": {"add": {"cond": {"type": "is", "n": 1}, "actions": "act"}}},
        events=EVENTS,
        guards={"is": guard},
        actions={"act": lambda: None},
    )
    stored = decode_snapshot(encode_snapshot(initial(machine).snapshot))
    assert transition(machine, stored, BOOK).changed
    assert seen == [(Cart(), AddItem(Item("book", 2.0)), Cart(), {"n": 1})]


@pytest.mark.parametrize("wrong", [{}, {"item": {}}, {"item": {"name": 5}}, {"item": object()}])
def test_an_external_event_that_does_not_fit_is_refused_before_anything_runs(wrong: dict[str, Any]) -> None:
    ran: list[int] = []
    machine = shop(on={"*": {"cond": lambda: not ran.append(1)}})  # type: ignore[func-returns-value]
    with pytest.raises(InvalidParameter, match="the event 'add' does not fit: it is no AddItem: ") as error:
        transition(machine, initial(machine).snapshot, {"type": "add", **wrong})
    assert error.value.parameter == "event"
    assert ran == []


def test_events_of_other_types_are_dicts() -> None:
    step = play({"context": Cart, "on": {"OTHER": {"cond": lambda cart, event: event["n"] == 1, "actions": "act"}}})
    machine = shop(on={"OTHER": {"cond": lambda cart, event: event["n"] == 1, "actions": log("seen")}})
    assert transition(machine, step.snapshot, {"type": "OTHER", "n": 1}).effects == (Log("seen"),)


def test_strict_events_refuses_types_that_no_class_declares_but_not_the_engines_own() -> None:
    config = {"context": Cart, "after": {"5": {"actions": "timed"}}, "on": {"*": {"actions": "any"}}}
    machine = create_machine(
        config, events=EVENTS, strict_events=True, actions={"timed": lambda: None, "any": lambda: None}
    )
    snapshot = initial(machine).snapshot
    words = r"machine '\(machine\)' takes no event 'ad'\. Did you mean 'add'\?"
    with pytest.raises(InvalidParameter, match=words) as error:
        transition(machine, snapshot, "ad")
    assert error.value.parameter == "event"
    assert transition(machine, snapshot, BOOK).changed
    assert transition(machine, snapshot, "xstate.after(5)#(machine)").changed
    assert transition(machine, snapshot, {"type": "done.invoke.x", "data": 1}).changed


def test_strict_events_without_events_refuses_all() -> None:
    machine = create_machine({}, strict_events=True)
    with pytest.raises(InvalidParameter, match="takes no event 'any'"):
        transition(machine, initial(machine).snapshot, "any")


def test_an_event_may_be_given_as_a_value_that_says_its_type() -> None:
    machine = shop(
        on={"add": {"actions": [assign(add), lambda: None]}, "again": {"actions": raise_(AddItem(Item("pen")))}}
    )
    step = transition(machine, initial(machine).snapshot, AddItem(Item("book", 2.0)))
    (effect,) = step.effects
    assert isinstance(effect, RunAction)
    assert effect.event == {"type": "add", "item": {"name": "book", "price": 2.0}}
    assert transition(machine, step.snapshot, "again").snapshot.context.total == 3.0


def test_what_is_no_event_is_still_refused() -> None:
    machine = shop()
    wrong: Any
    for wrong in (Item("book"), 5, None):
        with pytest.raises(InvalidParameter, match="an event is a type or an object"):
            transition(machine, initial(machine).snapshot, wrong)


def test_an_untyped_machine_takes_events_as_values() -> None:
    step = play({"context": {}, "on": {"add": {"actions": assign(n=lambda c, event: event["item"]["name"])}}})
    assert step.snapshot.context == {}
    step = play(
        {"context": {}, "on": {"add": {"actions": assign(n=lambda c, e: e["item"]["name"])}}}, AddItem(Item("x"))
    )
    assert step.snapshot.context == {"n": "x"}


def test_internal_events_are_typed_too_and_one_that_does_not_fit_fails_the_event() -> None:
    on = {
        "GO": {"actions": raise_({"type": "add", "item": {"name": "pen"}})},
        "BAD": {"actions": raise_({"type": "add", "item": 5})},
        "add": {"actions": assign(add)},
    }
    machine = shop(on=on)
    snapshot = initial(machine).snapshot
    assert transition(machine, snapshot, "GO").snapshot.context == Cart([Item("pen")], 1.0)
    with pytest.raises(EventFailed, match="the internal event 'add' does not fit: it is no AddItem"):
        transition(machine, snapshot, "BAD")


def test_a_done_event_of_a_service_can_be_typed() -> None:
    class Receipt(msgspec.Struct):
        data: int

    machine = create_machine(
        {
            "invoke": {
                "src": "pay",
                "id": "pay",
                "onDone": {"cond": lambda c, event: event.data == 5, "actions": log("ok")},
            }
        },
        services={"pay": lambda: 5},
        events={"done.invoke.pay": Receipt},
    )
    snapshot = initial(machine).snapshot
    assert transition(machine, snapshot, {"type": "done.invoke.pay", "data": 5}).effects == (Log("ok"),)
    with pytest.raises(InvalidParameter, match="does not fit"):
        transition(machine, snapshot, {"type": "done.invoke.pay", "data": "five"})


def test_an_event_is_read_once_however_many_guards_see_it() -> None:
    read: list[int] = []

    class Counted(msgspec.Struct):
        n: int

        def __post_init__(self) -> None:
            read.append(1)

    guards = [
        {"cond": lambda c, e: e.n == 2},
        {"cond": and_(lambda c, e: e.n == 1, lambda c, e: True), "actions": "act"},
    ]
    machine = create_machine({"on": {"X": guards}}, events={"X": Counted}, actions={"act": lambda: None})
    assert transition(machine, initial(machine).snapshot, {"type": "X", "n": 1}).changed
    assert read == [1]


# -- what leaves is plain --------------------------------------------------------------------------


def effects(action: Any, event: Any = BOOK, **root: Any) -> tuple[Any, ...]:
    machine = create_machine(
        {"id": "m", "context": Cart([Item("pen")]), "on": {event["type"]: {"actions": action}}, **root}, events=EVENTS
    )
    found = transition(machine, initial(machine).snapshot, event).effects
    assert_plain(found)
    return found


def assert_plain(value: Any) -> None:
    """Every part of these effects is what JSON has, or an effect or target."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            assert_plain(getattr(value, name))
    elif isinstance(value, (dict, list, tuple)):
        for part in value.values() if isinstance(value, dict) else value:
            assert_plain(part)
    else:
        assert type(value) in (type(None), bool, int, float, str), value
    assert type(value).__module__.startswith(("builtins", "perdure"))


def test_custom_actions_get_the_context_of_their_place_as_plain_data() -> None:
    one, two = effects([lambda: None, assign(total=5.0), lambda: None])
    assert one.context == {"items": [{"name": "pen", "price": 1.0}], "total": 0.0, "ref": None}
    assert two.context["total"] == 5.0
    assert one.event == two.event == BOOK


def test_actions_in_a_row_share_the_plain_context() -> None:
    one, two = effects([lambda: None, lambda: None])
    assert one.context is two.context


def test_what_is_sent_and_logged_is_plain() -> None:
    sent = effects(
        [
            send_parent(lambda cart, event: {"type": "OUT", "item": event.item}),
            send_parent(lambda cart, event: event),
            send_parent(lambda cart: AddItem(cart.items[0])),
            send(AddItem(Item("constant")), delay=5),
            log(lambda cart, event: [cart, event]),
            log(),
            escalate(lambda cart: cart.items[0]),
        ]
    )
    book, pen = {"name": "book", "price": 2.0}, {"name": "pen", "price": 1.0}
    events = [effect.event for effect in sent if isinstance(effect, Send)]
    assert events == [
        {"type": "OUT", "item": book},
        BOOK,
        {"type": "add", "item": pen},
        {"type": "add", "item": {"name": "constant", "price": 1.0}},
        {"type": "xstate.error", "data": pen},
    ]
    cart = {"items": [pen], "total": 0.0, "ref": None}
    assert [effect.value for effect in sent if isinstance(effect, Log)] == [
        [cart, {"item": book}],
        {"context": cart, "event": BOOK},
    ]


def test_the_event_being_handled_is_handed_on_as_it_came() -> None:
    event = {**BOOK, "more": 5}
    machine = create_machine(
        {"invoke": {"src": lambda: None, "id": "c"}, "on": {"add": {"actions": forward_to("c")}}}, events=EVENTS
    )
    (effect,) = transition(machine, initial(machine).snapshot, event).effects
    assert isinstance(effect, Send)
    assert effect.event == event


def test_an_event_of_a_class_that_is_silent_has_the_type_it_is_declared_for() -> None:
    machine = create_machine({"on": {"GO": {"actions": send_parent(lambda: Item("book"))}}}, events={"item": Item})
    (effect,) = transition(machine, initial(machine).snapshot, "GO").effects
    assert isinstance(effect, Send)
    assert effect.event == {"type": "item", "name": "book", "price": 1.0}


def test_what_is_no_event_and_what_is_not_json_cannot_be_sent() -> None:
    machine = shop(
        on={
            "CART": {"actions": send_parent(lambda cart: cart)},
            "OBJECT": {"actions": send_parent(lambda cart: {"type": "x", "o": object()})},
        }
    )
    snapshot = initial(machine).snapshot
    with pytest.raises(EventFailed, match="must return an event"):
        transition(machine, snapshot, "CART")
    with pytest.raises(EventFailed, match="is not JSON"):
        transition(machine, snapshot, "OBJECT")


def test_services_persistent_children_and_activities_start_with_plain_data() -> None:
    reference = lambda cart: spawn_persistent("worker", name="w", context={"item": cart.items[0]})  # noqa: E731
    states = {
        "a": {"on": {"add": {"target": "b", "actions": [assign(ref=reference), start("watch")]}}},
        "b": {
            "invoke": [
                {"src": "own", "id": "own"},
                {"src": "given", "id": "given", "data": {"first": lambda cart, event: event.item, "n": 1}},
                {
                    "src": persistent("other", name=lambda cart: cart.items[0].name),
                    "id": "p",
                    "data": lambda cart: cart,
                },
            ]
        },
    }
    machine = create_machine(
        {"context": Cart([Item("pen")]), "initial": "a", "states": states},
        events=EVENTS,
        services={"own": lambda: None, "given": lambda: None, "watch": lambda: None},
    )
    step = transition(machine, initial(machine).snapshot, BOOK)
    assert_plain(step.effects)
    started = {effect.id: effect for effect in step.effects if isinstance(effect, StartChild)}
    pen = {"name": "pen", "price": 1.0}
    assert started["w"].context == {"item": pen}
    assert started["watch"].context["items"] == started["own"].context["items"] == [pen]
    assert started["given"].context == {"first": {"name": "book", "price": 2.0}, "n": 1}
    assert (started["p"].instance, started["p"].context["items"]) == ("pen", [pen])
    assert started["own"].event == BOOK
    assert step.snapshot.context.ref["machineInstanceName"] == "w"


def test_a_reference_kept_in_a_typed_context_is_an_address() -> None:
    on = {
        "SPAWN": {"actions": assign(ref=lambda: spawn_persistent("worker", name="w"))},
        "TELL": {"actions": send_to(lambda cart: cart.ref, "HELLO")},
    }
    machine = shop(on=on)
    snapshot = transition(machine, initial(machine).snapshot, "SPAWN").snapshot
    (effect,) = transition(machine, decode_snapshot(encode_snapshot(snapshot)), "TELL").effects
    assert isinstance(effect, Send)
    assert getattr(effect.target, "instance", None) == "w"


def test_the_output_and_done_data_are_plain() -> None:
    states = {
        "a": {
            "initial": "x",
            "states": {"x": {"on": {"GO": "y"}}, "y": {"type": "final", "data": lambda cart: cart.items[0]}},
            "onDone": {"target": "end", "actions": log(lambda cart, event: event["data"])},
        },
        "end": {"type": "final", "data": {"cart": lambda cart: cart}},
    }
    machine = create_machine({"context": Cart([Item("pen")]), "initial": "a", "states": states})
    step = transition(machine, initial(machine).snapshot, "GO")
    pen = {"name": "pen", "price": 1.0}
    output = {"cart": {"items": [pen], "total": 0.0, "ref": None}}
    assert step.effects == (Log(pen), Done(output))
    assert step.snapshot.output == output


def test_what_a_final_state_cannot_say_is_a_defect_in_a_typed_machine_too() -> None:
    (defect,) = defects({"context": Cart, "type": "final", "data": lambda one, two, three, four: 5})
    assert defect.path == "$.data"


def test_a_dict_context_beside_typed_events_stays_plain() -> None:
    keep = assign(lambda context, event: {"items": [*context["items"], event.item]})
    machine = create_machine({"context": {"items": []}, "on": {"add": {"actions": keep}}}, events=EVENTS)
    snapshot = transition(machine, initial(machine).snapshot, BOOK).snapshot
    assert snapshot.context == {"items": [{"name": "book", "price": 2.0}]}
    (effect,) = transition(
        create_machine({"context": {"n": 1}, "on": {"add": {"actions": lambda: None}}}, events=EVENTS),
        initial(create_machine({"context": {"n": 1}})).snapshot,
        BOOK,
    ).effects
    assert isinstance(effect, RunAction)
    assert effect.context == {"n": 1}


# -- what is called with effects -------------------------------------------------------------------


def test_actions_are_called_with_plain_data_and_see_values() -> None:
    seen: list[Any] = []

    def act(cart: Cart, event: AddItem, meta: Any) -> str:
        seen.append((cart, event, meta))
        return "acted"

    machine = create_machine({"context": Cart, "on": {"add": {"actions": "act"}}}, events=EVENTS, actions={"act": act})
    (effect,) = transition(machine, initial(machine).snapshot, BOOK).effects
    assert isinstance(effect, RunAction)
    function = machine.actions[effect.action]
    assert accepted_parameters(function) == 3
    assert function(effect.context, effect.event, "meta") == "acted"
    assert function(Cart(), effect.event, "meta") == "acted"
    assert seen == [(Cart(), AddItem(Item("book", 2.0)), "meta")] * 2
    assert machine.implementations.actions["act"] is act


async def test_a_coroutine_function_stays_one() -> None:
    async def pay(cart: Cart) -> float:
        return cart.total

    machine = create_machine({"context": Cart, "invoke": {"src": "pay"}}, services={"pay": pay})
    function = machine.services["pay"]
    assert inspect.iscoroutinefunction(function)
    assert await function({"total": 5}) == 5.0


def test_functions_without_parameters_and_partials_are_called_as_they_are() -> None:
    machine = create_machine(
        {"context": Cart},
        actions={"none": lambda: "called", "one": partial(lambda n, cart: (n, cart), 1)},
    )
    assert machine.actions["none"]() == "called"
    assert machine.actions["one"]({}) == (1, Cart())


def test_a_service_that_is_given_data_sees_the_data() -> None:
    invoke = {"src": "pay", "data": {"sum": lambda cart: cart.total}}
    machine = create_machine(
        {"context": Cart, "invoke": invoke}, events=EVENTS, services={"pay": lambda data, event: (data, event)}
    )
    assert machine.services["pay"]({"sum": 5}, BOOK) == ({"sum": 5}, AddItem(Item("book", 2.0)))


def test_a_service_cannot_be_given_data_at_one_place_and_the_context_at_another() -> None:
    states = {"a": {"invoke": {"src": "s"}}, "b": {"invoke": {"src": "s", "data": {"n": 1}}}}
    config = {"initial": "a", "states": states}
    (defect,) = defects({"context": Cart, **config}, services={"s": lambda: None})
    assert defect.path == "$.states.b.invoke.src"
    assert "is given data at one place" in str(defect)
    assert create_machine({"context": {}, **config}, services={"s": lambda: None})
    (defect,) = defects(
        {"context": Cart, "activities": "s", "invoke": {"src": "s", "data": 5}}, services={"s": lambda: None}
    )
    assert "is given data at one place" in str(defect)


def test_a_service_that_is_no_function_is_left_alone() -> None:
    child = create_machine({"id": "child"})
    machine = create_machine({"context": Cart, "invoke": {"src": child}})
    assert child in machine.services.values()


# -- everywhere else -------------------------------------------------------------------------------


def test_delays_branches_and_chosen_actions_see_values() -> None:
    patience: Any = {"named": lambda cart, event: event.item.price * 10}
    branches = choose([{"cond": lambda cart, event: event.item.price > 1, "actions": assign(total=9.0)}])
    chosen = pure(lambda cart, event: [assign(total=lambda c, e: c.total + e.item.price), "act"])
    later = send("LATER", delay=lambda cart, event: "named")
    machine = create_machine(
        {"context": Cart, "on": {"add": {"actions": [branches, chosen, later]}}},
        events=EVENTS,
        delays=patience,
        actions={"act": lambda: None},
    )
    step = transition(machine, initial(machine).snapshot, BOOK)
    assert step.snapshot.context.total == 11.0
    action, sent = step.effects
    assert isinstance(action, RunAction)
    assert action.context["total"] == 11.0
    assert isinstance(sent, Send)
    assert sent.delay == 20.0


def test_a_machine_with_other_parts_has_the_same_schemas() -> None:
    machine = machine_with_note(shop(on={"add": {"actions": assign(add)}}))
    assert transition(machine, initial(machine).snapshot, BOOK).snapshot.context.total == 2.0
    assert initial(machine.with_context(Cart(total=5.0))).snapshot.context == Cart(total=5.0)


def test_the_state_api_takes_and_gives_values() -> None:
    machine = shop(on={"add": {"cond": lambda cart, event: cart.total < event.item.price, "actions": assign(add)}})
    snapshot = machine.initial_snapshot
    assert machine.can(snapshot, AddItem(Item("book")))
    assert not machine.can(snapshot, AddItem(Item("book", 0.0)))
    assert machine.transition(snapshot, BOOK).context == Cart([Item("book", 2.0)], 2.0)
    assert machine.restore(encode_snapshot(snapshot)) == snapshot
    assert machine.resolve({}, {"total": 3}).context == Cart(total=3.0)


def test_the_scope_is_known_to_typed_macrosteps() -> None:
    machine = shop(entry=send_parent("HELLO"))
    assert initial(machine, scope=Scope(has_parent=False)).effects[0] != initial(machine).effects[0]


def test_typed_steps_are_json_all_the_way_down_but_for_the_context() -> None:
    machine = shop(on={"add": {"actions": [assign(add), lambda: None]}})
    step = transition(machine, initial(machine).snapshot, BOOK)
    assert decode_json(encode_json(step.effects))[0]["context"]["total"] == 2.0


def machine_with_note(machine: Machine[Any]) -> Machine[Any]:
    return machine.with_config(actions={"note": lambda: None})
