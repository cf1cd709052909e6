"""
Options that do not go together: with what they say, or with how narrow the
table is that says it.

What can never work is refused.  What works otherwise than whoever wrote it will
expect is a doubt, and told only where it is certain: a number that cannot be
reached anywhere its table holds, an option that is read nowhere.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, cast

from ..units import duration, rate
from . import names
from .findings import Findings
from .options import number
from .report import toml_value
from .stanzas import Stanza

#: RFC 5321 4.5.3.2.7: how long a server waits at least for the next command.
_PEER_PATIENCE: Final = 300.0
#: Seconds of body_timeout below which large receivers are known to be cut off (RFC 5321 4.5.3.2.6 wants ten minutes).
_SHORT_BODY_TIMEOUT: Final = 60.0


def check(found: Findings) -> None:
    """
    Note what does not go together; mistakes first, for the doubts that are told have a bound.
    """
    _sources(found)
    _proxies(found)
    _impossible(found)
    _families(found)
    _totals(found)
    _nothing_allowed(found)
    _message_rate(found)
    _retries(found)
    _sizes(found)
    _timeouts(found)
    _gateways(found)
    _ports(found)
    _service(found)


def _sources(found: Findings) -> None:
    for stanza in found.having("bind_address_secondary"):
        first, second = str(found.value(stanza, "bind_address")), str(stanza.values["bind_address_secondary"])
        decides = found.decides(stanza, "bind_address_secondary") is stanza
        if decides and second and first and (":" in first) == (":" in second):
            found.refuse(
                (*stanza.path, "bind_address_secondary"),
                f"{second} is of the same family as bind_address, {first}; it must be of the other",
            )


def _proxies(found: Findings) -> None:
    servers = ("ha_proxy_server", "socks_proxy_server")
    for stanza in found.having(*servers):
        option = servers[0] if servers[0] in stanza.values else servers[1]
        if all(found.value(stanza, server) for server in servers):
            other = servers[1] if option == servers[0] else servers[0]
            found.refuse(
                (*stanza.path, option), f"does not go with {found.told(stanza, other)}; a binding has one proxy"
            )
    sources = ("ha_proxy_src_addr", "ha_proxy_ipv6_src_addr")
    for stanza in found.having(servers[0]):
        decides = found.decides(stanza, servers[0]) is stanza and found.settled(stanza, *sources)
        if decides and stanza.values[servers[0]] and not any(found.value(stanza, source) for source in sources):
            found.refuse(
                (*stanza.path, servers[0]),
                "has no address to connect from: write ha_proxy_src_addr, or ha_proxy_ipv6_src_addr, or both",
            )


def _families(found: Findings) -> None:
    config = found.config
    if config.global_settings.use_ipv6:
        return
    if config.global_settings.prefer_ipv6_mxs:
        found.warn(("global", "prefer_ipv6_mxs"), f"has no effect: {found.told(config.top, 'use_ipv6')}")
    for option in ("bind_address", "bind_address_secondary"):
        for stanza in found.having(option):
            if ":" in str(stanza.values[option]):
                found.warn(
                    (*stanza.path, option),
                    f"IPv6 addresses of hosts are not looked up: {found.told(config.top, 'use_ipv6')}",
                )


def _impossible(found: Findings) -> None:
    for extension, keyword in (("tls", "STARTTLS"), ("xclient", "XCLIENT")):
        for stanza in found.having(extension, "delivery_method"):
            if found.value(stanza, extension) != "required" or found.value(stanza, "delivery_method") != "SMTP":
                continue
            option = "delivery_method" if "delivery_method" in stanza.values else extension
            other = extension if option == "delivery_method" else "delivery_method"
            found.refuse(
                (*stanza.path, option),
                f"no mail could be delivered: {toml_value(stanza.values[option])} does not go with "
                f"{found.told(stanza, other)}, for without EHLO there is no {keyword}",
            )


def _totals(found: Findings) -> None:
    """
    A number of connections above a total that holds for all its table holds for.
    """
    config = found.config
    for option in ("max_outbound_connections", "scope_max_outbound_connections", "server_max_outbound_connections"):
        for stanza in found.having(option):
            most = cast(int, stanza.values[option])
            limits: list[tuple[int, str]] = []
            if stanza is not config.top or option != "server_max_outbound_connections":
                limits.append((config.global_settings.server_max_outbound_connections, _server_total(found)))
            for each in found.around(stanza):
                total = each.values.get("scope_max_outbound_connections")
                if isinstance(total, int) and not (each is stanza and option == "scope_max_outbound_connections"):
                    where = config.where(*each.path, "scope_max_outbound_connections")
                    limits.append((total, f"scope_max_outbound_connections ({where})"))
            if option != "server_max_outbound_connections" and found.settled(stanza, "server_max_outbound_connections"):
                owner = found.decides(stanza, "server_max_outbound_connections")
                if owner is not None and owner is not config.top:
                    where = config.where(*owner.path, "server_max_outbound_connections")
                    total = cast(int, owner.values["server_max_outbound_connections"])
                    limits.append((total, f"server_max_outbound_connections ({where})"))
            if limits and most > min(limits)[0]:
                total, what = min(limits)
                found.warn((*stanza.path, option), f"{most} connections cannot be reached: {what} allows {total}")


def _server_total(found: Findings) -> str:
    option = "server_max_outbound_connections"
    place = found.config.where("global", option) if option in found.config.top.values else "built-in"
    return f"{option} of the whole server ({place})"


def _nothing_allowed(found: Findings) -> None:
    for option in ("max_outbound_connections", "scope_max_outbound_connections", "server_max_outbound_connections"):
        for stanza in found.having(option):
            if stanza.values[option] == 0:
                found.warn(
                    (*stanza.path, option),
                    "0 lets no mail out, and is not the same as no limit; for none leave the option out, and to hold"
                    " mail back write suspend_delivery = true",
                )


def _message_rate(found: Findings) -> None:
    """
    More messages than the connections carry that may be begun.
    """
    messages, connections, each = (
        "outbound_throttle_messages",
        "outbound_throttle_connections",
        "max_deliveries_per_connection",
    )
    for stanza in found.having(messages):
        wanted = _per_second(stanza.values[messages])
        begun = _per_second(found.value(stanza, connections))
        # A host has throttles of its own; what one connection carries is the domain's business.
        most = found.value(stanza, each) if stanza.path[-2:-1] != ("host",) else 0
        if not (wanted and begun and isinstance(most, int) and most) or begun * most >= wanted:
            continue
        if found.settled(stanza, connections, each):
            found.warn(
                (*stanza.path, messages),
                f"{toml_value(stanza.values[messages])} cannot be kept up: {found.told(stanza, connections)} and"
                f" {found.told(stanza, each)} are {number(round(begun * most, 6))} messages a second",
            )


def _per_second(text: object) -> float:
    if not isinstance(text, str) or not text:
        return 0.0
    count, period = rate(text)
    return count / period


def _retries(found: Findings) -> None:
    for stanza in found.having("retry_interval", "max_retry_interval"):
        intervals = found.decides(stanza, "retry_intervals")
        listed = intervals is not None and bool(intervals.values["retry_intervals"])
        if listed and found.settled(stanza, "retry_intervals"):
            for option in ("retry_interval", "max_retry_interval"):
                if option in stanza.values:
                    told = found.told(stanza, "retry_intervals")
                    found.warn((*stanza.path, option), f"has no effect: {told} says all delays")
            continue
        interval = stanza.values.get("retry_interval")
        longest = found.value(stanza, "max_retry_interval")
        if listed or not isinstance(interval, float) or not isinstance(longest, float) or interval <= longest:
            continue
        if found.settled(stanza, "max_retry_interval"):
            found.warn(
                (*stanza.path, "retry_interval"),
                f"{number(interval)} seconds cannot be reached: {found.told(stanza, 'max_retry_interval')}",
            )
    for stanza in found.having("message_expiration", "retry_interval", "max_retry_interval", "retry_intervals"):
        _first_retry(found, stanza)


def _first_retry(found: Findings, stanza: Stanza) -> None:
    """
    A life that is over before the first retry.
    """
    if found.value(stanza, "never_retry") or found.value(stanza, "max_retries") == 0:
        return
    life = cast(float, found.value(stanza, "message_expiration"))
    intervals = cast(tuple[str, ...], found.value(stanza, "retry_intervals"))
    first = (
        duration(intervals[0])
        if intervals
        else min(
            cast(float, found.value(stanza, "retry_interval")), cast(float, found.value(stanza, "max_retry_interval"))
        )
    )
    if life >= first or found.value(stanza, "retry_by_reply"):
        return
    options = ("message_expiration", "retry_intervals", "retry_interval", "max_retry_interval")
    option = next(option for option in options if option in stanza.values)
    what = "is then failed unattempted" if found.value(stanza, "never_attempt_expired_messages") else "gets no other"
    found.warn(
        (*stanza.path, option),
        f"mail that fails once waits {number(first)} seconds for its first retry, and {what}, for"
        f" {found.told(stanza, 'message_expiration')} is over by then",
    )


def _sizes(found: Findings) -> None:
    for stanza in found.having("max_recipients_per_batch"):
        batch = cast(int, stanza.values["max_recipients_per_batch"])
        most = found.value(stanza, "max_recipients_per_connection")
        if isinstance(most, int) and 0 < most < batch and found.settled(stanza, "max_recipients_per_connection"):
            found.warn(
                (*stanza.path, "max_recipients_per_batch"),
                f"{batch} recipients cannot be reached: {found.told(stanza, 'max_recipients_per_connection')}",
            )


def _timeouts(found: Findings) -> None:
    for stanza in found.having("idle_timeout"):
        idle = cast(float, stanza.values["idle_timeout"])
        if idle > _PEER_PATIENCE:
            found.warn(
                (*stanza.path, "idle_timeout"),
                f"{number(idle)} seconds are more than peers wait for a command: many hang up after"
                f" {number(_PEER_PATIENCE)} or less",
            )
    for stanza in found.having("body_timeout"):
        wait = cast(float, stanza.values["body_timeout"])
        if wait < _SHORT_BODY_TIMEOUT:
            found.warn(
                (*stanza.path, "body_timeout"),
                f"a peer that takes more than {number(wait)} seconds over a message has it and is sent it again; 600 is"
                " what RFC 5321 asks for",
            )


def _gateways(found: Findings) -> None:
    """
    What is written for domains whose mail is queued under another name.
    """
    if not any(found.having("gateway")):
        return
    for stanza in found.config.stanzas():
        if found.full:
            return
        options = [option for option in stanza.values if option != "gateway"]
        gateway = found.value(stanza, "gateway")
        if stanza.path[-2:-1] != ("domain",) or not options or not gateway or not found.settled(stanza, "gateway"):
            continue
        if _is_named(stanza, str(gateway)):
            continue
        found.warn(
            stanza.path,
            f"{', '.join(options)} {'has' if len(options) == 1 else 'have'} no effect: {found.told(stanza, 'gateway')}"
            f" takes this mail, and options of [domain.{toml_value(gateway)}] hold for it",
        )


def _is_named(stanza: Stanza, gateway: str) -> bool:
    name = names.looked_up(gateway)
    written = stanza.path[-1]
    if written.startswith("/"):
        return re.search(written[1:-1], name, re.IGNORECASE) is not None
    return names.looked_up(written) == name


def _ports(found: Findings) -> None:
    methods = {stanza.values["delivery_method"] for stanza in found.having("delivery_method")}
    for stanza in found.having("lmtp_port"):
        if "LMTP" not in methods:
            found.warn((*stanza.path, "lmtp_port"), 'has no effect: nothing has delivery_method = "LMTP"')
    for stanza in found.having("remote_smtp_port"):
        if found.value(stanza, "delivery_method") == "LMTP" and found.settled(stanza, "delivery_method"):
            found.warn(
                (*stanza.path, "remote_smtp_port"),
                f"has no effect: with {found.told(stanza, 'delivery_method')} lmtp_port is connected to",
            )


def _service(found: Findings) -> None:
    config = found.config
    settings = config.global_settings
    if settings.max_inbound_connections_per_client > settings.max_inbound_connections:
        option = "max_inbound_connections_per_client"
        if option not in config.top.values:
            return
        found.warn(
            ("global", option),
            f"{settings.max_inbound_connections_per_client} connections cannot be reached: "
            f"{found.told(config.top, 'max_inbound_connections')}",
        )
    for option, what in (
        ("relay_hosts", "whoever can connect may send mail anywhere: an open relay"),
        ("trusted_hosts", "whoever can connect may choose bindings by header fields"),
    ):
        for network in getattr(settings, option):
            if ipaddress.ip_network(network, strict=False).prefixlen == 0:
                found.warn(("global", option), f"{network} is everybody, so that {what}")
    sender = settings.tlsrpt_from.rpartition("@")[2]
    if settings.tlsrpt and sender and not config.signers.signatures(sender):
        found.warn(
            ("global", "tlsrpt_from"),
            f"reports that are not signed may be refused (RFC 8460 3): no dkim table signs mail of {sender}",
        )
    if len(set(settings.hooks)) < len(settings.hooks):
        twice = next(name for name in settings.hooks if settings.hooks.count(name) > 1)
        found.warn(("global", "hooks"), f"{twice} is named twice, and will be asked twice")
