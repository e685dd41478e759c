"""The console command: signals are heard before anything that takes time is imported, and to the end."""

from passona.errors import Interrupted
from passona.interruption import heed, leave, listen


def main() -> None:
    """The command line, as `passona` and as `python -m passona`."""
    listen()
    try:
        from passona.cli import main as command

        command()
    except Interrupted as error:
        leave(error.number)
    finally:
        heed()


if __name__ == "__main__":
    main()
