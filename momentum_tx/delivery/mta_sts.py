"""
The MTA-STS policies of the domains that get mail: found, kept, and looked after.

What a policy says is :mod:`momentum_tx.policy.mta_sts`; what is done about it is
:mod:`momentum_tx.delivery.tls_policies`.

Source: RFC 8461 sections 3 and 5; Momentum, "MTA-STS".
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.logger import Logger

from ..errors import DeliveryError, LookupFailed
from ..interfaces.seams import IHTTPSFetch
from ..interfaces.services import IConfiguration, IResolver
from ..policy.mta_sts import (
    RECORD_HOST,
    BadPolicy,
    KeptPolicy,
    STSPolicy,
    answered_policy,
    policy_url,
    record_id,
)
from ..timers import Agenda, Alarm
from ..wall import WallClock
from .sts_store import STSStore

if TYPE_CHECKING:
    from twisted.python.failure import Failure

#: Seconds that mail waits for the first look at a domain; then it goes without a policy, for none is known.
FIRST_WAIT: Final = 10.0
#: Seconds and octets that a fetch may take (RFC 8461 sections 3.3 and 10.3).
FETCH_TIMEOUT: Final = 60.0
MAX_POLICY: Final = 65_536
#: Age, seconds, at which a policy is fetched anew though its id is the same (Momentum).
REFRESH: Final = 86_400.0
#: Seconds until a fetch that failed is tried again, doubling up to the longest (RFC 8461 section 3.3).
PAUSE: Final = 300.0
LONGEST_PAUSE: Final = 3600.0
#: Seconds between two rounds over the policies that are known.
ROUND: Final = 3600.0
#: Fetches at once; each is a connection to a host that a stranger chose.
MOST_FETCHES: Final = 20
#: Domains of which something is remembered.
MOST_DOMAINS: Final = 20_000
#: Old policies that are looked at together, and seconds until the next ones.
SLICE: Final = 50
SLICE_PAUSE: Final = 1.0
#: Domains looked at for one that may be forgotten.
_LOOKS: Final = 64

#: Kinds of problems with a policy (RFC 8460 section 4.3.2.2).
FETCH_ERROR: Final = "sts-policy-fetch-error"
INVALID: Final = "sts-policy-invalid"
WEBPKI_INVALID: Final = "sts-webpki-invalid"
#: How a failure of the policy host's certificate is told.
_CERTIFICATE: Final = re.compile(r"certificate verify failed|VerificationError|CertificateError")


@dataclass(slots=True)
class _Domain:
    """
    What is known of one domain.

    :ivar kept: its policy, perhaps one that is over.
    :ivar loaded: whether the disk was asked for it.
    :ivar look: the look that is under way.
    :ivar waiting: who waits for that.
    :ivar alarm: ends their patience.
    :ivar late: whether it took too long already, so that nobody waits for it any more.
    :ivar suspected: whether mail has failed because of the policy since it was fetched.
    :ivar retry_at: time of the clock before which nothing is fetched.
    :ivar failures: fetches that failed in a row.
    :ivar record: the id in DNS, when it was looked at last; empty for none.
    :ivar problem: what went wrong then; empty if nothing did.
    :ivar kind: what kind of problem that is, a result type of RFC 8460, or empty.
    """

    kept: KeptPolicy | None = None
    loaded: bool = False
    look: Deferred[None] | None = None
    waiting: list[Deferred[None]] | None = None
    alarm: Alarm | None = None
    late: bool = False
    suspected: bool = False
    retry_at: float = 0.0
    failures: int = 0
    record: str = ""
    problem: str = ""
    kind: str = ""


class STSPolicies:
    """
    Knows the policies, and sees that they stay true.

    A look at a domain is: the file of the last process, the TXT record, and if there is
    a reason for it the policy.  Whatever goes wrong with one leaves what is known in
    force until that is over (RFC 8461 section 5.1).

    :param resolver: asks DNS, and keeps its answers.
    :param https: fetches policies.
    :param agenda: alarms, and the steady clock.
    :param wall: wall time, by which policies grow old.
    :param config: gives the configuration in force.
    :param store: keeps policies on disk.
    :ivar changed: told of a domain that has another policy, or one at last.
    :ivar unfetched: told of a domain whose policy could not be had, as RFC 8460 calls the reason, and in words.
    """

    _log = Logger()

    def __init__(
        self,
        resolver: IResolver,
        https: IHTTPSFetch,
        agenda: Agenda,
        wall: WallClock,
        config: Callable[[], IConfiguration],
        store: STSStore,
    ) -> None:
        self._resolver = resolver
        self._https = https
        self._agenda = agenda
        self._wall = wall
        self._config = config
        self._store = store
        self._fetches = DeferredSemaphore(MOST_FETCHES)
        self._domains: OrderedDict[str, _Domain] = OrderedDict()
        self._round = agenda.alarm(self._go_round)
        #: Domains whose policies are old, in the order in which they are looked at.
        self._old: dict[str, None] = {}
        self._slice = agenda.alarm(self._look_at_old)
        self._sweep_at = 0.0
        self._stopped = False
        self.changed: Callable[[str], object] = lambda domain: None
        self.unfetched: Callable[[str, str, str], object] = lambda domain, kind, reason: None
        wall.followers.append(self._clock_stepped)

    def start(self) -> None:
        """
        Begin to look after what is kept.
        """
        self._round.arm(ROUND)

    def stop(self) -> None:
        """
        End everything under way.  The store is whoever made it to close, when its
        workers have ended.
        """
        self._stopped = True
        self._round.disarm()
        self._slice.disarm()
        for state in list(self._domains.values()):
            if state.look is not None:
                state.look.cancel()

    # What is known.

    def known(self, domain: str) -> KeptPolicy | None:
        """
        The policy of *domain*, as far as it is known and not over.
        """
        state = self._domains.get(domain)
        if state is None or state.kept is None or state.kept.expires <= self._wall():
            return None
        return state.kept

    def problem(self, domain: str) -> tuple[str, str]:
        """
        What went wrong when *domain* was looked at last: a result type of RFC 8460, and a
        text; both empty if nothing did.
        """
        state = self._domains.get(domain)
        return ("", "") if state is None else (state.kind, state.problem)

    def looked(self, domain: str) -> bool:
        """
        Whether anybody has wanted to know about *domain* lately.
        """
        return domain in self._domains

    def looking(self, domain: str) -> bool:
        """
        Whether a look at *domain* is under way.
        """
        state = self._domains.get(domain)
        return state is not None and state.look is not None

    def unsettled(self, domain: str) -> bool:
        """
        Whether it is being found out if the policy that mail has failed of is still that.
        """
        state = self._domains.get(domain)
        return state is not None and state.suspected and state.look is not None

    # Looks.

    def ready(self, domain: str) -> Deferred[None] | None:
        """
        See that the policy of *domain* is known, if it has one; mail for it waits for this.

        :returns: fires when it is, or has taken too long; ``None`` if there is nothing to
            wait for.
        """
        state = self._begin(domain)
        if state.look is None or state.late or self.known(domain) is not None:
            return None
        waiting: Deferred[None] = Deferred(lambda cancelled: self._leave(state, cancelled))
        if state.waiting is None:
            state.waiting = []
            state.alarm = self._agenda.alarm(lambda: self._too_late(state))
            state.alarm.arm(FIRST_WAIT)
        state.waiting.append(waiting)
        return waiting

    def check(self, domain: str) -> None:
        """
        Look at *domain* while mail goes on.
        """
        self._begin(domain)

    def suspect(self, domain: str) -> None:
        """
        Mail for *domain* has failed because of its policy: see whether there is another by
        now, before it fails for ever (RFC 8461 section 5.1).
        """
        self._state(domain).suspected = True
        self._begin(domain)

    def _state(self, domain: str) -> _Domain:
        state = self._domains.get(domain)
        if state is None:
            state = _Domain()
            if len(self._domains) >= MOST_DOMAINS:
                self._make_room()
            self._domains[domain] = state
        else:
            self._domains.move_to_end(domain)
        return state

    def _make_room(self) -> None:
        for _ in range(_LOOKS):
            if len(self._domains) < MOST_DOMAINS:
                return
            domain, state = next(iter(self._domains.items()))
            if state.look is None:
                # What it had is on disk.
                del self._domains[domain]
            else:
                self._domains.move_to_end(domain)

    def _begin(self, domain: str) -> _Domain:
        state = self._state(domain)
        if state.look is None and not self._stopped:
            look = Deferred.fromCoroutine(self._look(domain, state))
            look.addErrback(self._bug, domain)
            if not look.called:
                state.look = look
                look.addCallback(lambda _: self._looked(state))
        return state

    def _bug(self, failure: Failure, domain: str) -> None:
        if not failure.check(CancelledError):
            self._log.failure("looking for the MTA-STS policy of {domain} failed", failure, domain=domain)

    def _looked(self, state: _Domain) -> None:
        state.look = None
        state.late = False
        self._tell(state)

    def _too_late(self, state: _Domain) -> None:
        if not state.loaded and state.alarm is not None:
            # That is our own disk: what it holds counts, however slow it is.
            state.alarm.arm(FIRST_WAIT)
            return
        state.late = True
        self._tell(state)

    @staticmethod
    def _tell(state: _Domain) -> None:
        waiting, state.waiting = state.waiting, None
        if state.alarm is not None:
            state.alarm.disarm()
            state.alarm = None
        for each in waiting or ():
            if not each.called:
                each.callback(None)

    @staticmethod
    def _leave(state: _Domain, cancelled: Deferred[None]) -> None:
        if state.waiting is not None and cancelled in state.waiting:
            state.waiting.remove(cancelled)

    async def _look(self, domain: str, state: _Domain) -> None:
        if not state.loaded:
            kept = await self._store.load(domain)
            state.loaded = True
            if kept is not None:
                self._take_kept(state, kept)
        try:
            answer = await self._resolver.lookup_txt(RECORD_HOST + domain)
        except LookupFailed as error:
            state.problem, state.kind = str(error), ""
            return
        most = self._config().global_settings.mta_sts_dns_cname_max_depth
        state.record = record = record_id(answer.records) if answer.links <= most else ""
        if not record or not self._wanted(state, record):
            if not record:
                state.problem, state.kind = "there is no valid record at _mta-sts", ""
            state.suspected = False
            return
        try:
            policy, text = await self._fetches.run(lambda: Deferred.fromCoroutine(self._fetch(domain)))
        except DeliveryError as error:
            kind = WEBPKI_INVALID if _CERTIFICATE.search(str(error)) else FETCH_ERROR
            self._failed(domain, state, kind, str(error))
        except BadPolicy as error:
            self._failed(domain, state, INVALID, f"{policy_url(domain)}: {error}")
        else:
            self._take(state, KeptPolicy(domain, record, self._wall(), text, policy))
        state.suspected = False

    def _take_kept(self, state: _Domain, kept: KeptPolicy) -> None:
        now = self._wall()
        if kept.expires > now:
            # From the future it is if the clock was put back since: it lives its life once more, and no longer.
            state.kept = replace(kept, fetched_at=min(kept.fetched_at, now), text=b"")
            self.changed(kept.domain)

    def _wanted(self, state: _Domain, record: str) -> bool:
        """
        Whether there is a reason to fetch the policy, and nothing against it.
        """
        if self._agenda.clock.seconds() < state.retry_at:
            return False
        kept, now = state.kept, self._wall()
        if kept is None or kept.expires <= now or kept.record != record:
            return True
        return now - kept.fetched_at >= (PAUSE if state.suspected else REFRESH)

    async def _fetch(self, domain: str) -> tuple[STSPolicy, bytes]:
        status, fields, body = await self._https.fetch(policy_url(domain), FETCH_TIMEOUT, MAX_POLICY)
        return answered_policy(status, fields.get("content-type", ""), body), body

    def _failed(self, domain: str, state: _Domain, kind: str, reason: str) -> None:
        pause = min(PAUSE * 2.0 ** min(state.failures, 10), LONGEST_PAUSE)
        state.failures += 1
        state.retry_at = self._agenda.clock.seconds() + pause
        state.kind, state.problem = kind, reason
        self.unfetched(domain, kind, reason)
        self._log.warn(
            "no MTA-STS policy of {domain}: {reason}; what is known of it, if anything, stays in force",
            domain=domain,
            reason=reason,
        )

    def _take(self, state: _Domain, kept: KeptPolicy) -> None:
        before = self.known(kept.domain)
        # The text is for the disk; of thousands of domains it would be too much.
        state.kept = replace(kept, text=b"")
        state.failures, state.retry_at, state.kind, state.problem = 0, 0.0, "", ""
        self._store.save(kept)
        if before is None or before.policy != kept.policy:
            self.changed(kept.domain)

    # As time goes by.

    def _go_round(self) -> None:
        """
        Fetch anew what is old; what no mail has asked for lately is found on disk.
        """
        now = self._wall()
        for domain, state in list(self._domains.items()):
            if state.kept is not None and self._is_old(state.kept, now):
                self._old[domain] = None
        self._look_at_old()
        seconds = self._agenda.clock.seconds()
        if seconds >= self._sweep_at and self._config().written("use_mta_sts"):
            self._sweep_at = seconds + REFRESH
            self._store.sweep(now).addCallback(self._swept)
        self._round.arm(ROUND)

    @staticmethod
    def _is_old(kept: KeptPolicy, now: float) -> bool:
        return kept.expires > now and now - kept.fetched_at >= REFRESH

    def _swept(self, left: list[KeptPolicy]) -> None:
        now = self._wall()
        for kept in left:
            if not self._stopped and kept.domain not in self._domains and self._is_old(kept, now):
                self._old[kept.domain] = None
        if self._slice.when is None:
            self._look_at_old()

    def _look_at_old(self) -> None:
        """
        Not all at once: mail goes on meanwhile, and its policies are not to make room for those.
        """
        for domain in list(islice(self._old, SLICE)):
            del self._old[domain]
            if self._config().domain(domain).use_mta_sts:
                self._begin(domain)
        if self._old and not self._stopped:
            self._slice.arm(SLICE_PAUSE)

    def _clock_stepped(self, seconds: float) -> None:
        """
        The wall clock was set: no policy lives shorter or longer for that.
        """
        for state in self._domains.values():
            if state.kept is not None:
                state.kept = replace(state.kept, fetched_at=state.kept.fetched_at + seconds)
