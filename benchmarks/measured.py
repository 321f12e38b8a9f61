"""Runs a command and writes down what it took, as JSON.

A small process of its own: the kernel counts the memory of whoever starts a program as the program's, too.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> int:
    """``FILE COMMAND …``: into FILE go wall and processor seconds, the peak in MiB; the exit code is the command's."""
    began_s = time.monotonic()
    child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
    _, status, used = os.wait4(child, 0)
    cost = {
        "wall_s": time.monotonic() - began_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mib": used.ru_maxrss / 1024,
    }
    with open(sys.argv[1], "w", encoding="utf-8") as file:  # noqa: PTH123  (pathlib is not small)
        json.dump(cost, file)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
