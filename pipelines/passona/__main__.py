"""`python -m passona` is the console command."""

from passona.cli import main

if __name__ == "__main__":
    main()
