"""A bench whose children find the packages of a folder of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from program_rig import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A folder with a child's whole world in it; what is installed into ``site`` is there for the children."""
    with Bench(tmp_path, environ={"PYTHONPATH": str(tmp_path / "site")}) as made:
        yield made
