"""
An HTTPS fetch that answers from a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from ..errors import DeliveryError
from ..interfaces.seams import IHTTPSFetch

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

#: What a fetch fires with: status, fields by lower-case name, body.
Response = tuple[int, dict[str, str], bytes]


@implementer(IHTTPSFetch)
class ScriptedHTTPSFetch:
    """
    Fulfils :class:`~momentum_tx.interfaces.seams.IHTTPSFetch` without a network::

        fetch = ScriptedHTTPSFetch()
        fetch.serve("https://mta-sts.example.com/.well-known/mta-sts.txt", b"version: STSv1\\r\\n")
        fetch.fail("https://down.example/", DeliveryError("certificate expired"))

    A URL that is in no table has no server.
    """

    def __init__(
        self, clock: IReactorTime | None = None, answers: dict[str, Response | Exception] | None = None
    ) -> None:
        """
        :param clock: with it, what is held fails when its time is over.
        :param answers: the table, where it outlives whoever asks.
        """
        self._clock = clock
        #: Every URL asked for, in order.
        self.asked: list[str] = []
        #: What was posted: URL, media type and document, in order; it is answered as a fetch of the URL.
        self.posted: list[tuple[str, str, bytes]] = []
        #: Seconds and octets allowed by the latest call.
        self.limits: tuple[float, int] | None = None
        #: While true no answer comes until :meth:`release`.
        self.held = False
        self._answers: dict[str, Response | Exception] = {} if answers is None else answers
        self._waiting: dict[Deferred[Response], tuple[str, int]] = {}

    @property
    def waiting(self) -> list[str]:
        """
        URLs whose fetch is held.
        """
        return [url for url, _ in self._waiting.values()]

    def serve(self, url: str, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """
        Answer *url* from now on with this document.
        """
        fields = {name.lower(): value for name, value in (headers or {}).items()}
        self._answers[url] = (status, fields, body)

    def fail(self, url: str, error: DeliveryError) -> None:
        """
        Let *url* fail from now on with *error*.
        """
        self._answers[url] = error

    def post(self, url: str, body: bytes, content_type: str, timeout: float, max_size: int) -> Deferred[Response]:
        self.posted.append((url, content_type, body))
        return self.fetch(url, timeout, max_size)

    def fetch(self, url: str, timeout: float, max_size: int) -> Deferred[Response]:
        self.asked.append(url)
        self.limits = (timeout, max_size)
        if self.held:
            waiter: Deferred[Response] = Deferred(self._forget)
            self._waiting[waiter] = (url, max_size)
            if self._clock is not None:
                waiter.addTimeout(timeout, self._clock, lambda _, seconds: _too_late(url, seconds))
            return waiter
        answer = self._answer(url, max_size)
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)

    def release(self) -> None:
        """
        Answer everything that is held; what is asked later is answered at once.
        """
        self.held = False
        waiting, self._waiting = self._waiting, {}
        for waiter, (url, max_size) in waiting.items():
            if waiter.called:
                continue
            answer = self._answer(url, max_size)
            if isinstance(answer, Exception):
                waiter.errback(answer)
            else:
                waiter.callback(answer)

    def _answer(self, url: str, max_size: int) -> Response | Exception:
        if not url.startswith("https://"):
            return DeliveryError(f"{url}: not an https URL")
        answer: Any = self._answers.get(url)
        if answer is None:
            return DeliveryError(f"{url}: nobody answers")
        if isinstance(answer, Exception):
            return type(answer)(*answer.args)
        if len(answer[2]) > max_size:
            return DeliveryError(f"{url}: more than {max_size} octets")
        return answer[0], dict(answer[1]), answer[2]

    def _forget(self, waiter: Deferred[Response]) -> None:
        self._waiting.pop(waiter, None)


def _too_late(url: str, seconds: float) -> NoReturn:
    raise DeliveryError(f"{url}: not done in {seconds:g} s")
