"""
Reports to domains on the TLS of the sessions they had with us (RFC 8460): counted,
kept, and sent day by day.  Open :mod:`~momentum_tx.reports.daily` first.

What a session tells is in :mod:`momentum_tx.policy.tls_report`; who tells it is in
:mod:`momentum_tx.delivery`.
"""
