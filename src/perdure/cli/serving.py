"""Running a server in the foreground: the socket, the signals, the log.

The socket listens from before the runtime starts until everything is answered, so that clients of a restarting server
wait instead of failing. SIGINT and SIGTERM end it the same way: no new connections, requests in flight get their
answers for a few seconds, WebSockets are closed, then the runtime and the store; a second SIGINT does not wait for
requests. A request that waits for a service longer than that is answered all the same: by the runtime, which stops the
service as it closes.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp
from structlog.typing import Processor

from perdure.cli.heap import serving_heap
from perdure.errors import InvalidParameter
from perdure.logs import PROCESSORS

__all__ = ["configure_log", "is_loopback", "listen", "run_server", "serve_until_signal", "url_of"]

_DRAIN_SECONDS = 10
_CANCEL_SECONDS = _DRAIN_SECONDS + 10
"""When uvicorn cancels what is still not answered; the runtime has answered it long before."""
_BACKLOG = 2048
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_MESSAGE_BYTES_MAX = 1_000_000


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ``InvalidParameter`` that says what is in the way."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InvalidParameter(f"cannot listen on {host!r}: {error.strerror or error}", "host") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise InvalidParameter(
                f"cannot listen on {host}: no network interface of this machine has that address. "
                "Choose another one with --host",
                "host",
            ) from error
        raise InvalidParameter(
            f"cannot listen on {host} port {port}: {error.strerror}. Choose another one with --port", "port"
        ) from error
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a listening socket is reached from this machine."""
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:  # listening everywhere includes this machine
        address = ipaddress.ip_address("::1" if address.version == 6 else "127.0.0.1")
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine reaches the socket."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def run_server(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine to its end on the fastest event loop there is."""
    loop_factory = uvicorn.Config("", loop="auto", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


async def serve_until_signal(app: ASGIApp, listener: socket.socket) -> None:
    """Answer requests until SIGINT or SIGTERM. Returns once the last one is answered, without being killed by it."""
    server = _DrainingServer(
        uvicorn.Config(
            app,
            access_log=False,
            lifespan="off",
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=_CANCEL_SECONDS,
            ws_max_size=_MESSAGE_BYTES_MAX,
        )
    )
    # When uvicorn has ended it raises the signal that ended it once more, for the handlers of before. These do nothing:
    # the default ones would be the end of the process before the store is closed.
    loop = asyncio.get_running_loop()
    for number in _ENDING_SIGNALS:
        loop.add_signal_handler(number, lambda: None)
    try:
        with serving_heap():
            await server.serve(sockets=[listener])
            await asyncio.sleep(0)
    finally:
        for number in _ENDING_SIGNALS:
            loop.remove_signal_handler(number)


class _DrainingServer(uvicorn.Server):
    """Waits for requests for a while, and then leaves them to the runtime that closes after it.

    uvicorn would cancel them: their callers would get a status 500 that says nothing, and the log a traceback, because
    a service took its time.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        enough = asyncio.get_running_loop().call_later(_DRAIN_SECONDS, self._wait_no_longer)
        try:
            await super().shutdown(sockets)
        finally:
            enough.cancel()

    def _wait_no_longer(self) -> None:
        self.force_exit = True


class _RefusedUpgrades(logging.Filter):
    """Drops what uvicorn says of every WebSocket that is refused by status, as if it were a fault of ours.

    Whoever knocks with a bad token would write a line at level error each time.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "ASGI callable returned without completing handshake."


def configure_log(*, level: str = "info") -> None:
    """Log to standard error: lines for a person in a terminal, JSON otherwise."""
    rendering: list[Processor]
    if sys.stderr.isatty():
        rendering = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:
        rendering = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    PROCESSORS[:] = [
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *rendering,
    ]
    numeric = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(
        level=max(numeric, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn.error").addFilter(_RefusedUpgrades())
    ours = logging.getLogger("perdure")
    ours.setLevel(numeric)
    ours.propagate = False
    ours.handlers = [logging.StreamHandler(sys.stderr)]  # what comes here is rendered already
