"""
What a reply says: its status (RFC 3463), and the same in plain words.
"""

from __future__ import annotations

import re
from typing import Final

#: A reply as one line: its code, its enhanced code, its text; each may be missing but the text.
_REPLY: Final = re.compile(rb"(?:([2-5][0-9]{2})(?:[ -]|\Z))?(?:([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |\Z))?")

#: What a sender can do about it, by subject and detail (RFC 3463 3); written for people who send mail, not
#: for those who run servers.
_WORDS: Final = {
    "1.1": "The address does not exist there. Check how it is spelled, or ask the recipient for the new one.",
    "1.2": "The part of the address behind the @ does not exist, or takes no mail. Check how it is spelled.",
    "1.3": "The address is not written as an address must be. Check how it is spelled.",
    "1.6": "The recipient has moved, and left no new address there.",
    "1.8": "The recipient's server does not accept your own address as that of a sender.",
    "1.10": "The domain of the address has said that it takes no mail at all.",
    "2.1": "The mailbox is closed for now or for good. Reach the recipient by another way.",
    "2.2": "The mailbox is full. Try again when the recipient has made room.",
    "2.3": "The message is larger than the recipient may get. Send a smaller one, or a link to what it holds.",
    "3.4": "The message is larger than the recipient's server takes. Send a smaller one, or a link to what it holds.",
    "4.1": "The recipient's server could not be reached.",
    "4.4": "The mail servers of the recipient's domain could not be found.",
    "4.6": "The message went round in circles between servers. Whoever runs the recipient's server has to see to that.",
    "4.7": "It was tried for as long as we try. Send the message again later, or reach the recipient by another way.",
    "6.7": "The address has letters that the recipient's server does not understand.",
    "7.0": "The recipient's server, or ours, has a rule against this message.",
    "7.1": "The recipient's server has a rule against mail from you, or of this kind. The recipient may be able to"
    " change that.",
    "7.10": "The message could only have been sent without the protection that was asked for.",
    "7.25": "The recipient's server does not trust the address that our server has.",
    "7.26": "The recipient's server could not verify that the message is yours. Whoever runs your domain can see to"
    " that.",
}
#: The same by subject alone.
_BY_SUBJECT: Final = {
    "1": "There is something wrong with the address. Check how it is spelled.",
    "2": "There is something wrong with the recipient's mailbox.",
    "3": "The recipient's mail system cannot take the message.",
    "4": "There is something wrong on the way to the recipient's server.",
    "5": "The two servers did not understand each other. Whoever runs ours has to see to that.",
    "6": "The recipient's server cannot take what the message holds.",
    "7": "The recipient's server has a rule against this message.",
}
_UNKNOWN: Final = "The recipient's server did not say more than what stands below."


def status_of(note: bytes, default: str) -> str:
    """
    The status that *note* says: its enhanced code; else one made from its code, of which
    only the class is known (RFC 3464 2.3.4).

    :param note: a reply, or a text of our own, as one line.
    :param default: the status of what has neither, such as ``5.0.0``.
    """
    found = _REPLY.match(note)
    assert found is not None
    code, enhanced = found.groups()
    if enhanced is not None:
        # RFC 3463 2: no leading zeros.
        return ".".join(str(int(part)) for part in enhanced.split(b"."))
    if code is not None and code[:1] in b"245":
        return f"{code[:1].decode()}.0.0"
    return default


def is_our_own(note: bytes) -> bool:
    """
    Whether no peer has said *note*.
    """
    return b"[internal]" in note


def in_plain_words(status: str) -> str:
    """
    What a failure of that status means for whoever sent the mail.
    """
    _, _, detail = status.partition(".")
    return _WORDS.get(detail) or _BY_SUBJECT.get(detail.partition(".")[0]) or _UNKNOWN
