"""What ``make conformance`` prints: how perdure compares with XState v4's recordings and with the literal reference.

One table of counts per topic, one of the divergences with their reasons. Ends with exit code 1 when a case differs that
docs/conformance.md does not list, when one that it lists agrees, or when the engine and the reference disagree.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.conformance.divergences import Divergence, listed_divergences
from tests.conformance.random_machines import Chooser, machine_and_events
from tests.conformance.test_scxml_reference import compare
from tests.conformance.xstate_replay import recorded_cases, replay

REFERENCE_MACHINES = 500


def main() -> int:
    counts, named, unexplained = compare_with_recordings()
    machines, events, disagreement = compare_with_reference()
    topics = sorted({topic for topic, _ in counts})
    rows = [[topic, *(str(counts[topic, kind]) for kind in ("agree", "named", "unexplained"))] for topic in topics]
    totals = [sum(number for (_, kind), number in counts.items() if kind == wanted) for wanted in KINDS]
    say("Recorded on XState 4.38.3, replayed on perdure\n")
    say(table(["topic", "agree", "named divergence", "unexplained"], [*rows, ["all", *map(str, totals)]]))
    say("\nNamed divergences (docs/conformance.md)\n")
    say(table(["case", "XState 4.38.3", "perdure", "why"], [[d.case, d.xstate, d.perdure, d.why] for d in named]))
    say(f"\nAgainst the literal reference: {machines} random machines, {events} events, ")
    say("all agree\n" if disagreement is None else f"which disagree:\n{disagreement}\n")
    for problem in unexplained:
        say(f"unexplained: {problem}\n")
    return 1 if unexplained or disagreement is not None else 0


KINDS = ("agree", "named", "unexplained")


def compare_with_recordings() -> tuple[Counter[tuple[str, str]], list[Divergence], list[str]]:
    """How many cases of each topic agree, diverge as listed, and neither; and the last two in words."""
    cases, listed = recorded_cases(), listed_divergences()
    counts: Counter[tuple[str, str]] = Counter()
    unexplained = [f"{name} is listed and not recorded" for name in listed if name not in cases]
    for name, case in cases.items():
        agrees = replay(case) == case["steps"]
        kind = "unexplained"
        if agrees and name in listed:
            unexplained.append(f"{name} is listed as a divergence and agrees")
        elif not agrees and name not in listed:
            unexplained.append(f"{name} differs and is not listed")
        else:
            kind = "agree" if agrees else "named"
        counts[name.split(":")[0], kind] += 1
    return counts, list(listed.values()), unexplained


def compare_with_reference() -> tuple[int, int, str | None]:
    """Random machines, the same ones each time: how many, with how many events, and what the first to disagree says."""
    seen = Counter[str]()

    @settings(max_examples=REFERENCE_MACHINES, phases=[Phase.generate], derandomize=True, database=None, deadline=None)
    @given(st.randoms(use_true_random=True))
    def engine_agrees(chooser: Chooser) -> None:
        config, events = machine_and_events(chooser)
        compare(config, events)
        seen.update(machines=1, events=len(events))

    try:
        engine_agrees()
    except AssertionError as error:
        return seen["machines"], seen["events"], str(error)
    return seen["machines"], seen["events"], None


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as what is in them; those of numbers to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    numeric = [all(row[column].isdigit() for row in rows) for column in range(len(head))]
    lines = []
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = [cell.rjust(w) if right else cell.ljust(w) for cell, w, right in zip(row, widths, numeric, strict=True)]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)


def say(text: str) -> None:
    sys.stdout.write(text)


if __name__ == "__main__":
    sys.exit(main())
