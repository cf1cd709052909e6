"""
Tests of :mod:`momentum_tx.logs.postfix_style`.  That ``pflogsumm`` reads it is tested
in ``integration/test_log_readers``.
"""

import re

from ..worlds import SENDER, WorldCase


class PostfixStyleLogTests(WorldCase):
    """
    One message with three recipients.
    """

    def test_lines(self) -> None:
        """
        Two records when it comes, one for each outcome, and one when nothing of it is left.
        """
        world = self.world('[global]\npostfixlog = "postfixlog"\n')
        mx = world.exchanger("example.com")
        mx.refuse["gone@example.com"] = b"550 5.1.1 No (such) user"
        mx.refuse["late@example.com"] = b"450 4.2.0 later"
        self.accept(world, ["good@example.com", "gone@example.com", "late@example.com"])
        world.advance(30)
        mx.refuse.clear()
        world.advance(3600)
        world.inject(SENDER, ["@nonsense"], world.message())
        world.advance(1)
        (content,) = [bytes(log.content) for path, log in world.logs.items() if path.endswith("/postfixlog")]
        lines = content.decode().splitlines()
        ids = set(re.findall(r": ([0-9A-F]+): ", content.decode()))
        self.assertEqual(len(ids), 1)
        daemons = [re.search(r" postfix/(\w+)\[\d+\]: ", line)[1] for line in lines]  # type: ignore[index]
        self.assertEqual(daemons, ["smtpd", "qmgr", "smtp", "smtp", "smtp", "smtp", "qmgr", "smtpd"])
        self.assertRegex(lines[0], r"^2023-11-14T\d\d:\d\d:\d\d\+00:00 mail\.sender\.example postfix/smtpd")
        self.assertIn("from=<a@sender.example>, size=", lines[1])
        self.assertIn("nrcpt=3 (queue active)", lines[1])
        outcomes = sorted(re.findall(r"to=<(\w+)@.*dsn=([\d.]+), status=(\w+)", content.decode()))
        self.assertEqual(
            outcomes,
            [
                ("gone", "5.1.1", "bounced"),
                ("good", "2.0.0", "sent"),
                ("late", "2.0.0", "sent"),
                ("late", "4.2.0", "deferred"),
            ],
        )
        self.assertIn("relay=mx1.example.com[198.51.100.1]:25", content.decode())
        self.assertIn("said: 550 5.1.1 No [such] user)", content.decode())
        self.assertTrue(lines[6].endswith(": removed"))
        self.assertIn("NOQUEUE: reject: RCPT from unknown[127.0.0.1]: 5", lines[7])
