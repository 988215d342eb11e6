"""The machines that XState v4's pages on actors and on invoking services explain, in Python.

Facts and names are those of the pages, so that a reader who knows them finds each again; what a function does in
JavaScript with a timer, here a callback does with the clock it is given. The tests of the in-memory system and those of
durable instances run the same machines.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from perdure import (
    Machine,
    assign,
    create_machine,
    escalate,
    forward_to,
    from_callback,
    respond,
    send,
    send_parent,
    send_to,
    spawn,
    stop,
)
from perdure.clock import Clock
from perdure.json_value import Json, JsonObject

# -- the page on actors --------------------------------------------------------------------------------

TODO = create_machine(
    {
        "id": "todo",
        "context": {"title": "", "done": False},
        "initial": "reading",
        "states": {
            "reading": {
                "on": {
                    "EDIT": "editing",
                    "TOGGLE": {
                        "actions": [assign(done=lambda context: not context["done"]), send_parent("TODO.TOGGLED")]
                    },
                    "DELETE": "deleted",
                }
            },
            "editing": {
                "on": {"COMMIT": {"target": "reading", "actions": assign(title=lambda _, event: event["title"])}}
            },
            "deleted": {"type": "final", "data": lambda context: context["title"]},
        },
    }
)


def todos() -> Machine:
    """A list of to-dos: spawned, told, removed, and the parent knows of all of them."""

    def add(context: JsonObject, event: JsonObject) -> JsonObject:
        number = len(context["todos"]) + context["removed"] + 1
        ref = spawn("todo", f"todo-{number}", data={"title": event["title"], "done": False}, sync=True)
        return {"todos": {**context["todos"], ref["id"]: {"title": event["title"], "ref": ref}}}

    def remove(context: JsonObject, event: JsonObject) -> JsonObject:
        gone = event["type"].removeprefix("done.invoke.")
        left = {key: todo for key, todo in context["todos"].items() if key != gone}
        return {"todos": left, "removed": context["removed"] + 1}

    def update(context: JsonObject, event: JsonObject) -> JsonObject:
        todo = context["todos"][event["id"]]
        return {"todos": {**context["todos"], event["id"]: {**todo, "title": event["state"]["context"]["title"]}}}

    def chosen(context: JsonObject, event: JsonObject) -> Json:
        return context["todos"][event["id"]]["ref"]

    def chosen_id(context: JsonObject, event: JsonObject) -> str:
        return f"done.invoke.{event['id']}"

    return create_machine(
        {
            "id": "todos",
            "context": {"todos": {}, "toggles": 0, "removed": 0},
            "on": {
                "NEW_TODO.ADD": {"actions": assign(add)},
                "TELL": {"actions": send_to(chosen, lambda _, event: event["event"])},
                "CLEAR": {"actions": [stop(chosen), send(lambda c, e: {"type": chosen_id(c, e)})]},
                "TODO.TOGGLED": {"actions": assign(toggles=lambda context: context["toggles"] + 1)},
                "xstate.update": {"actions": assign(update)},
                "done.invoke.*": {"actions": assign(remove)},
            },
        },
        services={"todo": TODO},
    )


def searching(fetch: Callable[..., Any]) -> Machine:
    """A spawned promise: its result and its failure come as ``done.invoke`` and ``error.platform`` of its name."""
    return create_machine(
        {
            "id": "search",
            "context": {"results": None, "error": None},
            "on": {
                "SEARCH": {
                    "actions": assign(ref=lambda _, event: spawn("fetch", "search", data={"query": event["query"]}))
                },
                "done.invoke.search": {"actions": assign(results=lambda _, event: event["data"])},
                "error.platform.search": {"actions": assign(error=lambda _, event: event["data"]["message"])},
            },
        },
        services={"fetch": fetch},
    )


def counting(clock: Clock, cleaned_up: list[str]) -> Machine:
    """A spawned callback: it counts every second, by one more for each ``INC`` it is sent, until it is stopped."""

    async def counter_interval(send_back: Callable[[JsonObject], None], receive: Callable[[Any], None]) -> None:
        count, step = 0, 1

        def listen(event: JsonObject) -> None:
            nonlocal step
            if event["type"] == "INC":
                step += 1

        receive(listen)
        try:
            while True:
                await clock.sleep(1000)
                count += step
                send_back({"type": "COUNT.UPDATE", "count": count})
        finally:
            cleaned_up.append("interval")

    return create_machine(
        {
            "id": "counter",
            "context": {"count": 0},
            "initial": "counting",
            "states": {
                "counting": {
                    "entry": assign(ref=lambda: spawn("counterInterval", "interval")),
                    "on": {
                        "INC": {"actions": forward_to("interval")},
                        "COUNT.UPDATE": {"actions": assign(count=lambda _, event: event["count"])},
                        "STOP": {"target": "still", "actions": stop(lambda context: context["ref"])},
                    },
                },
                "still": {},
            },
        },
        services={"counterInterval": from_callback(counter_interval)},
    )


def observing(values: Callable[[], AsyncIterator[Any]]) -> Machine:
    """An invoked observable: what it yields are events of the parent, its end is ``done.invoke``."""
    return create_machine(
        {
            "id": "interval",
            "context": {"seen": []},
            "initial": "counting",
            "states": {
                "counting": {
                    "invoke": {"id": "numbers", "src": "numbers", "onDone": "finished", "onError": "failed"},
                    "on": {
                        "COUNT": {"actions": assign(seen=lambda context, event: [*context["seen"], event["value"]])}
                    },
                },
                "finished": {},
                "failed": {},
            },
        },
        services={"numbers": values},
    )


REMOTE = create_machine(
    {
        "id": "remote",
        "initial": "offline",
        "states": {
            "offline": {"on": {"WAKE": "online"}},
            "online": {"after": {"1000": {"actions": send_parent("REMOTE.ONLINE")}}},
        },
    }
)

LOCAL = create_machine(
    {
        "id": "local",
        "context": {"remote": None, "state": None},
        "initial": "waiting",
        "states": {
            "waiting": {
                "entry": assign(remote=lambda: spawn("remote", sync=True)),
                "on": {
                    "LOCAL.WAKE": {"actions": send_to(lambda context: context["remote"], "WAKE")},
                    "xstate.update": {"actions": assign(state=lambda _, event: event["state"]["value"])},
                    "REMOTE.ONLINE": "connected",
                },
            },
            "connected": {},
        },
    },
    services={"remote": REMOTE},
)

# -- the page on invoking services ---------------------------------------------------------------------


def fetching(fetch_user: Callable[..., Any]) -> Machine:
    """An invoked promise with its two ways out, and another try."""
    return create_machine(
        {
            "id": "user",
            "initial": "idle",
            "context": {"userId": 42, "user": None, "error": None},
            "states": {
                "idle": {"on": {"FETCH": "loading"}},
                "loading": {
                    "invoke": {
                        "id": "getUser",
                        "src": "fetchUser",
                        "onDone": {"target": "success", "actions": assign(user=lambda _, event: event["data"])},
                        "onError": {
                            "target": "failure",
                            "actions": assign(error=lambda _, event: event["data"]["message"]),
                        },
                    }
                },
                "success": {},
                "failure": {"on": {"RETRY": "loading"}},
            },
        },
        services={"fetchUser": fetch_user},
    )


def pinging() -> Machine:
    """A callback that hears its parent: every ``PING`` is answered with a ``PONG``."""

    def ponger(send_back: Callable[[str], None], receive: Callable[[Any], None]) -> None:
        receive(lambda event: send_back("PONG") if event["type"] == "PING" else None)

    return create_machine(
        {
            "id": "pinger",
            "initial": "active",
            "states": {
                "active": {
                    "invoke": {"id": "ponger", "src": "ponger"},
                    "on": {"BEGIN": {"actions": send_to("ponger", "PING")}, "PONG": "done"},
                },
                "done": {},
            },
        },
        services={"ponger": from_callback(ponger)},
    )


MINUTE = create_machine(
    {
        "id": "timer",
        "context": {"duration": 60_000},
        "initial": "active",
        "states": {
            "active": {"after": {"duration": "finished"}},
            "finished": {"type": "final", "data": lambda context: {"waited": context["duration"]}},
        },
    },
    delays={"duration": lambda context: context["duration"]},
)


def timing() -> Machine:
    """An invoked machine with a context of its own, whose end brings its ``data``."""
    return create_machine(
        {
            "id": "parent",
            "context": {"custom": 3_000, "waited": None},
            "initial": "pending",
            "states": {
                "pending": {
                    "invoke": {
                        "src": "minute",
                        "data": {"duration": lambda context: context["custom"]},
                        "onDone": {
                            "target": "timesUp",
                            "actions": assign(waited=lambda _, event: event["data"]["waited"]),
                        },
                    }
                },
                "timesUp": {},
            },
        },
        services={"minute": MINUTE},
    )


PONG = create_machine(
    {
        "id": "pong",
        "initial": "active",
        "states": {"active": {"on": {"PING": {"actions": send_parent("PONG", delay=1000)}}}},
    }
)

PING = create_machine(
    {
        "id": "ping",
        "context": {"pongs": 0},
        "initial": "active",
        "states": {
            "active": {
                "invoke": {"id": "pong", "src": "pong"},
                "entry": send_to("pong", "PING"),
                "on": {
                    "PONG": {
                        "actions": [
                            assign(pongs=lambda context: context["pongs"] + 1),
                            send_to("pong", "PING", delay=1000),
                        ]
                    }
                },
            }
        },
    },
    services={"pong": PONG},
)

AUTH_SERVER = create_machine(
    {
        "id": "server",
        "initial": "waitingForCode",
        "states": {"waitingForCode": {"on": {"CODE": {"actions": respond("TOKEN", delay=1000)}}}},
    }
)

AUTH_CLIENT = create_machine(
    {
        "id": "client",
        "initial": "idle",
        "states": {
            "idle": {"on": {"AUTH": "authorizing"}},
            "authorizing": {
                "invoke": {"id": "auth-server", "src": "server"},
                "entry": send_to("auth-server", {"type": "CODE"}),
                "on": {"TOKEN": "authorized"},
            },
            "authorized": {"type": "final"},
        },
    },
    services={"server": AUTH_SERVER},
)


def alerting(*, automatically: bool) -> Machine:
    """A parent that passes its events on to a child, each with ``forward_to``, or all with ``autoForward``."""
    child = create_machine(
        {
            "id": "alert",
            "on": {"ALERT": {"actions": send_parent(lambda _, event: {"type": "HEARD", "text": event["text"]})}},
        }
    )
    on: JsonObject = {"HEARD": {"actions": assign(heard=lambda context, event: [*context["heard"], event["text"]])}}
    if not automatically:
        on["ALERT"] = {"actions": forward_to("alerter")}
    return create_machine(
        {
            "id": "parent",
            "context": {"heard": []},
            "invoke": {"id": "alerter", "src": "alert", "autoForward": automatically},
            "on": on,
        },
        services={"alert": child},
    )


CHILD_IN_TROUBLE = create_machine(
    {
        "id": "child",
        "initial": "fine",
        "states": {
            "fine": {"on": {"BREAK": {"target": "worried", "actions": escalate({"message": "it is too much"})}}},
            "worried": {"on": {"CARRY_ON": {"actions": send_parent("STILL_HERE")}}},
        },
    }
)

PARENT_OF_ONE_IN_TROUBLE = create_machine(
    {
        "id": "parent",
        "context": {"message": None},
        "initial": "calm",
        "states": {
            "calm": {
                "invoke": {
                    "id": "child",
                    "src": "child",
                    "onError": {"actions": assign(message=lambda _, event: event["data"]["message"])},
                },
                "on": {"BREAK": {"actions": forward_to("child")}},
            },
        },
    },
    services={"child": CHILD_IN_TROUBLE},
)


def several(first: Callable[..., Any], second: Callable[..., Any]) -> Machine:
    """Two services of one state, each with its own end."""
    return create_machine(
        {
            "id": "several",
            "context": {"ended": []},
            "invoke": [{"id": "one", "src": first}, {"id": "two", "src": second}],
            "on": {
                "done.invoke.*": {"actions": assign(ended=lambda context, event: [*context["ended"], event["data"]])},
            },
        }
    )


# -- actors that know each other -----------------------------------------------------------------------

TABLE = create_machine(
    {
        "id": "table",
        "context": {"score": 0},
        "on": {
            "START": {
                "actions": [
                    assign(left=lambda: spawn("player", "left"), right=lambda: spawn("player", "right")),
                    send_to("left", lambda context: {"type": "MEET", "other": context["right"]}),
                    send_to("right", lambda context: {"type": "MEET", "other": context["left"]}),
                    send_to("left", {"type": "BALL", "hits": 0}),
                ]
            },
            "OUT": {"actions": assign(score=lambda _, event: event["hits"])},
        },
    },
    services={
        "player": create_machine(
            {
                "id": "player",
                "context": {"other": None},
                "on": {
                    "MEET": {"actions": assign(other=lambda _, event: event["other"])},
                    "BALL": [
                        {
                            "cond": lambda _, event: event["hits"] < 10,
                            "actions": send_to(
                                lambda context: context["other"],
                                lambda _, event: {"type": "BALL", "hits": event["hits"] + 1},
                            ),
                        },
                        {"actions": send_parent(lambda _, event: {"type": "OUT", "hits": event["hits"]})},
                    ],
                },
            }
        )
    },
)
