"""A turn: what one message changes, as a value."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from perdure import (
    AuthorizerRefused,
    ContextTooLarge,
    Definition,
    EventFailed,
    InstanceEnded,
    InstanceExists,
    InvalidState,
    ReadRequest,
    Sender,
    TooManyChildren,
    WriteRequest,
    adopt,
    assign,
    broadcast,
    cancel,
    create_machine,
    instance_reference,
    join_group,
    leave_group,
    persistent,
    respond,
    send,
    send_parent,
    send_to,
    spawn_persistent,
)
from perdure.durable.authorization import ensure_readable
from perdure.durable.commit import Turn
from perdure.durable.limits import DEFAULT_LIMITS, Limits
from perdure.durable.message import Adopt, AttemptDue, AttemptFailed, Create, Deliver, Message, SetStatus, Stop, TakeIn
from perdure.durable.records import Address, Creation, InstanceRecord, Mail, Parent
from perdure.durable.turn import turn
from perdure.statechart.effect import ChildTarget, RunAction, Send
from perdure.statechart.snapshot import decode_snapshot

CONTEXT_BYTES_MAX = DEFAULT_LIMITS.context_bytes_max
HERE = Address("org", "here", "one")
PARENT = Address("org", "parents", "mother")


def define(
    states: dict[str, Any],
    allow_write: Callable[[WriteRequest], bool] = lambda request: True,
    **config: Any,
) -> Definition:
    actions = config.pop("actions", None)
    services = config.pop("services", None)
    machine = create_machine(
        {"id": "m", "initial": next(iter(states)), "states": states, **config}, actions=actions, services=services
    )
    return Definition(machine=machine, allow_read=lambda request: True, allow_write=allow_write)


def run(
    definition: Definition,
    record: InstanceRecord | None,
    message: Message,
    *,
    now: float = 1000.0,
    lost: tuple[str, ...] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> Turn:
    names = count(1)
    fresh_name = lambda: f"name-{next(names)}"  # noqa: E731 - one line of a call
    return turn(definition, HERE, record, message, now=now, fresh_name=fresh_name, lost=lost, limits=limits)


def created(definition: Definition, **message: Any) -> InstanceRecord:
    return run(definition, None, Create(version_id="ver_1", **message)).commit.record


def event(event_type: str, **rest: Any) -> Deliver:
    return Deliver(event={"type": event_type}, **rest)


def noting(seen: list[WriteRequest]) -> Callable[[WriteRequest], bool]:
    """An authoriser that allows everything and remembers what it was asked."""

    def allow_write(request: WriteRequest) -> bool:
        seen.append(request)
        return True

    return allow_write


def kinds(mail: tuple[Mail, ...]) -> list[tuple[str, str]]:
    return [(item.kind, str(item.target)) for item in mail]


# -- creation ------------------------------------------------------------------------------------


def test_creation_merges_the_given_context_over_the_machines() -> None:
    definition = define({"a": {}}, context={"count": 0, "public": {}})
    commit = run(definition, None, Create(version_id="ver_1", context={"count": 3, "item": "x"})).commit
    assert commit.expected_sequence is None
    assert commit.record.snapshot.context == {"count": 3, "public": {}, "item": "x"}
    assert commit.record.version_id == "ver_1"
    assert [entry.event for entry in commit.journal] == [{"type": "xstate.init"}]
    assert decode_snapshot(commit.snapshot_json) == commit.record.snapshot


def test_allow_write_of_an_initialization_sees_the_creators_context_alone() -> None:
    seen: list[WriteRequest] = []
    definition = define({"a": {}}, allow_write=noting(seen), context={"count": 0})
    created(definition, context={"item": "x"}, auth_context={"sub": "ann"})
    assert seen == [
        WriteRequest(
            type="initialization",
            machine_instance_name="one",
            state=None,
            context={"item": "x"},
            event=None,
            auth_context={"sub": "ann"},
            sender=None,
        )
    ]


def test_creation_is_refused_when_allow_write_says_no() -> None:
    definition = define({"a": {}}, allow_write=lambda request: False)
    with pytest.raises(AuthorizerRefused, match="allow_write of machine 'm' refused"):
        created(definition, auth_context={})


def test_creation_of_what_exists_is_refused() -> None:
    definition = define({"a": {}})
    with pytest.raises(InstanceExists, match="here/one"):
        run(definition, created(definition), Create(version_id="ver_1"))


# -- authorisation -------------------------------------------------------------------------------


def test_allow_write_of_an_event_sees_state_context_event_and_sender() -> None:
    seen: list[WriteRequest] = []
    definition = define({"a": {"on": {"GO": "b"}}, "b": {}}, noting(seen))
    run(definition, created(definition), event("GO", auth_context={"sub": "ann"}, sender=PARENT))
    assert seen == [
        WriteRequest(
            type="event",
            machine_instance_name="one",
            state="a",
            context={},
            event={"type": "GO"},
            auth_context={"sub": "ann"},
            sender=Sender("parents", "mother"),
        )
    ]


def explode(request: object) -> bool:
    raise KeyError("sub")


async def later(request: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("authoriser", "message"),
    [
        (lambda request: 0, "refused"),
        (lambda request: None, "refused"),
        (explode, "raised KeyError"),
        (later, "asynchronous"),
        (lambda request: FakeAwaitable(), "asynchronous"),
    ],
)
def test_everything_but_a_clear_yes_refuses(authoriser: Any, message: str) -> None:
    definition = Definition(
        machine=create_machine({"id": "m"}), allow_read=authoriser, allow_write=lambda request: authoriser(request)
    )
    with pytest.raises(AuthorizerRefused, match=message):
        run(definition, created(definition), event("GO", auth_context={}))
    with pytest.raises(AuthorizerRefused, match=message):
        ensure_readable(definition, ReadRequest(machine_instance_name="one", state="a", context={}, auth_context={}))


class FakeAwaitable:
    def __await__(self) -> Any:
        yield


def test_the_host_itself_is_not_asked_for_permission() -> None:
    definition = define({"a": {"on": {"GO": "b"}}, "b": {}}, allow_write=lambda request: False)
    assert run(definition, created(definition), event("GO")).commit.record.snapshot.value == "b"


# -- events --------------------------------------------------------------------------------------


def test_every_event_is_journalled_even_one_that_nothing_handles() -> None:
    definition = define({"a": {}})
    record = created(definition)
    commit = run(definition, record, event("NOBODY", sender=PARENT, mail_id="mail-1")).commit
    assert (commit.expected_sequence, commit.record.sequence, commit.consumed) == (1, 2, ("mail-1",))
    (entry,) = commit.journal
    assert (entry.sequence, entry.event, entry.state, entry.sender) == (2, {"type": "NOBODY"}, "a", PARENT)


def test_the_journal_tells_a_child_that_reports_an_error_from_one_that_has_failed() -> None:
    """The machine keeps the one and loses the other: whoever makes the macrostep again has to know."""
    definition = define({"a": {"on": {"error.platform.kid": {}}}})
    parent = run(definition, created(definition), TakeIn(child=PARENT, child_id="kid")).commit.record
    escalated, failed = (
        run(definition, parent, event("error.platform.kid", sender=PARENT, mail_id="mail-1", is_platform=has_failed))
        for has_failed in (False, True)
    )
    assert escalated.commit.journal[0].sender == PARENT
    assert failed.commit.journal[0].sender is None
    assert ("kid" in escalated.commit.record.snapshot.children, failed.commit.record.snapshot.children) == (True, {})


def test_ts_grows_strictly_even_when_the_clock_goes_back() -> None:
    definition = define({"a": {}})
    first = created(definition)
    second = run(definition, first, event("X"), now=1000.0).commit.record
    third = run(definition, second, event("X"), now=500.0).commit.record
    assert first.ts < second.ts < third.ts
    assert third.created_at == first.created_at


def test_a_guard_that_raises_fails_the_event_and_names_itself() -> None:
    def guard(context: dict[str, Any]) -> bool:
        return bool(context["missing"])

    definition = define({"a": {"on": {"GO": {"target": "b", "cond": guard}}}, "b": {}})
    with pytest.raises(EventFailed, match=r"guard at \$\.states\.a\.on\.GO\.cond raised KeyError"):
        run(definition, created(definition), event("GO"))


def test_a_stopped_instance_takes_no_events() -> None:
    definition = define({"a": {}})
    record = created(definition, parents=(Parent(PARENT, "kid"),))
    ended = run(definition, record, Stop(sender=PARENT, mail_id="mail-1")).commit.record
    assert ended.snapshot.status == "stopped"
    with pytest.raises(InvalidState, match="has ended in status 'stopped'"):
        run(definition, ended, event("GO"))


def test_an_instance_is_not_stopped_by_one_that_is_not_its_parent() -> None:
    definition = define({"a": {}})
    turned = run(definition, created(definition), Stop(sender=PARENT, mail_id="mail-1"))
    assert (turned.commit.consumed, turned.commit.journal) == (("mail-1",), ())
    assert turned.commit.record.snapshot.status == "active"


@pytest.mark.parametrize(
    ("sender", "event_type", "is_taken"),
    [
        (Address("org_tests", "kids", "k"), "done.invoke.kid", True),
        (Address("org_tests", "kids", "k"), "error.platform.kid", True),
        (Address("org_tests", "kids", "former"), "done.invoke.kid", False),
        (Address("org_tests", "kids", "k"), "done.invoke.other", False),
    ],
)
def test_word_of_a_persistent_childs_end_is_taken_of_a_child_it_has_and_void_of_any_other(
    sender: Address, event_type: str, is_taken: bool
) -> None:
    invoke = {"id": "kid", "src": persistent("kids", name="k"), "onDone": "b", "onError": "b"}
    definition = define({"a": {"invoke": invoke}, "b": {}})
    word = event(event_type, sender=sender, is_platform=True, mail_id="mail-1")
    commit = run(definition, created(definition), word).commit
    assert commit.consumed == ("mail-1",)
    assert [entry.event["type"] for entry in commit.journal] == ([event_type] if is_taken else [])
    assert commit.record.snapshot.value == ("b" if is_taken else "a")


def test_a_done_instance_answers_events_and_stays_as_it_is() -> None:
    definition = define({"a": {"on": {"END": "z"}}, "z": {"type": "final"}})
    done = run(definition, created(definition), event("END")).commit.record
    assert run(definition, done, event("MORE")).commit.record.snapshot == done.snapshot


def test_a_paused_instance_takes_no_events_until_it_runs_again() -> None:
    definition = define({"a": {"on": {"GO": "b"}}, "b": {}})
    paused = run(definition, created(definition), SetStatus("paused")).commit
    assert (paused.record.status, paused.journal, paused.record.sequence) == ("paused", (), 2)
    with pytest.raises(InvalidState, match="paused"):
        run(definition, paused.record, event("GO"))
    running = run(definition, paused.record, SetStatus("running")).commit.record
    assert run(definition, running, event("GO")).commit.record.snapshot.value == "b"


# -- limits --------------------------------------------------------------------------------------


def test_a_context_of_exactly_the_limit_is_kept_and_one_byte_more_is_refused() -> None:
    definition = define({"a": {"on": {"SET": {"actions": assign(text=lambda context, event: event["text"])}}}})
    overhead = len(b'{"text":""}')
    record = created(definition)
    fits = Deliver(event={"type": "SET", "text": "x" * (CONTEXT_BYTES_MAX - overhead)})
    assert len(run(definition, record, fits).commit.record.snapshot.context["text"]) == CONTEXT_BYTES_MAX - overhead
    too_large = Deliver(event={"type": "SET", "text": "x" * (CONTEXT_BYTES_MAX - overhead + 1)})
    with pytest.raises(ContextTooLarge, match="400,001 bytes"):
        run(definition, record, too_large)


def test_the_limit_counts_bytes_and_not_characters() -> None:
    definition = define({"a": {"on": {"SET": {"actions": assign(text="é" * (CONTEXT_BYTES_MAX // 2))}}}})
    with pytest.raises(ContextTooLarge):
        run(definition, created(definition), event("SET"))


def test_a_context_that_is_not_json_fails_the_event() -> None:
    definition = define({"a": {"on": {"SET": {"actions": assign(file=lambda: object())}}}})
    with pytest.raises(EventFailed, match="is not JSON"):
        run(definition, created(definition), event("SET"))


def test_what_is_committed_is_what_json_makes_of_the_context() -> None:
    shared: dict[str, Any] = {"list": (1, 2)}
    definition = define({"a": {"on": {"SET": {"actions": assign(value=lambda: shared)}}}})
    record = run(definition, created(definition), event("SET")).commit.record
    shared["list"] = ()
    assert record.snapshot.context == {"value": {"list": [1, 2]}}


# -- mail ----------------------------------------------------------------------------------------


def test_messages_and_timers_become_mail_in_order() -> None:
    reference = {"type": "statebacked.instance", "id": "x", "machineName": "there", "machineInstanceName": "two"}
    definition = define(
        {"a": {"on": {"GO": "b"}}, "b": {
            "entry": [send_to(reference, "NOW"), send_to(reference, "LATER", delay=50), send("SELF")],
            "after": {"100": "a"},
        }},
    )  # fmt: skip
    commit = run(definition, created(definition), event("GO")).commit
    assert [(m.target.machine, m.event, m.due_at, m.is_delayed) for m in commit.mail] == [
        ("there", {"type": "NOW"}, 0, False),
        ("there", {"type": "LATER"}, 1050.0, True),
        ("here", {"type": "SELF"}, 0, False),
        ("here", {"type": "xstate.after(100)#m.b"}, 1100.0, True),
    ]
    assert all(m.sender == HERE and not m.is_platform for m in commit.mail)


def test_mail_has_the_same_ids_when_its_turn_is_replayed() -> None:
    definition = define({"a": {"on": {"GO": {"actions": [send("ONE"), send("TWO", delay=5)]}}}})
    record = created(definition)
    first, again = (run(definition, record, event("GO"), now=now).commit for now in (2000.0, 3000.0))
    assert [mail.id for mail in first.mail] == [mail.id for mail in again.mail]
    assert len({mail.id for mail in first.mail}) == 2


def test_leaving_a_state_cancels_its_timer() -> None:
    definition = define({"a": {"after": {"100": "b"}, "on": {"GO": "b"}}, "b": {}})
    record = created(definition)
    assert run(definition, record, event("GO")).commit.cancelled == ("xstate.after(100)#m.a",)


def test_cancel_takes_back_what_the_same_turn_sent_with_a_delay_and_only_that() -> None:
    definition = define(
        {"a": {"on": {"GO": {"actions": [send("X"), send("X", delay=5), cancel("X"), send("X", delay=9)]}}}}
    )
    commit = run(definition, created(definition), event("GO")).commit
    assert [(mail.is_delayed, mail.due_at) for mail in commit.mail] == [(False, 0.0), (True, 1009.0)]
    assert commit.cancelled == ("X",)


def test_an_event_to_another_instance_must_be_json() -> None:
    send_object = send_parent(lambda: {"type": "X", "value": object()})
    definition = define({"a": {"on": {"GO": {"actions": send_object}}}})
    record = created(definition, parents=(Parent(PARENT, "kid"),))
    with pytest.raises(EventFailed, match="an event that here/one sends to parents/mother is not JSON"):
        run(definition, record, event("GO"))


def test_send_parent_reaches_every_parent() -> None:
    father = Address("org", "parents", "father")
    definition = define({"a": {"entry": send_parent("HI")}})
    parents = (Parent(PARENT, "kid"), Parent(father, "son"))
    commit = run(definition, None, Create(version_id="ver_1", parents=parents)).commit
    assert kinds(commit.mail) == [("event", "parents/mother"), ("event", "parents/father")]


def test_send_parent_without_a_parent_is_an_error_communication_event() -> None:
    definition = define({"a": {"entry": send_parent("HI"), "on": {"error.communication": "b"}}, "b": {}})
    turned = run(definition, None, Create(version_id="ver_1"))
    assert turned.commit.record.snapshot.value == "b"
    assert turned.commit.mail == ()


# -- children ------------------------------------------------------------------------------------


def test_persistent_children_are_created_and_stopped_by_mail() -> None:
    definition = define(
        {
            "a": {"on": {"GO": "b"}},
            "b": {
                "entry": assign(kid=lambda: spawn_persistent("kids", context={"x": 1}, version="ver_9")),
                "invoke": {"id": "invoked", "src": persistent("kids", name="fixed"), "data": {"y": 2}},
                "on": {"BACK": "a"},
            },
        }
    )
    going = run(definition, created(definition), event("GO")).commit
    assert kinds(going.mail) == [("create", "kids/name-1"), ("create", "kids/fixed")]
    spawned, invoked = (mail.creation for mail in going.mail)
    assert spawned is not None
    assert invoked is not None
    assert (spawned.child_id, spawned.context, spawned.version_id) == ("name-1", {"x": 1}, "ver_9")
    assert (invoked.child_id, invoked.context, invoked.version_id) == ("invoked", {"y": 2}, None)
    back = run(definition, going.record, event("BACK")).commit
    assert kinds(back.mail) == [("stop", "kids/fixed")]


def test_a_child_that_ends_tells_its_parents_and_drops_its_timers() -> None:
    definition = define(
        {
            "a": {"entry": send("LATER", delay=10), "on": {"END": "z"}},
            "z": {"type": "final", "data": {"sum": 3}, "entry": send("NEVER", delay=10)},
        }
    )
    record = created(definition, parents=(Parent(PARENT, "kid"),))
    commit = run(definition, record, event("END")).commit
    assert commit.cancels_all
    (mail,) = commit.mail
    assert (mail.target, mail.event, mail.is_platform) == (
        PARENT,
        {"type": "done.invoke.kid", "data": {"sum": 3}},
        True,
    )


def test_a_stopped_instance_runs_its_exit_actions_and_stops_its_children() -> None:
    definition = define(
        {"a": {"invoke": {"id": "kid", "src": persistent("kids", name="k")}, "exit": "bye"}},
        actions={"bye": lambda: None},
    )
    turned = run(
        definition, created(definition, parents=(Parent(PARENT, "me"),)), Stop(sender=PARENT, mail_id="mail-1")
    )
    assert turned.commit.consumed == ("mail-1",)
    assert turned.commit.cancels_all
    assert kinds(turned.commit.mail) == [("stop", "kids/k")]
    assert [effect.action for effect in turned.effects if isinstance(effect, RunAction)] == ["bye"]


async def service() -> None: ...


def test_lost_children_get_their_error_events_first_each_as_a_transition_of_its_own() -> None:
    definition = define(
        {
            "a": {
                "invoke": [{"id": "one", "src": service, "onError": "b"}, {"id": "two", "src": service}],
                "on": {"error.platform.two": {"actions": []}},
            },
            "b": {"on": {"GO": "c"}},
            "c": {},
        },
    )
    record = created(definition)
    assert set(record.snapshot.children) == {"one", "two"}
    commit = run(definition, record, event("GO"), lost=("one",)).commit
    assert [(entry.sequence, entry.event["type"], entry.state) for entry in commit.journal] == [
        (2, "error.platform.one", "b"),
        (3, "GO", "c"),
    ]
    assert commit.record.snapshot.children == {}


def test_a_lost_child_that_nobody_handles_ends_the_instance_and_the_commit_stands() -> None:
    definition = define({"a": {"invoke": {"id": "one", "src": service}}})
    record = created(definition, parents=(Parent(PARENT, "kid"),))
    turned = run(definition, record, event("GO"), lost=("one",))
    assert isinstance(turned.refused, InvalidState)
    assert turned.commit.record.snapshot.status == "error"
    assert turned.commit.consumed == ()
    assert [entry.event["type"] for entry in turned.commit.journal] == ["error.platform.one"]
    assert [mail.event and mail.event["type"] for mail in turned.commit.mail] == ["error.platform.kid"]


def test_a_child_of_two_parents_is_stopped_by_the_last_of_them() -> None:
    definition = define({"a": {"exit": "bye"}}, actions={"bye": lambda: None})
    father = Address("org", "parents", "father")
    parents = (Parent(PARENT, "kid"), Parent(father, "son"), Parent(father, "guest", detached=True))
    record = created(definition, parents=parents)
    left = run(definition, record, Stop(sender=PARENT, mail_id="mail-1")).commit.record
    assert (left.parents, left.snapshot.status) == (parents[1:], "active")
    untied = run(definition, left, Stop(sender=father, mail_id="mail-2", child_id="guest")).commit.record
    assert (untied.parents, untied.snapshot.status) == (parents[1:2], "active")
    ended = run(definition, left, Stop(sender=father, mail_id="mail-3", child_id="son")).commit.record
    assert (ended.parents, ended.snapshot.status) == (parents[1:], "stopped")
    again = run(definition, ended, Stop(sender=father, mail_id="mail-4")).commit
    assert (again.journal, again.consumed, again.record.parents) == ((), ("mail-4",), parents[1:])


def test_authorisation_comes_after_the_lost_children() -> None:
    seen: list[WriteRequest] = []
    definition = define(
        {"a": {"invoke": {"id": "one", "src": service, "onError": "b"}}, "b": {}},
        allow_write=noting(seen),
    )
    run(definition, created(definition), event("GO", auth_context={}), lost=("one",))
    assert [request.state for request in seen] == ["b"]


def test_a_message_to_an_ephemeral_child_stays_an_effect() -> None:
    definition = define(
        {"a": {"invoke": {"id": "one", "src": service}, "on": {"GO": {"actions": send_to("one", "HI")}}}}
    )
    turned = run(definition, created(definition), event("GO"))
    assert turned.commit.mail == ()
    assert turned.effects == (Send(event={"type": "HI"}, target=ChildTarget("one"), id="HI"),)


# -- adoption and groups -------------------------------------------------------------------------


def test_adoption_asks_allow_write_and_adds_a_tie_without_a_transition() -> None:
    seen: list[WriteRequest] = []
    definition = define({"a": {}}, noting(seen))
    record = created(definition, parents=(Parent(PARENT, "kid"),))
    tie = Parent(Address("org", "parents", "father"), "son", sync=True)
    adopted = run(definition, record, Adopt(tie=tie, auth_context={"by": 1}, mail_id="mail-1")).commit
    assert (adopted.record.parents, adopted.journal, adopted.consumed) == ((*record.parents, tie), (), ("mail-1",))
    assert [(mail.target.instance, mail.event and mail.event["type"]) for mail in adopted.mail] == [
        ("father", "xstate.update")
    ]
    assert [(request.event, request.sender) for request in seen] == [
        ({"type": "perdure.adopt", "id": "son"}, Sender("parents", "father"))
    ]
    refusing = define({"a": {}}, lambda request: False)
    with pytest.raises(AuthorizerRefused):
        run(refusing, created(refusing), Adopt(tie=tie, auth_context={}, mail_id="mail-1"))


def test_an_instance_that_has_ended_is_not_adopted_and_adopts_nobody() -> None:
    definition = define({"a": {"on": {"END": "z"}}, "z": {"type": "final"}})
    done = run(definition, created(definition), event("END")).commit.record
    tie = Parent(PARENT, "kid")
    with pytest.raises(InstanceEnded, match="'done'"):
        run(definition, done, Adopt(tie=tie, auth_context={}, mail_id="mail-1"))
    with pytest.raises(InstanceEnded, match="'done'"):
        run(definition, done, TakeIn(child=PARENT))


def test_the_host_application_lets_an_instance_adopt_another() -> None:
    definition = define({"a": {}})
    commit = run(definition, created(definition), TakeIn(child=PARENT, child_id="kid", sync=True)).commit
    assert kinds(commit.mail) == [("adopt", "parents/mother")]
    assert [entry.event["type"] for entry in commit.journal] == ["perdure.adopt"]
    assert commit.record.snapshot.children["kid"].instance == "mother"


def test_the_journal_says_of_an_adoption_by_the_host_application_all_that_was_asked() -> None:
    definition = define({"a": {}})
    plain, full = (
        run(definition, created(definition), wish).commit.journal[0].event
        for wish in (
            TakeIn(child=PARENT),
            TakeIn(child=PARENT, child_id="kid", detached=True, auto_forward=True, sync=True),
        )
    )
    assert plain == {"type": "perdure.adopt", "machineName": "parents", "machineInstanceName": "mother"}
    assert full == plain | {"childId": "kid", "detached": True, "autoForward": True, "sync": True}


def test_adopting_and_groups_are_in_the_commit() -> None:
    reference = instance_reference("kids", "k")
    moves = [adopt(reference, detached=True), join_group("one"), leave_group("one"), join_group("two")]
    definition = define({"a": {"on": {"GO": {"actions": [*moves, broadcast("two", "HI")]}}}})
    commit = run(definition, created(definition), event("GO")).commit
    assert kinds(commit.mail) == [("adopt", "kids/k"), ("broadcast", "/two")]
    assert commit.mail[0].creation == Creation(child_id="k", session=1, detached=True)
    assert (commit.leaves, commit.joins) == (("one",), ("two",))


def test_a_share_of_a_broadcast_is_passed_over_by_an_instance_that_was_stopped() -> None:
    definition = define({"a": {}})
    record = created(definition, parents=(Parent(PARENT, "kid"),))
    ended = run(definition, record, Stop(sender=PARENT, mail_id="mail-1")).commit.record
    share = run(definition, ended, event("HI", is_share=True, mail_id="mail-2")).commit
    assert (share.consumed, share.journal) == (("mail-2",), ())


def test_a_parent_that_wants_to_know_is_told_of_each_change_and_of_nothing_else() -> None:
    definition = define({"a": {"on": {"GO": "b", "STAY": {}}}, "b": {"on": {"END": "z"}}, "z": {"type": "final"}})
    parents = (Parent(PARENT, "kid", sync=True, snapshots=True),)
    first = run(definition, None, Create(version_id="ver_1", parents=parents)).commit
    moved = run(definition, first.record, event("GO")).commit
    stayed = run(definition, moved.record, event("STAY")).commit
    ended = run(definition, moved.record, event("END")).commit
    told = [[mail.event and mail.event["type"] for mail in commit.mail] for commit in (first, moved, stayed, ended)]
    assert told == [
        ["xstate.update", "xstate.snapshot.kid"],
        ["xstate.update", "xstate.snapshot.kid"],
        [],
        ["xstate.update", "xstate.snapshot.kid", "done.invoke.kid"],
    ]


def test_an_update_is_taken_of_a_child_and_can_be_answered() -> None:
    invoke = {"id": "kid", "src": persistent("kids", name="k"), "sync": True}
    definition = define({"a": {"invoke": invoke, "on": {"xstate.update": {"actions": respond("SEEN")}}}})
    record = created(definition)
    kid = Address("org", "kids", "k")
    update = Deliver(event={"type": "xstate.update", "id": "kid"}, sender=kid, is_platform=True, mail_id="mail-1")
    assert kinds(run(definition, record, update).commit.mail) == [("event", "kids/k")]
    other = Deliver(event={"type": "else"}, sender=kid, is_platform=True, mail_id="mail-1")
    assert run(definition, record, other).commit.journal == ()


def test_more_children_than_the_limit_fail_the_event() -> None:
    definition = define({"a": {"on": {"GO": {"actions": assign(kid=lambda: spawn_persistent("kids"))}}}})
    record = run(definition, created(definition), event("GO")).commit.record
    limits = Limits(children_max=1)
    with pytest.raises(TooManyChildren, match="2 children; the limit is 1"):
        turn(definition, HERE, record, event("GO"), now=1.0, fresh_name=lambda: "another", limits=limits)


@pytest.mark.parametrize(("child", "session"), [("other", 1), ("work", 99), ("once", 2)])
def test_word_of_an_attempt_at_what_the_machine_does_not_try_again_changes_nothing(child: str, session: int) -> None:
    invoke = [{"id": "work", "src": "work", "retry": {"attempts": 2}}, {"id": "once", "src": "work"}]
    definition = define({"a": {"invoke": invoke}}, services={"work": lambda: None})
    record = created(definition)
    assert {(each.id, each.session) for each in record.snapshot.children.values()} == {("work", 1), ("once", 2)}
    for message in (
        AttemptDue(child_id=child, session=session, mail_id="mail-1"),
        AttemptFailed(child_id=child, session=session, error={"message": "no"}, pause=10.0, mail_id="mail-1"),
    ):
        turned = run(definition, record, message)
        assert (turned.commit.consumed, turned.commit.mail, turned.effects) == (("mail-1",), (), ())
        assert turned.commit.record.snapshot == record.snapshot
