"""
Tests of :mod:`momentum_tx.flags` and of its table in the reference.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import momentum_tx
from momentum_tx import flags
from momentum_tx.flags import CONN_ERROR, ConnFlag
from momentum_tx.policy.consequence import counts_as_mx_failure, with_actions

REFERENCE = Path(__file__).parent.parent / "doc" / "reference" / "flags.md"

CAUSES = (
    "CONN_ERROR_MX_LOOKUP_FAILED",
    "CONN_ERROR_MX_LOOKUP_PENDING",
    "CONN_ERROR_SMTP_NULL_MX",
    "CONN_ERROR_NO_MXS_REACHABLE",
    "CONN_ERROR_PROHIBITED_IP",
    "CONN_ERROR_HOST_MAX_REACHED",
    "CONN_ERROR_SOCKET",
    "CONN_ERROR_IOCTL",
    "CONN_ERROR_BIND",
    "CONN_ERROR_CONNECT",
    "CONN_ERROR_CONNECT_NETWORK",
    "CONN_ERROR_CONNECT_TIMEOUT",
)
ACTIONS = ("CONN_ACTION_REQUEUE1", "CONN_ACTION_PURGE_DOMAIN")


def rows(path: Path) -> list[list[str]]:
    """
    The cells of every row of every table in a page of the reference.
    """
    lines = path.read_text("utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


class NameTests(SynchronousTestCase):
    """
    Momentum's fourteen names.
    """

    def test_importable(self) -> None:
        """
        Exactly the fourteen names of Momentum's page can be imported, each the flag of the same name.
        """
        found = {name for name in vars(flags) if name.startswith("CONN_")}
        self.assertEqual(found, {*CAUSES, *ACTIONS, "CONN_ERROR"})
        for name in (*CAUSES, *ACTIONS):
            self.assertIs(getattr(flags, name), ConnFlag[name.removeprefix("CONN_")])

    def test_at_the_front_door(self) -> None:
        """
        The flags are found in the package itself.
        """
        self.assertIs(momentum_tx.ConnFlag, ConnFlag)

    def test_words(self) -> None:
        """
        A word is told by full names joined by a bar, success by a nought.
        """
        self.assertEqual(str(ConnFlag.ERROR_BIND | ConnFlag.ACTION_REQUEUE1), "CONN_ERROR_BIND|CONN_ACTION_REQUEUE1")
        self.assertEqual(str(ConnFlag.ACTION_PURGE_DOMAIN), "CONN_ACTION_PURGE_DOMAIN")
        self.assertEqual(str(ConnFlag(0)), "0")
        self.assertEqual(f"{ConnFlag.ERROR_SOCKET}", "CONN_ERROR_SOCKET")
        self.assertEqual((ConnFlag.ERRORS | ConnFlag.ACTIONS).names, (*CAUSES, *ACTIONS))


class GroupTests(SynchronousTestCase):
    """
    Causes and obligations.
    """

    def test_one_group_each(self) -> None:
        """
        Every flag is one bit of its own, and either a cause or an obligation, as its name says.
        """
        self.assertEqual(len(ConnFlag), 14)
        self.assertEqual(len({flag.value for flag in ConnFlag}), 14)
        for flag in ConnFlag:
            self.assertEqual(flag.value.bit_count(), 1)
            self.assertEqual(flag in ConnFlag.ERRORS, str(flag) in CAUSES)
            self.assertEqual(flag in ConnFlag.ACTIONS, str(flag) in ACTIONS)
            self.assertNotEqual(flag in ConnFlag.ERRORS, flag in ConnFlag.ACTIONS)
        self.assertEqual(ConnFlag.ERRORS & ConnFlag.ACTIONS, 0)

    def test_strict(self) -> None:
        """
        A bit nobody defined is refused where the word is made.
        """
        for value in (1 << 12, 1 << 28, 1 << 31, 1 << 40, ConnFlag.ERROR_BIND.value | 1 << 20):
            self.assertRaises(ValueError, ConnFlag, value)
            self.assertRaises(ValueError, CONN_ERROR, value)

    def test_no_descriptor(self) -> None:
        """
        The negative of a cause is below every descriptor, and gives the cause back.
        """
        for name in CAUSES:
            cause = getattr(flags, name)
            told = -cause
            self.assertLess(told, 0)
            self.assertIs(ConnFlag(-told), cause)

    def test_cause(self) -> None:
        """
        ``CONN_ERROR`` leaves the cause and takes the obligations away.
        """
        for name in CAUSES:
            cause = getattr(flags, name)
            self.assertIs(CONN_ERROR(cause), cause)
            self.assertIs(CONN_ERROR(cause | ConnFlag.ACTION_REQUEUE1), cause)
            self.assertIs(CONN_ERROR(int(cause | ConnFlag.ACTIONS)), cause)
        self.assertEqual(CONN_ERROR(ConnFlag.ACTIONS), 0)
        self.assertEqual(CONN_ERROR(0), ConnFlag(0))


class ReferenceTests(SynchronousTestCase):
    """
    The page about the flags.
    """

    def setUp(self) -> None:
        self.rows = {row[0].strip("`"): row[1:] for row in rows(REFERENCE) if row[0].startswith("`CONN_")}

    def test_every_flag(self) -> None:
        """
        Every flag has its row, and no row is about anything else.
        """
        self.assertEqual(set(self.rows), {*CAUSES, *ACTIONS})

    def test_true(self) -> None:
        """
        The obligations and counts in the table are those the program acts by.
        """
        for name in CAUSES:
            cause = getattr(flags, name)
            _, action, counts, _ = self.rows[name]
            self.assertEqual(counts, "yes" if counts_as_mx_failure(cause) else "no", name)
            now, final = (str(with_actions(cause, final) & ConnFlag.ACTIONS) for final in (False, True))
            if now == final:
                self.assertEqual(action.strip("`"), "none" if now == "0" else now, name)
            else:
                self.assertEqual((now, action), ("0", f"`{final}` if final, else none"), name)
