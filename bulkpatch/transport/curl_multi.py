"""libcurl's multi interface on asyncio's loop: one epoll of its own, so that the loop watches one descriptor."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Callable
from typing import Any, Final

import pycurl

_EVENTS: Final = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_WRITABLE: Final = select.EPOLLOUT
_READABLE: Final = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR
"""An error is told as readable, for libcurl to read it off the socket."""


class CurlMulti:
    """Drives transfers. ``turned`` is called after every turn with what ended: each easy handle, code and words."""

    def __init__(self, connections_max: int, turned: Callable[[list[tuple[Any, int, str]]], None]) -> None:
        self._turned = turned
        self._multi: Any = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections_max)
        self._epoll = select.epoll()
        self._wanted: set[int] = set()
        self._spoke: set[int] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_s: float | None = None
        self._kicked = False
        self._closed = False

    def start(self, easy: Any) -> None:
        """Begin a transfer, when the loop comes to it: all that begin at once share one turn."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._epoll.fileno(), self._on_sockets)
        self._multi.add_handle(easy)
        self._kick()

    def drop(self, easy: Any) -> None:
        """Let go of a transfer; one that has not ended loses its connection."""
        self._multi.remove_handle(easy)

    def spoke(self, port: int) -> bool:
        """Whether the connection from our ``port`` was heard of while no request was under way on it; told once."""
        if port in self._spoke:
            self._spoke.discard(port)
            return True
        return False

    def distrust(self, port: int) -> None:
        """Use the connection from our ``port`` for no other request."""
        self._spoke.add(port)

    def close(self) -> None:
        """Close every connection."""
        self._closed = True
        if self._loop is not None:
            self._loop.remove_reader(self._epoll.fileno())
        self._disarm()
        self._multi.close()
        self._epoll.close()

    # ── what libcurl asks for ────────────────────────────────────────────────────────────────

    def _watch(self, what: int, descriptor: int, _multi: Any, _data: Any) -> None:
        """Watch a socket. One that is let go of stays watched until it speaks: the next request often wants it."""
        if what == pycurl.POLL_REMOVE:
            self._wanted.discard(descriptor)
            return
        self._wanted.add(descriptor)
        events = _EVENTS.get(what, 0)
        try:
            self._epoll.modify(descriptor, events)
        except FileNotFoundError:  # never watched, or closed since: the kernel forgets those by itself
            self._epoll.register(descriptor, events)

    def _set_timer(self, wait_ms: int) -> None:
        """Turn then (-1: no need to). A timer that would fire too early is let be, and set anew when it does."""
        if wait_ms <= 0:
            self._due_s = None
            if wait_ms == 0:
                self._kick()
            return
        assert self._loop is not None  # noqa: S101  (nothing is asked for before the first start)
        self._due_s = self._loop.time() + wait_ms / 1000
        if self._timer is not None and self._timer.when() <= self._due_s:
            return
        self._disarm()
        self._timer = self._loop.call_at(self._due_s, self._on_timer)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _kick(self) -> None:
        if not self._kicked and self._loop is not None:
            self._kicked = True
            self._loop.call_soon(self._on_kick)

    # ── turns ────────────────────────────────────────────────────────────────────────────────

    def _on_kick(self) -> None:
        self._kicked = False
        if not self._closed:
            self._hear()
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            self._after()

    def _on_timer(self) -> None:
        self._timer = None
        if self._due_s is None or self._loop is None:
            return
        if self._loop.time() < self._due_s:
            self._timer = self._loop.call_at(self._due_s, self._on_timer)
            return
        self._due_s = None
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._after()

    def _on_sockets(self) -> None:
        self._hear()
        self._after()

    def _hear(self) -> None:
        act = self._multi.socket_action
        for descriptor, events in self._epoll.poll(0):
            if descriptor in self._wanted:
                readable = pycurl.CSELECT_IN if events & _READABLE else 0
                act(descriptor, readable | (pycurl.CSELECT_OUT if events & _WRITABLE else 0))
            elif events & _READABLE:
                self._epoll.unregister(descriptor)
                self._spoke.add(_port_of(descriptor))
            else:
                self._epoll.modify(descriptor, select.EPOLLIN)

    def _after(self) -> None:
        ended: list[tuple[Any, int, str]] = []
        queued = 1
        while queued:
            queued, whole, failed = self._multi.info_read()
            ended += [(easy, pycurl.E_OK, "") for easy in whole]
            ended += failed
        self._turned(ended)


def _port_of(descriptor: int) -> int:
    """Our end's port of a connection; 0 for what is none."""
    with socket.socket(fileno=os.dup(descriptor)) as twin:
        name = twin.getsockname()
        return name[1] if isinstance(name, tuple) else 0
