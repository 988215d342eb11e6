"""``perdure check`` and ``perdure diagram``: what they print, and the exit codes that scripts rely on."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.live_server import DOOR

EXAMPLES = Path(__file__).parents[2] / "examples"

BROKEN = """from perdure import create_machine

machine = create_machine(
    {"initial": "idle", "states": {"idle": {"on": {"GO": "runing"}, "entree": "x"}, "running": {}}}
)
allow_read = allow_write = lambda request: True
"""

SUSPICIOUS = """from perdure import create_machine

machine = create_machine(
    {"initial": "a", "states": {"a": {"on": {"GO": ["a", "a"]}, "invoke": {"src": print, "id": "job"}}, "b": {}}}
)
allow_read = allow_write = lambda request: True
"""

CONFIG = {
    "id": "from-stately",
    "initial": "idle",
    "states": {
        "idle": {
            "entry": [{"type": "greet", "params": {"name": "you"}}],
            "on": {"GO": {"target": "busy", "cond": "is allowed"}},
            "after": {"1000": "busy", "soon": "busy"},
        },
        "busy": {"invoke": {"src": "work", "onDone": "idle", "onError": "idle"}},
    },
}


def write(file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    return file.name


def test_check_says_nothing_about_a_good_machine_but_that_it_looked(run: Run, tmp_path: Path) -> None:
    ran = run("check", write(tmp_path / "door.py", DOOR))
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert ran.stderr == "1 machine checked: nothing found\n"


def test_check_prints_every_defect_with_its_place_and_a_suggestion(run: Run, tmp_path: Path) -> None:
    ran = run("check", write(tmp_path / "light.py", BROKEN))
    assert ran.exit_code == 1
    assert ran.stdout.splitlines() == [
        "light.py:3: $.states.idle.entree: error: 'entree' is not a key that is allowed here. Did you mean 'entry'?",
        "light.py:3: $.states.idle.on.GO: error: the target 'runing' (str) does not resolve. Did you mean 'running'?",
    ]
    assert ran.stderr == "1 machine checked: 2 errors\n"


def test_check_prints_warnings_and_hints_and_fails_on_warnings_only_when_strict(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "light.py", SUSPICIOUS)
    ran = run("check", file)
    assert ran.exit_code == 0
    places = [line.split(": ")[:3] for line in ran.stdout.splitlines()]
    assert places == [
        [file, "$.states.a.on.GO[1]", "warning"],
        [file, "$.states.a.invoke", "hint"],
        [file, "$.states.b", "warning"],
    ]
    assert ran.stderr == "1 machine checked: 2 warnings, 1 hint\n"
    assert run("check", "--strict", file).exit_code == 1


def test_hints_never_fail(run: Run) -> None:
    ran = run("check", "--strict", str(EXAMPLES))
    assert (ran.exit_code, "warning" in ran.stdout) == (0, False)
    assert "nothing handles an error of the child 'child'" in ran.stdout


def test_check_answers_programs_in_json(run: Run, tmp_path: Path) -> None:
    files = [write(tmp_path / "broken.py", BROKEN), write(tmp_path / "odd.py", SUSPICIOUS)]
    ran = run("check", "--format", "json", *files)
    assert (ran.exit_code, ran.stderr) == (1, "")
    assert {key: value for key, value in ran.json.items() if key != "files"} == {"errors": 2, "warnings": 2, "hints": 1}
    broken, odd = ran.json["files"]
    assert (broken["file"], broken["machine"]) == ("broken.py", "broken")
    assert broken["remarks"][1] == {
        "severity": "error",
        "rule": "invalid-machine",
        "path": "$.states.idle.on.GO",
        "message": "the target 'runing' (str) does not resolve",
        "suggestion": "Did you mean 'running'?",
        "line": 3,
    }
    assert [remark["rule"] for remark in odd["remarks"]] == [
        "transition-never-wins",
        "invoke-without-on-error",
        "unreachable-state",
    ]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = (", "light.py:1: error: syntax error: '(' was never closed.\n"),
        ("machine = 1 / 0\n", "light.py:1: error: does not import: ZeroDivisionError: division by zero.\n"),
        (
            "from shapes import machine\n",
            "light.py:1: error: does not import: ModuleNotFoundError: No module named 'shapes'. A machine file stands",
        ),
        (
            "from perdure import asign as machine\n",
            "light.py:1: error: does not import: ImportError: cannot import name 'asign' from 'perdure' (",
        ),
        ("print(1)\n", "light.py: error: the file binds no `machine` at its top level"),
        (
            "from perdure import create_machine\nmachine = create_machine({})\n",
            "light.py: error: lacks allow_read, allow_write",
        ),
    ],
)
def test_check_finds_what_a_deployment_would_refuse(run: Run, tmp_path: Path, source: str, said: str) -> None:
    ran = run("check", write(tmp_path / "light.py", source))
    assert ran.exit_code == 1
    assert ran.stdout.startswith(said)


@pytest.mark.filterwarnings("ignore::ImportWarning")  # Python says that first, to those who ask to be warned
def test_check_says_of_a_relative_import_that_a_machine_file_stands_alone(run: Run, tmp_path: Path) -> None:
    ran = run("check", write(tmp_path / "light.py", "from .shapes import machine\n"))
    assert ran.exit_code == 1
    assert "no known parent package. A machine file stands alone" in ran.stdout


def test_check_looks_at_the_machine_files_of_a_directory_and_at_all_of_them(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "machines"
    folder.mkdir()
    write(folder / "a.py", BROKEN)
    write(folder / "b.py", DOOR)
    write(folder / "c.py", f'name = "b"\n{DOOR}')
    write(folder / "script.py", "print('no machine')\n")
    ran = run("check", "machines")
    assert ran.exit_code == 1
    assert "machines/a.py:3: $.states.idle.on.GO: error" in ran.stdout
    assert "machines/c.py: error: the machine 'b' is in machines/b.py too" in ran.stdout
    assert ran.stderr == "3 machines checked: 3 errors\n"


def test_check_of_nothing_is_an_error(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "script.py", "print('no machine')\n")
    ran = run("check", ".")
    assert ran.exit_code == 1
    assert "no machine file" in ran.stderr


def test_check_reads_xstate_configs_and_takes_their_names_for_implemented(run: Run, tmp_path: Path) -> None:
    good = write(tmp_path / "good.json", json.dumps(CONFIG))
    bad = write(tmp_path / "bad.json", json.dumps({**CONFIG, "initial": "idel"}))
    none = write(tmp_path / "none.json", "{'initial': 1}")
    ran = run("check", "--json-config", good)
    assert (ran.exit_code, ran.stdout) == (0, "")
    ran = run("check", "--json-config", good, bad, none)
    assert ran.exit_code == 1
    assert "bad.json: $.initial: error: 'idel' (str) is no state in here. Did you mean 'idle'?" in ran.stdout
    assert "none.json: error: this is not JSON" in ran.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "nowhere.py"],
        ["check", ".", "--format", "xml"],
        ["diagram"],
        ["diagram", "."],
        ["diagram", "nowhere.py"],
    ],
)
def test_wrong_usage_of_check_and_diagram_exits_with_2(run: Run, arguments: list[str]) -> None:
    ran = run(*arguments)
    assert (ran.exit_code, ran.stdout) == (2, "")


def test_diagram_prints_mermaid_dot_and_xstate(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "door.py", DOOR)
    assert "    shut --> open : OPEN / count\n" in run("diagram", file).stdout
    assert run("diagram", file, "--format", "mermaid").stdout.startswith("stateDiagram-v2\n")
    assert run("diagram", file, "--format", "dot").stdout.startswith('digraph "door" {\n')
    ran = run("diagram", file, "--format", "xstate")
    assert (ran.json["initial"], ran.stderr) == ("shut", "")


def test_diagram_reads_xstate_configs(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "stately.json", json.dumps(CONFIG))
    assert (
        "    idle --> busy : after 1 s\n    idle --> busy : after soon\n"
        in run("diagram", "--json-config", file).stdout
    )
    exported = run("diagram", "--json-config", file, "--format", "xstate").json
    assert exported == {**CONFIG, "predictableActionArguments": True}


def test_diagram_says_beside_the_config_what_json_cannot_say(run: Run) -> None:
    ran = run("diagram", str(EXAMPLES / "parent_child" / "parent_machine.py"), "--format", "xstate")
    assert ran.exit_code == 0
    assert ran.json["states"]["running"]["invoke"]["data"] == {"uid": "<lambda>"}
    assert "$.states.running.invoke.data.uid" in ran.stderr


def test_diagram_of_a_broken_machine_is_an_error(run: Run, tmp_path: Path) -> None:
    for source, said in ((BROKEN, "'runing'"), ("print(1)\n", "`machine`")):
        ran = run("diagram", write(tmp_path / "light.py", source))
        assert (ran.exit_code, ran.stdout) == (1, "")
        assert said in ran.stderr


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").stdout == f"perdure {version('perdure')}\n"
