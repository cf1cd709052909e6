"""
Addresses beyond ASCII.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.smtp.international import ascii_form, needs_smtputf8, same_mailbox


class InternationalTests(SynchronousTestCase):
    """
    What needs SMTPUTF8, and what has another form.
    """

    def test_needs(self) -> None:
        """
        Only a local part beyond ASCII cannot be said otherwise.
        """
        for address, needed in (
            ("bob@example.com", False),
            ("bob@bücher.example", False),
            ("jürgen@example.com", True),
            ("jürgen@bücher.example", True),
            ('"a@ü"@example.com', True),
            ("postmaster", False),
            ("", False),
        ):
            self.assertEqual(needs_smtputf8(address.encode()), needed, address)

    def test_ascii_form(self) -> None:
        """
        The domain in A-labels; what is ASCII is left alone, its case too.
        """
        for address, form in (
            ("Bob@Bücher.example", b"Bob@xn--bcher-kva.example"),
            ("Bob@EXAMPLE.com", b"Bob@EXAMPLE.com"),
            ('"a b"@bücher.example', b'"a b"@xn--bcher-kva.example'),
            ("", b""),
            ("bob@[192.0.2.1]", b"bob@[192.0.2.1]"),
            ("jürgen@bücher.example", "jürgen@xn--bcher-kva.example".encode()),
        ):
            self.assertEqual(ascii_form(address.encode()), form)

    def test_same_mailbox(self) -> None:
        """
        Domains are compared whatever their case and form, local parts octet by octet.
        """
        for one, other, same in (
            ("bob@example.com", "bob@EXAMPLE.com", True),
            ("bob@bücher.example", "bob@XN--BCHER-KVA.example", True),
            ("bob@BÜCHER.example", "bob@bücher.example", True),
            ("Bob@example.com", "bob@example.com", False),
            ("bob@example.com", "bob@example.net", False),
            ('"a@b"@example.com', '"a@B"@example.com', False),
        ):
            self.assertEqual(same_mailbox(one.encode()) == same_mailbox(other.encode()), same, (one, other))
