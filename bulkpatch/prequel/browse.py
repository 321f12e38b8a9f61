"""What ``schema [PATH]`` shows."""

from __future__ import annotations

from collections.abc import Sequence

from bulkpatch.prequel.catalogue import Field, catalogue


def describe(path: str | None = None) -> Sequence[Field] | None:
    """The fields at or below ``path`` (a field, an inner node, a vendor; None: all), in the order of the schema.

    None for an unknown path; ``catalogue().suggest`` may know what was meant.
    """
    known = catalogue()
    if path is None:
        return list(known.fields.values())
    if leaf := known.field(path):
        return [leaf]
    if not known.is_object(path):
        return None
    return [field for field in known.fields.values() if field.path.startswith(f"{path}.")]
