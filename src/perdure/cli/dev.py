"""``perdure dev``: a server for the machine files in front of you.

Everything it needs it makes: a database, a master key, an org, a key with every scope, a token. It keeps them in
``.perdure/`` of the working directory, so a restart finds the same instances and the same key, and leaves the address
and the key there for the other commands. Instances keep the version they were created with; a changed file is what new
ones get.
"""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.text import Text

from perdure.cli.connection import DEV_FILE, DevConnection, read_dev_connection
from perdure.cli.output import print_error, say
from perdure.clock import Clock, SystemClock
from perdure.entropy import Entropy, SystemEntropy
from perdure.errors import InvalidParameter, MachineCodeError

if TYPE_CHECKING:
    import socket

    from perdure.bootstrap import Service
    from perdure.cli.reload import Broken, MachineFiles, Outcome

__all__ = ["dev"]

_KEY_NAME = "perdure dev"
_TOKEN_LIFETIME = timedelta(days=30)


def dev(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Machine files, or directories of them.")],
    store: Annotated[str, typer.Option("--store", metavar="URL", help="Where instances live.")] = (
        f"sqlite:///{DEV_FILE.parent}/dev.db"
    ),
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", envvar="PERDURE_PORT", min=0, max=65535, help="0: a free one.")] = 7373,
) -> None:
    """Serve machine files, reload them when they change, and print a token to begin with.

    A file's machine is named after it, front_door.py is `front-door`, unless it sets `name = "…"`.
    """
    from perdure.cli.serving import configure_log, is_loopback, listen, run_server
    from perdure.machine_files import python_files
    from perdure.server.settings import ServerSettings

    if not python_files(paths):
        raise InvalidParameter("there is no Python file in " + ", ".join(map(str, paths)), "path")
    configure_log(level="warning")
    _make_directory()
    clock, entropy = SystemClock(), SystemEntropy()
    master_key = _master_key(store, entropy)
    listener = listen(host, port)
    # Code that comes over the network runs here: fine from this machine, whose user started this, and from nowhere
    # else.
    settings = ServerSettings(
        allow_code_upload=is_loopback(listener),
        allow_org_creation=is_loopback(listener),
        open_metrics=is_loopback(listener),
    )

    async def main() -> None:
        from perdure.bootstrap import open_service

        service = open_service(
            store,
            master_key=master_key,
            settings=settings,
            clock=clock,
            entropy=entropy,
            anonymous_access=True,
        )
        async with service as running:
            await _serve_and_reload(running, paths, listener, clock, entropy)

    with listener:
        run_server(main)


async def _serve_and_reload(
    service: Service, paths: list[Path], listener: socket.socket, clock: Clock, entropy: Entropy
) -> None:
    from perdure.bootstrap import deploy_machine_file
    from perdure.cli.reload import MachineFiles, changes
    from perdure.cli.serving import serve_until_signal

    files = MachineFiles(paths, lambda file: deploy_machine_file(service.runtime, service.org, file))
    async with changes(paths) as changed:
        _report(await files.refresh())
        connection = await _connection(service, listener, clock, entropy)
        _leave_for_commands(connection)
        _introduce(connection)
        reloading = asyncio.create_task(_reload(files, changed))
        try:
            await serve_until_signal(service.app, listener)
        finally:
            reloading.cancel()
            await asyncio.gather(reloading, return_exceptions=True)
            if read_dev_connection() == connection:
                DEV_FILE.unlink(missing_ok=True)


async def _reload(files: MachineFiles, changed: asyncio.Event) -> None:
    while True:
        await changed.wait()
        changed.clear()
        try:
            _report(await files.refresh())
        except InvalidParameter as error:
            print_error(error)


def _report(outcomes: list[Outcome]) -> None:
    """What became of each file, a line or an error each."""
    from perdure.cli.reload import Broken

    for outcome in outcomes:
        if isinstance(outcome, Broken):
            print_error(outcome.error, place=_place(outcome))
        else:
            news = ("new version", "green") if outcome.is_new else ("unchanged", "dim")
            say(
                Text.assemble(
                    (outcome.file.machine, "bold"), f"  {outcome.file.path}  ", news, f"  {outcome.version.id}"
                )
            )


def _place(broken: Broken) -> str | None:
    """The file, and the line that builds the machine where that is known; nothing for an error that says so itself."""
    from perdure.hosts.in_process import line_in

    if isinstance(broken.error, MachineCodeError):
        return None
    line = line_in(broken.error, str(broken.path))
    return f"{broken.path}" if line is None else f"{broken.path}:{line}"


async def _connection(service: Service, listener: socket.socket, clock: Clock, entropy: Entropy) -> DevConnection:
    """The address, and the development key of the store: the one from last time, or a fresh one."""
    from perdure.cli.serving import url_of
    from perdure.tokens import sign_token

    key_id, secret = await _known_key(service) or await _fresh_key(service, clock, entropy)
    return DevConnection(
        url=url_of(listener),
        org=service.org,
        key_id=key_id,
        key_secret=secret,
        token=sign_token(key_id, secret, {"sub": "dev"}, now=clock.now(), expires_in=_TOKEN_LIFETIME),
    )


async def _known_key(service: Service) -> tuple[str, str] | None:
    from perdure.server.secrets import SecretUnreadable
    from perdure.tokens import SCOPES

    cursor: str | None = None
    while True:
        page = await service.store.list_keys(service.org, cursor=cursor, limit=100)
        for key in page.rows:
            if key.name == _KEY_NAME and set(key.scopes) == SCOPES:
                try:
                    return key.id, service.secret_box.open(key.sealed_secret, owner=key.id)
                except SecretUnreadable:
                    continue  # its master key is gone; another key costs nothing here
        cursor = page.cursor
        if cursor is None:
            return None


async def _fresh_key(service: Service, clock: Clock, entropy: Entropy) -> tuple[str, str]:
    from perdure.server.secrets import new_key
    from perdure.tokens import SCOPES

    record, pair = new_key(
        org=service.org,
        name=_KEY_NAME,
        scopes=tuple(sorted(SCOPES)),
        now=clock.now(),
        entropy=entropy,
        secret_box=service.secret_box,
    )
    await service.store.create_key(record)
    return pair.id, pair.secret


def _introduce(connection: DevConnection) -> None:
    say("")
    for name, value in (
        ("url", connection.url),
        ("org", connection.org),
        ("key id", connection.key_id),
        ("key secret", connection.key_secret),
        ("token", connection.token),
    ):
        say(Text.assemble((f"{name:<11}", "dim"), value))
    say(
        Text(
            "\nReady. Commands in this directory find it by themselves: perdure machines list. End it with Ctrl-C.",
            "dim",
        )
    )


def _make_directory() -> None:
    """The directory for what this makes: for its owner alone, and nothing for version control."""
    directory = DEV_FILE.parent
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        (directory / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise InvalidParameter(
            f"cannot write to {directory}: {error.strerror}. Run this where you may", "store"
        ) from error


def _master_key(store: str, entropy: Entropy) -> bytes:
    from perdure.bootstrap import find_master_key, make_master_key

    return find_master_key(store) or make_master_key(store, entropy)


def _leave_for_commands(connection: DevConnection) -> None:
    """Write the address and the key for the other commands, readable by their owner alone from the first byte on."""
    fresh = DEV_FILE.with_suffix(".json.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(connection), indent=2) + b"\n")
    fresh.replace(DEV_FILE)
