"""
The parts of a demo that need no network; whole runs are in
``tests/integration/test_demo.py``.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.demo import mail
from momentum_tx.demo.run import Witness, configuration, logged_kinds
from momentum_tx.interfaces.hooks import ILogDeliveryV1, ILogPermanentFailureV1, ILogTransientFailureV1
from momentum_tx.interfaces.records import IDomainRecord
from momentum_tx.queues.message import Reception


class _Domain:
    """
    All that the witness reads of a domain record.
    """

    domain = "down.demo"


class WitnessTests(SynchronousTestCase):
    """
    What the hooks tell.
    """

    def test_contract(self) -> None:
        """
        It can be registered for the three ends of an attempt.
        """
        for contract in (ILogDeliveryV1, ILogTransientFailureV1, ILogPermanentFailureV1):
            verifyObject(contract, Witness(lambda: None))

    def test_counts(self) -> None:
        """
        Deliveries and failures are ends, a failure for now is none.
        """
        told: list[int] = []
        witness = Witness(lambda: told.append(witness.ended))
        reception = Reception(b"a@x", 0.0, 1, "id")
        one, two = reception.add("1", b"1@y"), reception.add("2", b"2@y")
        dr: IDomainRecord = _Domain()  # type: ignore[assignment]
        witness.log_transient_failure_v1(one, dr, None, None)
        self.assertEqual(told, [])
        witness.log_delivery_v1(one, dr, None, None)
        witness.log_permanent_failure_v1(two, dr, None, None)
        self.assertEqual(told, [1, 2])
        records = witness.records
        self.assertEqual((records.deferred, records.delivered), ({b"1@y": 1}, {b"1@y": 1}))
        self.assertEqual((records.failed, witness.failed), ({b"2@y": 1}, {"down.demo": 1}))


class ConfigurationTests(SynchronousTestCase):
    """
    What the service is told.
    """

    PLACES = {kind.domain: f"127.0.0.1:{port}" for port, kind in enumerate(mail.KINDS, 4000)}

    def test_settled(self) -> None:
        """
        Every receiver has its route, every source its binding, and strange paths are no problem.
        """
        config = configuration('/a "strange" \\ path', {"one": "127.0.0.2", "two": "127.0.0.3"}, self.PLACES)
        self.assertEqual(config.global_settings.state_dir, '/a "strange" \\ path')
        self.assertEqual([binding.bind_address for binding in config.bindings], ["", "127.0.0.2", "127.0.0.3"])
        for domain, place in self.PLACES.items():
            self.assertEqual(config.domain(domain).routes, (place,))

    def test_life(self) -> None:
        """
        Only mail for the receiver that is down expires soon: a slow machine must not lose the rest.
        """
        config = configuration("state", {}, self.PLACES)
        lives = {domain: config.path(0, domain).message_expiration for domain in self.PLACES}
        self.assertLess(lives.pop("down.demo"), 20)
        self.assertEqual(set(lives.values()), {86400.0})


class LoggedKindsTests(SynchronousTestCase):
    """
    Counting the records of a mainlog.
    """

    def test_counts(self) -> None:
        """
        Every record counts by its letter; heartbeats are records too.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"1@a@b@c@R@x\n1@a@b@c@D@\xff\n1@@@@M\n2@a@b@c@D@y\nnonsense\n")
        self.assertEqual(logged_kinds(str(path)), {"R": 1, "D": 2, "M": 1})
