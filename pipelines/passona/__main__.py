"""The console command.

It listens to signals before any slow import, and until the end. It cleans the environment before it imports a library,
because some libraries read variables at import.
"""

import os
import sys

from passona.config.environment import isolate
from passona.config.signals import leave, listen, raise_pending
from passona.errors import Interrupted


def main() -> None:
    """Run the command line, as `passona` and as `python -m passona`."""
    listen()
    isolate()
    try:
        from passona.cli.main import main as command

        command()
    except Interrupted as error:
        leave(error.number)
    except SystemExit as end:
        if not sys.flags.inspect:
            raise
        # With PYTHONINSPECT, Python would start its prompt here and lose the exit code.
        raise_pending()
        sys.stdout.flush()
        os._exit(int(end.code or 0))
    finally:
        raise_pending()


if __name__ == "__main__":
    main()
