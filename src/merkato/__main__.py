"""The `merkato` command, also as `python -m merkato`."""

import sys

from merkato.chassis.db import does_not_answer
from merkato.chassis.supervisor import CannotStart
from merkato.cli import app


def main() -> None:
    """Run the command line; what cannot be done is said in one sentence, with exit status 1."""
    try:
        sys.exit(app())
    except (CannotStart, ValueError) as error:
        sys.exit(f"merkato: {error}")
    except Exception as error:
        if not does_not_answer(error):
            raise
        sys.exit(f"merkato: PostgreSQL does not answer: {error}; see merkato status.")


if __name__ == "__main__":
    main()
