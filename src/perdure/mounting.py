"""perdure inside another web application: its API under a prefix, over a runtime that the application uses itself.

The application that it is mounted in starts and closes the runtime, as ASGI tells mounted applications nothing of
either; served on its own, the application made here starts the runtime and closes it. Both ways the same call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from perdure.bootstrap import DEFAULT_ORG, find_master_key, make_master_key
from perdure.durable.runtime import Runtime
from perdure.durable.store import Store
from perdure.stores.sqlite import SqliteStore
from perdure.tokens import KeyPair

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from perdure.server.settings import ServerSettings

__all__ = ["asgi", "create_key"]


def asgi(runtime: Runtime, *, settings: ServerSettings | None = None, master_key: bytes | None = None) -> Starlette:
    """The HTTP and WebSocket API of a runtime, to be mounted: ``app.mount("/perdure", perdure.asgi(runtime))``.

    The master key is the one given, the one of the environment, or the one beside the store's database, which is made
    when it is missing. Over a store in memory it is a fresh one, fit for the keys of this process. Needs
    ``perdure[server]``. Raises ``InvalidParameter`` for a master key that is too short or that others may read.
    """
    from perdure.server.app import create_app
    from perdure.server.secrets import SecretBox
    from perdure.server.settings import ServerSettings

    return create_app(
        runtime,
        settings=settings if settings is not None else ServerSettings(),
        secret_box=SecretBox(_master_key(runtime, master_key), runtime.entropy),
        clock=runtime.clock,
        entropy=runtime.entropy,
    )


async def create_key(
    runtime: Runtime, name: str, *, scopes: tuple[str, ...], org: str = DEFAULT_ORG, master_key: bytes | None = None
) -> KeyPair:
    """A key for the API of a started runtime, whose secret nothing shows again; sign tokens with it.

    Give the master key that ``asgi`` was given, if it was. ``perdure.tokens.KEY_USES`` has the usual scopes.
    """
    from perdure.server.secrets import SecretBox, new_key

    record, pair = new_key(
        org=org,
        name=name,
        scopes=scopes,
        now=runtime.clock.now(),
        entropy=runtime.entropy,
        secret_box=SecretBox(_master_key(runtime, master_key), runtime.entropy),
    )
    await runtime.store.create_key(record)
    return pair


_IN_MEMORY: WeakKeyDictionary[Store, bytes] = WeakKeyDictionary()
"""The master keys of stores in memory, which end with their stores."""


def _master_key(runtime: Runtime, given: bytes | None) -> bytes:
    if given is not None:
        return given
    store = runtime.store
    if isinstance(store, SqliteStore):
        url = f"sqlite:///{store.path}"
        return find_master_key(url) or make_master_key(url, runtime.entropy)
    return _IN_MEMORY.setdefault(store, runtime.entropy.secret().encode())
