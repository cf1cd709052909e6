"""
A mail server inside a program: send one message, print what became of it.

Run it as it is.  The receiver is part of the program, on a port of the loopback
interface, and takes the place of the world.
"""

import sys
import tempfile
from pathlib import Path

from twisted.internet.task import react

from momentum_tx import make_service
from momentum_tx.demo.mail import GOOD
from momentum_tx.demo.receivers import Receiver

CONFIG = """
[global]
state_dir = "{directory}"
smtp_listen = []

[domain."recipient.example"]
routes = ["127.0.0.1:{port}"]
"""
MESSAGE = "From: me@sender.example\nTo: you@recipient.example\nSubject: Hello\n\nHello.\n"


async def main(reactor):
    """
    Send one message.
    """
    port = reactor.listenTCP(0, Receiver(GOOD, reactor.seconds), interface="127.0.0.1")
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "momentum-tx.toml")
        config.write_text(CONFIG.format(directory=directory, port=port.getHost().port))

        # These lines are what an application needs.
        service = make_service(reactor, str(config))
        service.startService()
        await service.when_ready()
        outcomes = await service.send("me@sender.example", ["you@recipient.example"], MESSAGE)
        await service.stopService()

    for outcome in outcomes:
        print(outcome.recipient.decode(), outcome.verdict.value, outcome.note.decode())
    await port.stopListening()


if __name__ == "__main__":
    react(main, sys.argv[1:])
