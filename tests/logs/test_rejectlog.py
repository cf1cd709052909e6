"""
Tests of :mod:`momentum_tx.logs.rejectlog`.
"""

from momentum_tx.logs.rejectlog import RejectLog
from momentum_tx.settings import GlobalSettings

from ..worlds import SENDER, WorldCase
from .doubles import NOW, MemoryFile


class RejectLogTests(WorldCase):
    """
    What clients were refused.
    """

    def test_story(self) -> None:
        """
        A refusal has a record, in Momentum's form.
        """
        world = self.world()
        self.assertTrue(world.inject(SENDER, ["@nonsense"], world.message()).startswith(b"5"))
        world.advance(1)
        (content,) = [bytes(log.content) for path, log in world.logs.items() if path.endswith("/rejectlog")]
        (line,) = content.decode().splitlines()
        self.assertRegex(
            line,
            r'^\d+: R="127\.0\.0\.1:[1-9]\d*" L="127\.0\.0\.1:2525" C="[0-9A-F/-]+" PATH="" PATH_GRP="" P="6"'
            r" E=5\d\d M=smtp CTXCONN=\[\] CTXMESS=\[command=RCPT TO:<@nonsense>\] 5\d\d ",
        )

    def test_marker(self) -> None:
        """
        Its heartbeat is Momentum's.
        """
        world = self.world()
        world.advance(70)
        (content,) = [bytes(log.content) for path, log in world.logs.items() if path.endswith("/rejectlog")]
        self.assertRegex(content.decode(), r"^\d+: Marker 1\n$")

    def test_hostile(self) -> None:
        """
        What a client has said stays on its line and in its place; a format that does not fit is no fault.
        """
        file = MemoryFile()
        log = RejectLog(file, lambda: NOW, GlobalSettings)
        log.log_rejection(None, object(), {"code": "500", "command": "X],a=b\r\n\\"}, 2, "%d", ("x",))
        (line,) = file.content.splitlines()
        self.assertIn(rb"CTXMESS=[command=X\],a=b  \\]".replace(b",", b"\\,"), line)

    def test_off(self) -> None:
        """
        Without log_rejections nothing is written, and without a name there is no file.
        """
        world = self.world("[global]\nlog_rejections = false\n")
        world.inject(SENDER, ["@nonsense"], world.message())
        world.advance(1)
        (content,) = [bytes(log.content) for path, log in world.logs.items() if path.endswith("/rejectlog")]
        self.assertEqual(content, b"")
        world = self.world('[global]\nrejectlog = ""\n')
        self.assertEqual([path for path in world.logs if path.endswith("rejectlog")], [])
