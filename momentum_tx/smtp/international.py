"""
Addresses beyond ASCII: which need SMTPUTF8 (RFC 6531), and how the others travel
without.

A domain has an ASCII form, its A-labels, and may go by either name.  A local part
has none: only its own host may say what it means.
"""

from .addresses import canonical_domain, split_address


def needs_smtputf8(address: bytes) -> bool:
    """
    Whether *address* cannot be said without SMTPUTF8: its local part is beyond ASCII.
    """
    return not address.isascii() and not split_address(address)[0].isascii()


def ascii_form(address: bytes) -> bytes:
    """
    *address* with its domain in A-labels where it is beyond ASCII, for a peer that
    lacks SMTPUTF8; the local part stays as it is.

    :param address: one that passed :func:`~momentum_tx.smtp.addresses.check_address`.
    """
    if address.isascii():
        return address
    local, domain = split_address(address)
    return local + b"@" + canonical_domain(domain).encode("ascii")


def same_mailbox(address: bytes) -> bytes:
    """
    What two addresses have in common that differ in how their domain is written, and
    in nothing else (RFC 5321 2.4).
    """
    local, at, domain = address.rpartition(b"@")
    if domain.isascii():
        return local + at + domain.lower()
    return ascii_form(address)
