"""What commands print: tables and colour for a person, one JSON document for a program.

Standard output carries the answer and nothing else, so that ``--json`` can be piped; everything said beside it
(progress, hints, errors) goes to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perdure import wire
from perdure.errors import AuthorizerRefused, InvalidToken, MissingScope, PerdureError
from perdure.json_value import Json, encode_json

__all__ = ["Output", "console", "json_text", "print_error", "shown_state", "shown_time", "state_paths"]

_PIPED_WIDTH = 200
"""Columns where there is no terminal to ask: wide enough that nothing a script greps for is wrapped."""

_HINTS: dict[type[PerdureError], str] = {
    InvalidToken: "Give a fresh one (--token), or a key to sign with (--key-id and --key-secret).",
    MissingScope: "Use a key that has it: `perdure keys create NAME --scope SCOPE`.",
    AuthorizerRefused: "Sign the token with another identity: `perdure token --act '{\"sub\": …}'`.",
}


class Output:
    """Where a command's answer goes."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._console = console(stderr=False)

    def document(self, value: Json) -> None:
        """One JSON document on a line of its own."""
        sys.stdout.write(json_text(value) + "\n")
        sys.stdout.flush()

    def answer(self, value: Json, *lines: str | Text) -> None:
        """The value for a program, or the lines for a person."""
        if self.as_json:
            self.document(value)
            return
        for line in lines:
            self._console.print(line, highlight=False, soft_wrap=True)

    def table(self, values: Sequence[Json], columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
        """A list: all values as one JSON array, or a row for each."""
        if self.as_json:
            self.document(list(values))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")  # what does not fit goes on below: an id cut short is of no use
        for row in rows:
            table.add_row(*row)
        if table.row_count:
            self._console.print(table)
        else:
            say("none yet")

    def state(self, machine: str, instance: str, state: wire.State) -> None:
        """An instance's state."""
        if self.as_json:
            self.document(state)
            return
        line = Text.assemble((f"{machine}/{instance}", "bold"), "  ", shown_state(state.state, done=state.done))
        line.append(f"  {shown_time(wire.wire_time(state.ts))}", "dim")
        if state.tags:
            line.append(f"  tags: {', '.join(state.tags)}", "cyan")
        self._console.print(line, highlight=False, soft_wrap=True)
        if state.public_context not in (None, {}):
            self._console.print(Text(f"  {json_text(state.public_context)}"), soft_wrap=True)


def say(message: str | Text) -> None:
    """A remark for a person, beside the answer."""
    console(stderr=True).print(message, highlight=False, soft_wrap=True)


def print_error(error: PerdureError, *, place: str | None = None) -> None:
    """What was wrong, and what to do about it; and where, if the error does not say so itself."""
    line = Text.assemble(("error: ", "bold red"), (f"{place}: " if place is not None else ""), str(error))
    hint = next((text for kind, text in _HINTS.items() if isinstance(error, kind)), None)
    if hint is not None:
        line.append(f"\n{hint}", "dim")
    say(line)


def json_text(value: Json) -> str:
    return encode_json(value).decode()


def shown_state(value: Json, *, done: bool = False) -> Text:
    """A state value in colour: done ones green, others yellow."""
    return Text(", ".join(state_paths(value)) + (" (done)" if done else ""), "green" if done else "yellow")


def state_paths(value: Json) -> list[str]:
    """The active leaves of a state value, each as its path: ``{"pay": "due", "ship": "packed"}`` has two."""
    if isinstance(value, dict):
        return [
            f"{parent}.{path}" if path else parent
            for parent, child in value.items()
            for path in (state_paths(child) or [""])
        ]
    return [str(value)]


def shown_time(iso: str) -> str:
    """A wire time for a person: to the second, in UTC."""
    return iso.replace("T", " ").partition(".")[0].removesuffix("Z")


def builtins(value: msgspec.Struct) -> Json:
    """A wire message as plain JSON, to be put into a larger document."""
    return msgspec.to_builtins(value)


def console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _PIPED_WIDTH)
