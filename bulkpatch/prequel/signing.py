"""Credentials that a PATCH cannot change: of another way of signing in than is in use, and keys that Prequel makes.

Only what the API's pages state: where they are silent, nothing is said here either.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from bulkpatch.model import Operation
from bulkpatch.prequel.catalogue import catalogue
from bulkpatch.prequel.diff import PATHS_CACHED_MAX
from bulkpatch.prequel.live import Live, value_at

SELECTORS: Final = ("auth_method", "bucket_auth_method")
"""Fields that name the credentials object in use, which lies beside them."""
VALUE_CHARS_MAX: Final = 40
"""Characters of a live value in a message."""

_SUPPLIED: Final = frozenset({"sftp.public_key_auth.public_key"})
_SUPPLIED_LEAF: Final = "ssh_public_key"
_KEY_PAIR: Final = ("key_pair", "keypair", "private_key", "public_key")
_SNOWFLAKE: Final = "Prequel makes a Snowflake key pair: it is staged on the recipient, then promoted, not patched"


def selectors_of(path: str) -> tuple[str, ...]:
    """The selectors that decide over the field at ``path``: of every credentials object that it lies in."""
    return tuple(selector for selector, _ in _objects(path))


def is_supplied(path: str) -> bool:
    """Whether Prequel makes the key at ``path``, so that nobody has one to send."""
    return path in _SUPPLIED or path.rpartition(".")[2] == _SUPPLIED_LEAF


def not_by_patch(operation: Operation, live: Live | None) -> str | None:
    """Why ``operation`` cannot change the credentials of its destination, in words without a secret, or None.

    A body that sets the selector too changes the way of signing in, and may. ``live`` None: nothing is known.
    """
    for path in operation.fields:
        if is_supplied(path):
            return f"{path}: Prequel supplies this key, so there is none to send"
        if path.startswith("snowflake.") and any(word in path for word in _KEY_PAIR):
            return f"{path}: {_SNOWFLAKE}"
        if live is not None and (words := _other_way(path, operation, live)):
            return words
    return None


def _other_way(path: str, operation: Operation, live: Live) -> str | None:
    for selector, way in _objects(path):
        found = value_at(live.settings, selector)
        if selector in operation.fields or not isinstance(found, str) or found == way:
            continue
        words = f"the body sets {way}, and {selector} is {found[:VALUE_CHARS_MAX]}"
        return f"{words}; {_SNOWFLAKE}" if selector.startswith("snowflake.") else words
    return None


@lru_cache(maxsize=PATHS_CACHED_MAX)
def _objects(path: str) -> tuple[tuple[str, str], ...]:
    """Each credentials object that ``path`` lies in, as its selector and the value that selects it."""
    names = path.split(".")
    beside = ((".".join([*names[:at], one]), names[at]) for at in range(1, len(names) - 1) for one in SELECTORS)
    return tuple((selector, way) for selector, way in beside if _selects(selector, way))


def _selects(selector: str, way: str) -> bool:
    field = catalogue().field(selector)
    return field is not None and field.readable and way in field.known_values
