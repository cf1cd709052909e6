"""
The process in which lives begin: everything is loaded once, and each life is a
fork of it, which starts in milliseconds.

It reads lines from a pipe: an order as JSON begins a life, ``kill`` and ``stop``
end it; it answers with one line when a life is over.  It has no reactor; each
life makes its own.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from .life import Order, Wrap, live

#: What a word does to the life that is there.
_SIGNALS: Final = {b"kill": signal.SIGKILL, b"stop": signal.SIGTERM}


def encode(order: Order) -> bytes:
    """
    An order as the line that begins a life.
    """
    return json.dumps(asdict(order)).encode() + b"\n"


class Nursery:
    """
    Serves one pipe until it is closed.

    :param orders: descriptor that lines are read from.
    :param answers: descriptor that the ends of lives are written to.
    :param reactor: makes the reactor of a life; called in the new process.
    :param wrap: see :data:`~momentum_tx.torture.life.Wrap`.
    """

    def __init__(self, orders: int, answers: int, reactor: Callable[[], Any], wrap: Wrap | None = None) -> None:
        self._orders = orders
        self._answers = answers
        self._reactor = reactor
        self._wrap = wrap
        self._child = 0
        self._rest = b""

    def serve(self) -> None:
        """
        Serve until nobody gives orders any more.
        """
        gc.collect()
        gc.freeze()
        ended, told = os.pipe()
        for end in (ended, told):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(told)
        while self._listen(ended):
            pass
        self._signal(signal.SIGKILL)

    def _listen(self, ended: int) -> bool:
        readable, _, _ = select.select([self._orders, ended], [], [])
        if ended in readable:
            os.read(ended, 4096)
            self._reap()
        if self._orders not in readable:
            return True
        octets = os.read(self._orders, 1 << 16)
        *lines, self._rest = (self._rest + octets).split(b"\n")
        for line in lines:
            if line in _SIGNALS:
                self._signal(_SIGNALS[line])
            else:
                self._bear(line)
        return bool(octets)

    def _bear(self, line: bytes) -> None:
        self._child = os.fork()
        if self._child:
            return
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # Nobody but the nursery has anything to do with its pipes.
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, self._orders)
            os.dup2(nothing, self._answers)
            live(self._reactor(), Order(**json.loads(line)), self._wrap)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _signal(self, number: int) -> None:
        # Not waited for yet, so the number is no stranger's.
        if self._child:
            os.kill(self._child, number)

    def _reap(self) -> None:
        if not self._child:
            return
        child, status = os.waitpid(self._child, os.WNOHANG)
        if child:
            self._child = 0
            os.write(self._answers, b"%d\n" % os.waitstatus_to_exitcode(status))
