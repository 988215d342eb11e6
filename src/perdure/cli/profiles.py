"""``perdure profiles``: servers by name, with what it takes to talk to them.

They are kept in one file of the user's own configuration folder (``$XDG_CONFIG_HOME/perdure/profiles.json``, in
``~/.config`` where that is not set), which only its owner may read: it has the secrets of keys. A file that others may
read is refused, since nobody knows who has read it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from perdure.cli.output import Output
from perdure.errors import InvalidParameter, NotFound

__all__ = ["Profile", "app", "read_profile"]

app = typer.Typer(no_args_is_help=True, help="Servers by name, with their keys.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What the profile is called.")]


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A server, and a token or a key for it."""

    url: str
    token: str | None = None
    key_id: str | None = None
    key_secret: str | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True):
    profiles: dict[str, Profile] = {}
    current: str | None = None
    """The one for commands that name none."""


@app.command("add")
def add(
    name: NameArgument,
    url: Annotated[str, typer.Option("--url", help="The server.")],
    key_id: Annotated[str | None, typer.Option("--key-id", envvar="PERDURE_KEY_ID", help="A key's id.")] = None,
    key_secret: Annotated[
        str | None,
        typer.Option("--key-secret", envvar="PERDURE_KEY_SECRET", help="Its secret; asked for where it is not given."),
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", envvar="PERDURE_TOKEN", help="A token, instead of a key.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a server and a key for it, in the place of what had the name before. The first one becomes the current."""
    if (key_id is None) == (token is None):
        raise InvalidParameter("give --key-id, or --token, and not both", "key-id")
    if key_id is not None and key_secret is None:
        key_secret = typer.prompt("The key's secret (sbsec_…)", hide_input=True, err=True)
    kept = _read()
    profile = Profile(url=url, token=token, key_id=key_id, key_secret=key_secret)
    _write(_File(profiles={**kept.profiles, name: profile}, current=kept.current or name))
    Output(as_json=as_json).answer({"name": name, "url": url}, f"kept {name}: {url}")


@app.command("list")
def list_profiles(as_json: JsonOption = False) -> None:
    """List the profiles, without their secrets."""
    kept = _read()
    Output(as_json=as_json).table(
        [{"name": name, "url": each.url, "current": name == kept.current} for name, each in kept.profiles.items()],
        ["profile", "url", "key", ""],
        (
            [name, each.url, each.key_id or "a token", "current" * (name == kept.current)]
            for name, each in kept.profiles.items()
        ),
    )


@app.command("use")
def use(name: NameArgument, as_json: JsonOption = False) -> None:
    """Make a profile the current one: commands that name no server go there from now on."""
    kept = _read()
    _named(kept, name)
    _write(msgspec.structs.replace(kept, current=name))
    Output(as_json=as_json).answer({"name": name, "current": True}, f"{name} is the current profile")


@app.command("remove")
def remove(name: NameArgument, as_json: JsonOption = False) -> None:
    """Forget a profile. Its key goes on existing: `perdure keys delete` ends it."""
    kept = _read()
    _named(kept, name)
    left = {each: profile for each, profile in kept.profiles.items() if each != name}
    _write(_File(profiles=left, current=None if kept.current == name else kept.current))
    Output(as_json=as_json).answer({"name": name, "removed": True}, f"forgot {name}")


def read_profile(name: str | None) -> Profile | None:
    """The profile of that name; without a name the current one, ``None`` when there is none.

    Raises ``NotFound`` for a name that is not there, and ``InvalidParameter`` for a file that others may read.
    """
    kept = _read()
    if name is not None:
        return _named(kept, name)
    return kept.profiles.get(kept.current) if kept.current is not None else None


def _named(kept: _File, name: str) -> Profile:
    found = kept.profiles.get(name)
    if found is None:
        known = ", ".join(kept.profiles) or "none yet: `perdure profiles add NAME --url URL --key-id ID`"
        raise NotFound(f"there is no profile {name!r}. There are: {known}")
    return found


def _path() -> Path:
    folder = os.environ.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "perdure" / "profiles.json"


def _read() -> _File:
    path = _path()
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise InvalidParameter(f"others may read the secrets in {path}: run `chmod 600 {path}`", "profile")
            return msgspec.json.decode(file.read(), type=_File)
    except FileNotFoundError:
        return _File()
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidParameter(f"cannot read {path}: {error}. Mend it or remove it", "profile") from error


def _write(kept: _File) -> None:
    """Readable by its owner alone from the first byte on, and there whole or not at all."""
    path = _path()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_suffix(".json.new")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")
        fresh.replace(path)
    except OSError as error:
        raise InvalidParameter(f"cannot write {path}: {error.strerror}", "profile") from error
