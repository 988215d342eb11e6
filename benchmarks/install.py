"""What ``pip install perdure`` brings, and how long it takes from there to the first durable result.

Builds the wheel of this tree, installs it with pip into a fresh virtual environment as a stranger would, counts what
came along, and runs the README's program, whose instance is in a file when it has answered. Needs the package index
that pip is configured for. ``python -m benchmarks.install [EXTRA]``, such as ``server``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STEP_SECONDS_MAX = 240

LISTING = """
import importlib.metadata, json
sizes = {}
for found in importlib.metadata.distributions():
    name = found.metadata["Name"].lower()
    files = [found.locate_file(file) for file in found.files or () if not str(file).endswith(".pyc")]
    sizes[name] = sum(file.stat().st_size for file in files if file.is_file())
print(json.dumps(sizes))
"""

PROGRAM = """
import asyncio, perdure

switch = perdure.create_machine({"id": "switch", "initial": "off", "states": {"off": {"on": {"FLIP": "on"}}, "on": {}}})

async def main():
    async with perdure.open("sqlite:///app.db", machines=[("switch", switch)]) as runtime:
        await runtime.create_instance(perdure.address("switch", "kitchen"))
        print((await runtime.send(perdure.address("switch", "kitchen"), "FLIP")).state)

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """A fresh environment with perdure in it."""

    folder: Path
    sizes: dict[str, int]
    """Bytes of every distribution that came along, perdure itself left out."""
    perdure_bytes: int
    seconds: float
    """What pip took, with whatever it had cached."""

    @property
    def python(self) -> Path:
        return python_of(self.folder)

    def run(self, code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a program there; none of this tree's code is on its path."""
        return run([self.python, "-c", code], cwd=cwd)


def build_wheel(folder: Path) -> Path:
    """The wheel of this tree, built into ``folder``."""
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], cwd=folder)
    (wheel,) = folder.glob("perdure-*.whl")
    return wheel


def install(wheel: Path, folder: Path, extra: str = "") -> Installed:
    """Make an environment and install the wheel with pip, perhaps with an extra."""
    venv.create(folder, with_pip=True)
    own = json.loads(run([python_of(folder), "-c", LISTING], cwd=folder).stdout)
    requirement = f"{wheel}[{extra}]" if extra else str(wheel)
    started = time.perf_counter()
    pip: list[str | Path] = [
        python_of(folder),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        requirement,
    ]
    run(pip, cwd=folder)
    seconds = time.perf_counter() - started
    sizes = json.loads(run([python_of(folder), "-c", LISTING], cwd=folder).stdout)
    perdure_bytes = sizes.pop("perdure")
    return Installed(
        folder=folder,
        sizes={name: size for name, size in sorted(sizes.items()) if name not in own},
        perdure_bytes=perdure_bytes,
        seconds=seconds,
    )


def python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def run(command: Sequence[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command without our own ``PYTHONPATH``; fails with what it said."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=STEP_SECONDS_MAX, check=False
    )
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {result.returncode}:\n{result.stderr}")
    return result


def main() -> None:
    extra = sys.argv[1] if len(sys.argv) > 1 else ""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        installed = install(build_wheel(folder), folder / "venv", extra)
        for dependency, size in installed.sizes.items():
            print(f"{dependency:<32}{size / 1e6:>8.2f} MB")
        total = sum(installed.sizes.values())
        own = installed.perdure_bytes
        print(f"{len(installed.sizes)} dependencies, {total / 1e6:.2f} MB, and perdure {own / 1e6:.2f} MB")
        started = time.perf_counter()
        printed = installed.run(PROGRAM, folder).stdout.strip()
        first = time.perf_counter() - started
        assert printed == "on", printed
        print(
            f"from `pip install` to the first durable result: {installed.seconds + first:.1f} s "
            f"(pip {installed.seconds:.1f} s, the program {first:.2f} s), 2 commands"
        )


if __name__ == "__main__":
    main()
