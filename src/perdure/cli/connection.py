"""How commands reach a server: flags first, then the environment, then a named profile, then the ``perdure dev``
of this directory, then the current profile.

``@connected`` gives a command the options for that, and ``--json``, so that every command has the same ones. The
development server leaves its address and key in ``.perdure/dev.json``, which only its owner may read.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from perdure.cli.output import Output
from perdure.cli.profiles import Profile, read_profile
from perdure.clock import SystemClock
from perdure.errors import InvalidParameter

if TYPE_CHECKING:
    from perdure.client import AsyncClient, Client

__all__ = ["DEV_FILE", "DevConnection", "Session", "connected", "read_dev_connection"]

DEV_FILE = Path(".perdure") / "dev.json"

_TOKEN_LIFETIME = timedelta(minutes=10)

UrlOption = Annotated[
    str | None,
    typer.Option("--url", envvar="PERDURE_URL", help="The server. Default: the `perdure dev` of this directory."),
]
TokenOption = Annotated[str | None, typer.Option("--token", envvar="PERDURE_TOKEN", help="A signed token.")]
KeyIdOption = Annotated[
    str | None, typer.Option("--key-id", envvar="PERDURE_KEY_ID", help="A key to sign tokens with, instead of a token.")
]
KeySecretOption = Annotated[
    str | None, typer.Option("--key-secret", envvar="PERDURE_KEY_SECRET", help="The secret of that key.")
]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", envvar="PERDURE_PROFILE", help="A server of `perdure profiles list`, with its key."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class DevConnection(msgspec.Struct, frozen=True, kw_only=True):
    """What ``perdure dev`` leaves for the other commands."""

    url: str
    org: str
    key_id: str
    key_secret: str
    token: str


class Session:
    """One run of a command: the server it talks to, and where its answer goes."""

    def __init__(
        self,
        *,
        url: str | None,
        token: str | None,
        key_id: str | None,
        key_secret: str | None,
        profile: str | None,
        as_json: bool,
    ) -> None:
        self.out = Output(as_json=as_json)
        stored = self._stored(profile, has_server=url is not None or token is not None or key_id is not None)
        if stored is not None:
            url = url if url is not None else stored.url
            if token is None and key_id is None and key_secret is None:
                token, key_id, key_secret = stored.token, stored.key_id, stored.key_secret
        self._url = url
        self._token = token
        self._key_id = key_id
        self._key_secret = key_secret

    @staticmethod
    def _stored(name: str | None, *, has_server: bool) -> Profile | None:
        """The profile to take what is not given from. A development server of this directory comes before the current
        one, and whoever says where to go or as whom means that and no profile."""
        if name is None and (has_server or DEV_FILE.exists()):
            return None
        return read_profile(name)

    def client(self) -> Client:
        """A client of the server. Raises ``InvalidParameter`` when no server, token or key is known."""
        from perdure.client import Client

        url, token = self._connection()
        return Client(url, token)

    def async_client(self) -> AsyncClient:
        """The same for coroutines."""
        from perdure.client import AsyncClient

        url, token = self._connection()
        return AsyncClient(url, token)

    def signing_key(self) -> tuple[str, str]:
        """The id and secret of the key to sign with. Raises ``InvalidParameter`` when none is known."""
        if self._key_id is not None and self._key_secret is not None:
            return self._key_id, self._key_secret
        if (self._key_id is None) != (self._key_secret is None):
            missing = "--key-id (PERDURE_KEY_ID)" if self._key_id is None else "--key-secret (PERDURE_KEY_SECRET)"
            raise InvalidParameter(f"a key has an id and a secret: give {missing} too", "key")
        dev = read_dev_connection()
        if dev is None or self._url not in (None, dev.url):
            raise InvalidParameter(
                "no token and no key: give --token (PERDURE_TOKEN), or --key-id and --key-secret "
                "(PERDURE_KEY_ID, PERDURE_KEY_SECRET), or run this beside a `perdure dev`",
                "token",
            )
        return dev.key_id, dev.key_secret

    def _connection(self) -> tuple[str, str | Callable[[], str]]:
        dev = read_dev_connection()
        url = self._url or (dev.url if dev is not None else None)
        if url is None and (self._token is not None or self._key_id is not None):
            raise InvalidParameter(
                "no server for the token or the key that is given: say which with --url (PERDURE_URL), or with "
                "--profile for one that `perdure profiles list` has",
                "url",
            )
        if url is None:
            raise InvalidParameter(
                "no server: give --url (PERDURE_URL), keep one with `perdure profiles add`, or start one here with "
                "`perdure dev PATH…`",
                "url",
            )
        if self._token is not None:
            return url, self._token
        from perdure.tokens import sign_token

        key_id, key_secret = self.signing_key()
        clock = SystemClock()
        # The development key stands for the developer, whom machines know by the same name as in the printed token.
        act = {"sub": "dev"} if self._key_id is None else {}
        return url, lambda: sign_token(key_id, key_secret, act, now=clock.now(), expires_in=_TOKEN_LIFETIME)


def read_dev_connection() -> DevConnection | None:
    """The development server of this directory, or ``None``."""
    try:
        return msgspec.json.decode(DEV_FILE.read_bytes(), type=DevConnection)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidParameter(f"cannot read {DEV_FILE}: {error}. Remove it and start `perdure dev` again") from error


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the connection options; its first parameter becomes the ``Session`` made from them."""
    signature = inspect.signature(command, eval_str=True)
    session_parameter, *own = signature.parameters.values()
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, annotation, default in (
            ("url", UrlOption, None),
            ("token", TokenOption, None),
            ("key_id", KeyIdOption, None),
            ("key_secret", KeySecretOption, None),
            ("profile", ProfileOption, None),
            ("as_json", JsonOption, False),
        )
    ]

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        connection = {option.name: arguments.pop(option.name) for option in options}
        command(**{session_parameter.name: Session(**connection)}, **arguments)

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + options
    # typer reads the signature and the annotations of what it is given, not of what that wraps.
    vars(run)["__signature__"] = signature.replace(parameters=parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
