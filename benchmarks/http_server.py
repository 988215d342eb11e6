"""The server that `http_events.py` measures: perdure over SQLite with the togglers of the benchmark, and a stopwatch.

It prints a line of JSON that says where it is, and then obeys the lines on its standard input: `begin` starts the
stopwatch, `end` stops it and prints what it shows. While it is stopped nothing is wrapped but one function of the
writer's thread.

The stopwatch counts CPU time. On the event loop's thread it counts each step of the residents' tasks, and within them
the turns and the store's commits; what is left of the thread's CPU time is HTTP: sockets, parsing, tokens, JSON,
routing and the event loop itself. Transactions are counted on whichever thread makes them, their waiting for the disk
apart.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from pathlib import Path
from typing import Any

from perdure.bootstrap import Service, deploy_machine_file, open_service
from perdure.cli.serving import configure_log, listen, run_server, serve_until_signal, url_of
from perdure.clock import SystemClock
from perdure.durable.records import Address
from perdure.durable.resident import Resident
from perdure.entropy import SystemEntropy
from perdure.machine_files import find_machine_files
from perdure.server.secrets import new_key
from perdure.server.settings import ServerSettings
from perdure.stores.sqlite.writer import Writer
from perdure.tokens import SCOPES

MACHINE = Path(__file__).resolve().parent.parent / "examples" / "toggler" / "toggler.py"
OWNER = "bench"


class Stopwatch:
    """CPU seconds and counts by what they were spent on."""

    def __init__(self) -> None:
        self.is_running = False
        self.seconds: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self._began = (0.0, 0.0, 0.0)

    def begin(self) -> None:
        self.seconds, self.counts = {}, {}
        self._began = self._clocks()
        self.is_running = True

    def end(self) -> dict[str, Any]:
        self.is_running = False
        wall, loop, process = (now - then for now, then in zip(self._clocks(), self._began, strict=True))
        return {
            "wall": wall,
            "loop_cpu": loop,
            "process_cpu": process,
            "seconds": self.seconds,
            "counts": self.counts,
        }

    def add(self, what: str, seconds: float, count: int = 1) -> None:
        self.seconds[what] = self.seconds.get(what, 0.0) + seconds
        self.counts[what] = self.counts.get(what, 0) + count

    @staticmethod
    def _clocks() -> tuple[float, float, float]:
        return time.perf_counter(), time.thread_time(), time.process_time()


class Stepped:
    """Awaits something and counts the CPU time of its steps, not the time between them."""

    def __init__(self, watch: Stopwatch, what: str, work: Awaitable[Any]) -> None:
        self._watch = watch
        self._what = what
        self._work = work

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._work.__await__()
        thrown: BaseException | None = None
        seconds = 0.0
        try:
            while True:
                began = time.thread_time()
                try:
                    future = steps.send(None) if thrown is None else steps.throw(thrown)
                except StopIteration as end:
                    return end.value
                finally:
                    seconds += time.thread_time() - began
                thrown = None
                try:
                    yield future
                except BaseException as error:
                    thrown = error
        finally:
            self._watch.add(self._what, seconds)


def wrap_writer(watch: Stopwatch) -> None:
    """Time the groups of commits, whichever thread makes them."""
    write = Writer.write

    def timed(writer: Writer, works: Sequence[Any]) -> Any:
        if not watch.is_running:
            return write(writer, works)
        began, cpu = time.perf_counter(), time.thread_time()
        try:
            return write(writer, works)
        finally:
            by_loop = threading.current_thread() is threading.main_thread()
            watch.add("writer wall", time.perf_counter() - began, len(works))
            watch.add("loop's commits" if by_loop else "writer's commits", time.thread_time() - cpu)

    setattr(Writer, "write", timed)  # noqa: B010 - mypy forbids the plain way


def wrap_loop(watch: Stopwatch, service: Service) -> None:
    """Time residents, turns and commits."""

    def stepped(what: str, function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        async def timed(*arguments: Any, **options: Any) -> Any:
            return await Stepped(watch, what, function(*arguments, **options))

        return timed

    host, store = service.runtime.host, service.runtime.store
    vars(host)["turn"] = stepped("turn", host.turn)
    vars(store)["commit"] = stepped("commit", store.commit)
    setattr(Resident, "_live", stepped("resident", Resident._live))  # noqa: B010 - mypy forbids the plain way


async def prepare(service: Service, instances: int) -> dict[str, Any]:
    """Deploy the machine, create its instances and a key; what the benchmark has to know."""
    runtime, entropy = service.runtime, SystemEntropy()
    (file,) = find_machine_files([MACHINE])
    await deploy_machine_file(runtime, service.org, file)
    names = [f"t{number}" for number in range(instances)]
    await asyncio.gather(
        *(runtime.create_instance(Address(service.org, file.machine, name), {"owner": OWNER}) for name in names)
    )
    record, pair = new_key(
        org=service.org,
        name="benchmark",
        scopes=tuple(sorted(SCOPES)),
        now=SystemClock().now(),
        entropy=entropy,
        secret_box=service.secret_box,
    )
    await service.store.create_key(record)
    return {"key_id": pair.id, "key_secret": pair.secret, "instances": instances, "owner": OWNER}


async def obey(watch: Stopwatch, service: Service) -> None:
    """Take commands from standard input until it ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    is_wrapped = False
    while line := await reader.readline():
        if line == b"begin\n":
            if not is_wrapped:
                wrap_loop(watch, service)
                is_wrapped = True
            watch.begin()
        else:
            tell(watch.end())


def tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    store_url, instances = f"sqlite:///{Path(sys.argv[1]).resolve()}/bench.db", int(sys.argv[2])
    configure_log(level="warning")
    watch = Stopwatch()
    wrap_writer(watch)
    listener = listen("127.0.0.1", 0)

    async def serve() -> None:
        service = open_service(
            store_url,
            master_key=SystemEntropy().secret().encode(),
            settings=ServerSettings(),
            clock=SystemClock(),
            entropy=SystemEntropy(),
        )
        async with service as running:
            tell({"url": url_of(listener), **await prepare(running, instances)})
            obeying = asyncio.create_task(obey(watch, running))
            await serve_until_signal(running.app, listener)
            obeying.cancel()

    with listener:
        run_server(serve)


if __name__ == "__main__":
    main()
