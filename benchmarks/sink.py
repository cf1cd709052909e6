"""
A receiver of mail on many loopback addresses, some of which behave badly.

It takes everything, and writes one line of JSON for each message to a ledger::

    python benchmarks/sink.py --listen 127.70.0.1-127.70.0.100:2525 --ledger taken.jsonl \\
        --bad 127.70.0.1-127.70.0.10=hang --bad 127.70.0.11=slow:5

Every address of 127.0.0.0/8 is ours on Linux, without being configured.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import IO, Final

#: What an address may do instead of taking mail.
KINDS: Final = {
    "hang": "accepts the connection and says nothing",
    "drip": "says an endless greeting, an octet every so many seconds (2)",
    "refuse": "says 554 in its greeting and closes",
    "421": "says 421 in its greeting and closes",
    "421-ehlo": "says 421 to EHLO and closes",
    "close": "closes the connection without a word",
    "slow": "gives each answer so many seconds later (5)",
    "dead": "does not listen",
    "550": "says 550 to every recipient",
}
#: Seconds, where none are written.
SECONDS: Final = {"drip": 2.0, "slow": 5.0}
#: Lines of the ledger reach the file at this interval, seconds.
WRITTEN_EVERY: Final = 0.2
BACKLOG: Final = 1024

_ID: Final = re.compile(rb"^X-Ledger-Id:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_END: Final = b"\r\n.\r\n"
_GREETING: Final = b"220 sink.example ESMTP\r\n"
#: A line of a greeting that never comes to its last line.
_ENDLESS: Final = b"220-sink.example\r\n"
#: Answers that depend on nothing, by the first four octets of the command.
_ANSWERS: Final = {
    b"EHLO": b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
    b"HELO": b"250 sink.example\r\n",
    b"MAIL": b"250 2.1.0 ok\r\n",
    b"RCPT": b"250 2.1.5 ok\r\n",
    b"DATA": b"354 go on\r\n",
    b"RSET": b"250 2.0.0 ok\r\n",
    b"NOOP": b"250 2.0.0 ok\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}
_REFUSALS: Final = {"refuse": b"554 5.7.1 no mail from you\r\n", "421": b"421 4.3.2 not now\r\n", "close": b""}
#: What is said where nobody is known.
_NO_ONE: Final = {b"RCPT": b"550 5.1.1 unknown\r\n", b"DATA": b"554 5.5.1 no valid recipients\r\n"}


class Badness:
    """
    What the addresses of a range do.

    :param text: ``LOW-HIGH=KIND:SECONDS``; the range may be one address, and the
        seconds may be left out.
    :raises ValueError: it is not like that.
    """

    def __init__(self, text: str) -> None:
        addresses, equals, what = text.partition("=")
        self.kind, _, seconds = what.partition(":")
        if not equals or self.kind not in KINDS:
            raise ValueError(f"{text!r} is not LOW-HIGH=KIND with a kind of {', '.join(KINDS)}")
        self.low, self.high = addresses_of(addresses)
        self.seconds = float(seconds) if seconds else SECONDS.get(self.kind, 0.0)


def addresses_of(text: str) -> tuple[IPv4Address, IPv4Address]:
    """
    Ends of a range.

    :raises ValueError: it is none.
    """
    low, _, high = text.partition("-")
    return IPv4Address(low), IPv4Address(high or low)


class Ledger:
    """
    What was taken, when.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._lines: list[str] = []

    def take(self, name: str, local: str) -> None:
        """
        A message is here, and is about to be answered 250.
        """
        self._lines.append(json.dumps({"ev": "msg", "t": time.time(), "mid": name, "local": local}))

    def write(self) -> None:
        """
        Lines so far reach the file.
        """
        if self._lines:
            self._file.write("\n".join(self._lines) + "\n")
            self._file.flush()
            self._lines.clear()


class Session(asyncio.Protocol):
    """
    One client.  Commands are believed: this is no test of how well they are spoken.
    """

    _transport: asyncio.Transport

    def __init__(self, ledger: Ledger, bad: list[Badness]) -> None:
        self._ledger = ledger
        self._bad = bad
        self._kind = ""
        self._seconds = 0.0
        self._received = b""
        self._in_content = False
        self._closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._local = transport.get_extra_info("sockname")[0]
        if self._bad:
            local = IPv4Address(self._local)
            for bad in self._bad:
                if bad.low <= local <= bad.high:
                    self._kind, self._seconds = bad.kind, bad.seconds
        refusal = _REFUSALS.get(self._kind)
        if refusal is not None:
            transport.write(refusal)
            self._close()
        elif self._kind == "drip":
            self._drip(itertools.cycle(_ENDLESS))
        elif self._kind != "hang":
            self._say(_GREETING)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True

    def data_received(self, data: bytes) -> None:
        if self._kind in ("hang", "drip") or self._closed:
            return
        self._received += data
        said = []
        while True:
            if self._in_content:
                # What is sent holds a header, so that its end is never the first line.
                content, end, rest = self._received.partition(_END)
                if not end:
                    break
                self._received, self._in_content = rest, False
                found = _ID.search(content)
                self._ledger.take(found[1].decode("latin-1") if found else "", self._local)
                said.append(b"250 2.0.0 taken\r\n")
                continue
            line, newline, rest = self._received.partition(b"\r\n")
            if not newline:
                break
            self._received = rest
            verb = line[:4].upper()
            if verb == b"EHLO" and self._kind == "421-ehlo":
                self._transport.write(_REFUSALS["421"])
                self._close()
                return
            self._in_content = verb == b"DATA"
            if self._kind == "550" and verb in _NO_ONE:
                self._in_content = False
                said.append(_NO_ONE[verb])
                continue
            said.append(_ANSWERS.get(verb, b"500 5.5.1 unknown\r\n"))
            if verb == b"QUIT":
                self._say(b"".join(said), last=True)
                return
        if said:
            self._say(b"".join(said))

    def _say(self, words: bytes, last: bool = False) -> None:
        if self._kind == "slow":
            asyncio.get_running_loop().call_later(self._seconds, self._write, words, last)
        else:
            self._write(words, last)

    def _write(self, words: bytes, last: bool) -> None:
        if not self._closed:
            self._transport.write(words)
            if last:
                self._close()

    def _drip(self, octets: Iterator[int]) -> None:
        if not self._closed:
            self._transport.write(bytes((next(octets),)))
            asyncio.get_running_loop().call_later(self._seconds, self._drip, octets)

    def _close(self) -> None:
        self._closed = True
        self._transport.close()


async def serve(low: IPv4Address, high: IPv4Address, port: int, ledger: Ledger, bad: list[Badness]) -> None:
    """
    Listen until a signal says that it is enough.
    """
    loop = asyncio.get_running_loop()
    enough = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, enough.set)
    dead = [each for each in bad if each.kind == "dead"]
    addresses = [
        str(address)
        for address in map(IPv4Address, range(int(low), int(high) + 1))
        if not any(each.low <= address <= each.high for each in dead)
    ]
    await loop.create_server(lambda: Session(ledger, bad), addresses, port, backlog=BACKLOG)
    while not enough.is_set():
        ledger.write()
        try:
            await asyncio.wait_for(enough.wait(), WRITTEN_EVERY)
        except TimeoutError:
            pass
    ledger.write()


def main() -> None:
    """
    Take mail until a signal comes.
    """
    kinds = "; ".join(f"{kind}: {what}" for kind, what in KINDS.items())
    parser = argparse.ArgumentParser(description="A receiver of mail, some of whose addresses behave badly.")
    parser.add_argument("--listen", required=True, metavar="LOW-HIGH:PORT", help="a range of loopback addresses")
    parser.add_argument("--ledger", required=True, metavar="FILE", help="where a line is written for each message")
    parser.add_argument("--bad", action="append", default=[], metavar="LOW-HIGH=KIND[:SECONDS]", help=kinds)
    arguments = parser.parse_args()
    addresses, _, port = arguments.listen.rpartition(":")
    try:
        (low, high), bad = addresses_of(addresses), [Badness(text) for text in arguments.bad]
    except ValueError as error:
        sys.exit(f"sink: {error}")
    with open(arguments.ledger, "a", encoding="utf-8") as file:
        asyncio.run(serve(low, high, int(port), Ledger(file), bad))


if __name__ == "__main__":
    main()
