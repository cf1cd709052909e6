"""
How the receivers of a plan behave.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

from .plan import Part

#: Points of a session at which a receiver may break.
POINTS: Final = ("connect", "EHLO", "HELO", "LHLO", "XCLIENT", "MAIL", "RCPT", "DATA", "body", "dot", "RSET", "QUIT")
#: What it may do there.
BREAKS: Final = (
    {"then": "close"},
    {"then": "reset"},
    {"then": "deaf"},
    {"reply": "421 4.3.2 Closing"},
    {"reply": "450 4.2.0 Not now"},
    {"reply": "554 5.7.1 Not you"},
    {"reply": "xyz nonsense"},
    {"reply": "250 2.0.0 Surprise"},
    {"reply": "451 4.3.0 Later", "then": "close"},
    {"reply": "354 Surprise"},
    {"reply": "550-5.7.1 Two\r\n550 5.7.1 lines"},
)


class Habits:
    """
    Draws behaviours (:mod:`momentum_tx.testing.behaviours`).

    :param dice: the plan's own.
    :param storm: seconds until every receiver behaves.
    """

    def __init__(self, dice: Random, storm: float) -> None:
        self._dice = dice
        self._storm = storm

    def draw(self) -> Part:
        """
        One habit, with what it is made of.
        """
        dice = self._dice
        kind = dice.choice(
            (
                "ConnectionCap",
                "RateLimit",
                "Greylisting",
                "Tarpit",
                "DailyQuota",
                "RefuseRecipients",
                "RecipientCap",
                "BrokenAt",
                "BrokenAt",
                "BrokenAt",
                "OutageSchedule",
                "CloseAtDot",
                "CloseAtDot",
                "TemporaryFailures",
                "SlowAcceptance",
            )
        )
        return Part(kind, getattr(self, f"_make_{kind}")())

    def _make_ConnectionCap(self) -> dict[str, Any]:
        return {"most": self._dice.choice((1, 2, 4))}

    def _make_RateLimit(self) -> dict[str, Any]:
        dice = self._dice
        return {
            "most": dice.choice((1, 3, 10)),
            "seconds": dice.choice((1.0, 10.0, 60.0)),
            "at": dice.choice(("MAIL", "connect")),
        }

    def _make_Greylisting(self) -> dict[str, Any]:
        return {"delay": self._dice.choice((1.0, 60.0, 300.0))}

    def _make_Tarpit(self) -> dict[str, Any]:
        return {"seconds": self._dice.choice((0.1, 1.0, 20.0))}

    def _make_DailyQuota(self) -> dict[str, Any]:
        return {"most": self._dice.choice((1, 5, 20))}

    def _make_RefuseRecipients(self) -> dict[str, Any]:
        return {"share": self._dice.choice((0.1, 0.5, 1.0)), "salt": self._dice.randrange(1000)}

    def _make_RecipientCap(self) -> dict[str, Any]:
        dice = self._dice
        reply = dice.choice(("452 4.5.3 Too many recipients", "452 Enough", "552 Too many recipients"))
        return {"most": dice.choice((1, 2, 5)), "reply": reply}

    def _make_BrokenAt(self) -> dict[str, Any]:
        dice = self._dice
        point = dice.choice(POINTS)
        # One who says 250 before he has the message is a liar whom nobody can see through.
        answer = dict(dice.choice([each for each in BREAKS if point != "body" or each.get("reply", "")[:1] != "2"]))
        if dice.random() < 0.2:
            answer["after"] = dice.choice((0.01, 1.0, 30.0))  # type: ignore[assignment]
        return {"point": point, "answer": answer, "share": dice.choice((0.1, 0.5, 1.0))}

    def _make_OutageSchedule(self) -> dict[str, Any]:
        dice, storm = self._dice, self._storm
        every = storm * dice.uniform(0.1, 0.5)
        return {
            "every": round(every, 3),
            "lasts": round(every * dice.uniform(0.05, 0.8), 3),
            "first": round(storm * dice.uniform(0.0, 0.3), 3),
            "manner": dice.choice(("refuse", "silent", "421", "reset")),
        }

    def _make_CloseAtDot(self) -> dict[str, Any]:
        dice = self._dice
        return {"take": dice.random() < 0.7, "share": dice.choice((0.1, 0.5)), "silent": dice.random() < 0.3}

    def _make_TemporaryFailures(self) -> dict[str, Any]:
        dice = self._dice
        return {"share": dice.choice((0.1, 0.5, 0.9)), "at": dice.choice(("MAIL", "RCPT", "DATA", "dot"))}

    def _make_SlowAcceptance(self) -> dict[str, Any]:
        return {"seconds": self._dice.choice((0.5, 4.0, 50.0))}
