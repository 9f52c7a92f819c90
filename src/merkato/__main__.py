"""The `merkato` command, also as `python -m merkato`."""

import sys

from merkato.chassis.supervisor import CannotStart
from merkato.cli import app


def main() -> None:
    """Run the command line; what cannot be done is said in one sentence, with exit status 1."""
    try:
        sys.exit(app())
    except (CannotStart, ValueError) as error:
        sys.exit(f"merkato: {error}")


if __name__ == "__main__":
    main()
