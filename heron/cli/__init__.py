"""The ``heron`` command."""

import sys
from contextlib import suppress
from pathlib import Path

from heron.errors import HeronError

MISSING_EXTRA = "heron: the command line needs the extra 'train': pip install 'heron-rl[train]' (no module {name!r})"


def main() -> None:
    """Run the command; an error of ours is shown as one line on stderr, and the exit code is 2."""
    # As with python -m, so that "my_env:make" finds my_env.py; last, so that no local file hides an installed package.
    with suppress(FileNotFoundError):  # if the folder was deleted
        sys.path.append(str(Path.cwd()))
    try:
        # Imported here, so that a missing extra can be explained.
        import heron.cli.check_command  # noqa: F401, PLC0415 -- registers its command
        from heron.cli.commands import app  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.exit(MISSING_EXTRA.format(name=error.name))
    try:
        app(prog_name="heron")
    except HeronError as error:
        print("heron:", " ".join(str(error).split()), file=sys.stderr)  # noqa: T201 -- this is the command line
        sys.exit(2)
