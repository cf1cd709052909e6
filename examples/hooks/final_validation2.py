"""
Takes no mail without a subject.
"""

from zope.interface import implementer

from momentum_tx.interfaces.queue_hooks import IFinalValidation2
from momentum_tx.testing.bench import Bench


@implementer(IFinalValidation2)
class Subjects:
    """
    Takes no mail without a subject.
    """

    def final_validation2(self, ac, content):
        if b"\r\nSubject:" in b"\r\n" + content.partition(b"\r\n\r\n")[0]:
            return None
        return 550, "5.6.0 A message needs a subject"


def demonstrate():
    """
    Ask it what the service would.
    """
    bench = Bench(Subjects())
    assert bench.call("final_validation2", bench.reception(), b"Subject: x\r\n\r\nHello.\r\n") is None
    assert bench.call("final_validation2", bench.reception(), b"From: a@b\r\n\r\n")[0] == 550


if __name__ == "__main__":
    demonstrate()
