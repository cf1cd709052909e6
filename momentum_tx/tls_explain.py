"""
The command ``momentum-tx tls``: what TLS mail for a domain would have to have, looked
up now, who demands it, and what the exchangers show.

It makes a service that is never started: nothing is received, delivered, written or
locked, and no port is opened.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NoReturn

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from .config.configuration import Configuration
from .config.names import domain as domain_name
from .delivery.sts_store import file_name
from .errors import ConfigError, LookupFailed, StartupError, TLSUndecided
from .interfaces.services import IResolver
from .net.https import HTTPSFetch, trust_root
from .operate.tls_policy import as_text, policy_values
from .operate.tls_probe import ProbeFailed, TLSProbe
from .policy.mta_sts import BadPolicy, parse_kept
from .policy.next_hop import parse_next_hop
from .policy.tls import acceptable
from .queues.domain import DomainRecord, HostRecord
from .seams import Seams, real_seams
from .service import OutboundService
from .settings import DEFAULT_SLOT, GlobalSettings
from .usage import worded

#: What the command is for, in the list of all.
HELP: Final = "explain what TLS mail for a domain has to have, and who demands it"
#: Seconds between two looks whether something has come.
_STEP: Final = 0.05
#: Longest wait, seconds, for the exchangers of a domain, and for its policy.
PATIENCE: Final = 90.0
#: Port on which policies are served.
_HTTPS_PORT: Final = 443


def arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the command's options.
    """
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    explain = actions.add_parser("explain", help=HELP, description=HELP)
    explain.add_argument("--config", metavar="FILE", help="the configuration file (TOML); without one the defaults")
    explain.add_argument("--binding", metavar="B", default="", help="for mail of this binding (default: default)")
    explain.add_argument("--json", action="store_true", help="print one JSON object")
    explain.add_argument(
        "--connect", action="store_true", help="connect to each exchanger and see what it shows; no mail is sent"
    )
    explain.add_argument(
        "--policy-from",
        metavar="HOST:PORT",
        default="",
        help="fetch the MTA-STS policy there; the certificate has to be that of the policy host all the same",
    )
    explain.add_argument("domain", type=worded(domain_name), metavar="DOMAIN", help="domain of the recipients")


def run(options: argparse.Namespace, reactor: Any, config: Configuration) -> int:
    """
    Run it; the answer is the exit status: 1 if no mail would go anywhere.

    :param reactor: the real one, not running.
    :raises StartupError: the configuration cannot be used.
    """
    slot = config.binding_slot(options.binding) if options.binding else DEFAULT_SLOT
    if slot is None:
        raise ConfigError(f"{config.source}: there is no binding {options.binding}")
    seams = harmless(real_seams(reactor))
    if options.policy_from:
        if not config.domain(options.domain).use_mta_sts:
            raise ConfigError(f"--policy-from: no policy is looked for: use_mta_sts is off for {options.domain}")
        seams.https = _fetching_from(reactor, options.policy_from)
    service = OutboundService(reactor, config, seams)
    results: list[dict[str, Any] | Failure] = []
    interrupted: list[bool] = []

    def ended(result: dict[str, Any] | Failure) -> None:
        if interrupted:
            # What ends connections now is not their peers' doing.
            return
        results.append(result)
        reactor.stop()

    explaining = Explanation(reactor, service, options.domain, slot)
    reactor.addSystemEventTrigger("before", "shutdown", lambda: interrupted.append(True))
    reactor.callWhenRunning(lambda: explaining.make(options.connect).addBoth(ended))
    reactor.run()
    # The process does not end while a worker waits for work.
    seams.threads.stop()
    if not results:
        return 1
    result = results[0]
    if isinstance(result, Failure):
        result.raiseException()
    assert isinstance(result, dict)
    sys.stdout.write(json.dumps(result) + "\n" if options.json else as_text(result))
    return 0 if _would_go(result) else 1


def _would_go(result: dict[str, Any]) -> bool:
    for each in result["exchangers"]:
        decision, shown = each["decision"], each.get("shown")
        if decision is not None and decision["demanded"] is not None and (shown is None or shown["acceptable"]):
            return True
    return False


def _fetching_from(reactor: Any, place: str) -> Callable[..., HTTPSFetch]:
    try:
        host, port = parse_next_hop(place)
    except ValueError as error:
        raise ConfigError(f"--policy-from: {error}") from None

    def https(resolver: IResolver, prohibited: Callable[[str], bool], settings: GlobalSettings) -> HTTPSFetch:
        # Whoever names the place may have it anywhere.
        return HTTPSFetch(
            reactor,
            resolver,
            lambda address: False,
            settings.use_ipv6,
            endpoint=lambda address, _: HostnameEndpoint(reactor, host, port or _HTTPS_PORT),
            trust_root=trust_root(settings.mta_sts_ca),
        )

    return https


class _NoFiles:
    """
    A directory that nobody may use.
    """

    def lock(self) -> NoReturn:
        """
        Refuse.
        """
        raise StartupError("not by this command")


class _NoLog:
    """
    A log that nobody reads.
    """

    error = None

    def open(self) -> None:
        """
        Nothing to open.
        """

    reopen = close = open

    def write(self, data: bytes) -> int:
        """
        It is gone.
        """
        return len(data)


def harmless(seams: Seams) -> Seams:
    """
    *seams* without any way to files.
    """
    files: Any = _NoFiles()
    log: Any = _NoLog()
    return replace(seams, files=lambda path: files, log_file=lambda path, mode: log)


class Explanation:
    """
    Looks up everything about one domain.

    :param clock: the reactor.
    :param service: made, and not started.
    :param domain: A-labels, lower case.
    :param slot: the binding slot mail would leave from.
    """

    def __init__(self, clock: Any, service: OutboundService, domain: str, slot: int) -> None:
        self._clock = clock
        self._service = service
        self._f = service.delivery.facilities
        self._f.tls_policies.remember_all = True
        self._slot = slot
        path = self._f.config.path(slot, domain)
        #: The domain itself, or the gateway for it.
        self.domain = path.gateway.lower() or domain
        self._operator_named = bool(path.gateway)

    def make(self, connect: bool) -> Deferred[dict[str, Any]]:
        """
        Look, and tell (see :func:`~momentum_tx.operate.tls_policy.told`).

        :param connect: whether the exchangers are connected to; each then has ``shown`` besides.
        :returns: fails with :class:`~momentum_tx.errors.StartupError` if there is nothing to tell.
        """
        return Deferred.fromCoroutine(self._make(connect))

    async def _make(self, connect: bool) -> dict[str, Any]:
        dr = self._service.delivery.domain_record(self.domain)
        if self._operator_named:
            self._service.delivery.router.trust(dr)
        self._service.delivery.router.ensure(dr, self._f.wall())
        await self._until(lambda: not dr.lookup_pending)
        sts = self._f.sts
        if sts is not None:
            # Mail would not wait so long; whoever asks wants to know.
            await self._until(lambda: not sts.looking(self.domain))
        for mx in dr.mxlist:
            if not self._f.tls_policies.why_left_out(dr, self._slot, mx.host):
                await self._demanded(dr, mx.host)
        found = self._service.tls_policy(self.domain, self._f.config.bindings[self._slot].name)
        found["mta_sts"]["kept"] = self._kept()
        if connect:
            for mx, each in zip(sorted(dr.mxlist, key=lambda mx: mx.preference), found["exchangers"], strict=True):
                if each["decision"] is not None:
                    port = mx.port or self._f.config.path(self._slot, self.domain).port
                    each["shown"] = await self._shown(dr, mx.host, port)
        return found

    async def _until(self, condition: Callable[[], bool]) -> None:
        end = self._clock.seconds() + PATIENCE
        while not condition() and self._clock.seconds() < end:
            await deferLater(self._clock, _STEP, lambda: None)

    async def _demanded(self, dr: DomainRecord, host: HostRecord) -> None:
        address = host.addresses[0] if host.addresses else ""
        try:
            await maybeDeferred(self._f.tls_requirements.parameters, dr, self._slot, host.name, address, None)
        except (TLSUndecided, LookupFailed):
            # It is remembered as such.
            pass

    def _kept(self) -> dict[str, Any] | None:
        """
        The policy that a running service has on disk, if that can be read and is not over.
        """
        settings = self._f.config.global_settings
        directory = settings.mta_sts_policy_store or os.path.join(settings.state_dir, "mta-sts")
        try:
            with open(os.path.join(directory, file_name(self.domain)), "rb") as file:
                kept = parse_kept(file.read())
        except (OSError, BadPolicy):
            return None
        return policy_values(kept) if kept.expires > self._f.wall() else None

    async def _shown(self, dr: DomainRecord, host: HostRecord, port: int) -> dict[str, Any]:
        """
        What an exchanger shows at the first of its addresses that answers.
        """
        (decision,) = [each for each in self._f.tls_policies.decisions(self.domain) if each.host == host.name]
        wanted = decision.demanded or decision.wished
        shown: dict[str, Any] = {"error": "no address that may be connected to", "acceptable": False}
        for address in host.addresses:
            source = self._f.egress.source(self._slot, self.domain, address)
            if source is None or self._f.forbids(host, address):
                continue
            probe = TLSProbe(self._f, self._f.config.path(self._slot, self.domain), wanted)
            shown = {"address": address, "port": port, "error": "", "acceptable": False}
            try:
                facts = await probe.look(address, port, source, self._f.egress.dialer(self._slot, self.domain))
            except ProbeFailed as error:
                shown["error"] = str(error)
                shown["acceptable"] = decision.demanded is not None and error.clear
                continue
            shown |= {
                "version": facts.version,
                "cipher": facts.cipher,
                "certificate": facts.certificate_digest,
                "verified": facts.verified,
                "problem": facts.problem,
                "problem_kind": facts.problem_kind,
                "acceptable": decision.demanded is not None and acceptable(wanted, facts),
            }
            break
        return shown
