"""The examples of actors do what their READMEs say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(example: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / example, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_the_list_tracks_and_removes_its_todos() -> None:
    shown = run("todos/todos.py")
    assert "├─ todo-1  machine  ticked\n  ├─ todo-2" in shown
    assert shown.endswith("what the list shows:\n  buy milk: ticked\n  call Ada: open\n")
    last_tree = shown.split("the list stops the fourth:\n")[1].split("\n\n")[0]
    assert [line.split()[1] for line in last_tree.splitlines()[1:]] == ["todo-1", "todo-2"]


def test_the_crawler_reads_every_page_once_and_names_the_one_that_is_missing() -> None:
    shown = run("crawler/crawler.py")
    assert "25 pages, 100 links, 1 failed" in shown
    assert "404 Not Found" in shown.splitlines()[-1]
    assert max(int(line.split("(")[1].split()[0]) for line in shown.splitlines() if "at once" in line) == 4


def test_everybody_in_the_room_hears_each_message_once_though_it_closes_in_between() -> None:
    shown = run("chat_room/demo.py", "40").splitlines()
    assert shown[0] == "40 participants have joined the lobby"
    assert shown[-2:] == [
        "it runs again: 39 have heard 2, 1 have heard 0",
        "each has heard each message exactly once",
    ]
