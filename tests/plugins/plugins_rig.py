"""What the tests of plugins share: packages, really installed in a folder of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

EXAMPLES = Path(__file__).parent / "examples"


def install(site: Path, package: str, *, version: str = "1.0", source: str | None = None, **groups: str) -> Path:
    """Put the module ``package`` and its metadata into ``site``, which is to stand on a path; gives ``site``.

    Its text is ``source``, or that of the example. ``groups`` names entry points: ``gates="ticket = ticket_gate:f"``.
    """
    site.mkdir(exist_ok=True)
    name = package.replace("_", "-")
    if source is None:
        shutil.copy(EXAMPLES / f"{package}.py", site)
    else:
        (site / f"{package}.py").write_text(source, encoding="utf-8")
    for older in site.glob(f"{package}-*.dist-info"):
        shutil.rmtree(older)
    about = site / f"{package}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    points = "".join(f"[bulkpatch.{group}]\n{line}\n" for group, line in groups.items())
    (about / "entry_points.txt").write_text(points, encoding="utf-8")
    return site
