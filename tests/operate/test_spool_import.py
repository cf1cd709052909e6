"""
Tests of :mod:`momentum_tx.operate.spool_import`.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from momentum_tx.envelope import Notify, RecipientTerms, Terms
from momentum_tx.errors import StartupError
from momentum_tx.operate import spool_import
from momentum_tx.policy.lost_reply import LostReply
from momentum_tx.queues.message import HELD, Message, traits_of
from momentum_tx.spool.files import DirectoryFile

from ..spool import contract
from .spools import SpoolOnDisk, mail


def state(message: Message) -> tuple[object, ...]:
    """
    All of a message that must outlive an export: everything but the spool's own numbers.
    """
    terms = message.reception.terms
    numbered = (contract.state(message)[0], contract.state(message)[11], message.index)
    rest = tuple(value for at, value in enumerate(contract.state(message)) if at not in (0, 11, 13))
    assert len(rest) + len(numbered) == len(contract.state(message))
    return (
        *rest,
        message.notify,
        message.orcpt,
        (terms.not_before, terms.expires, terms.envid, terms.ret, terms.require_tls, terms.tls_optional),
    )


class ImportTests(SpoolOnDisk):
    """
    ``momentum-tx spool import``.
    """

    def setUp(self) -> None:
        super().setUp()
        self.first = self.path
        self.second = os.path.join(self.mktemp(), "spool")
        self.exported = self.mktemp()

    def export(self) -> None:
        """
        Write the mail of the first spool to files.
        """
        self.assertEqual(self.command("export", self.exported, "--spool", self.first), 0)

    def take(self, *arguments: str) -> int:
        """
        Import into the second spool.
        """
        return self.command("import", self.exported, "--spool", self.second, *arguments)

    def found(self, path: str) -> tuple[set[tuple[object, ...]], dict[str, bytes]]:
        """
        What a service finds in a spool: its messages and their contents.
        """
        self.path = path
        found = self.open()
        states = {state(message) for message in found}
        self.assertEqual(len(states), len(found))
        bodies = {message.id: self.read(message.reception) for message in found}
        self.stop()
        return states, bodies

    def filled(self) -> None:
        """
        Mail in the first spool, stopped and exported.
        """
        self.open()
        self.one_of_each()
        self.stop()
        self.export()

    def names(self) -> list[str]:
        """
        Files of the second spool.
        """
        return sorted(name for name in os.listdir(self.second) if name not in ("lock", "reserve"))

    def test_roundTrip(self) -> None:
        """
        Whatever mail is in a spool, a service finds the same in the one it was imported into.
        """
        for seed in range(8):
            self.first = os.path.join(self.mktemp(), "spool")
            self.second = os.path.join(self.mktemp(), "spool")
            self.exported = self.mktemp()
            self.path = self.first
            self.rng.seed(seed)
            if seed == 4:
                # From here on mail is moved from segment to segment as well.
                self.settings = replace(self.settings, segment_live_share=90, compaction_rate=1 << 30)
            self.open()
            self.live(30)
            contract.settle(self.clock, step=1.0, turns=100)
            contract.settle(self.clock, step=0.05, turns=20)
            self.stop()
            self.export()
            self.assertEqual(self.take(), 0)
            self.assertEqual(self.found(self.second), self.found(self.first))

    def live(self, steps: int) -> None:
        """
        Mail of all kinds that has been through all kinds of things.
        """
        rng = self.rng
        for number in range(steps):
            names = [b"r%d@x%d.example" % (n, number) for n in range(rng.randrange(1, 4))]
            made = mail(str(number), *names)
            for message in made.messages:
                assert message is not None
                message.binding_slot = rng.randrange(3)
            if rng.random() < 0.3:
                made.traits = traits_of("t", rng.choice(("", "c")), "")
            if rng.random() < 0.4:
                of = {0: RecipientTerms(rng.choice((Notify.NEVER, Notify.SUCCESS | Notify.DELAY)), b"rfc822;o+x")}
                made.terms = Terms(rng.choice((0.0, 1500.0)), 9000.0, b"env", rng.choice(("", "FULL")), True, False, of)
            self.keep(made, b"Subject: %d\r\n\r\n" % number + b"x" * 70 + b"\r\n." * rng.randrange(3) + b"\r\n")
            for message in list(made.messages):
                assert message is not None
                what = rng.randrange(6)
                if what == 0:
                    self.spool.delivered(message, b"250")
                elif what == 1:
                    message.ambiguous = rng.randrange(3)
                    self.requeue(message, rng.choice((HELD, 1200.0, 8000.0)), b"451 \xff@\\")
                elif what == 2:
                    self.spool.intent([message], lambda error: None, LostReply(rng.randrange(3)))
                contract.settle(self.clock, step=0.05, turns=3)

    def test_beside(self) -> None:
        """
        Mail goes into a spool that has some already, behind it.
        """
        self.filled()
        self.path = self.second
        self.open()
        self.keep(mail("other", b"other@a.example"))
        self.stop()
        self.assertEqual(self.take(), 0)
        self.assertEqual(self.names(), ["000000000001.seg", "000000000002.seg"])
        states, _ = self.found(self.second)
        self.assertEqual(len(states), 7)

    def test_twice(self) -> None:
        """
        What was imported is not imported again, from these files or from a copy of them;
        not even when it has been delivered meanwhile.
        """
        self.filled()
        shutil.copytree(self.exported, copy := self.mktemp())
        self.assertEqual(self.take("--json"), 0)
        told = json.loads(self.out.getvalue())
        self.assertEqual((told["messages"], len(told["segments"])), (6, 1))
        self.assertEqual({each["result"] for each in told["files"]}, {"imported"})
        self.assertEqual(self.take(), 0)
        self.assertIn("imported earlier\n", self.out.getvalue())
        marked, self.exported = self.exported, copy
        self.assertEqual(self.take(), 0)
        self.assertEqual(self.out.getvalue().count("already there\n"), 5)
        self.path = self.second
        for message in self.open():
            self.spool.delivered(message, b"250")
        contract.settle(self.clock, step=0.05, turns=20)
        self.stop()
        for self.exported in (marked, copy):
            self.assertEqual(self.take(), 0)
            self.assertIn("0 messages of 0 receptions", self.out.getvalue())

    def test_nothingIfAnythingIsBad(self) -> None:
        """
        One bad file among many, and nothing is written; each is reported.
        """
        self.filled()
        sheets = sorted(Path(self.exported).glob("*.json"))
        good = sheets[1].read_text()
        content = sheets[2].with_suffix(".eml")
        sheets[0].write_text("{")
        os.unlink(content)
        os.symlink(os.path.abspath(sheets[3].with_suffix(".eml")), content)
        Path(self.exported, "stray.eml").write_bytes(b"")
        os.mkfifo(os.path.join(self.exported, "pipe.json"))
        values = json.loads(good)
        values["messages"][0]["id"] = json.loads(sheets[3].read_text())["messages"][0]["id"]
        sheets[1].write_text(json.dumps(values))
        self.assertEqual(self.take(), 1)
        text = self.out.getvalue()
        for words in (
            "refused: the sheet is no JSON",
            f"refused: {content.name}: cannot be read: a symbolic link",
            "stray: refused: there is no sheet beside it",
            "pipe: refused: pipe.json: no regular file",
            "is there already, or in another file",
        ):
            self.assertIn(words, text)
        self.assertIn("nothing was imported", self.err.getvalue())
        self.assertEqual(self.names(), [])

    def test_partly(self) -> None:
        """
        Messages of which some are there already are refused together, since a reception is one.
        """
        self.filled()
        (path,) = [path for path in Path(self.exported).glob("*.json") if "three@e.example" in path.read_text()]
        values = json.loads(path.read_text())
        whole = list(values["messages"])
        values["messages"] = whole[:1]
        path.write_text(json.dumps(values))
        self.assertEqual(self.take(), 0)
        os.rename(f"{path}.imported", path)
        values["messages"] = whole
        path.write_text(json.dumps(values))
        self.assertEqual(self.take(), 1)
        self.assertIn("not all of this one are", self.out.getvalue())

    def test_interrupted(self) -> None:
        """
        Wherever an import ends, another one completes it, and nothing is there twice.
        """
        self.filled()
        self.patch(spool_import, "_SEGMENT_SIZE", 400)
        for method in ("append", "sync"):
            for number in range(40):
                self.second = os.path.join(self.mktemp(), "spool")
                shutil.copytree(self.exported, copy := self.mktemp())
                original, self.exported = self.exported, copy
                complete = self._fails(method, number)
                self.assertEqual(self.take(), 0)
                self.assertEqual(self.found(self.second)[0], self.found(self.first)[0])
                self.exported = original
                if complete:
                    break
            else:
                self.fail("it never came through")

    def _fails(self, method: str, number: int) -> bool:
        """
        Import with a disk that is full from a call on; whether it came through.
        """
        left = [number]
        really: Any = getattr(DirectoryFile, method)

        def failing(file: DirectoryFile, *args: object) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device", file.name)
            return really(file, *args)

        self.patch(DirectoryFile, method, failing)
        try:
            self.take()
        except StartupError as error:
            self.assertIn("cannot be written: No space left on device; mend that and import again", str(error))
            self.assertIn(self.second, str(error))
            self.assertNotIn("unfinished.tmp", os.listdir(self.second))
            return False
        finally:
            self.patch(DirectoryFile, method, really)
        return True

    def test_killed(self) -> None:
        """
        What a killed import has left is replaced by the next one, and read by nobody.
        """
        self.filled()
        self.assertEqual(self.take(), 0)
        self.path = self.second
        segment = self.segment().read_bytes()
        shutil.rmtree(self.second)
        os.makedirs(self.second)
        Path(self.second, "unfinished.tmp").write_bytes(segment[:300])
        self.assertEqual(self.open(), [])
        self.stop()
        for path in Path(self.exported).glob("*.imported"):
            path.rename(path.with_suffix(""))
        self.assertEqual(self.take(), 0)
        self.assertNotIn("unfinished.tmp", self.names())
        self.assertEqual(len(self.found(self.second)[0]), 6)

    def test_changedMeanwhile(self) -> None:
        """
        A file that changes between the check and the import ends it, and leaves nothing half done.
        """
        self.filled()
        really = spool_import.Import.check

        def changing(work: spool_import.Import, progress: Any) -> Any:
            answer = really(work, progress)
            sorted(Path(self.exported).glob("*.eml"))[-1].write_bytes(b"other\r\n")
            return answer

        self.patch(spool_import.Import, "check", changing)
        error = self.assertRaises(StartupError, self.take)
        self.assertIn("was changed while it was imported", str(error))
        self.assertEqual(self.names(), [])

    def test_cannotBeMarked(self) -> None:
        """
        Files that cannot be renamed are imported all the same, and that is said.
        """
        self.filled()

        def refuse(source: spool_import.FilesIn, stem: str) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        self.patch(spool_import.FilesIn, "done", refuse)
        self.assertEqual(self.take(), 0)
        self.assertIn("cannot be marked as imported (Read-only file system)", self.err.getvalue())
        self.assertEqual(self.take(), 0)
        self.assertEqual(self.out.getvalue().count("already there"), 5)

    def test_running(self) -> None:
        """
        A spool that a service has is left alone.
        """
        self.filled()
        self.path = self.second
        self.open()
        error = self.assertRaises(StartupError, self.take)
        self.assertIn("another running instance", str(error))
        self.stop()

    def test_unreadableSpool(self) -> None:
        """
        Where it cannot be told what is there already nothing is put in.
        """
        self.filled()
        os.makedirs(self.second)
        Path(self.second, "000000000001.seg").write_bytes(b"x" * 100)
        self.assertIn("nobody knows what is there already", str(self.assertRaises(StartupError, self.take)))

    def test_noFiles(self) -> None:
        """
        A directory that is not there.
        """
        self.assertRaises(StartupError, self.command, "import", "nowhere", "--spool", self.second)
        self.assertFalse(os.path.exists(self.second))
