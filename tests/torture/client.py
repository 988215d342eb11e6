"""A client of a tortured server: a process of its own that does random things and notes what it learns.

Several workers send events to ledgers, those that all clients share and those that they have created, and read them.
No event is ever sent twice: what becomes of one that was not answered is for the checker to find out. Each operation is
noted with the time at which it began and ended, as a line of JSON on the standard output; the process ends when its
standard input does.

    python -m tests.torture.client URL KEY_ID KEY_SECRET NUMBER SEED SHARED WORKERS < /dev/null
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random  # noqa: TID251 - seeded
import sys
import time
from collections.abc import Awaitable
from datetime import timedelta

import msgspec

from perdure import wire
from perdure.client import AsyncClient, Retries
from perdure.clock import SystemClock
from perdure.errors import PerdureError, ServerUnreachable
from perdure.json_value import JsonObject
from perdure.tokens import sign_token
from tests.torture.records import Kind, Operation

__all__ = ["LEDGER", "Client", "shared_ledger", "token_of"]

LEDGER = "ledger"
WEIGHTS: dict[Kind, int] = {"NOTE": 40, "TIMER": 15, "CALL": 15, "WORK": 10, "READ": 17, "CREATE": 3}
DELAYS = (0, 20, 200, 1_500)
"""Of timers, in milliseconds."""
OWN_MAX = 20
"""Ledgers that a client creates."""
TIMEOUT_SECONDS = 60.0
LOOK_AGAIN_MILLISECONDS = 200.0
TOKEN_LIFETIME = timedelta(hours=4)

clock = SystemClock()


def shared_ledger(number: int) -> str:
    return f"shared-{number}"


def token_of(key_id: str, key_secret: str) -> str:
    return sign_token(key_id, key_secret, {"sub": "torture"}, now=clock.now(), expires_in=TOKEN_LIFETIME)


class Client:
    """One client process and its workers."""

    def __init__(self, client: AsyncClient, number: int, seed: int, shared: int) -> None:
        self.client = client
        self.number = number
        self.chance = random.Random(f"{seed}/{number}")
        self.ledgers = [shared_ledger(number) for number in range(shared)]
        self.created = 0
        self.is_over = False
        self._ids = itertools.count(1)

    async def work(self) -> None:
        """Do one thing after the other until told to end."""
        while not self.is_over:
            kind = self.chance.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
            if kind == "CREATE" and self.created >= OWN_MAX:
                continue
            if not await self.act(kind):
                await clock.sleep(LOOK_AGAIN_MILLISECONDS)
            elif self.chance.random() < 0.3:
                await clock.sleep(self.chance.uniform(0, 40))

    async def act(self, kind: Kind) -> bool:
        """Do one thing and note it; whether the server answered."""
        name = f"{self.number}-{next(self._ids)}"
        ledger = self.chance.choice(self.ledgers)
        delay = self.chance.choice(DELAYS) if kind == "TIMER" else 0
        if kind == "CREATE":
            ledger = f"own-{name}"
        begun = time.monotonic_ns()  # noqa: TID251 - the same for all processes, unlike the time of day
        operation = Operation(
            kind=kind, ledger=ledger, id=name, begun=begun, ended=begun, outcome="unknown", delay=float(delay)
        )
        try:
            state = await self.request(kind, ledger, {"type": kind, "id": name, "delay": delay})
        except ServerUnreachable:
            noted = operation
        except PerdureError as error:
            noted = msgspec.structs.replace(operation, outcome="refused", reason=f"{error.code}: {error}")
        else:
            public = state.public_context
            noted = msgspec.structs.replace(
                operation, outcome="answered", count=public["count"], digest=public["digest"], state=state.state
            )
        ended = time.monotonic_ns()  # noqa: TID251
        sys.stdout.buffer.write(msgspec.json.encode(msgspec.structs.replace(noted, ended=ended)) + b"\n")
        if kind == "CREATE" and noted.outcome == "answered":
            self.created += 1
            self.ledgers.append(ledger)
        return noted.outcome != "unknown"

    def request(self, kind: Kind, ledger: str, event: JsonObject) -> Awaitable[wire.State]:
        if kind == "CREATE":
            return self.client.create_instance(LEDGER, ledger)
        if kind == "READ":
            return self.client.get_instance(LEDGER, ledger)
        return self.client.send(LEDGER, ledger, event)


async def main() -> None:
    url, key_id, key_secret, number, seed, shared, workers = sys.argv[1:]
    os.nice(5)  # on a busy machine the server has to get up before it can be killed again
    token = token_of(key_id, key_secret)
    once = Retries(attempts=1)  # every failure is to be seen
    async with AsyncClient(url, token, timeout_seconds=TIMEOUT_SECONDS, retries=once, clock=clock) as connection:
        client = Client(connection, int(number), int(seed), int(shared))
        working = [asyncio.create_task(client.work()) for _ in range(int(workers))]
        end = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        await asyncio.wait([end, *working], return_when=asyncio.FIRST_COMPLETED)
        client.is_over = True
        await asyncio.gather(*working)


if __name__ == "__main__":
    asyncio.run(main())
