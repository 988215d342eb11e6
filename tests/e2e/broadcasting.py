"""A program with a room full of members and one who speaks to them all: to be killed while it does.

``python broadcasting.py FILE speak COUNT`` fills the room, has the speaker say HELLO once, and prints how many have
heard it. ``python broadcasting.py FILE finish`` goes on with whatever the file still asks for, and ends.
"""

from __future__ import annotations

import asyncio
import sys

from perdure import address, assign, broadcast, create_machine, join_group, open

REPORT_EVERY = 50

heard = 0


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def report() -> None:
    global heard
    heard += 1
    if heard % REPORT_EVERY == 0:
        tell(f"heard {heard}")


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
    async with open(f"sqlite:///{file}", [("member", member), ("speaker", speaker)]) as runtime:
        if mode == "speak":
            for start in range(0, count, 200):
                names = range(start, min(count, start + 200))
                await asyncio.gather(*(runtime.create_instance(address("member", f"m{name}")) for name in names))
            await runtime.create_instance(address("speaker", "one"))
            await runtime.send(address("speaker", "one"), "SAY")
            tell("said")
        await runtime.idle()
    tell("finished")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0))
