"""The Python contenders of actors.py: ``python -m benchmarks.actors_contenders NAME CHILDREN EVENTS`` prints JSON.

Each has a parent that starts the children at once, gives each of them EVENTS times ``INC`` and once ``ASK``, and counts
the replies. Processor time is that of the whole process, of all its threads; bytes are what the resident memory of the
process grows by, since children that are threads take theirs outside the heap.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Contender(NamedTuple):
    """How one library plays its part."""

    start: Callable[[], None]
    """Starts all children."""
    play: Callable[[], None]
    """Sends everything, and returns once all have replied."""
    replies: Callable[[], tuple[int, int]]
    """How many replies the parent has got, and the sum of the counts in them."""
    stop: Callable[[], None]


def perdure(children: int, events: int) -> Contender:
    from perdure import assign, create_machine, interpret, send_parent, spawn

    def add(context: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        return {"replies": context["replies"] + 1, "sum": context["sum"] + event["count"]}

    counter = create_machine(
        {
            "id": "counter",
            "context": {"count": 0},
            "initial": "on",
            "states": {
                "on": {
                    "on": {
                        "INC": {"actions": assign(count=lambda context: context["count"] + 1)},
                        "ASK": {"actions": send_parent(lambda context: {"type": "REPLY", "count": context["count"]})},
                    }
                }
            },
        }
    )
    names = [f"c{index}" for index in range(children)]
    parent = create_machine(
        {
            "id": "parent",
            "context": {"refs": [], "replies": 0, "sum": 0},
            "initial": "on",
            "states": {
                "on": {
                    "on": {
                        "SPAWN": {"actions": assign(refs=lambda: [spawn(counter, name) for name in names])},
                        "REPLY": {"actions": assign(add)},
                    }
                }
            },
        }
    )
    actor = interpret(parent).start()

    def play() -> None:
        inc, ask = {"type": "INC"}, {"type": "ASK"}
        for reference in actor.snapshot.context["refs"]:
            child = actor.system.get(reference["path"])
            assert child is not None
            for _ in range(events):
                child.send(inc)
            child.send(ask)

    def replies() -> tuple[int, int]:
        return actor.snapshot.context["replies"], actor.snapshot.context["sum"]

    return Contender(lambda: actor.send("SPAWN"), play, replies, actor.stop)


def xstate_statemachine(children: int, events: int) -> Contender:
    library: Any = importlib.import_module("xstate_statemachine")
    actions: Any = importlib.import_module("xstate_statemachine.actions")
    create_machine, assign = library.create_machine, actions.assign

    counter = create_machine(
        {
            "id": "counter",
            "context": {"count": 0},
            "initial": "on",
            "states": {
                "on": {
                    "on": {
                        "INC": {"actions": [assign({"count": lambda given: given["context"]["count"] + 1})]},
                        "ASK": {
                            "actions": [
                                actions.send_parent(lambda given: {"type": "REPLY", "count": given["context"]["count"]})
                            ]
                        },
                    }
                }
            },
        }
    )
    names = [f"c{index}" for index in range(children)]

    def spawn_all(given: dict[str, Any]) -> None:
        for name in names:
            given["enqueue"].spawn_child("counter", actor_id=name)

    def telling(event: str) -> Callable[[dict[str, Any]], None]:
        def tell(given: dict[str, Any]) -> None:
            for name in names:
                given["enqueue"].send_to(name, event)

        return tell

    add = {
        "replies": lambda given: given["context"]["replies"] + 1,
        "sum": lambda given: given["context"]["sum"] + given["event"].payload["count"],
    }
    parent = create_machine(
        {
            "id": "parent",
            "context": {"replies": 0, "sum": 0},
            "initial": "on",
            "states": {
                "on": {
                    "on": {
                        "SPAWN": {"actions": [actions.enqueue_actions(spawn_all)]},
                        "INC": {"actions": [actions.enqueue_actions(telling("INC"))]},
                        "ASK": {"actions": [actions.enqueue_actions(telling("ASK"))]},
                        "REPLY": {"actions": [assign(add)]},
                    }
                }
            },
        },
        logic=library.MachineLogic(services={"counter": counter}),
    )
    interpreter = library.SyncInterpreter(parent)
    interpreter.start()

    def play() -> None:
        for _ in range(events):
            interpreter.send("INC")
        interpreter.send("ASK")
        while interpreter.context["replies"] < children:
            time.sleep(0.01)

    def replies() -> tuple[int, int]:
        return interpreter.context["replies"], interpreter.context["sum"]

    return Contender(lambda: interpreter.send("SPAWN") and None, play, replies, interpreter.stop)


def pykka(children: int, events: int) -> Contender:
    library: Any = importlib.import_module("pykka")

    class Counter(library.ThreadingActor):  # type: ignore[misc]  # not installed where types are checked
        def __init__(self, parent: Any) -> None:
            super().__init__()
            self.parent = parent
            self.count = 0

        def on_receive(self, message: Any) -> Any:
            if message == "INC":
                self.count += 1
            else:
                self.parent.tell({"count": self.count})

    class Parent(library.ThreadingActor):  # type: ignore[misc]  # as above
        def __init__(self) -> None:
            super().__init__()
            self.refs: list[Any] = []
            self.replies = 0
            self.sum = 0

        def on_receive(self, message: Any) -> Any:
            if message == "SPAWN":
                self.refs = [Counter.start(self.actor_ref) for _ in range(children)]
            elif message == "REFS":
                return self.refs
            elif message == "REPLIES":
                return self.replies, self.sum
            else:
                self.replies += 1
                self.sum += message["count"]
            return None

    parent = Parent.start()

    def start() -> None:
        parent.ask("SPAWN")

    def replies() -> tuple[int, int]:
        found: tuple[int, int] = parent.ask("REPLIES")
        return found

    def play() -> None:
        for ref in parent.ask("REFS"):
            for _ in range(events):
                ref.tell("INC")
            ref.tell("ASK")
        while replies()[0] < children:
            time.sleep(0.01)

    return Contender(start, play, replies, library.ActorRegistry.stop_all)


CONTENDERS: dict[str, Callable[[int, int], Contender]] = {
    "perdure": perdure,
    "pykka": pykka,
    "xstate-statemachine": xstate_statemachine,
}


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    name, children, events = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    contender = CONTENDERS[name](children, events)
    before, begin = resident_bytes(), time.process_time()
    contender.start()
    spawning = time.process_time() - begin
    grown = (resident_bytes() - before) / children
    begin = time.process_time()
    contender.play()
    sending = time.process_time() - begin
    replies, total = contender.replies()
    print(json.dumps({"spawning": spawning, "sending": sending, "bytes": grown, "replies": replies, "sum": total}))
    sys.stdout.flush()
    contender.stop()


if __name__ == "__main__":
    main()
