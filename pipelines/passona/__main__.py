"""The console command: signals are heard before anything that takes time is imported, and to the end.

No library is imported before it can see no more of the environment than it may.
"""

from passona.environment import isolate
from passona.errors import Interrupted
from passona.interruption import heed, leave, listen


def main() -> None:
    """The command line, as `passona` and as `python -m passona`."""
    listen()
    isolate()
    try:
        from passona.cli import main as command

        command()
    except Interrupted as error:
        leave(error.number)
    finally:
        heed()


if __name__ == "__main__":
    main()
