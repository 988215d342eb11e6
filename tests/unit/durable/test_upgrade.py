"""An upgrade as a pure function: which way it takes, what it asks of migrations, and what it makes of their answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from perdure import Definition, Machine, Scope, Snapshot, create_machine, initial, transition
from perdure.durable.records import MigrationRecord
from perdure.durable.upgrade import Migration, MigrationStep, Upgrade, find_path, migration_of, upgraded
from perdure.errors import InvalidParameter, MigrationFailed

# -- which way -----------------------------------------------------------------------------------------------------


def record(name: str) -> MigrationRecord:
    """``ab`` or ``ab2`` leads from ``a`` to ``b``."""
    return MigrationRecord(
        id=name,
        org="org",
        machine="order",
        created_at=0.0,
        from_version_id=name[0],
        to_version_id=name[1],
        content_hash="",
        source="",
        file_name="",
    )


def way(names: str, start: str, end: str) -> str | None:
    found = find_path([record(name) for name in names.split()], start, end)
    return None if found is None else " ".join(migration.id for migration in found)


@pytest.mark.parametrize(
    ("migrations", "start", "end", "expected"),
    [
        ("", "a", "a", ""),
        ("", "a", "b", None),
        ("ab", "a", "b", "ab"),
        ("ab", "b", "a", None),
        ("ab bc cd", "a", "d", "ab bc cd"),
        ("ab bc cd ad", "a", "d", "ad"),
        ("ab ba bc cb", "a", "c", "ab bc"),
        ("ab bd ac cd", "a", "d", "ab bd"),
        ("ac cd ab bd", "a", "d", "ac cd"),
        ("ab ab2", "a", "b", "ab2"),
        ("ab bd ac cd ab2", "a", "d", "ab2 bd"),
        ("ab cd", "a", "d", None),
    ],
)
def test_the_way_is_shortest_and_of_equal_ones_the_older(
    migrations: str, start: str, end: str, expected: str | None
) -> None:
    assert way(migrations, start, end) == expected


# -- what a module exports -----------------------------------------------------------------------------------------


def test_a_migration_exports_either_function_in_either_spelling() -> None:
    def function(*arguments: Any) -> Any: ...

    for name in ("upgrade_state", "upgradeState"):
        assert migration_of({name: function}) == Migration(upgrade_state=function)
    for name in ("upgrade_context", "upgradeContext"):
        assert migration_of({name: function, "other": 1}) == Migration(upgrade_context=function)


async def asynchronous(*arguments: Any) -> Any: ...


@pytest.mark.parametrize(
    ("exports", "message"),
    [
        ({}, "exports neither upgrade_state"),
        ({"upgrade_state": None}, "exports neither upgrade_state"),
        ({"upgrade_state": max, "upgradeState": max}, "keep one of them"),
        ({"upgrade_context": 7}, "upgrade_context must be a plain function"),
        ({"upgradeState": asynchronous}, "upgrade_state must be a plain function"),
        ({"upgradeState": lambda path: path}, r"upgrade_state must be a function of \(path, context\)"),
        ({"upgrade_context": lambda old, new: {}}, r"a function of \(old_paths, new_paths, context\)"),
    ],
)
def test_what_is_no_migration_is_refused(exports: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        migration_of(exports)


# -- what it does --------------------------------------------------------------------------------------------------


def machine(states: dict[str, Any], **more: Any) -> Machine:
    return create_machine({"id": "m", "initial": next(iter(states)), "states": states, **more})


def upgrade(former: Machine | None, *steps: tuple[Machine | None, Migration], target: Machine | None = None) -> Upgrade:
    last = target or steps[-1][0]
    assert last is not None
    return Upgrade(
        definition=Definition(machine=last, allow_read=lambda request: True, allow_write=lambda request: True),
        from_version_id="v0",
        to_version_id=f"v{len(steps)}",
        former=former,
        steps=tuple(
            MigrationStep(id=f"m{number}", migration=migration, machine=machine)
            for number, (machine, migration) in enumerate(steps, start=1)
        ),
    )


def run(upgrade: Upgrade, snapshot: Snapshot) -> Snapshot:
    return upgraded(upgrade, snapshot, scope=Scope()).snapshot


OLD = machine({"a": {"on": {"GO": "b"}}, "b": {}}, context={"n": 1})
NEW = machine({"x": {"initial": "one", "states": {"one": {}, "two": {}}}, "y": {}})


def answering(answer: Any) -> Callable[..., Any]:
    return lambda *arguments: answer


def test_without_functions_everything_stays_as_it_is() -> None:
    snapshot = transition(OLD, initial(OLD).snapshot, "GO").snapshot
    assert run(upgrade(OLD, (OLD, Migration())), snapshot) == snapshot


@pytest.mark.parametrize("answer", [["x", "two"], ("x", "two"), "x.two"])
def test_a_path_may_be_written_as_keys_or_with_dots(answer: Any) -> None:
    found = run(upgrade(OLD, (NEW, Migration(upgrade_state=answering(answer)))), initial(OLD).snapshot)
    assert found.value == {"x": "two"}


def test_a_path_is_split_at_the_delimiter_of_the_machine() -> None:
    slashed = machine({"x": {"initial": "v1.0", "states": {"v1.0": {}}}}, delimiter="/")
    found = run(upgrade(OLD, (slashed, Migration(upgrade_state=answering("x/v1.0")))), initial(OLD).snapshot)
    assert found.value == {"x": "v1.0"}


def test_a_path_to_a_compound_state_is_completed_to_a_legal_configuration() -> None:
    found = run(upgrade(OLD, (NEW, Migration(upgrade_state=answering(["x"])))), initial(OLD).snapshot)
    assert (found.value, found.configuration) == ({"x": "one"}, ("m.x.one",))


def test_leaves_see_the_old_context_and_recorded_states_the_new_one() -> None:
    old = machine(
        {
            "on": {
                "initial": "low",
                "states": {"low": {"on": {"UP": "high"}}, "high": {}, "back": {"type": "history"}},
            },
            "off": {"on": {"ON": "on.back"}},
        },
        on={"OFF": ".off"},
        context={"unit": "old"},
    )
    new = machine(
        {
            "lit": {"initial": "dim", "states": {"dim": {}, "bright": {}, "back": {"type": "history"}}},
            "off": {"on": {"ON": "lit.back"}},
        },
        on={"OFF": ".off"},
    )
    asked: list[Any] = []

    def upgrade_state(path: list[str], context: Any) -> list[str]:
        asked.append((path, context["unit"]))
        return {"low": ["lit", "dim"], "high": ["lit", "bright"], "off": ["off"]}[path[-1]]

    def upgrade_context(old_paths: Any, new_paths: Any, context: Any) -> Any:
        asked.append((old_paths, new_paths, context))
        return {"unit": "new"}

    snapshot = initial(old).snapshot
    for event in ("UP", "OFF"):
        snapshot = transition(old, snapshot, event).snapshot
    migration = Migration(upgrade_state=upgrade_state, upgrade_context=upgrade_context)
    found = run(upgrade(old, (new, migration)), snapshot)

    assert asked == [(["off"], "old"), ([["off"]], [["off"]], {"unit": "old"}), (["on", "high"], "new")]
    assert found.context == {"unit": "new"}
    assert found.history == {"m.lit.back": ("m.lit.bright",)}
    assert transition(new, found, "ON").snapshot.value == {"lit": "bright"}


def test_each_leaf_of_parallel_regions_is_led_by_itself() -> None:
    def regions(low: str, high: str) -> Machine:
        part = {"initial": low, "states": {low: {"on": {"GO": high}}, high: {}}}
        return create_machine({"id": "m", "type": "parallel", "states": {"pay": part, "ship": part}})

    old, new = regions("low", "high"), regions("down", "up")
    snapshot = transition(old, initial(old).snapshot, "GO").snapshot
    names = {"low": "down", "high": "up"}
    migration = Migration(upgrade_state=lambda path, context: [path[0], names[path[1]]])
    assert run(upgrade(old, (new, migration)), snapshot).value == {"pay": "up", "ship": "up"}


def test_between_two_migrations_leaves_are_those_of_the_version_in_between() -> None:
    asked: list[list[str]] = []

    def second(path: list[str], context: Any) -> list[str]:
        asked.append(path)
        return ["b"]

    first = Migration(upgrade_state=answering(["x"]))
    for middle in (NEW, None):
        run(upgrade(OLD, (middle, first), (OLD, Migration(upgrade_state=second))), initial(OLD).snapshot)
    assert asked == [["x", "one"], ["x"]]


def test_a_path_that_is_no_state_in_between_is_refused_with_its_name() -> None:
    steps = [(NEW, Migration(upgrade_state=answering(["z"]))), (OLD, Migration(upgrade_state=answering(["b"])))]
    with pytest.raises(MigrationFailed, match="leads nowhere: z is no state of machine 'm'"):
        run(upgrade(OLD, *steps), initial(OLD).snapshot)


def raising(*arguments: Any) -> Any:
    raise SystemExit("stop")


def changing(path: list[str], context: Any) -> list[str]:
    context["n"] = 2
    return path


@pytest.mark.parametrize(
    ("migration", "message"),
    [
        (Migration(upgrade_state=answering(7)), "upgrade_state of migration m1 must answer a path.* for a, not int"),
        (Migration(upgrade_state=answering([1])), "must answer a path"),
        (Migration(upgrade_state=answering(None)), "not NoneType"),
        (Migration(upgrade_state=raising), "upgrade_state of migration m1 raised SystemExit for a$"),
        (Migration(upgrade_context=raising), "upgrade_context of migration m1 raised SystemExit$"),
        (Migration(upgrade_context=answering([])), "must answer the new context, not list"),
        (Migration(upgrade_context=answering({"a": object()})), "must answer JSON"),
    ],
)
def test_an_answer_that_cannot_be_is_refused(migration: Migration, message: str) -> None:
    with pytest.raises(MigrationFailed, match=message):
        run(upgrade(OLD, (OLD, migration)), initial(OLD).snapshot)


def test_what_was_raised_is_said_to_those_who_may_know() -> None:
    with pytest.raises(MigrationFailed) as caught:
        run(upgrade(OLD, (OLD, Migration(upgrade_state=raising))), initial(OLD).snapshot)
    assert caught.value.detail == "upgrade_state of migration m1 raised SystemExit for a: stop"


def test_an_interruption_of_the_program_passes() -> None:
    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(upgrade(OLD, (OLD, Migration(upgrade_state=interrupted))), initial(OLD).snapshot)


def test_a_migration_cannot_change_what_it_is_shown() -> None:
    snapshot = initial(OLD).snapshot
    found = run(upgrade(OLD, (OLD, Migration(upgrade_state=changing))), snapshot)
    assert found.context == {"n": 1}
    assert snapshot.context == {"n": 1}


class Order(msgspec.Struct):
    total: int


def test_the_context_has_to_fit_a_typed_machine() -> None:
    typed: Machine[Any] = create_machine(
        {"id": "m", "initial": "a", "context": Order(total=0), "states": {"a": {}}}, events={}, strict_events=True
    )
    good = Migration(upgrade_context=answering({"total": 5}))
    assert run(upgrade(OLD, (typed, good)), initial(OLD).snapshot).context == Order(total=5)
    with pytest.raises(MigrationFailed, match="context does not fit machine 'm'"):
        run(upgrade(OLD, (typed, Migration())), initial(OLD).snapshot)
