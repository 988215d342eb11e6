"""Other durable state machines and workflows for Python, each on its own workload over SQLite. See `durable.py`.

Each is used as its documentation shows first, with its own store, and with `synchronous=FULL`, where a commit is on the
disk before it is answered; one that sets less is raised to it. A workload is one durable step after the other: an event
to a toggle with a context of 1 kB or, of DBOS, which has no machines, a step of a workflow that returns 1 kB.

    python -m benchmarks.durable_peers NAME FOLDER SECONDS

prints a line of JSON: the rate by the clock and by the processor's time, or why there is none.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["PEERS"]

FILLER = "x" * 900


def xstate_statemachine(folder: Path) -> Callable[[], int]:
    from xstate_statemachine import MachineLogic, create_machine  # type: ignore[import-not-found,unused-ignore]
    from xstate_statemachine.persistence import (  # type: ignore[import-not-found,unused-ignore]
        SQLiteStore,
        persisted,
    )

    class FullStore(SQLiteStore):  # type: ignore[misc,unused-ignore]
        """Its store asks for `synchronous=NORMAL`, which a power failure may cost what was answered."""

        def _connect(self) -> Any:
            connection = super()._connect()
            connection.execute("PRAGMA synchronous = FULL")
            return connection

    def count(interpreter: Any, context: dict[str, Any], event: Any, action: Any) -> None:
        context["count"] += 1

    config = {
        "id": "toggle",
        "initial": "off",
        "context": {"count": 0, "filler": FILLER},
        "states": {
            "off": {"on": {"TOGGLE": {"target": "on", "actions": "count"}}},
            "on": {"on": {"TOGGLE": {"target": "off", "actions": "count"}}},
        },
    }
    machine = create_machine(config, logic=MachineLogic(actions={"count": count}))
    store = FullStore(folder / "xstate.db")

    def step() -> int:
        with persisted(store, "toggle:1", machine) as toggle:
            toggle.send("TOGGLE")
        return 1

    return step


def harel(folder: Path) -> Callable[[], int]:
    from harel import (  # type: ignore[import-not-found,unused-ignore]
        DurableRunner,
        Event,
        SqliteStore,
        definition_from_dsl,
    )

    source = """
    event Toggle {}
    machine toggle {
      initial Off
      state Off {}
      state On {}
      from Off to On on Toggle
      from On to Off on Toggle
    }
    """
    definition = definition_from_dsl(source, "toggle")
    store = SqliteStore(folder / "harel.db")
    (synchronous,) = store._conn.execute("PRAGMA synchronous").fetchone()
    assert synchronous == 2, "its default is FULL"
    runner = DurableRunner(store, {definition.id: definition}, execution="inline")
    execution = runner.create(definition.id, {"filler": FILLER})

    def step() -> int:
        runner.process(execution.id, Event(kind="Toggle"))
        return 1

    return step


def dbos(folder: Path) -> Callable[[], int]:
    from dbos import DBOS  # type: ignore[import-not-found,unused-ignore]

    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{folder / 'dbos.db'}", "log_level": "ERROR"})

    @DBOS.step()  # type: ignore[untyped-decorator,unused-ignore]
    def one_step(number: int) -> dict[str, Any]:
        return {"count": number, "filler": FILLER}

    @DBOS.workflow()  # type: ignore[untyped-decorator,unused-ignore]
    def many_steps(count: int) -> int:
        for number in range(count):
            one_step(number)
        return count

    DBOS.launch()

    def steps() -> int:
        count: int = many_steps(50)
        return count

    return steps


PEERS: dict[str, Callable[[Path], Callable[[], int]]] = {
    "xstate-statemachine": xstate_statemachine,
    "harel": harel,
    "dbos": dbos,
}


def rate(step: Callable[[], int], seconds: float) -> dict[str, float]:
    """The best of five rounds."""
    step()
    wall_rate = cpu_rate = 0.0
    for _ in range(5):
        wall, cpu, done = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - wall < seconds:
            done += step()
        wall_rate = max(wall_rate, done / (time.perf_counter() - wall))
        cpu_rate = max(cpu_rate, done / (time.process_time() - cpu))
    return {"wall": wall_rate, "cpu": cpu_rate}


def main() -> None:
    name, folder, seconds = sys.argv[1:]
    try:
        result: dict[str, Any] = dict(rate(PEERS[name](Path(folder)), float(seconds)))
    except ImportError as error:
        result = {"missing": str(error)}
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    sys.exit(0)


if __name__ == "__main__":
    main()
