"""
Everything that touches the network: bound connectors, the SMTP client's
transport, the resolver, TLS, HTTPS.

No decision is made here.  Which address, for how long, and what a failure
means for the mail is said above, in :mod:`momentum_tx.delivery`; foreign errors
are translated here, in :mod:`~momentum_tx.net.failures`, and nowhere else.

Open :mod:`~momentum_tx.net.dialer` for the bound source addresses,
:mod:`~momentum_tx.net.endpoint` to use them with any Twisted protocol,
:mod:`~momentum_tx.net.smtp_client` for the mail session's bytes and timers,
:mod:`~momentum_tx.net.tls` for handshakes and what came of them.
"""
