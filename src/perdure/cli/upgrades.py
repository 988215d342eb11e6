"""``perdure upgrades``: moving all instances of a machine to another version, after a look at what that would do.

The server is asked page by page, and keeps nothing of it: Ctrl-C stops between two pages, and the same command again
goes on, since instances that are there already are passed over. Instances that fail stay as they were and are listed in
a **rescue list**, a file of JSON lines that a later ``--only`` takes.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from perdure.cli.connection import Session, connected
from perdure.cli.instances import MachineArgument
from perdure.cli.output import Output, builtins, json_text, say
from perdure.cli.progress import progress_bar
from perdure.cli.versions import version_id
from perdure.clock import SystemClock
from perdure.errors import InvalidParameter
from perdure.json_value import JsonObject
from perdure.wire_evolution import UpgradeOutcome, UpgradeOutcomes

if TYPE_CHECKING:
    from perdure.client import AsyncClient

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Upgrades: moving the instances of a machine to another version.")

NOTHING_TO_DO = ("there", "ended")
"""Kinds of outcomes that cost the server next to nothing, and that no rate is for."""
EXAMPLES = 5
"""How many instances are named for one reason to fail."""

ToOption = Annotated[str, typer.Option("--to", metavar="VERSION", help="The version to move to, or `current`.")]
BatchOption = Annotated[int, typer.Option("--batch", min=1, max=1000, help="Instances in one request.")]
OnlyOption = Annotated[
    Path | None,
    typer.Option("--only", metavar="FILE", exists=True, dir_okay=False, help="Only the instances of a rescue list."),
]


class Failure(msgspec.Struct, frozen=True):
    """A line of a rescue list."""

    instance: str
    code: str | None = None
    error: str | None = None


@dataclass
class Tally:
    """What has come out so far."""

    kinds: Counter[str] = field(default_factory=Counter)
    moves: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failures: dict[str, Failure] = field(default_factory=dict)
    asked_for: set[str] = field(default_factory=set)
    was_stopped: bool = False

    def add(self, outcome: UpgradeOutcome) -> None:
        self.kinds[outcome.kind] += 1
        self.asked_for.add(outcome.instance)
        if outcome.kind == "failed":
            self.failures[outcome.instance] = Failure(outcome.instance, outcome.code, outcome.error)
        elif outcome.kind == "moved":
            source = outcome.machine_version_id or ""
            self.moves[source, outcome.before or "", outcome.after or ""] += 1


@app.command("plan")
@connected
def plan(
    session: Session, machine: MachineArgument, to: ToOption, batch: BatchOption = 100, only: OnlyOption = None
) -> None:
    """Say who would move where, and who would break and why. Changes nothing; exits with 1 if anybody would break."""
    with session.client() as client:
        target = version_id(client, machine, to)
        names = instances_of(only)
        total = sum(item.instances for item in client.population(machine)) if names is None else len(names)

    def ask(client: AsyncClient, instances: list[str] | None, cursor: str | None) -> Awaitable[UpgradeOutcomes]:
        return client.plan_upgrade(machine, target, instances=instances, cursor=cursor, limit=batch)

    tally = work_through(session, ask, chunks(names, batch), "planning", total)
    session.out.answer(shown(target, tally), f"{machine} to {target}")
    if not session.out.as_json:
        show_moves(session.out, tally)
        show_kinds(tally, moved="would move", failed="would break")
    end(tally)


@app.command("apply")
@connected
def apply(
    session: Session,
    machine: MachineArgument,
    to: ToOption,
    batch: BatchOption = 100,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.001, help="Try at most so many instances a second.")
    ] = None,
    rescue: Annotated[
        Path | None, typer.Option("--rescue", metavar="FILE", help="Where to list who failed. Default: by machine.")
    ] = None,
    only: OnlyOption = None,
) -> None:
    """Move all instances to a version. Ctrl-C stops, and the same command again goes on. Exits with 1 if any failed.

    An instance that is paused, or runs a service, moves with its next event instead.
    """
    path = rescue or only or Path(f"{machine}-upgrade-rescue.jsonl")
    ensure_writable(path)
    with session.client() as client:
        target = version_id(client, machine, to)
        names = instances_of(only)
        total = sum(item.instances for item in client.population(machine)) if names is None else len(names)
    batch = batch if rate is None else max(1, min(batch, int(rate)))

    def ask(client: AsyncClient, instances: list[str] | None, cursor: str | None) -> Awaitable[UpgradeOutcomes]:
        return client.apply_upgrade(machine, target, instances=instances, cursor=cursor, limit=batch)

    tally = work_through(session, ask, chunks(names, batch), "upgrading", total, rate=rate)
    untried = [] if names is None else [name for name in names if name not in tally.asked_for]
    if tally.failures or only is not None:
        lines = [*tally.failures.values(), *(Failure(name) for name in untried if tally.was_stopped)]
        path.write_text("".join(json_text(line) + "\n" for line in lines), encoding="utf-8")
    session.out.answer(shown(target, tally), f"{machine} to {target}")
    if not session.out.as_json:
        show_kinds(tally, moved="moved", failed="failed")
    if tally.failures:
        say(f"they are listed in {path}: put it right, then go on with --only {path}")
    end(tally)


# -- going through the pages -------------------------------------------------------------------------------------------


def work_through(
    session: Session,
    ask: Callable[[AsyncClient, list[str] | None, str | None], Awaitable[UpgradeOutcomes]],
    parts: list[list[str] | None],
    title: str,
    total: int,
    *,
    rate: float | None = None,
) -> Tally:
    """Ask for page after page of each part until the end, or Ctrl-C."""
    tally, clock = Tally(), SystemClock()

    async def run(reached: Callable[[int, int], None]) -> None:
        started_at, done, tried, cursor = clock.now(), 0, 0, None
        async with session.async_client() as client:
            while parts:
                page = await ask(client, parts[0], cursor)
                for outcome in page.outcomes:
                    tally.add(outcome)
                done, cursor = done + len(page.outcomes), page.cursor
                tried += sum(outcome.kind not in NOTHING_TO_DO for outcome in page.outcomes)
                reached(done, total)
                if cursor is None:
                    parts.pop(0)
                if rate is not None and parts:
                    await clock.sleep(started_at + tried / rate * 1000 - clock.now())

    with progress_bar(title, is_shown=not session.out.as_json) as reached:
        try:
            asyncio.run(run(reached))
        except KeyboardInterrupt:
            tally.was_stopped = True
    return tally


def chunks(names: Sequence[str] | None, size: int) -> list[list[str] | None]:
    """What to ask for: all instances, or the named ones, so many at a time."""
    if names is None:
        return [None]
    return [list(names[start : start + size]) for start in range(0, len(names), size)]


def instances_of(path: Path | None) -> list[str] | None:
    """The instances in a rescue list. Raises ``InvalidParameter`` for what is none."""
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [msgspec.json.decode(line, type=Failure).instance for line in lines if line.strip()]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidParameter(
            f'{path} is no rescue list ({error}): each line is like {{"instance": "a"}}', "--only"
        ) from error


def ensure_writable(path: Path) -> None:
    """Raise ``InvalidParameter`` unless a rescue list can be written there: before anybody fails, not afterwards."""
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InvalidParameter(f"cannot write a rescue list to {path}: give another place with --rescue", "--rescue")


# -- showing -----------------------------------------------------------------------------------------------------------


def shown(target: str, tally: Tally) -> JsonObject:
    """What has come out, for programs."""
    return {
        "targetMachineVersionId": target,
        "counts": dict(tally.kinds),
        "moves": [
            {"fromMachineVersionId": version, "before": before, "after": after, "instances": count}
            for (version, before, after), count in sorted(tally.moves.items())
        ],
        "failures": [builtins(failure) for failure in tally.failures.values()],
        "stopped": tally.was_stopped,
    }


def show_moves(out: Output, tally: Tally) -> None:
    if tally.moves:
        out.table(
            list(tally.moves),
            ["instances", "version", "before", "after"],
            (
                [str(count), version, before, after]
                for (version, before, after), count in sorted(tally.moves.items(), key=lambda item: -item[1])
            ),
        )


def show_kinds(tally: Tally, *, moved: str, failed: str) -> None:
    words = {
        "moved": moved,
        "pending": "move with their next event",
        "there": "are there already",
        "ended": "have ended",
        "failed": failed,
    }
    say(", ".join(f"{tally.kinds[kind]} {text}" for kind, text in words.items() if tally.kinds[kind]) or "no instances")
    reasons: dict[str, list[str]] = defaultdict(list)
    for failure in tally.failures.values():
        reasons[failure.error or ""].append(failure.instance)
    for reason, instances in reasons.items():
        more = f" and {len(instances) - EXAMPLES} more" if len(instances) > EXAMPLES else ""
        say(f"  {', '.join(instances[:EXAMPLES])}{more}: {reason}")


def end(tally: Tally) -> None:
    if tally.was_stopped:
        say("stopped: the same command again goes on")
        raise typer.Exit(130)
    if tally.failures:
        raise typer.Exit(1)
