"""A room of many participants, each a durable instance, that is closed in the middle of a sentence and opened again.

``python demo.py [PARTICIPANTS]``: they join, one speaks, the program stops before everybody has heard it and starts
again on the same file. In the end each has heard each message exactly once, and whoever had left has not.
"""

import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path

import perdure

MACHINE = Path(__file__).with_name("participant.py")
PARTICIPANTS = 300


async def demonstrate(database: Path, number: int) -> None:
    url = f"sqlite:///{database}"
    names = [f"p{index}" for index in range(number)]
    async with perdure.open(url, [MACHINE]) as runtime:
        await asyncio.gather(
            *(runtime.create_instance(perdure.address("participant", name), {"name": name}) for name in names)
        )
        print(f"{number} participants have joined the lobby")
        await runtime.send(perdure.address("participant", names[-1]), "LEAVE")
        await runtime.send(perdure.address("participant", "p0"), {"type": "SAY", "text": "Good morning."})
        await runtime.send(perdure.address("participant", "p1"), {"type": "SAY", "text": "And to you."})
        print(f"{names[-1]} has left, p0 and p1 have spoken; {await heard(runtime, names)}: the program stops")
    async with perdure.open(url, [MACHINE]) as runtime:
        await runtime.idle()
        print(f"it runs again: {await heard(runtime, names)}")
        expected = [{"from": "p0", "text": "Good morning."}, {"from": "p1", "text": "And to you."}]
        for name in names[:-1]:
            context = (await runtime.inspect(perdure.address("participant", name))).snapshot.context
            if sorted(context["public"]["heard"], key=lambda line: line["from"]) != expected:
                raise SystemExit(f"{name} has heard {context['public']['heard']}")
        print("each has heard each message exactly once")


async def heard(runtime: perdure.Runtime, names: list[str]) -> str:
    """How many have heard how much."""
    counts: Counter[int] = Counter()
    for name in names:
        record = await runtime.inspect(perdure.address("participant", name))
        counts[record.snapshot.context["public"]["count"]] += 1
    return ", ".join(f"{count} have heard {messages}" for messages, count in sorted(counts.items(), reverse=True))


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else PARTICIPANTS
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(demonstrate(Path(directory) / "room.db", number))


if __name__ == "__main__":
    main()
