"""
The command ``momentum-tx dkim``: make a key pair, print its DNS record, show
which signatures mail gets.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

from ..config import load as config_load
from ..config.configuration import Configuration
from ..config.names import domain
from ..errors import LookupFailed, StartupError
from ..message.dkim_keys import (
    LEAST_BITS,
    MOST_BITS,
    WEAK_BITS,
    SigningKey,
    UnusableKey,
    read_keyfile,
    record_problem,
    zone_line,
)
from ..policy.signatures import checked_domain, checked_selector

#: What the command is for, in the list of all.
HELP: Final = "make keys that sign mail, print their DNS records, show who signs what"
#: Access to the file of a new key: its owner alone.
_MODE: Final = 0o600


def arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the command's options.
    """
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    about = "make a key pair, write the private key to a file, and print the DNS record of the public one"
    key = actions.add_parser("key", help=about, description=about)
    _names(key)
    key.add_argument("--type", choices=("rsa", "ed25519"), default="rsa", help="kind of key (default: rsa)")
    key.add_argument(
        "--bits", type=_bits, default=WEAK_BITS, metavar="N", help=f"size of an RSA key (default: {WEAK_BITS})"
    )
    key.add_argument("file", metavar="FILE", help="the file to write; there must be none yet")
    key.set_defaults(act=_make)
    about = "print the DNS record of a key that is there"
    record = actions.add_parser("record", help=about, description=about)
    _names(record)
    record.add_argument("file", metavar="FILE", help="the file of the private key")
    record.set_defaults(act=_record)
    about = "show the signatures that mail from a domain gets, and the DNS records they need"
    show = actions.add_parser("show", help=about, description=about)
    show.add_argument("--config", metavar="FILE", required=True, help="the configuration file (TOML)")
    show.add_argument("domain", type=_mail_domain, metavar="DOMAIN", help="domain of the From field")
    show.set_defaults(act=_show)
    about = "compare every key of a configuration with what is published in DNS"
    check = actions.add_parser("check", help=about, description=about)
    check.add_argument("--config", metavar="FILE", required=True, help="the configuration file (TOML)")
    check.set_defaults(act=_check)


#: Looks names up, by the resolver of a configuration: the texts of each, or why they cannot be told.
Texts = Callable[[Configuration, Sequence[str]], dict[str, "tuple[bytes, ...] | LookupFailed"]]


def run(options: argparse.Namespace, texts: Texts) -> int:
    """
    Run it; the answer is the exit status.

    :param texts: asks DNS.
    :raises StartupError: something is wrong; the text says what.
    """
    act: Callable[[argparse.Namespace, Texts], int] = options.act
    return act(options, texts)


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--domain", type=_domain, metavar="D", required=True, help="the domain that signs")
    parser.add_argument("--selector", type=_selector, metavar="S", required=True, help="name of the key in DNS")


def _domain(text: str) -> str:
    try:
        return checked_domain(domain(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def _mail_domain(text: str) -> str:
    try:
        return domain(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def _selector(text: str) -> str:
    try:
        return checked_selector(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def _bits(text: str) -> int:
    bits = int(text)
    if not LEAST_BITS <= bits <= MOST_BITS:
        raise argparse.ArgumentTypeError(f"between {LEAST_BITS} and {MOST_BITS}")
    return bits


def _make(options: argparse.Namespace, texts: Texts) -> int:
    """
    Make a key pair.
    """
    path: str = options.file
    key, data = SigningKey.generate(options.type, options.bits)
    # A key that mail is signed with already must not be lost to a slip.
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    except FileExistsError:
        raise StartupError(f"{path} is there already, and is left as it is; name another file") from None
    except OSError as error:
        raise StartupError(f"{path} cannot be written: {error.strerror or error}") from None
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    if key.doubt:
        sys.stderr.write(f"momentum-tx: warning: {path} {key.doubt}\n")
    sys.stdout.write(zone_line(options.selector, options.domain, key.record()) + "\n")
    return 0


def _key(path: str) -> SigningKey:
    try:
        return read_keyfile(path)
    except UnusableKey as error:
        raise StartupError(f"{path} {error}") from None


def _record(options: argparse.Namespace, texts: Texts) -> int:
    """
    The record of a key.
    """
    sys.stdout.write(zone_line(options.selector, options.domain, _key(options.file).record()) + "\n")
    return 0


def _show(options: argparse.Namespace, texts: Texts) -> int:
    """
    The signatures of a domain's mail.
    """
    config: Configuration = config_load.load(options.config)
    signatures = config.signers.signatures(options.domain)
    if not signatures:
        sys.stdout.write(
            f"mail from {options.domain} is not signed: {config.source} has no dkim table with a selector\n"
        )
        return 0
    for signature in signatures:
        key = _key(signature.keyfile)
        said = f"d={signature.domain} s={signature.selector} a={key.algorithm}"
        said += f" c={signature.header_canon}/{signature.body_canon}"
        if signature.identity:
            said += f" i={signature.identity}"
        if signature.lifetime is not None:
            said += f" x={signature.lifetime:g}"
        sys.stdout.write(f"{said}\n{zone_line(signature.selector, signature.domain, key.record())}\n")
    return 0


def _check(options: argparse.Namespace, texts: Texts) -> int:
    """
    Whether receivers find the keys.
    """
    config: Configuration = config_load.load(options.config)
    written = config.signers.everything()
    places = {}
    for signature, place in written:
        if signature.domain:
            places[f"{signature.selector}._domainkey.{signature.domain}"] = signature, place
        else:
            sys.stdout.write(
                f"{place}: {signature.selector}: every author signs by a domain of its own; not looked up\n"
            )
    found = texts(config, list(places)) if places else {}
    status = 0
    for name, (signature, place) in places.items():
        answer = found[name]
        problem = str(answer)
        if not isinstance(answer, LookupFailed):
            problem = record_problem(answer, _key(signature.keyfile))
        status |= bool(problem)
        sys.stdout.write(f"{place}: {name}: {problem or 'good'}\n")
    return status
