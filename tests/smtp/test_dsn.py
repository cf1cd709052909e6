"""
The parameters of delivery status notifications.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.envelope import NO_NOTIFY, Notify
from momentum_tx.smtp.dsn import (
    check_envid,
    check_notify,
    check_orcpt,
    decode_xtext,
    encode_xtext,
    read_envid,
    read_notify,
    read_orcpt,
    read_ret,
    write_notify,
    write_orcpt,
)


class ParameterCase(SynchronousTestCase):
    """
    Values that make sense, and others.
    """

    def refused(self, read: Callable[..., Any], *values: Any) -> None:
        """
        Each of *values* is refused.
        """
        for value in values:
            try:
                found = read(value)
            except ValueError as error:
                self.assertTrue(str(error).isprintable())
            else:
                self.fail(f"{value!r} was taken as {found!r}")


class XtextTests(ParameterCase):
    """
    RFC 3461 section 4.
    """

    @given(st.binary(min_size=1, max_size=60))
    def test_there_and_back(self, value: bytes) -> None:
        """
        Whatever is encoded comes back as it was, and is nothing but characters a parameter may have.
        """
        text = encode_xtext(value)
        self.assertEqual(decode_xtext(text), value)
        self.assertTrue(all(0x21 <= octet <= 0x7E and octet != 0x3D for octet in text))

    def test_spelling(self) -> None:
        """
        A plus, an equals sign and what is not printed are two upper-case digits behind a plus.
        """
        self.assertEqual(encode_xtext(b"a+b=c d\xff~"), b"a+2Bb+3Dc+20d+FF~")
        self.refused(decode_xtext, b"", b"+", b"+2", b"+2b", b"a=b", b"a b", b"+G0", b"\xc3\xbc", b"a\n")

    @given(st.binary(max_size=40))
    def test_any_octets(self, text: bytes) -> None:
        """
        What is no xtext is refused, never half understood.
        """
        try:
            value = decode_xtext(text)
        except ValueError:
            return
        self.assertEqual(decode_xtext(encode_xtext(value)), value)


class MailTests(ParameterCase):
    """
    RET and ENVID.
    """

    def test_ret(self) -> None:
        """
        Two words, in any case.
        """
        self.assertEqual([read_ret(word) for word in (b"full", b"HDRS")], ["FULL", "HDRS"])
        self.refused(read_ret, b"", b"NONE", b"FULL,HDRS", b"\xff")

    def test_envid(self) -> None:
        """
        Printable ASCII, up to 100 characters as it is sent.
        """
        self.assertEqual(read_envid(b"QQ314159+20x"), b"QQ314159 x")
        self.assertEqual(read_envid(b"x" * 100), b"x" * 100)
        self.refused(read_envid, b"", b"x" * 101, b"+00", b"+C3+BC", b"+7F", b"a+b")

    def test_own_envid(self) -> None:
        """
        One of an application counts as it will be sent.
        """
        self.assertEqual(check_envid(b"a b"), b"a b")
        self.refused(check_envid, b"", b"x" * 101, b"+" * 34, b"a\nb", "ü".encode())


class RecipientTests(ParameterCase):
    """
    NOTIFY and ORCPT.
    """

    def test_notify(self) -> None:
        """
        NEVER alone, or each of the other words at most once.
        """
        self.assertEqual(read_notify(b"never"), Notify.NEVER)
        self.assertEqual(read_notify(b"DELAY,Success"), Notify.SUCCESS | Notify.DELAY)
        self.refused(
            read_notify,
            b"",
            b"NEVER,FAILURE",
            b"SUCCESS,SUCCESS",
            b"SUCCESS,",
            b"SUCCESS FAILURE",
            b"NO",
            b"NEVER,NEVER",
        )
        self.refused(check_notify, Notify.NEVER | Notify.DELAY)

    def test_written(self) -> None:
        """
        What is written is read as what it was.
        """
        self.assertEqual(write_notify(NO_NOTIFY), b"")
        for flags in (Notify.NEVER, *map(Notify, range(2, 16, 2))):
            self.assertEqual(read_notify(write_notify(flags)), flags)

    def test_orcpt(self) -> None:
        """
        A type and an address in xtext; whatever type, it is passed on.
        """
        for value, decoded in (
            (b"rfc822;Bob+2Btag@example.com", b"rfc822;Bob+tag@example.com"),
            (b"X400;/S=x".replace(b"=", b"+3D"), b"X400;/S=x"),
            (b"x-mine;a+20b;c", b"x-mine;a b;c"),
        ):
            self.assertEqual(read_orcpt(value), decoded)
            self.assertEqual(write_orcpt(decoded), value)
        self.refused(
            read_orcpt,
            b"",
            b"bob@example.com",
            b"rfc822;",
            b";bob@example.com",
            b"rfc 822;x",
            b"rfc822;a+b",
            b"rfc822;a+0Ab",
            b"rfc822;a+FF",
            b"rfc822;" + b"x" * 494,
        )
        self.assertEqual(len(read_orcpt(b"rfc822;" + b"x" * 493)), 500)

    def test_international(self) -> None:
        """
        RFC 6533: an address beyond ASCII has a 7-bit form, in which it goes on; as it is
        it comes only where SMTPUTF8 was asked for.
        """
        plain = "utf-8;jürgen@bücher.example".encode()
        seven = rb"utf-8;j\x{FC}rgen@b\x{FC}cher.example"
        self.assertEqual(read_orcpt(seven), plain)
        self.assertEqual(read_orcpt(plain, True), plain)
        self.assertEqual(write_orcpt(plain), seven)
        self.assertEqual(read_orcpt(rb"utf-8;a\x{5C}\x{2B}b"), b"utf-8;a\\+b")
        self.assertEqual(write_orcpt(b"utf-8;a\\+b"), rb"utf-8;a\x{5C}\x{2B}b")
        self.refused(
            read_orcpt,
            plain,
            rb"utf-8;\x{D800}",
            rb"utf-8;\x{110000}",
            rb"utf-8;\x{FFFFFF}",
            rb"utf-8;\x{0A}",
            rb"utf-8;\x{2028}",
            rb"utf-8;\x{fc}",
            rb"utf-8;a\b",
            b"utf-8;a+20b",
        )
        self.refused(lambda value: read_orcpt(value, True), b"utf-8;\xff", "rfc822;ü".encode())
        # What would be too long in its 7-bit form cannot go on.
        self.refused(lambda value: read_orcpt(value, True), b"utf-8;" + "ü".encode() * 90)

    def test_own_orcpt(self) -> None:
        """
        An application may leave out the type of an ordinary address.
        """
        self.assertEqual(check_orcpt(b"Bob+x@example.com"), b"rfc822;Bob+x@example.com")
        self.assertEqual(check_orcpt(b"rfc822;Bob+x@example.com"), b"rfc822;Bob+x@example.com")
        self.assertEqual(check_orcpt("jürgen@example.com".encode()), "utf-8;jürgen@example.com".encode())
        self.refused(check_orcpt, b"nobody", b"rfc822;a\r\nb", b"rfc822;" + b"x" * 500, b"two words@example.com")

    @given(st.binary(max_size=80))
    def test_any_octets(self, value: bytes) -> None:
        """
        Whatever a client says is refused with a text, or goes on as one word of ASCII
        that says the same.
        """
        for smtputf8 in (False, True):
            for kind in (b"", b"rfc822;", b"utf-8;"):
                try:
                    orcpt = read_orcpt(kind + value, smtputf8)
                except ValueError:
                    continue
                written = write_orcpt(orcpt)
                self.assertTrue(all(0x21 <= octet <= 0x7E and octet != 0x3D for octet in written))
                self.assertEqual(read_orcpt(written), orcpt)
