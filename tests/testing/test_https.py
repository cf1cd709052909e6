"""
Tests for :mod:`momentum_tx.testing.https`.
"""

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.errors import DeliveryError
from momentum_tx.interfaces.seams import IHTTPSFetch
from momentum_tx.testing.https import ScriptedHTTPSFetch

URL = "https://mta-sts.example.com/.well-known/mta-sts.txt"


class ScriptedHTTPSFetchTests(SynchronousTestCase):
    """
    A fetch that answers from a table.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.fetch = ScriptedHTTPSFetch(self.clock)

    def test_provides(self) -> None:
        """
        It keeps the contract of the real one.
        """
        verifyObject(IHTTPSFetch, self.fetch)

    def test_post(self) -> None:
        """
        What is posted is kept, and answered as a fetch of the place is.
        """
        self.fetch.serve(URL, b"thanks", status=201)
        posting = self.fetch.post(URL, b"report", "application/tlsrpt+gzip", 60, 1000)
        self.assertEqual(self.successResultOf(posting)[::2], (201, b"thanks"))
        self.assertEqual(self.fetch.posted, [(URL, "application/tlsrpt+gzip", b"report")])
        self.fetch.fail(URL, DeliveryError("down"))
        self.failureResultOf(self.fetch.post(URL, b"report", "text/plain", 60, 1000), DeliveryError)

    def test_answer(self) -> None:
        """
        A document that is served is fetched, field names in lower case.
        """
        self.fetch.serve(URL, b"version: STSv1", headers={"Content-Type": "text/plain"})
        self.assertEqual(
            self.successResultOf(self.fetch.fetch(URL, 60, 1000)),
            (200, {"content-type": "text/plain"}, b"version: STSv1"),
        )
        self.assertEqual((self.fetch.asked, self.fetch.limits), ([URL], (60, 1000)))

    def test_failures(self) -> None:
        """
        Unknown, broken, unencrypted and too large: each fails as the real one does.
        """
        self.fetch.fail("https://down.example/", DeliveryError("certificate expired"))
        self.fetch.serve(URL, b"x" * 11)
        self.fetch.serve("http://example.com/", b"")
        for url in ("https://nowhere.example/", "https://down.example/", URL, "http://example.com/"):
            self.failureResultOf(self.fetch.fetch(url, 60, 10), DeliveryError)

    def test_held(self) -> None:
        """
        What is held waits until it is released, cancelled, or out of time.
        """
        self.fetch.serve(URL, b"x")
        self.fetch.held = True
        released, dropped, missing = (self.fetch.fetch(url, 60, 10) for url in (URL, URL, "https://nowhere.example/"))
        late = self.fetch.fetch(URL, 5, 10)
        dropped.cancel()
        self.failureResultOf(dropped, CancelledError)
        self.clock.advance(5)
        self.failureResultOf(late, DeliveryError)
        self.assertEqual(self.fetch.waiting, [URL, "https://nowhere.example/"])
        self.fetch.release()
        self.assertEqual(self.successResultOf(released)[0], 200)
        self.failureResultOf(missing, DeliveryError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
