"""
Tests for :mod:`momentum_tx.testing.host` beyond those of the network it is on.
"""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

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
