"""From settings to running things: the only module that knows every adapter.

Stores are named by URL. Key secrets lie in the store sealed with a **master key**, which lies elsewhere: in the
environment (``PERDURE_MASTER_KEY``) or in a file beside the database that only its owner may read. Whoever has the
database but not the master key can sign no token.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

from perdure.clock import SystemClock, TimerClock
from perdure.durable.definition import Definition
from perdure.durable.records import Address, OrgRecord, VersionRecord
from perdure.durable.runtime import Runtime, RuntimeSettings
from perdure.durable.store import Store
from perdure.entropy import Entropy, SystemEntropy
from perdure.errors import InvalidParameter, InvalidState
from perdure.hosts.in_process import InProcessHost, definition_of
from perdure.machine_files import MachineFile, find_machine_files
from perdure.statechart.machine import Machine
from perdure.stores.memory import MemoryStore
from perdure.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from perdure.server.secrets import SecretBox
    from perdure.server.settings import ServerSettings

__all__ = [
    "DEFAULT_ORG",
    "MASTER_KEY_VARIABLE",
    "address",
    "Service",
    "create_store",
    "deploy_machine_file",
    "ensure_default_org",
    "find_master_key",
    "fresh_master_key_path",
    "make_master_key",
    "master_key_path",
    "open",
    "open_runtime",
    "open_service",
    "open_store",
    "require_master_key",
    "sqlite_path",
]

DEFAULT_ORG = "org_defaultAAAAAAAAAAAAAAA"
"""What belongs to no other org belongs to this one, which has the same id everywhere."""

MASTER_KEY_VARIABLE = "PERDURE_MASTER_KEY"
MASTER_KEY_CHARACTERS_MIN = 32

_SQLITE = "sqlite:///"
_MEMORY = "memory://"


MachineSource: TypeAlias = str | Path | ModuleType | tuple[str, Definition | Machine]
"""A machine file or a directory of them; an imported module; or a name with a definition, or with a bare machine."""


def address(machine: str, instance: str, *, org: str = DEFAULT_ORG) -> Address:
    """Where an instance lives; in the default org, which is the one that ``open`` uses."""
    return Address(org, machine, instance)


@asynccontextmanager
async def open(
    url: str = "sqlite:///perdure.db",
    machines: Iterable[MachineSource] = (),
    *,
    settings: RuntimeSettings | None = None,
    clock: TimerClock | None = None,
    entropy: Entropy | None = None,
) -> AsyncIterator[Runtime]:
    """Durable instances inside this program: a started runtime, closed on the way out.

    ``async with perdure.open("sqlite:///app.db", ["machines/"]) as runtime:``. The machines belong to ``DEFAULT_ORG``
    and are current from then on. Files are stored with the instances that run them; modules and pairs are code of
    this program, which has to bring them along whenever it opens the store. Of a bare machine the program itself and
    other instances may do anything, and callers over the network nothing. ``settings`` are limits and times other than
    the usual ones. Raises ``InvalidParameter`` for what is no list of such things, and what ``create_store``,
    ``Store.open`` and ``Runtime.deploy`` raise.
    """
    clock = clock if clock is not None else SystemClock()
    entropy = entropy if entropy is not None else SystemEntropy()
    sources = _checked_sources(machines)
    files = find_machine_files([Path(source) for source in sources if isinstance(source, str | Path)])
    runtime = Runtime(create_store(url), InProcessHost(), clock=clock, entropy=entropy, settings=settings)
    try:
        await runtime.store.open()
        org = await ensure_default_org(runtime.store, clock)
        for file in files:
            await deploy_machine_file(runtime, org, file)
        for source in sources:
            if isinstance(source, ModuleType | tuple):
                await runtime.register(org, *_named_definition(source))
        await runtime.start()  # only now: what is due must find the code of this program
        yield runtime
    finally:
        await runtime.close()


def _checked_sources(machines: Iterable[MachineSource]) -> list[MachineSource]:
    """The sources, each of a kind there is. To Python, text is a list of letters; and a machine alone has no name."""
    if isinstance(machines, str | Mapping):
        raise InvalidParameter(
            f'machines is a list, not one {type(machines).__name__}: write ["order.py"] or [("order", machine)]',
            "machines",
        )
    checked: list[MachineSource] = []
    given: Iterable[object] = machines
    for source in given:
        if not isinstance(source, str | Path | ModuleType | tuple):
            raise InvalidParameter(
                f"a {type(source).__name__} alone is no source of a machine: give a machine file, a module, or a pair "
                'of a name and a machine, such as ("order", machine)',
                "machines",
            )
        checked.append(source)
    return checked


def _named_definition(source: ModuleType | tuple[str, Definition | Machine]) -> tuple[str, Definition]:
    if isinstance(source, ModuleType):
        name = getattr(source, "name", None) or source.__name__.rpartition(".")[2].replace("_", "-")
        return name, definition_of(vars(source), getattr(source, "__file__", None) or source.__name__)
    name, definition = source
    if isinstance(definition, Machine):
        definition = Definition(
            machine=definition,
            allow_read=lambda request: False,
            allow_write=lambda request: request.sender is not None,
        )
    return name, definition


# -- stores ------------------------------------------------------------------------------------------------------------


def create_store(url: str) -> Store:
    """The store that a URL names, not opened yet. Raises ``InvalidParameter`` for one that names none.

    ``sqlite:///data/app.db`` is a path from the working directory, ``sqlite:////var/lib/app.db`` an absolute one,
    ``memory://`` a store that ends with the process.
    """
    if url == _MEMORY:
        return MemoryStore()
    path = sqlite_path(url)
    if path is not None:
        return SqliteStore(path)
    scheme = url.partition(":")[0]
    raise InvalidParameter(
        f"{url!r} names no store: there is no scheme {scheme!r}. Say sqlite:///path/to/file.db or memory://", "store"
    )


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite store's URL, or ``None`` for the URL of another kind of store."""
    if not url.startswith("sqlite:"):
        return None
    path = unquote(url.removeprefix(_SQLITE))
    if not url.startswith(_SQLITE) or not path:
        raise InvalidParameter(
            f"{url!r} names no file: say sqlite:///file.db for a path from here, sqlite:////var/lib/file.db for an "
            "absolute one, or memory:// for a store that ends with the process",
            "store",
        )
    return Path(path)


# -- the master key ----------------------------------------------------------------------------------------------------


def find_master_key(store_url: str, environment: Mapping[str, str] = os.environ) -> bytes | None:
    """The master key from the environment, or from the file beside the database; ``None`` when there is none.

    Raises ``InvalidParameter`` for a key that is too short, and for a key file that others may read.
    """
    given = environment.get(MASTER_KEY_VARIABLE)
    if given is not None:
        return _long_enough(given.encode(), MASTER_KEY_VARIABLE)
    path = master_key_path(store_url)
    if path is None or not path.exists():
        return None
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidParameter(f"others may read the master key in {path}: run `chmod 600 {path}`", "master_key")
    return _long_enough(path.read_bytes().strip(), str(path))


def _long_enough(key: bytes, source: str) -> bytes:
    if len(key) < MASTER_KEY_CHARACTERS_MIN:
        raise InvalidParameter(
            f"the master key in {source} is too short: give it {MASTER_KEY_CHARACTERS_MIN} random characters or more, "
            "such as `openssl rand -base64 32` prints",
            "master_key",
        )
    return key


def make_master_key(store_url: str, entropy: Entropy) -> bytes:
    """A fresh master key, kept in the file beside the database (mode 600); of a store in memory it is kept nowhere.

    Raises ``FileExistsError`` where there is one, and ``InvalidParameter`` where no file can be written.
    """
    key = entropy.secret().encode()
    path = master_key_path(store_url)
    if path is not None:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InvalidParameter(f"the directory {path.parent} does not exist: create it first", "store") from error
        except PermissionError as error:
            raise InvalidParameter(
                f"cannot write the master key to {path}: {error.strerror}. Choose a directory that you may write to",
                "store",
            ) from error
        with os.fdopen(handle, "wb") as file:
            file.write(key + b"\n")
    return key


def master_key_path(store_url: str) -> Path | None:
    """The file beside the database that holds its master key; a store in memory has none."""
    database = sqlite_path(store_url)
    return None if database is None else database.with_name(f"{database.name}.key")


def fresh_master_key_path(path: Path) -> Path:
    """Where the next master key lies while the secrets are being sealed again for it."""
    return path.with_name(f"{path.name}.new")


def require_master_key(store_url: str) -> bytes:
    """``find_master_key``, or an ``InvalidParameter`` that says how to make one."""
    create_store(store_url)  # a wrong URL is the first thing to say
    path = master_key_path(store_url)
    if path is not None and fresh_master_key_path(path).exists():
        raise InvalidParameter(
            f"a change of the master key of {store_url} was interrupted: finish it with "
            f"`perdure keys rotate-master --store {store_url}`",
            "master_key",
        )
    key = find_master_key(store_url)
    if key is not None:
        return key
    if path is None:
        raise InvalidParameter(
            f"a server over {store_url} would have no key that anybody could sign a token with: "
            "use a store with a file, or `perdure dev --store memory://`",
            "store",
        )
    raise InvalidParameter(
        f"there is no master key for {store_url}, under which the secrets of keys are kept. Make one and back it up: "
        f"`(umask 077; openssl rand -base64 32 > {path})`, or set {MASTER_KEY_VARIABLE} to 32 random characters",
        "master_key",
    )


# -- running things ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Everything that a running server consists of."""

    store: Store
    runtime: Runtime
    secret_box: SecretBox
    app: Starlette
    org: str
    """``DEFAULT_ORG``, which is there."""


@asynccontextmanager
async def open_service(
    store_url: str,
    *,
    master_key: bytes,
    settings: ServerSettings,
    clock: TimerClock,
    entropy: Entropy,
    runtime_settings: RuntimeSettings | None = None,
    anonymous_access: bool = False,
) -> AsyncIterator[Service]:
    """A started runtime over a store, and the HTTP application over that; closed in reverse order.

    With ``anonymous_access`` the default org takes anonymous sessions from then on.
    """
    # A program that embeds the runtime does not pay for the server.
    from perdure.server.anonymous import allow_anonymous_access
    from perdure.server.app import create_app
    from perdure.server.secrets import SecretBox

    secret_box = SecretBox(master_key, entropy)
    async with open_runtime(store_url, clock=clock, entropy=entropy, settings=runtime_settings) as runtime:
        app = create_app(
            runtime, settings=settings, secret_box=secret_box, clock=clock, entropy=entropy, owns_runtime=False
        )
        org = await ensure_default_org(runtime.store, clock)
        if anonymous_access:
            await allow_anonymous_access(runtime.store, org, now=clock.now(), entropy=entropy, secret_box=secret_box)
        yield Service(store=runtime.store, runtime=runtime, secret_box=secret_box, app=app, org=org)


@asynccontextmanager
async def open_runtime(
    store_url: str, *, clock: TimerClock, entropy: Entropy, settings: RuntimeSettings | None = None
) -> AsyncIterator[Runtime]:
    """A started runtime over the store that a URL names. Machine code runs in this process."""
    store = create_store(store_url)
    async with Runtime(store, InProcessHost(), clock=clock, entropy=entropy, settings=settings) as runtime:
        yield runtime


@asynccontextmanager
async def open_store(store_url: str) -> AsyncIterator[Store]:
    """The store that a URL names, open. Raises ``InvalidParameter`` for such a URL, ``StoreError`` for the rest."""
    store = create_store(store_url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def ensure_default_org(store: Store, clock: TimerClock) -> str:
    """``DEFAULT_ORG``, created when the store does not have it."""
    with suppress(InvalidState):  # it has
        await store.create_org(OrgRecord(id=DEFAULT_ORG, name="default", created_at=clock.now()))
    return DEFAULT_ORG


async def deploy_machine_file(runtime: Runtime, org: str, file: MachineFile) -> tuple[VersionRecord, bool]:
    """The version that a machine file is, as the current one of its machine; and whether it is new.

    The machine is created when it is not there. Nothing happens when its current version has the same source. Raises
    what ``Runtime.deploy`` raises, and then the machine keeps the version it has.
    """
    machine = await runtime.store.machine(org, file.machine)
    if machine is None:
        machine = await runtime.create_machine(org, file.machine)
    if machine.current_version is not None:
        current = await runtime.store.version(machine.current_version)
        if current is not None and current.content_hash == hashlib.sha256(file.source.encode()).hexdigest():
            return current, False
    version = await runtime.deploy(org, file.machine, file.source, file_name=str(file.path), client_info=file.path.name)
    return version, True
