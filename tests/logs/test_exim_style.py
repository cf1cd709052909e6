"""
Tests of :mod:`momentum_tx.logs.exim_style`.  That ``eximstats`` reads it is tested in
``integration/test_log_readers``.
"""

import re

from ..worlds import SENDER, WorldCase


class EximStyleLogTests(WorldCase):
    """
    One message with three recipients.
    """

    def test_lines(self) -> None:
        """
        One record when it comes, one for each outcome, and one when nothing of it is left.
        """
        world = self.world('[global]\neximlog = "eximlog"\n')
        mx = world.exchanger("example.com")
        mx.refuse["gone@example.com"] = b"550 5.1.1 No such user"
        mx.refuse["late@example.com"] = b"450 4.2.0 later"
        self.accept(world, ["good@example.com", "gone@example.com", "late@example.com"])
        world.advance(30)
        mx.refuse.clear()
        world.advance(3600)
        world.inject(SENDER, ["@nonsense"], world.message())
        world.send("", ["good@example.com"], world.message())
        world.advance(10)
        (content,) = [bytes(log.content) for path, log in world.logs.items() if path.endswith("/eximlog")]
        lines = content.decode().splitlines()
        flags = [
            re.match(r"[\d-]+ [\d:]+ \+0000 (\w{6}-\w{6}-\w\w )?(<=|=>|==|\*\*|Completed|H=)", line) for line in lines
        ]
        self.assertNotIn(None, flags)
        shown = [flag[2] for flag in flags if flag is not None]
        self.assertEqual(sorted(shown[1:4]), ["**", "==", "=>"])
        self.assertEqual([shown[0], *shown[4:]], ["<=", "=>", "Completed", "H=", "<=", "=>", "Completed"])
        self.assertIn("<= a@sender.example H=[127.0.0.1] P=esmtp S=", lines[0])
        self.assertTrue(lines[0].endswith(" for good@example.com gone@example.com late@example.com"))
        self.assertIn("<= <> U=momentum-tx P=local S=", lines[7])
        self.assertIn(" H=mx1.example.com [198.51.100.1]: 550 5.1.1 No such user", content.decode())
        self.assertIn("rejected RCPT <@nonsense>: 5", lines[6])
