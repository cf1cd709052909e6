"""
The contracts of hooks about reports: what a sender is told of mail, and how.

What holds for all hooks is said in :mod:`momentum_tx.interfaces.hooks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zope.interface import Interface

if TYPE_CHECKING:
    from .records import IMessage, IReception


class IGenerateBounces(Interface):
    """
    Hook: is the sender of a message told of its failure? Shape: *override*.

    Default: as ``generate_bounces`` says, the option, and before it what the sender has said
    (NOTIFY).

    Source: Momentum, hook ``generate_bounces``: ``GENERATE_BOUNCES_HOOK_CONT`` is ``None``
    here, ``GENERATE_BOUNCES_HOOK_OK`` with what it has put into ``enabled`` is a boolean.

    See also: ``generate_rfc3464_message``, ``log_permanent_failure_v1``; `reports
    <../../howto/bounces.md>`_.
    """

    def generate_bounces(msg: IMessage, enabled: bool) -> bool | None:
        """
        Once per message that has failed for ever, after ``log_permanent_failure_v1``; not where
        nobody could be told, since the sender is null and there is no ``mdn_failures_notify``,
        or the application waits for the end of the message itself.

        :param msg: The message; ``msg.code`` says why it has failed.
        :param enabled: What is done without this hook.
        :returns: Whether the sender is told, or ``None`` for no opinion. The limit of reports
            (``bounce_rate_limit``) holds all the same.
        """


class IGenerateRfc3464Message(Interface):
    """
    Hook: what is the report? Shape: *override*.

    Default: ours, `as it is described <../dsn.md>`_.

    Source: Momentum, hook ``generate_rfc3464_message``: true with a message is octets here,
    true with NULL is ``b""``, false is ``None``.

    See also: ``generate_rfc3464_message_preamble``, ``post_generate_rfc3464_message``.
    """

    def generate_rfc3464_message(msg: IMessage, action: str) -> bytes | None:
        """
        Before a report is written, for its first message; several messages of one reception
        that failed together share one.

        :param msg: The message.
        :param action: ``failed``, ``delayed``, ``delivered`` or ``relayed``.
        :returns: The whole report, with CRLF line ends; ``b""`` for none at all; ``None`` for
            ours.
        """


class IGenerateRfc3464MessagePreamble(Interface):
    """
    Hook: what is in front of the fields for programs: the header, and the text for people?
    Shape: *override*.

    Default: our header and our text.

    Source: Momentum, hook ``generate_rfc3464_message_preamble``, which is given the headers as
    the beginning of a string.

    See also: ``rfc3464_inline_message_fragment``.
    """

    def generate_rfc3464_message_preamble(msg: IMessage, action: str, draft: Any) -> bool | None:
        """
        When a report is begun, for its first message.

        :param msg: The message.
        :param action: As for ``generate_rfc3464_message``.
        :param draft: A ``momentum_tx.dsn.rendering.Draft``. Its ``headers`` are ours, a list
            of names and values, its ``text`` is ours, and ``status`` has the fields for
            programs. Change what you like.
        :returns: True ends the chain: what the draft has now is what is written. ``None`` or
            false asks the next provider, which sees what was changed.
        """


class IRfc3464InlineMessageFragment(Interface):
    """
    Hook: what goes back of the message? Shape: *override*.

    Default: what RET says, or the option ``bounces_inline_original``.

    Source: Momentum, hook ``rfc3464_inline_message_fragment``, which writes to a string.

    See also: ``generate_rfc3464_message_preamble``.
    """

    def rfc3464_inline_message_fragment(msg: IMessage, action: str) -> bytes | None:
        """
        When a report is begun, for its first message.

        :param msg: The message.
        :param action: As for ``generate_rfc3464_message``.
        :returns: One part of MIME with its own header, with CRLF line ends, such as
            ``b"Content-Type: text/plain\\r\\n\\r\\nGone.\\r\\n"``; delimiters are put around it.
            ``b""`` sends nothing back; ``None`` what would go back anyway.
        """


class IPostGenerateRfc3464Message(Interface):
    """
    Hook: a report was written, and is durable. Shape: *notice*.

    Source: Momentum, hook ``post_generate_rfc3464_message``, which may still change the report.

    See also: ``generate_rfc3464_message``.
    """

    def post_generate_rfc3464_message(orig: IMessage, bounce: IReception, action: str) -> None:
        """
        Once for each message that a report is about, before the message is done with.

        :param orig: The message.
        :param bounce: The report; its messages are queued like any other mail, with the null
            sender.
        :param action: As for ``generate_rfc3464_message``.
        """


class IGenerateDelayDsn(Interface):
    """
    Hook: is the sender told that a message is late? Shape: *override*.

    Default: what the sender has said (NOTIFY), or the option ``generate_delay_dsn``.

    Source: Momentum, module ``delay_dsn``, hook ``generate_delay_dsn``, whose constants are
    ``None`` and a boolean here.

    See also: ``next_delay_dsn``, ``send_notification``.
    """

    def generate_delay_dsn(msg: IMessage, enabled: bool) -> bool | None:
        """
        Each time that a message fails for now, until it is wanted: from then on the message is
        watched, up to its end or the service's.

        :param msg: The message.
        :param enabled: What is done without this hook.
        :returns: Whether, or ``None`` for no opinion.
        """


class INextDelayDsn(Interface):
    """
    Hook: when is the sender told next that a message is late? Shape: *override*.

    Default: by ``delay_dsn_retry_interval`` and ``delay_dsn_max_retry_interval``.

    Source: Momentum, module ``delay_dsn``, hook ``next_delay_dsn``.

    See also: ``generate_delay_dsn``, ``send_notification``.
    """

    def next_delay_dsn(msg: IMessage, now: float, when: float) -> float | None:
        """
        When a message is known to be late, and again after each report of that.

        :param msg: The message.
        :param now: Wall time, seconds since 1970.
        :param when: When it would be told, wall time.
        :returns: Another time, or ``None`` for *when*; one that has passed counts as now.
        """


class ISendNotification(Interface):
    """
    Hook: a sender is about to be told that a message is late; is it done already? Shape:
    *override*.

    Default: a report is written.

    Source: Momentum, module ``delay_dsn``, hook ``send_notification``, whose
    ``DELAY_DSN_SEND_NOTIFICATION_OK`` is true here.

    See also: ``next_delay_dsn``, ``generate_rfc3464_message``.
    """

    def send_notification(msg: IMessage) -> bool | None:
        """
        When the time has come and the message still waits.

        :param msg: The message.
        :returns: True if you have told the sender yourself; ``None`` or false for our report.
        """


class ISmtpErrorClassify(Interface):
    """
    Hook: what does a refusal mean? Shape: *override*.

    Default: the rules of the operator, then ours; see `classification
    <../../howto/classify.md>`_.

    Source: Momentum, hook ``smtp_error_classify``.

    See also: ``log_permanent_failure_v1``.
    """

    def smtp_error_classify(response: str, domain: str) -> int | None:
        """
        When a failure is written to a log that says what it means, and when one is counted
        that nobody knows; perhaps several times for the same failure. Delivery does not wait
        for it, and nothing else follows from the answer.

        :param response: The reply, or our own words, as one line.
        :param domain: The routing domain.
        :returns: A code: one of Momentum's, or your own below 100. ``None`` for no opinion.
        """


class ISuppressionCheck(Interface):
    """
    Hook: is a recipient left out who is on the suppression list? Shape: *override*.

    Default: it is.

    Source: ours; Momentum has no hook ``suppression_check``.

    See also: ``suppression_added``; `the suppression list <../../howto/suppression.md>`_.
    """

    def suppression_check(recipient: bytes, tenant: str, entry: Any) -> bool | None:
        """
        At RCPT TO, and before each attempt, of a recipient who is on the list; not of others.

        :param recipient: Forward path.
        :param tenant: Whose mail it is; empty where that is not known, as at RCPT TO.
        :param entry: Why it is on the list: ``reason``, ``code``, ``since``, ``until``, ``note``.
        :returns: False has the mail go out; true and ``None`` leave the recipient out.
        """


class ISuppressionAdded(Interface):
    """
    Hook: an address was put on the suppression list. Shape: *notice*.

    Source: ours; Momentum has no hook ``suppression_added``.

    See also: ``suppression_check``.
    """

    def suppression_added(address: str, tenant: str, entry: Any) -> None:
        """
        Once per address that a rule or an operator enters, also if it was there already.

        :param address: The address, or ``@`` and a domain; lower case.
        :param tenant: Whose mail it is about; empty for everybody's.
        :param entry: Why.
        """
