"""The ``perdure`` script, and ``python -m perdure``.

The command needs more packages than the library and the client do. Where they are missing it says how to get them,
instead of a traceback about a module that nobody has asked for.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command; exits with 1 and one line when the packages of the extra ``server`` are not installed."""
    try:
        from perdure.cli import main as command
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "perdure":
            raise
        sys.stderr.write(
            f"error: the perdure command needs the package {error.name!r}, which is not installed. "
            "Install it with the server: pip install 'perdure[server]'\n"
        )
        raise SystemExit(1) from None
    command()


if __name__ == "__main__":
    main()
