"""Every transport passes one suite."""

from __future__ import annotations

import pytest
from transport_rig import TRANSPORTS, Maker, make


@pytest.fixture(params=TRANSPORTS)
def maker(request: pytest.FixtureRequest) -> Maker:
    """A maker of the transport under test."""
    return make(request.param)
