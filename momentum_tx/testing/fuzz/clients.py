"""
Who hands mail to the service: clients over SMTP, the application around it,
and hooks that cannot keep still.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from ...inject.in_process import Sending
from ...outcomes import Outcome
from ..injection import Injection, inject
from ..world import LISTENING
from .books import Books, Letter
from .said import parameters, settled, written

if TYPE_CHECKING:
    from .stage import Stage

#: What is said of a letter, if anything is.
Said = dict[str, Any] | None
#: Letters of hooks are numbered from here.
_HOOKS = 10_000


class Clients:
    """
    All clients of one story.

    :param stage: the story.
    :param books: told what each was answered.
    """

    def __init__(self, stage: Stage, books: Books) -> None:
        self._stage = stage
        self._books = books
        self._from_hooks = 0
        self._injections: list[tuple[Letter, Injection]] = []
        self._sendings: dict[int, Sending] = {}

    @property
    def waiting(self) -> bool:
        """
        Whether a client still waits for its answer.
        """
        return bool(self._injections)

    def _letter(self, number: int, domains: list[str], size: int, eight: bool, said: Said) -> Letter:
        sender = f"s{number}@sender.example"
        recipients = [f"r{number}x{index}@{domain}" for index, domain in enumerate(domains)]
        # Lines that begin with dots, and one that is only a dot.
        body = (f".{number}\r\n.\r\n..two\r\n" + "0123456789.abcdef\r\n" * (size // 19)).encode()
        if eight:
            body += b"Gr\xfc\xdfe\r\n"
        content = b"Subject: letter %d\r\n\r\n%b" % (number, body)
        letter = Letter(number, sender.encode(), content, tuple(recipient.encode() for recipient in recipients))
        letter.said = settled(said or {}, self._stage.world.wall())
        self._books.offered(letter)
        return letter

    def inject(
        self, number: int, domains: list[str], size: int, fields: bytes, eight: bool = False, said: Said = None
    ) -> None:
        """
        A client begins to hand a letter over, over SMTP.

        :param domains: of its recipients, one each.
        :param size: octets of its body, about.
        :param fields: header fields for the service.
        :param eight: whether its body has octets above 127.
        :param said: what is said of it besides; times count from now.
        """
        letter = self._letter(number, domains, size, eight, said)
        fields += written(letter.said)
        recipients = [recipient.decode() for recipient in letter.recipients]
        sender, (host, _) = letter.sender.decode(), LISTENING
        said_of = parameters(letter.said, len(recipients))
        client, content = self._stage.world.client, fields + letter.content
        injection = inject(client, LISTENING, sender, recipients, content, host, said_of)
        self._injections.append((letter, injection))

    def send(
        self, number: int, domains: list[str], size: int, fields: bytes, eight: bool = False, said: Said = None
    ) -> None:
        """
        The application sends a letter; arguments as those of :meth:`inject`.
        """
        letter = self._letter(number, domains, size, eight, said)
        observer, trace = self._stage.observer, self._stage.trace
        service, content = self._stage.world.service, fields + letter.content
        sending = service.send(letter.sender, letter.recipients, content, **letter.said)
        self._sendings[number] = sending

        def accepted(_: str) -> None:
            if not observer.deaf:
                trace("accepted", number)
                self._books.accepted(letter)

        def refused(_: object) -> None:
            if not observer.deaf and letter.state == "offered":
                trace("refused", number)
                self._books.refused(letter)

        def ended(outcomes: list[Outcome]) -> None:
            if not observer.deaf:
                trace("sent", number, *[outcome.verdict.name for outcome in outcomes])
                self._books.sent(letter, outcomes)

        sending.accepted.addCallbacks(accepted, refused)
        sending.addCallbacks(ended, lambda _: None)

    def send_from_hook(self, most: int, chance: Random) -> None:
        """
        A hook provider sends a message of its own.

        :param most: messages of hooks in this story.
        """
        stage = self._stage
        if self._from_hooks < most and stage.storming and not stage.stopping:
            self._from_hooks += 1
            self.send(_HOOKS + self._from_hooks, [chance.choice(stage.plan.domains).name], 100, b"")

    def cancel(self, number: int) -> None:
        """
        The application no longer waits for a letter's fate.
        """
        sending = self._sendings.get(number)
        if sending is not None and not sending.called:
            sending.cancel()

    def forsaken(self) -> None:
        """
        The process has died: what it was to tell nobody hears.
        """
        for sending in self._sendings.values():
            sending.addErrback(lambda _: None)
        self._sendings.clear()

    def look(self) -> None:
        """
        See what was answered.
        """
        if not self._injections:
            return
        trace = self._stage.trace
        waiting = []
        for letter, injection in self._injections:
            if injection.reply[:1] == b"2":
                trace("accepted", letter.number)
                self._books.accepted(letter)
            elif injection.reply:
                trace("refused", letter.number, injection.reply)
                self._books.refused(letter)
            elif injection.over:
                letter.state = "unknown"
                trace("unknown", letter.number)
            else:
                waiting.append((letter, injection))
        self._injections = waiting
