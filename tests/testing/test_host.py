"""
Tests for :mod:`momentum_tx.testing.host` beyond those of the network it is on.
"""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import DialFailed
from momentum_tx.flags import ConnFlag
from momentum_tx.testing.clock import VirtualClock
from momentum_tx.testing.network import VirtualNetwork

from .test_network import Side, Sides


class HostTests(SynchronousTestCase):
    """
    Two hosts on one network.
    """

    def test_each_to_itself(self) -> None:
        """
        Killing one host does not touch another with the same addresses: so a
        process is replaced by the next.
        """
        clock = VirtualClock()
        network = VirtualNetwork(clock, Random(1))
        factory = Sides()
        network.listen("198.51.100.7", 25, factory)
        old, new = network.dialer(["192.0.2.1"]), network.listener(["192.0.2.1"])
        ours = [Side(), Side()]
        for host, side in zip((old, new), ours, strict=True):
            host.dial("198.51.100.7", 25, "", None, lambda stream, side=side: stream.start(side), self.fail)  # type: ignore[misc]
        clock.advance(1)
        old.kill()
        clock.advance(1)
        self.assertEqual([len(side.ends) for side in factory.made], [1, 0])
        factory.made[1].transport.write(b"still here")
        clock.advance(1)
        self.assertEqual([side.heard for side in ours], [[], [b"still here"]])
        self.assertEqual(len(new.open_transports()), 1)

    def test_reset_before_the_answer(self) -> None:
        """
        A peer that resets before our connect has its answer fails the dial.
        """
        clock = VirtualClock()
        network = VirtualNetwork(clock, Random(1), latency=1.0)
        factory = Sides()
        network.listen("198.51.100.7", 25, factory)
        host = network.host("192.0.2.1")
        failed: list[object] = []
        host.dial("198.51.100.7", 25, "", None, self.fail, failed.append)
        clock.advance(1)
        (ours,) = host.open_transports()
        ours.abortConnection()
        clock.advance(5)
        self.assertEqual(len(failed), 1)
        self.assertEqual(clock.getDelayedCalls(), [])


class KernelTests(SynchronousTestCase):
    """
    What our own kernel does not do.
    """

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.network = VirtualNetwork(self.clock, Random(1))
        self.network.listen("198.51.100.7", 25, Sides())
        self.host = self.network.host("192.0.2.1")
        self.failures: list[DialFailed] = []

    def dial(self) -> None:
        self.host.dial("198.51.100.7", 25, "", None, lambda stream: stream.close(), self.failures.append)

    def test_lacking(self) -> None:
        """
        A process without descriptors connects nowhere, until it has some again.
        """
        for flag in (ConnFlag.ERROR_SOCKET, ConnFlag.ERROR_IOCTL):
            self.host.lacking = flag
            self.assertEqual(self.assertRaises(DialFailed, self.dial).flags, flag)
        self.host.lacking = ConnFlag(0)
        self.dial()
        self.clock.advance(1)
        self.assertEqual((self.failures, len(self.network.dialled)), ([], 1))

    def test_forbidden(self) -> None:
        """
        A packet filter of our own forbids a connect at once, and it is nobody else's fault.
        """
        self.network.forbid("198.51.100.7")
        self.assertEqual(self.assertRaises(DialFailed, self.dial).flags, ConnFlag.ERROR_CONNECT)
        self.network.restore("198.51.100.7")
        self.dial()

    def test_patience(self) -> None:
        """
        A kernel gives up by itself what nobody answers; what was answered or cancelled before is left alone.
        """
        self.network.kernel_patience = 130.0
        self.dial()
        self.clock.advance(1)
        self.network.black_hole("198.51.100.7")
        self.dial()
        self.clock.advance(129.9)
        self.assertEqual(self.failures, [])
        self.clock.advance(0.2)
        self.assertEqual([failure.flags for failure in self.failures], [ConnFlag.ERROR_CONNECT_TIMEOUT])
