"""What is asked of the system: its clocks, how many files may be open, and the one thread for work that blocks."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def open_files_max() -> int | None:
    """How many files this process may have open; None where there is no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


class SystemClock:
    """ports.Clock on the machine's clocks."""

    monotonic = staticmethod(time.monotonic)
    """Seconds; never goes back. The system's function itself: it is asked ten times a row."""

    def wall_us(self) -> int:
        """Microseconds since 1970, UTC."""
        return time.time_ns() // 1000


class ThreadExecutor:
    """ports.Executor: one thread, so that calls keep their order and never overlap."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bulkpatch-ledger")

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` on the thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(function, *args, **kwargs))

    def close(self) -> None:
        """Wait for what runs, then end the thread."""
        self._pool.shutdown(wait=True)
