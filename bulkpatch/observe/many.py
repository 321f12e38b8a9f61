"""One observer made of several."""

from __future__ import annotations

from bulkpatch.model import Event
from bulkpatch.ports import Observer


class Observers:
    """The port ``Observer`` that tells each of ``observers`` in turn.

    An observer that raises against its contract costs the others nothing; ``failed`` counts it.
    ``every_request`` says whether any of them wants ``AttemptSent``.
    """

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers
        self.every_request = any(getattr(observer, "every_request", False) for observer in observers)
        self.failed = 0

    def notify(self, event: Event) -> None:
        """Tell them."""
        for observer in self._observers:
            try:
                observer.notify(event)
            except Exception:  # noqa: BLE001 - who watches must not stop what is watched; counted
                self.failed += 1
