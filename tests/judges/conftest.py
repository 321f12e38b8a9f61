"""A bench for each test, as the tests of the program have it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from program_rig import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A folder with a child's whole world in it."""
    with Bench(tmp_path) as made:
        yield made
