"""How the API says no."""

from __future__ import annotations


class Refusal(Exception):
    """The request is answered ``status`` with the error envelope and ``message``."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
