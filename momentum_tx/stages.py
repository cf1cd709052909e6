"""
Where an outbound connection stands, numbered as Momentum logs it.

Source: Momentum's page "Connection stages", up to 22; what follows is ours.  *During* means the command is
being sent, *after* that its reply is awaited or has come.
"""

import enum


class Stage(enum.IntEnum):
    """
    What a connection waits for; ``str()`` gives the words of the console.
    """

    #: No connection exists yet, or it is gone.
    NOT_CONNECTED = 0
    #: The session is open and owes nothing: it may take a message.
    IDLE = 1
    #: ``MAIL FROM`` is being sent.
    DURING_MAIL_FROM = 2
    #: The reply to ``MAIL FROM`` is awaited.
    AFTER_MAIL_FROM = 3
    #: ``RCPT TO`` is being sent.
    DURING_RCPT_TO = 4
    #: A reply to ``RCPT TO`` is awaited.
    AFTER_RCPT_TO = 5
    #: ``DATA`` is being sent.
    DURING_DATA = 6
    #: The reply to ``DATA`` is awaited.
    AFTER_DATA = 7
    #: The body is on its way and the final dot has not been given to the transport.
    SENDING_BODY = 8
    #: The final dot has been given to the transport and its reply is awaited.
    READING_CONFIRMATION = 9
    #: ``EHLO`` or ``HELO`` is being sent.
    DURING_EHLO = 10
    #: The reply to ``EHLO`` or ``HELO`` is awaited.
    AFTER_EHLO = 11
    #: The peer's greeting is awaited.
    READING_BANNER = 12
    #: ``RSET`` is being sent.
    DURING_RSET = 13
    #: The reply to ``RSET`` is awaited.
    AFTER_RSET = 14
    #: ``STARTTLS`` is being sent.
    DURING_STARTTLS = 15
    #: The reply to ``STARTTLS`` is awaited.
    AFTER_STARTTLS = 16
    #: The TLS handshake is running.
    TLS_HANDSHAKE = 17
    #: A TLS renegotiation is running; never entered, renegotiation is off.
    TLS_RENEGOTIATION = 18
    #: ``XCLIENT`` is being sent.
    DURING_XCLIENT = 19
    #: The reply to ``XCLIENT`` is awaited.
    AFTER_XCLIENT = 20
    #: The failure came later, in a bounce message.
    OUT_OF_BAND = 21
    #: The failure has no SMTP stage: routing, policy, expiry.
    UNKNOWN = 22
    #: We are authenticating ourselves (ours; Momentum has no number for it).
    AUTHENTICATION = 23
    #: A state that was put in by somebody else (ours, as Momentum gives each a number of its own).
    CUSTOM_STATE = 24

    def __str__(self) -> str:
        return _WORDS[self]


_WORDS = {
    Stage.NOT_CONNECTED: "not connected",
    Stage.IDLE: "idle",
    Stage.DURING_MAIL_FROM: "during MAIL FROM",
    Stage.AFTER_MAIL_FROM: "after MAIL FROM",
    Stage.DURING_RCPT_TO: "during RCPT TO",
    Stage.AFTER_RCPT_TO: "after RCPT TO",
    Stage.DURING_DATA: "during DATA",
    Stage.AFTER_DATA: "after DATA",
    Stage.SENDING_BODY: "sending body",
    Stage.READING_CONFIRMATION: "reading confirmation",
    Stage.DURING_EHLO: "during EHLO",
    Stage.AFTER_EHLO: "after EHLO",
    Stage.READING_BANNER: "reading banner",
    Stage.DURING_RSET: "during RSET",
    Stage.AFTER_RSET: "after RSET",
    Stage.DURING_STARTTLS: "during STARTTLS",
    Stage.AFTER_STARTTLS: "after STARTTLS",
    Stage.TLS_HANDSHAKE: "TLS handshake",
    Stage.TLS_RENEGOTIATION: "TLS renegotiation",
    Stage.DURING_XCLIENT: "during XCLIENT",
    Stage.AFTER_XCLIENT: "after XCLIENT",
    Stage.OUT_OF_BAND: "out-of-band bounce",
    Stage.UNKNOWN: "unknown",
    Stage.AUTHENTICATION: "authentication",
    Stage.CUSTOM_STATE: "custom state",
}
