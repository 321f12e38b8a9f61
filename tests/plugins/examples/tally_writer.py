"""A report writer that counts the rows of each customer by state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl


def tally(outcomes: pl.LazyFrame, facts: Mapping[str, Any], folder: Path) -> None:
    """Leave plain files in ``folder``; they are kept as ``tally/`` in the run's folder."""
    counted = outcomes.group_by("label_customer", "state").len().sort("label_customer", "state")
    counted.collect().write_csv(folder / "tally.csv")
    (folder / "verdict.json").write_text(json.dumps({"run": facts["run"]["run_id"], "verdict": facts["verdict"]}))
