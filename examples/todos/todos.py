"""A to-do list whose to-dos are actors: the parent spawns, tracks and removes them. Run it: `python todos.py`.

Each to-do is a small machine of its own. The list knows of every step they take (``sync``), passes events on to them by
their references, and takes one out when it has ended.
"""

from perdure import assign, create_machine, interpret, send_to, spawn, stop
from perdure.json_value import Json, JsonObject

TODO = create_machine(
    {
        "id": "todo",
        "context": {"title": ""},
        "initial": "open",
        "states": {
            "open": {
                "on": {
                    "RENAME": {"actions": assign(title=lambda context, event: event["title"])},
                    "TICK": "ticked",
                    "DELETE": "deleted",
                }
            },
            "ticked": {"on": {"TICK": "open", "DELETE": "deleted"}},
            "deleted": {"type": "final"},
        },
    }
)


def add(context: JsonObject, event: JsonObject) -> JsonObject:
    """Spawn a to-do and keep its reference, which is plain data, beside what the list shows of it."""
    number = context["number"] + 1
    reference = spawn("todo", f"todo-{number}", data={"title": event["title"]}, sync=True)
    todo = {"title": event["title"], "state": "open", "ref": reference}
    return {"number": number, "todos": {**context["todos"], reference["id"]: todo}}


def track(context: JsonObject, event: JsonObject) -> JsonObject:
    """A to-do has taken a step."""
    todo = {
        **context["todos"][event["id"]],
        "title": event["state"]["context"]["title"],
        "state": event["state"]["value"],
    }
    return {"todos": {**context["todos"], event["id"]: todo}}


def without(context: JsonObject, todo_id: str) -> JsonObject:
    return {"todos": {key: todo for key, todo in context["todos"].items() if key != todo_id}}


def addressed(context: JsonObject, event: JsonObject) -> Json:
    """The reference of the to-do that an event is about."""
    return context["todos"][event["id"]]["ref"]


LIST = create_machine(
    {
        "id": "todos",
        "context": {"number": 0, "todos": {}},
        "on": {
            "ADD": {"actions": assign(add)},
            "TELL": {
                "cond": lambda context, event: event["id"] in context["todos"],
                "actions": send_to(addressed, lambda context, event: event["event"]),
            },
            "DROP": {"actions": [stop(addressed), assign(lambda context, event: without(context, event["id"]))]},
            "xstate.update": {"actions": assign(track)},
            "done.invoke.*": {
                "actions": assign(lambda context, event: without(context, event["type"].removeprefix("done.invoke.")))
            },
        },
    },
    services={"todo": TODO},
)


def main() -> None:
    with interpret(LIST) as todos:

        def tell(what: str, event: JsonObject) -> None:
            todos.send(event)
            print(f"\n{what}:")
            for line in str(todos.system).splitlines():
                print(f"  {line}")

        for title in ("buy milk", "write to Ada", "water the plants"):
            todos.send({"type": "ADD", "title": title})
        tell("four to-dos, each an actor", {"type": "ADD", "title": "sleep"})
        tell("the first is ticked", {"type": "TELL", "id": "todo-1", "event": "TICK"})
        tell(
            "the second is renamed", {"type": "TELL", "id": "todo-2", "event": {"type": "RENAME", "title": "call Ada"}}
        )
        tell("the third deletes itself, and the list hears of it", {"type": "TELL", "id": "todo-3", "event": "DELETE"})
        tell("the list stops the fourth", {"type": "DROP", "id": "todo-4"})
        print("\nwhat the list shows:")
        for todo in todos.snapshot.context["todos"].values():
            print(f"  {todo['title']}: {todo['state']}")


if __name__ == "__main__":
    main()
