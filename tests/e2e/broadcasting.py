"""A program with a room full of members and one who speaks to them all, which kills itself while it does.

``python broadcasting.py FILE speak COUNT`` fills the room and has the speaker say HELLO once. When a quarter of
the members have heard it, SIGKILL ends the process: sent from within, since from outside it may come after the last.
``python broadcasting.py FILE finish`` goes on with whatever the file still asks for, and ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from math import inf

from perdure import address, assign, broadcast, create_machine, join_group, open

heard = 0
deadly = inf
"""How many may hear it before the process dies."""


def report() -> None:
    global heard
    heard += 1
    if heard >= deadly:
        os.kill(os.getpid(), signal.SIGKILL)


member = create_machine(
    {
        "id": "member",
        "initial": "on",
        "context": {"got": []},
        "states": {
            "on": {
                "entry": join_group("room"),
                "on": {"HELLO": {"actions": [assign(got=lambda c, e: [*c["got"], e["type"]]), "report"]}},
            }
        },
    },
    actions={"report": report},
)
speaker = create_machine(
    {"id": "speaker", "initial": "on", "states": {"on": {"on": {"SAY": {"actions": broadcast("room", "HELLO")}}}}}
)


async def main(file: str, mode: str, count: int) -> None:
    global deadly
    async with open(f"sqlite:///{file}", [("member", member), ("speaker", speaker)]) as runtime:
        if mode == "speak":
            for start in range(0, count, 200):
                names = range(start, min(count, start + 200))
                await asyncio.gather(*(runtime.create_instance(address("member", f"m{name}")) for name in names))
            await runtime.create_instance(address("speaker", "one"))
            deadly = count // 4
            await runtime.send(address("speaker", "one"), "SAY")
        await runtime.idle()
    sys.stdout.write("finished\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0))
