"""
Options that are settled for a (binding, domain) pair.
"""

from dataclasses import dataclass

from .option import option


class _Hashed:
    """
    Remembers the hash of what it is the base of.
    """

    __slots__ = ("_hash",)

    _hash: int


@dataclass(frozen=True, slots=True)
class PathSettings(_Hashed):
    """
    Options settled for one (binding, domain) pair.  They are keys of much that is
    worked out once for all who share them, also while mail is sent.
    """

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            # A hundred fields: that is worth doing once.
            found = hash(tuple(getattr(self, name) for name in self.__slots__))
            object.__setattr__(self, "_hash", found)
            return found

    connect_timeout: float = option(300.0, "Deadline of a whole connection attempt.", "seconds", minimum=0.01)
    banner_timeout: float | None = option(
        None, "Wait for the greeting; unset means ehlo_timeout (ours).", "seconds", minimum=0.01
    )
    ehlo_timeout: float = option(300.0, "Wait for the reply to EHLO or HELO.", "seconds", minimum=0.01)
    starttls_timeout: float = option(
        60.0, "Wait for the reply to STARTTLS, and for the handshake (ours).", "seconds", minimum=0.01
    )
    mailfrom_timeout: float = option(300.0, "Wait for the reply to MAIL FROM.", "seconds", minimum=0.01)
    rcptto_timeout: float = option(300.0, "Wait for a reply to RCPT TO.", "seconds", minimum=0.01)
    data_timeout: float | None = option(
        None, "Wait for the reply to DATA; unset means rcptto_timeout (ours).", "seconds", minimum=0.01
    )
    body_block_timeout: float = option(
        180.0, "Longest time without progress while the body is sent (ours).", "seconds", minimum=0.01
    )
    body_minimum_rate: float = option(
        500.0,
        "Slowest that a peer may take a body on the whole, body_block_timeout granted once; 0 is no limit (ours).",
        "octets in a second",
        minimum=0,
    )
    body_timeout: float = option(
        600.0, "Wait for the reply to the final dot; a short one causes duplicates.", "seconds", minimum=0.01
    )
    lost_final_reply: str = option(
        "retry",
        "What becomes of a message when the reply to its final dot is lost, so that nobody knows whether the peer has"
        " it: retry tries it again, assume_delivered takes it for delivered, hold keeps it until it is released"
        " (ours).",
        choices=("retry", "assume_delivered", "hold"),
    )
    rset_timeout: float = option(30.0, "Wait for the reply to RSET.", "seconds", minimum=0.01)
    custom_state_timeout: float = option(
        300.0,
        "Wait for a reply, or for itself, of a state that was put into the session (ours).",
        "seconds",
        minimum=0.01,
    )
    quit_timeout: float = option(5.0, "Wait for the reply to QUIT (ours).", "seconds", minimum=0.01)
    idle_timeout: float = option(5.0, "How long an idle session stays open for new mail.", "seconds", minimum=0)
    max_outbound_connections: int = option(
        32, "Most connections of one domain on one binding.", "connections", minimum=0
    )
    connection_allocation_aggressiveness: str = option(
        "normal", "How fast the connection goal grows with the queue.", choices=("normal", "high")
    )
    max_deliveries_per_connection: int = option(
        0, "Successful deliveries after which a connection is closed; 0 is no limit.", "messages", minimum=0
    )
    max_recipients_per_connection: int = option(
        0, "RCPT TO commands after which a connection is closed; 0 is no limit.", "recipients", minimum=0
    )
    scope_max_outbound_connections: int | None = option(
        None,
        "Most connections of everything the table is about together: the whole server, a binding or group, a domain on"
        " all bindings, all domains of a regex. Each table that has one is held, not only the most specific.",
        "connections",
        minimum=0,
    )
    outbound_throttle_connections: str = option(
        "",
        'How often a connection may be begun, each address that is tried counted: "10" a second, "100/60", "100/min",'
        ' "5000/hour". Whoever gets the value from the same table shares it. Empty or 0 is no limit.',
        differs="The rate holds in any window of the period, not only in those that begin with a tick of the clock.",
    )
    outbound_throttle_messages: str = option(
        "",
        "How often a message may be sent, each recipient counted; written and shared like"
        " outbound_throttle_connections. Empty or 0 is no limit.",
        differs="The first message of a connection is held to it too; a session that has to wait stays open for"
        " idle_timeout.",
    )
    max_recipients_per_batch: int = option(100, "Most recipients of one transaction.", "recipients", minimum=1)
    retry_interval: float = option(
        1200.0, "Delay after the first failure; it doubles with each.", "seconds", minimum=0.01
    )
    max_retry_interval: float = option(43200.0, "Longest delay between two attempts.", "seconds", minimum=0.01)
    retry_intervals: tuple[str, ...] = option(
        (),
        'Delays after the first, second and further failures, such as "90s", "5m", "2h" or "1d"; the last one repeats.'
        " An empty list leaves it to retry_interval and max_retry_interval (ours).",
    )
    retry_by_reply: tuple[str, ...] = option(
        (),
        'Delays by what was said, such as "421: 5m 10m", "45x 4.7.x: 5m", "4.2.2: 6h", "/grey.?list/: 10m",'
        ' "internal: 5m", "no_connection: 2m" or "no_reply: 15m"; the first that suits is used like retry_intervals,'
        " and where none does those hold (ours).",
    )
    retry_jitter: float = option(
        0.0,
        "Share of each delay that chance may add to it, so that mail that failed together does not come again"
        " together (ours).",
        "share",
        minimum=0,
        maximum=1,
    )
    max_retries: int | str = option(
        "auto",
        "Most retries: a number, none, or auto (as many as message_expiration allows).",
        minimum=0,
        choices=("auto", "none"),
    )
    rebind_on_retry: bool = option(
        False,
        "Whether mail that failed for now goes on from another member of its binding group, chosen as at reception"
        " among those that are not suspended (ours).",
    )
    never_retry: bool = option(False, "Whether the first transient failure is final.")
    message_expiration: float = option(
        86400.0,
        "Longest life of an undelivered message; one that was sent with an end of its own has that instead.",
        "seconds",
        minimum=0.01,
    )
    never_attempt_expired_messages: bool = option(
        False, "Whether a message past its life is failed without the attempt that is due."
    )
    response_transcode_pattern: str = option(
        "",
        "Regex that is searched for in refusals of a peer and in internal texts of failures for now; where it is found"
        " response_transcode_replace takes the place of the text, before anything follows from it; empty: nowhere.",
    )
    response_transcode_replace: str = option(
        "",
        "What takes the place of a text in which response_transcode_pattern was found: a code from 400 to 599 and"
        " words, with $0 for what was found, $1 or ${1} for a group, $$ for a dollar sign.",
    )
    generate_bounces: bool = option(
        True,
        "Whether a failure is reported to the sender, unless the sender has said otherwise (NOTIFY).",
        differs="No report is written for a message of the application whose end it is waiting for.",
    )
    bounces_inline_original: str = option(
        "headers",
        "What of a message goes back with a report about it, unless its sender has said (RET).",
        choices=("none", "headers", "all"),
        differs="Of a message above 1 MiB the header goes back.",
    )
    mailerdaemon: str = option(
        "", "Address that reports are from in their header; empty: mailer-daemon at the host's name."
    )
    mdn_failures_notify: str = option(
        "",
        "Address that is told of failures of mail with the null sender, reports among it; empty: nobody is.",
    )
    generate_delay_dsn: bool = option(
        False,
        "Whether senders who have not said (NOTIFY) are told of mail that is late.",
    )
    delay_dsn_retry_interval: float = option(
        3600.0, "Age of a message at which it is late; the time to the next such report doubles.", "seconds", minimum=1
    )
    delay_dsn_max_retry_interval: float = option(
        43_200.0,
        "Longest time between two reports that a message is late.",
        "seconds",
        minimum=1,
        differs="The page of the option there says 0; its other pages and the module's own say this.",
    )
    max_resident_active_queue: int = option(
        10_000,
        "Active messages of a domain beyond which further ones are not kept in memory; -1 is no limit, 0 keeps none.",
        "messages",
        minimum=-1,
        differs="The default is 250 there; each message beyond costs a third more, and memory has other bounds.",
    )
    drop_body_after_trans_fail: int = option(
        3,
        "Transient failures of a message after which it is not kept in memory while it waits; 0 never keeps it.",
        "failures",
        minimum=0,
    )
    share_weights: tuple[str, ...] = option(
        (),
        "Weights of tenants, campaigns and priorities, such as priority:high=10; mail of several classes shares"
        " connections by the products of what suits each (ours).",
    )
    suspend_delivery: bool = option(False, "Whether mail waits here without any attempt.")
    curfew: tuple[str, ...] = option(
        (),
        'Quiet hours that come again, such as "mon-fri 22:00-07:00 Europe/Berlin": days (all if left out), hours, time'
        " zone (UTC if left out). Meanwhile mail waits as with suspend_delivery (ours).",
    )
    blackhole: bool | str = option(
        False,
        "Whether mail is failed instead of delivered: true or inline refuses it at the door, and internal takes it and"
        " fails it then; with either, mail that waits already is failed at once.",
        choices=("inline", "internal"),
        differs="A client that may choose the binding is refused at RCPT TO only where every binding is so set, and"
        " else at the end of the message.",
    )
    gateway: str = option(
        "",
        "Name or address of the host that takes all this mail instead of the domain's own; the mail is queued under"
        " that name, and its options count.",
        differs="A change takes effect at the reload, for mail that waits as well.",
    )
    remote_smtp_port: int = option(25, "Port connected to.", minimum=1, maximum=65535)
    delivery_method: str = option(
        "ESMTP",
        "What is spoken: ESMTP, SMTP (HELO and no extensions, so no TLS either) or LMTP, in any case of letters.",
        differs="ECSTREAM, APN, GCM, MM7 and methods of modules do not exist.",
    )
    lmtp_port: int = option(2003, "Port connected to where delivery_method is LMTP.", minimum=1, maximum=65535)
    ehlo_hostname: str = option(
        "__hostname__", "Name in EHLO: literal, __hostname__, or __message__ (the sender's domain)."
    )
    tls: str = option(
        "no",
        "Whether STARTTLS is used; implicit is TLS from the first octet, on port 465 where remote_smtp_port is 25.",
        choices=("no", "ifavailable", "required", "implicit"),
        differs="The value implicit is ours.",
    )
    tls_ifavailable_fallback: bool = option(
        True,
        "Whether mail goes in clear at once where tls is ifavailable and STARTTLS is refused or the handshake fails;"
        " without, it waits and is tried with TLS again.",
        differs="An address whose handshake failed is spoken to in clear for an hour.",
    )
    tls_verify: str = option(
        "no",
        "How far the peer's certificate is verified: ca, up to a trusted issuer; host, that it names the exchanger or"
        " the domain besides; optional, as host, and mail is delivered whatever comes of it.",
        choices=("no", "optional", "ca", "host"),
        differs="With ca and host mail never goes in clear, also where tls is ifavailable. Names are those of"
        " subjectAltName; a common name counts for nothing.",
    )
    tls_ca: str = option(
        "", "File or directory of the issuers that are trusted (PEM); empty for those this system trusts."
    )
    tls_certificate: str = option(
        "", "File of the certificate we show to peers that ask for one, and of its issuers (PEM); empty for none."
    )
    tls_key: str = option(
        "", "File of the key of tls_certificate (PEM, no passphrase); empty where tls_certificate holds it too."
    )
    tls_ciphers: str = option("DEFAULT", "Ciphers of TLS 1.2 and below, as OpenSSL writes them.")
    tlsv13_ciphersuites: str = option(
        "", "Cipher suites of TLS 1.3, with colons between them; empty leaves them to OpenSSL."
    )
    tls_protocols: str = option(
        "+ALL",
        'Versions that are spoken, such as "+ALL -TLSv1.3" or "+TLSv1.2".',
        differs="ALL stands for TLSv1.2 and TLSv1.3; older ones have to be named, as in +ALL +TLSv1.1, and go with"
        " tls_verify = no only.",
    )
    enable_mta_sts: bool = option(
        True,
        "Whether MTA-STS policies that use_mta_sts finds are obeyed: enforce leaves out exchangers that are not in it,"
        " and demands TLS and a certificate with their name; testing tries the same and delivers anyway.",
    )
    enable_dane: bool = option(
        True,
        "Whether TLSA records that use_dane finds are obeyed: TLS is demanded, and a certificate or issuer they name;"
        " mail waits where that is not to be had.",
    )
    send_8bitmime: str = option(
        "ifavailable",
        "Whether 8-bit content is declared with BODY=8BITMIME to a peer that offers it.",
        choices=("no", "ifavailable"),
        differs="The default is ifavailable, for RFC 6152 asks for the declaration.",
    )
    transform_8bitmime_content: str = option(
        "no",
        "What becomes of 8-bit content: no sends it as it is; where 8BITMIME is not offered, ifneeded takes the eighth"
        " bit away, and strict encodes the parts that have it as quoted-printable, or fails what cannot be; strip takes"
        " it away for every peer.",
        choices=("no", "ifneeded", "strict", "strip"),
        differs="The default is no, for text without its eighth bit cannot be read; ifneeded and strip send signed"
        " messages as they are, and strict fails them.",
    )
    xclient: str = option(
        "no",
        "Whether a peer that offers XCLIENT is told, before a message, which client it came from; required keeps mail"
        " waiting while a peer does not offer or accept that.",
        choices=("no", "ifavailable", "required"),
        differs="It is told once for messages of one client in a row, not before each; and of a client's name only what"
        " it called itself is known.",
    )
    ha_proxy_bypass: bool = option(
        False, "Whether connections leave from this host although ha_proxy_server names a proxy for them."
    )
    socks_proxy_bypass: bool = option(
        False, "Whether connections leave from this host although socks_proxy_server names a proxy for them (ours)."
    )
    transcript_slow: float = option(
        60.0,
        "How long an attempt may take before its dialogue is kept though it succeeded, like that of one that failed"
        " (ours).",
        "seconds",
        minimum=0,
    )
    pipelining: bool = option(
        True,
        "Whether commands are grouped where the peer offers PIPELINING; a peer that has kept silent over a group gets"
        " one command at a time for an hour (ours).",
    )
    overlap_transactions: bool = option(
        False,
        "Whether MAIL, RCPT and DATA of the next message leave behind the final dot of the one before, where commands"
        " are grouped: a round trip less for each. If the connection fails then, or the peer does not answer all of it"
        " in order, the first message is in doubt (ours).",
    )
    chunking: str = option(
        "ifavailable",
        "Whether content goes by BDAT and not by DATA where the peer offers CHUNKING: if it is as large as"
        " chunking_minimum_size, or commands are not grouped. A peer that does not take BDAT after all gets DATA for an"
        " hour (ours).",
        choices=("no", "ifavailable"),
    )
    chunking_minimum_size: int = option(
        65536, "Smallest content that goes by BDAT where commands are grouped (ours).", "octets", minimum=0
    )
    chunk_size: int = option(
        4 << 20, "Largest chunk; each is answered before the next is sent (ours).", "octets", minimum=1
    )
    peer_with_own_name: str = option(
        "defer",
        "What follows where an exchanger that DNS names greets us, or answers EHLO, by our own name, so that mail would"
        " go in a circle: the next one is tried; where none is left, defer keeps mail waiting, and fail fails all that"
        " waits for the domain on the binding; ignore sends it all the same (ours).",
        choices=("defer", "fail", "ignore"),
    )
    outbound_smtp_auth: str = option(
        "required",
        "Whether we authenticate where there are credentials: required keeps mail waiting while a peer offers nothing"
        " that may be used; ifavailable then goes on without; no never does (ours).",
        choices=("no", "ifavailable", "required"),
    )
    outbound_smtp_auth_user: str = option(
        "", "The name we authenticate by; empty: there are no credentials, unless a hook has some."
    )
    outbound_smtp_auth_pass_file: str = option(
        "",
        "File with the password of outbound_smtp_auth_user, or with its token, on one line; it is read when the"
        " configuration is loaded, and not everybody may be able to (ours).",
    )
    outbound_smtp_auth_type: tuple[str, ...] = option(
        (),
        "Mechanisms that may be used, of which the strongest that is offered is; an empty list is SCRAM-SHA-256,"
        " CRAM-MD5, PLAIN and LOGIN. With OAUTHBEARER and XOAUTH2 the file holds a token.",
        differs="It is a list, and need not be written.",
    )
    outbound_smtp_auth_in_clear: bool = option(
        False,
        "Whether mechanisms that show the secret to whoever listens are used without TLS: PLAIN, LOGIN and those with a"
        " token (ours).",
    )
    outbound_smtp_auth_timeout: float = option(
        60.0,
        "Wait for a reply to AUTH, or for the hook that has the credentials (ours).",
        "seconds",
        minimum=0.01,
    )
    outbound_smtp_auth_hold: float = option(
        300.0,
        "How long mail of the domain and binding waits, and the credentials are not tried again, after a peer has"
        " refused them; a reload or a flush ends it (ours).",
        "seconds",
        minimum=1,
    )

    @property
    def port(self) -> int:
        """
        Where an exchanger is connected to that has no port of its own.
        """
        if self.delivery_method == "LMTP":
            return self.lmtp_port
        port = self.remote_smtp_port
        # RFC 8314 7.3; nobody speaks TLS from the first octet on the port of STARTTLS.
        return 465 if port == 25 and self.tls == "implicit" else port
