"""`python -m tests.keep_examples`: keep the examples of the API's document as they happen now."""

import os
import sys

import pytest

KEEP = "KEEP_EXAMPLES"

if __name__ == "__main__":
    os.environ[KEEP] = "1"
    sys.exit(pytest.main(["-q", "tests/api/test_examples.py", "-k", "as_it_is_told"]))
