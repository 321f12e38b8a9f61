"""Every transport passes one suite: a new one adds its name here."""

from __future__ import annotations

import pytest
from transport_rig import Maker, make

TRANSPORTS = ("httpx",)


@pytest.fixture(params=TRANSPORTS)
def maker(request: pytest.FixtureRequest) -> Maker:
    """A maker of the transport under test."""
    return make(request.param)
