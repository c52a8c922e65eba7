"""Run pytest on PostgreSQL: `python -m tests.on_postgresql [pytest arguments]`.

The engine is a property of the process (Django reads DATABASE_URL once), so each engine has a
pytest run of its own.
"""

import os
import sys

import pytest

from tests.postgresql import postgresql_url


def main(arguments: list[str]) -> int:
    with postgresql_url() as url:
        os.environ["DATABASE_URL"] = url
        return int(pytest.main(arguments))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
