"""
Tests of :mod:`momentum_tx.smtp.arguments`.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.interfaces.records import ICommandArguments
from momentum_tx.smtp.arguments import CommandArguments


class CommandArgumentsTests(SynchronousTestCase):
    """
    What follows a command.
    """

    def test_unchanged(self) -> None:
        """
        What nobody changes is said as it was.
        """
        for text in (b"", b"SIZE=10", b"SIZE=10 BODY=8BITMIME SMTPUTF8", b"NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1"):
            args = CommandArguments(text)
            verifyObject(ICommandArguments, args)
            self.assertEqual(bytes(args), text)

    def test_changed(self) -> None:
        """
        Arguments are added, replaced where they stand, and left out; names in any case of letters.
        """
        args = CommandArguments(b"SIZE=10 SMTPUTF8")
        args.add(b"size", b"20")
        args.add(b"XVERP")
        args.add(b"ENVID", b"a+3Db")
        self.assertEqual(bytes(args), b"SIZE=20 SMTPUTF8 XVERP ENVID=a+3Db")
        self.assertEqual((args.fetch(b"envid"), args.fetch(b"XVERP"), args.fetch(b"RET")), (b"a+3Db", None, None))
        self.assertEqual((b"xverp" in args, b"RET" in args), (True, False))
        args.delete(b"smtputf8")
        args.delete(b"RET")
        self.assertEqual(list(args), [b"SIZE", b"XVERP", b"ENVID"])

    def test_impossible(self) -> None:
        """
        What would be something else to the peer is refused.
        """
        args = CommandArguments()
        for name in (b"", b"-X", b"A B", b"A=B", b"A\r\nQUIT", b"\xfc"):
            self.assertRaises(ValueError, args.add, name)
        for value in (b"", b"a b", b"a=b", b"a\r\nQUIT", b"\0", b"\xfc"):
            self.assertRaises(ValueError, args.add, b"X", value)
        self.assertEqual(bytes(args), b"")
