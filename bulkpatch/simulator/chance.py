"""Draws that depend on nothing but their name: the same seed and parts, the same number, whenever it is asked for."""

from __future__ import annotations

from hashlib import blake2b

_BITS = 53  # what a float holds exactly


def digest(seed: int, *parts: object, size: int = 16) -> bytes:
    """``size`` (at most 64) bytes named by ``seed`` and ``parts``."""
    name = "\x1f".join((str(seed), *map(str, parts)))
    return blake2b(name.encode(), digest_size=size).digest()


def share(seed: int, *parts: object) -> float:
    """A number in [0, 1), evenly spread over all names."""
    return (int.from_bytes(digest(seed, *parts, size=8), "big") >> (64 - _BITS)) / (1 << _BITS)


def uuid(seed: int, *parts: object) -> str:
    """An id in the form of a random UUID."""
    drawn = digest(seed, *parts).hex()
    return f"{drawn[:8]}-{drawn[8:12]}-4{drawn[13:16]}-8{drawn[17:20]}-{drawn[20:]}"
