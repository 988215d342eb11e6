"""Which files are machine files, and what their machines are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from perdure.errors import InvalidParameter, MachineCodeError
from perdure.machine_files import find_machine_files, python_files, read_machine_file


def written(directory: Path, name: str, source: str = "machine = 1\n") -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "source",
    [
        "machine = 1",
        "machine: object = 1",
        "from elsewhere import machine",
        "from elsewhere import other as machine",
        "def machine(): ...",
        "name = 'x'\na = machine = 1",
    ],
)
def test_a_file_that_binds_machine_at_its_top_level_is_a_machine_file(tmp_path: Path, source: str) -> None:
    assert read_machine_file(written(tmp_path, "door.py", source)) is not None


@pytest.mark.parametrize(
    "source",
    ["", "machines = 1", "def f():\n    machine = 1", "machine: int", "x.machine = 1", "import machine.part as p"],
)
def test_other_files_are_not(tmp_path: Path, source: str) -> None:
    assert read_machine_file(written(tmp_path, "door.py", source)) is None


def test_reading_a_machine_file_does_not_run_it(tmp_path: Path) -> None:
    file = read_machine_file(written(tmp_path, "door.py", "machine = 1 / 0\n"))
    assert file is not None
    assert file.source == "machine = 1 / 0\n"


@pytest.mark.parametrize(
    ("file_name", "source", "machine"),
    [
        ("door.py", "machine = 1", "door"),
        ("front_door.py", "machine = 1", "front-door"),
        ("x.py", "machine = 1\nname = 'front_door'", "front_door"),
        ("x.py", "machine = 1\nname: str = 'Door2'", "Door2"),
    ],
)
def test_a_machine_is_called_after_its_file_unless_it_says_otherwise(
    tmp_path: Path, file_name: str, source: str, machine: str
) -> None:
    file = read_machine_file(written(tmp_path, file_name, source))
    assert file is not None
    assert file.machine == machine


@pytest.mark.parametrize(
    ("file_name", "source", "line"),
    [
        ("a b.py", "machine = 1", None),
        ("x.py", "machine = 1\nname = 'a b'", 2),
        ("x.py", "machine = 1\nname = 'a' + 'b'", 2),
        ("x.py", "machine = 1\n\nfrom y import name", 3),
        ("x.py", "machine = (", 1),
        (f"{'x' * 129}.py", "machine = 1", None),
    ],
)
def test_what_cannot_be_a_machine_is_refused_with_its_place(
    tmp_path: Path, file_name: str, source: str, line: int | None
) -> None:
    path = written(tmp_path, file_name, source)
    with pytest.raises(MachineCodeError) as caught:
        read_machine_file(path)
    assert (caught.value.file, caught.value.line) == (str(path), line)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"machine = 1\0"])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.py"
    path.write_bytes(content)
    with pytest.raises(MachineCodeError, match=r"x\.py"):
        read_machine_file(path)


def test_directories_are_searched_and_private_files_passed_over(tmp_path: Path) -> None:
    expected = [written(tmp_path, "a.py"), written(tmp_path, "deep/er/b.py")]
    for name in ("_private.py", ".hidden.py", "__pycache__/c.py", ".venv/d.py", "test_e.py", "notes.txt"):
        written(tmp_path, name)
    assert python_files([tmp_path]) == expected


def test_a_file_that_is_named_counts_whatever_its_name_is(tmp_path: Path) -> None:
    path = written(tmp_path, "_private.py")
    assert python_files([path, path]) == [path]


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="nowhere does not exist"):
        python_files([tmp_path / "nowhere"])


def test_in_a_directory_files_without_a_machine_are_passed_over(tmp_path: Path) -> None:
    written(tmp_path, "door.py")
    written(tmp_path, "demo.py", "print('hello')")
    assert [file.machine for file in find_machine_files([tmp_path])] == ["door"]


def test_a_named_file_without_a_machine_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "demo.py", "print('hello')")
    with pytest.raises(MachineCodeError, match="binds no `machine`"):
        find_machine_files([path])


def test_two_files_for_one_machine_are_refused(tmp_path: Path) -> None:
    written(tmp_path, "a/door.py")
    written(tmp_path, "b/door.py")
    with pytest.raises(MachineCodeError, match="'door'"):
        find_machine_files([tmp_path])
