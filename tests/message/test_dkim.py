"""
Tests of :mod:`momentum_tx.message.dkim`; who verifies is dkimpy.
"""

import base64
import re

import dkim as dkimpy
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.message import canonical
from momentum_tx.message.dkim import author_domain, sign
from momentum_tx.message.dkim_keys import SigningKey
from momentum_tx.settings import DKIMSignature

from .dkim_keys import key

NOW = 1_700_000_000.0
MESSAGE = (
    b"Received: from a by b; date\r\n"
    b"From: Joe <joe@example.com>\r\n"
    b"To: a@example.org,\r\n\tb@example.org\r\n"
    b"Subject:  Is  dinner\tready? \r\n"
    b"X-Other: 1\r\n"
    b"\r\n"
    b"Hi.  \r\n\r\n..\tA dot.\r\n\r\n\r\n"
)
KINDS = ("rsa", "ed25519")
CANONS = [(header, body) for header in ("relaxed", "simple") for body in ("relaxed", "simple")]


def signature(**said: object) -> DKIMSignature:
    """
    One by the key *s1* of ``example.com``.
    """
    return DKIMSignature(**{"domain": "example.com", "selector": "s1", **said})  # type: ignore[arg-type]


def verifies(content: bytes, used: SigningKey, index: int = 0) -> bool:
    """
    Whether dkimpy accepts a signature of *content*.

    :param used: the key that DNS has.
    :param index: which signature, the topmost first.
    """
    verifier = dkimpy.DKIM(content)
    try:
        return bool(verifier.verify(index, dnsfunc=lambda name, timeout=5: used.record().encode()))
    except dkimpy.DKIMException:
        return False


def tags(content: bytes, index: int = 0) -> dict[str, str]:
    """
    The tags of a signature, without folding.
    """
    field = re.findall(rb"DKIM-Signature:((?:[^\r\n]*\r\n[ \t])*[^\r\n]*)\r\n", content)[index].decode()
    parts = [part.partition("=") for part in re.sub(r"\s", "", field).split(";")]
    return {name: value for name, _, value in parts}


#: Header fields in every shape that is allowed.
_VALUES = st.lists(st.sampled_from([" ", "\t", "\r\n ", "\r\n\t", "x", "word", ":", "\xe4"]), max_size=8).map("".join)
_HEADERS = st.lists(
    st.tuples(st.sampled_from(["To", "Subject", "subject", "Cc", "X-Other", "Received", "List-Id", "DATE"]), _VALUES),
    max_size=8,
)
_BODIES = st.lists(st.sampled_from(["", " ", "\t", "a  b", ".", "..x", "\xe4\xf6", "x \t", "y" * 1200]), max_size=8)


class SigningTests(SynchronousTestCase):
    """
    What is signed verifies.
    """

    def test_every_way(self) -> None:
        """
        With both kinds of keys and all four canonicalizations.
        """
        for kind in KINDS:
            for header, body in CANONS:
                made = sign(MESSAGE, [(signature(header_canon=header, body_canon=body), key(kind))], NOW)
                self.assertTrue(verifies(made + MESSAGE, key(kind)), (kind, header, body))
                self.assertEqual(tags(made)["c"], f"{header}/{body}")

    @settings(derandomize=True, max_examples=150, deadline=None)
    @given(
        _HEADERS,
        _BODIES,
        st.sampled_from(CANONS),
        st.sampled_from(["From: a@example.com", "FROM:\r\n <a@example.com>"]),
    )
    def test_any_message(
        self, header: list[tuple[str, str]], lines: list[str], canons: tuple[str, str], author: str
    ) -> None:
        """
        Fields that occur several times, or not at all, are folded or empty; bodies
        that are empty, end in blank lines or have long ones: all verify.
        """
        fields = [f"{name}: {value}" for name, value in header]
        text = "\r\n".join([*fields[:3], author, *fields[3:], "", *lines, ""])
        content = text.encode("latin-1")
        made = sign(content, [(signature(header_canon=canons[0], body_canon=canons[1]), key("ed25519"))], NOW)
        self.assertTrue(verifies(made + content, key("ed25519")))

    def test_small_messages(self) -> None:
        """
        A header without a body, with or without the empty line, and one empty line as the body.
        """
        for content in (b"From: a@example.com\r\n", b"From: a@example.com\r\n\r\n", b"From: a@example.com\r\n\r\n\r\n"):
            for header, body in CANONS:
                made = sign(content, [(signature(header_canon=header, body_canon=body), key("ed25519"))], NOW)
                self.assertTrue(verifies(made + content, key("ed25519")), (content, header, body))

    def test_several(self) -> None:
        """
        Several signatures stand in the order in which they were asked for, and
        each verifies, whatever the others say.
        """
        both = [(signature(), key("ed25519")), (signature(selector="r", body_canon="simple"), key("rsa"))]
        made = sign(MESSAGE, both, NOW)
        self.assertEqual([tags(made, at)["a"] for at in (0, 1)], ["ed25519-sha256", "rsa-sha256"])
        self.assertTrue(verifies(made + MESSAGE, key("ed25519"), 0))
        self.assertTrue(verifies(made + MESSAGE, key("rsa"), 1))

    def test_changes(self) -> None:
        """
        A changed word of what is signed breaks it; a changed field that is not signed does not.
        """
        made = sign(MESSAGE, [(signature(), key("ed25519"))], NOW)
        for old, new, holds in (
            (b"joe@", b"eve@", False),
            (b"dinner", b"supper", False),
            (b"A dot", b"A dog", False),
            (b"X-Other: 1", b"X-Other: 2", True),
            (b"Received: from a", b"Received: from c by d; date\r\nReceived: from a", True),
            (b"Is  dinner\tready? ", b"Is dinner\r\n ready?", True),
            (b"Hi.  \r\n", b"Hi.\r\n", True),
        ):
            self.assertIn(old, MESSAGE)
            self.assertIs(verifies(made + MESSAGE.replace(old, new), key("ed25519")), holds, new)

    def test_oversigned(self) -> None:
        """
        A second From or Subject that is added on the way breaks the signature; a
        second To does, where that is to be oversigned as well.
        """
        for oversign, field, holds in (
            (("From", "Subject"), b"From: eve@example.net\r\n", False),
            (("From", "Subject"), b"Subject: Win\r\n", False),
            (("From", "Subject"), b"Reply-To: eve@example.net\r\n", True),
            (("from", "Reply-To"), b"Reply-To: eve@example.net\r\n", False),
            (("To",), b"To: eve@example.net\r\n", False),
        ):
            made = sign(MESSAGE, [(signature(oversign=oversign), key("ed25519"))], NOW)
            self.assertIs(verifies(field + made + MESSAGE, key("ed25519")), holds, (oversign, field))

    def test_names(self) -> None:
        """
        A field is listed as often as it occurs, and once more where it is
        oversigned; From always is.
        """
        content = b"To: a\r\nTO: b\r\nFrom: x@example.com\r\n\r\n"
        made = sign(content, [(signature(headerlist=("To", "Cc", "to"), oversign=("cc",)), key("ed25519"))], NOW)
        self.assertEqual(tags(made)["h"], "from:to:to:cc")
        made = sign(b"To: a\r\n\r\n", [(signature(headerlist=(), oversign=()), key("ed25519"))], NOW)
        self.assertEqual(tags(made)["h"], "from")

    def test_times(self) -> None:
        """
        A signature says when it was made, and where it has a lifetime when that ends.
        """
        said = tags(sign(MESSAGE, [(signature(), key("ed25519"))], NOW + 0.9))
        self.assertEqual((said["t"], said.get("x")), ("1700000000", None))
        said = tags(sign(MESSAGE, [(signature(lifetime=86400.5), key("ed25519"))], NOW))
        self.assertEqual((said["t"], said["x"]), ("1700000000", "1700086400"))

    def test_identity(self) -> None:
        """
        An identity is written so that no character of it ends the tag.
        """
        made = sign(MESSAGE, [(signature(identity="ö;x=@news.example.com"), key("ed25519"))], NOW)
        self.assertEqual(tags(made)["i"], "=C3=B6=3Bx=3D@news.example.com")
        self.assertTrue(verifies(made + MESSAGE, key("ed25519")))

    def test_never_a_length(self) -> None:
        """
        No signature says how much of the body it covers, and none has a line that a server would break.
        """
        content = MESSAGE + b"x" * 1000 + b"\r\n"
        many = b"".join(b"Resent-Message-ID: %d\r\n" % number for number in range(60)) + content
        made = sign(many, [(signature(), key("rsa"))], NOW)
        self.assertNotIn("l", tags(made))
        self.assertLessEqual(max(map(len, made.split(b"\r\n"))), 78)
        self.assertTrue(verifies(made + many, key("rsa")))

    def test_rfc_8463(self) -> None:
        """
        The Ed25519 signature of RFC 8463 A.3 is what we make of its message, key and field.
        """
        content = (
            b"From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n"
            b"Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
            b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n"
            b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
        )
        head, _, _ = content.partition(b"\r\n\r\n")
        fields = [line + b"\r\n" for line in head.split(b"\r\n")]
        field = (
            b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; "
            b"i=@football.example.com;\r\n q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
            b" subject : date : message-id : from : subject : date;\r\n"
            b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b="
        )
        digest = base64.b64encode(canonical.body_hash(content, len(head) + 4, "relaxed"))
        self.assertEqual(digest, b"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=")
        signer = SigningKey.parse(b"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
        data = b"".join(canonical.relaxed_field(each) for each in fields) + canonical.relaxed_field(field)[:-2]
        self.assertEqual(
            base64.b64encode(signer.sign(data)),
            b"/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==",
        )
        self.assertEqual(signer.record(), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")


class AuthorTests(SynchronousTestCase):
    """
    Whose mail it is.
    """

    def test_found(self) -> None:
        """
        The domain is found whatever stands around the address.
        """
        for value, domain in (
            (b"joe@example.com", b"example.com"),
            (b" <joe@Example.COM> ", b"Example.COM"),
            (b'"Joe, the <one>" <joe@example.com>, eve@example.net', b"example.com"),
            (b'"a \\" b" (x (y) "<z@w>") <joe@example.com>', b"example.com"),
            (b"joe@example.com (Joe)", b"example.com"),
            (b"Joe <joe@example.com> trailing", b"example.com"),
            (b"Friends: joe@example.com, eve@example.net;", b"example.com"),
            (b"nobody, joe@example.com", b"example.com"),
            (b'"joe@home"@example.com', b"example.com"),
            (b"<@relay.example,@other.example:joe@example.com>", b"example.com"),
            (b"Joe\r\n\t<joe@\r\n example.com>", b"example.com"),
            ("Jö <jö@bücher.example>".encode(), "bücher.example".encode()),
            (b"", b""),
            (b"nobody", b""),
            (b"undisclosed:;", b""),
            (b"<joe>", b""),
            (b"<@example.com>", b""),
            (b"joe@exa mple.com", b""),
            (b'"unclosed <joe@example.com>', b"example.com"),
            (b"(unclosed <joe@example.com>", b""),
            (b"x" * 9000 + b"@example.com", b""),
        ):
            self.assertEqual(author_domain(b"To: z@a.example\r\nFrom: " + value + b"\r\n\r\n"), domain, value)

    def test_no_single_author(self) -> None:
        """
        Without a From field, or with two, nobody is the author.
        """
        self.assertEqual(author_domain(b"To: a@example.com\r\n\r\nFrom: a@example.com\r\n"), b"")
        self.assertEqual(author_domain(b"From: a@example.com\r\nfrom: a@example.com\r\n\r\n"), b"")
        self.assertEqual(author_domain(b"\r\nFrom: a@example.com\r\n"), b"")
