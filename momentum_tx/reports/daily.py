"""
Sends each domain that wants it a report on the TLS of yesterday's sessions.

Sessions tell what came of TLS; the hook ``smtp_tls_reporting`` is told on, and
everything is counted.  When a day is over (UTC), each domain is asked where it
wants its report, at a moment of its own in the next hours, and gets it by mail,
through our own queue, or by HTTPS.  What fails is tried again for a day.

Source: RFC 8460 sections 3 to 5.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..delivery.facilities import Facilities
from ..envelope import Notify, RecipientTerms, Terms
from ..errors import DeliveryError, LookupFailed, MessageRefused, SpoolError
from ..interfaces.seams import IHTTPSFetch, IThreadExecutor
from ..interfaces.services import IReceiver, Submission
from ..policy.tls_report import DAY, NO_POLICY, TLSOutcome, day_of, due, next_try, report_targets
from ..settings import REPORTS_BINDING, GlobalSettings
from .counts import DomainCounts, TLSCounts
from .document import MEDIA_TYPE, Report, Reporter
from .store import CountStore, Entry

#: Seconds between two writes of what was counted.
SAVE_INTERVAL: Final = 60.0
#: Domains whose counts are written at once, and seconds until the next ones, so that mail goes on meanwhile.
SAVED_AT_ONCE: Final = 200
SAVE_PAUSE: Final = 0.05
#: Longest pause between two looks at what is due: the wall clock may step.
LOOK_INTERVAL: Final = 300.0
#: Reports that are delivered at once.
MOST_AT_ONCE: Final = 10
#: Seconds for one HTTPS delivery, and octets of the answer to it.
POST_TIMEOUT: Final = 60.0
POST_ANSWER: Final = 65536
#: Name under which a domain says where it wants its reports (RFC 8460 3).
RECORD_HOST: Final = "_smtp._tls."
#: It shall arrive rather than be safe, and nobody waits for news of it.
_TERMS: Final = Terms(tls_optional=True, recipients={0: RecipientTerms(Notify.NEVER)})
#: HTTP statuses of refusals that say "not now".
_LATER: Final = frozenset({408, 425, 429})


class TLSReports:
    """
    Counts sessions and sends the reports on them.

    :param facilities: clocks, DNS, hooks, options; asked to tell of sessions while
        anybody wants to hear of them.
    :param threads: pack reports.
    :param https: posts them.
    :param receiver: takes those that go by mail.
    :param store: keeps what was counted.
    """

    _log = Logger()

    def __init__(
        self,
        facilities: Facilities,
        threads: IThreadExecutor,
        https: IHTTPSFetch,
        receiver: IReceiver,
        store: CountStore,
    ) -> None:
        self._f = facilities
        self._wall = facilities.wall
        self._threads = threads
        self._https = https
        self._receiver = receiver
        self._store = store
        self._saver = facilities.agenda.alarm(self._save)
        self._looker = facilities.agenda.alarm(self._look)
        self._under_way: dict[tuple[int, str], Deferred[None]] = {}
        self._loading: Deferred[Any] | None = None
        #: Whether what is kept is not known yet.
        self._waits = False
        self._running = False
        self.counts = TLSCounts()

    def _settings(self) -> GlobalSettings:
        return self._f.config.global_settings

    # Life.

    def start(self) -> None:
        """
        Begin to send what is due; reads first what is kept.
        """
        self._running = True
        self.configure()

    def configure(self) -> None:
        """
        The options, or who listens, may have changed.
        """
        if not self._running:
            return
        wanted = self._settings().tlsrpt or self._f.hooks.smtp_tls_reporting
        self._f.tls_told = self.told if wanted else None
        if not self._settings().tlsrpt:
            # What was counted would be reported of half a day.
            self._looker.disarm()
            for day, domain, _ in list(self.counts.before(day_of(self._wall()) + 1)):
                self.counts.forget(day, domain)
            if self._loading is not None:
                self._save()
            self._loading = None
        elif self._loading is None:
            self._waits = True
            self._loading = loading = self._store.load()
            loading.addCallback(lambda entries: self._threads.run(_imported, entries))
            loading.addCallbacks(self._loaded, lambda failure: failure.trap(SpoolError))
            loading.addCallback(self._known)

    def _loaded(self, found: list[tuple[int, str, DomainCounts]]) -> None:
        if not self._settings().tlsrpt:
            return
        for day, domain, counts in found:
            since = self.counts.find(day, domain)
            if since is not None:
                counts.merge(since)
            self.counts.put(day, domain, counts)
        self._look()

    def _known(self, _: object) -> None:
        self._waits = False

    def stop(self) -> Deferred[None]:
        """
        Send nothing more.

        :returns: fires when what was counted is kept.
        """
        self._running = False
        self._looker.disarm()
        self._saver.disarm()
        for delivering in list(self._under_way.values()):
            delivering.cancel()
        if self._loading is None:
            done: Deferred[None] = Deferred()
            done.callback(None)
            return done
        # What is being read has to be added first: of a domain and day the last that is written counts.
        kept: Deferred[None] = Deferred()
        self._loading.addCallback(lambda _: self._store.save(self._entries(len(self.counts.dirty))))
        self._loading.addBoth(lambda _: kept.callback(None))
        return kept

    def close(self) -> None:
        """
        Let go of the directory; after :meth:`stop`, or without a start.
        """
        self._store.close()

    # Sessions.

    def told(self, outcome: TLSOutcome) -> None:
        """
        What came of TLS in a session.
        """
        now = self._wall()
        hook = self._f.hooks.smtp_tls_reporting
        if hook and outcome.policy.kind != NO_POLICY:
            point = outcome.data_point(now)
            hook.notify(lambda provider: provider.smtp_tls_reporting(point))
        settings = self._settings()
        if not settings.tlsrpt or not self._running:
            return
        if not self.counts.count(outcome, now, settings.tlsrpt_max_domains):
            self._log.warn("TLS sessions with further domains are not counted today: tlsrpt_max_domains is reached")
        if self.counts.dirty and self._saver.when is None:
            self._saver.arm(SAVE_INTERVAL)

    # Keeping.

    def _entries(self, most: int) -> list[Entry]:
        dirty = self.counts.dirty
        entries: list[Entry] = []
        while dirty and len(entries) < most:
            day, domain = dirty.pop()
            counts = self.counts.find(day, domain)
            entries.append((day, domain, None if counts is None else counts.exported()))
        return entries

    def _save(self) -> None:
        if self.counts.dirty and not self._waits:
            self._store.save(self._entries(SAVED_AT_ONCE))
        if self.counts.dirty:
            self._saver.arm(SAVE_PAUSE)

    # Sending.

    def _look(self) -> None:
        """
        Begin with what is due, and come again in time for the rest.
        """
        if not self._running or not self._settings().tlsrpt:
            return
        now = self._wall()
        spread = self._settings().tlsrpt_max_delay
        # At the end of the day at the latest, when there is more.
        pause = min(LOOK_INTERVAL, DAY - now % DAY)
        for day, domain, counts in self.counts.before(day_of(now)):
            if (day, domain) in self._under_way:
                continue
            if not counts.next:
                counts.next = due(day, domain, self._f.hostname, spread)
            wait = counts.next - now
            if wait > 0:
                pause = min(pause, wait)
            elif len(self._under_way) < MOST_AT_ONCE:
                self._begin(day, domain, counts)
            else:
                # Whoever is done first lets the next one in.
                break
        self._looker.arm(max(pause, 1.0))

    def _begin(self, day: int, domain: str, counts: DomainCounts) -> None:
        delivering = Deferred.fromCoroutine(self._deliver(day, domain, counts))
        if delivering.called:
            delivering.addErrback(self._broken, domain)
            return
        self._under_way[day, domain] = delivering
        delivering.addErrback(self._broken, domain)
        delivering.addBoth(self._ended, day, domain)

    def _broken(self, failure: object, domain: str) -> None:
        if self._running:
            self._log.error("the TLS report to {domain}: {failure}", domain=domain, failure=failure)

    def _ended(self, _: object, day: int, domain: str) -> None:
        self._under_way.pop((day, domain), None)
        if self._running:
            self._looker.arm(0.0)

    async def _deliver(self, day: int, domain: str, counts: DomainCounts) -> None:
        """
        Try once to deliver a report to everybody who shall have it and has not.
        """
        # Counted first: whatever happens, it is not tried again at once.
        counts.tries += 1
        now = self._wall()
        again = next_try(day, counts.tries, now)
        counts.next = now + DAY if again is None else again
        self.counts.dirty.add((day, domain))
        reason = ""
        try:
            answer = await self._f.resolver.lookup_txt(RECORD_HOST + domain)
        except LookupFailed as error:
            reason = str(error)
        else:
            targets = report_targets(answer.records)
            report = Report(day, domain, self._reporter())
            packed = b""
            for target in targets:
                if target in counts.done:
                    continue
                packed = packed or await self._threads.run(report.packed, counts)
                problem = await self._send(report, target, packed)
                if problem:
                    reason = f"{target}: {problem}"
                else:
                    counts.done.append(target)
        if reason and again is not None:
            self._log.info("the TLS report to {domain} is tried again later: {reason}", domain=domain, reason=reason)
        elif reason:
            self._log.warn("the TLS report to {domain} is given up: {reason}", domain=domain, reason=reason)
        if not reason or again is None:
            self.counts.forget(day, domain)
        if self._saver.when is None:
            self._saver.arm(1.0)

    def _reporter(self) -> Reporter:
        settings = self._settings()
        sender = settings.tlsrpt_from or f"tlsrpt@{self._f.hostname}"
        return Reporter(
            settings.tlsrpt_organization or self._f.hostname,
            settings.tlsrpt_contact or sender,
            sender,
            sender.rpartition("@")[2].lower(),
        )

    async def _send(self, report: Report, target: str, packed: bytes) -> str:
        """
        Deliver a report to one address.

        :returns: why it has to be tried again; empty if not.
        """
        if target.startswith("mailto:"):
            return await self._mail(report, target.removeprefix("mailto:"), packed)
        try:
            status, _, _ = await self._https.post(target, packed, MEDIA_TYPE, POST_TIMEOUT, POST_ANSWER)
        except DeliveryError as error:
            return str(error)
        if 200 <= status < 300:
            return ""
        if 400 <= status < 500 and status not in _LATER:
            self._log.warn(
                "the TLS report to {domain} was refused by {target}: HTTP status {status}",
                domain=report.domain,
                target=target,
                status=status,
            )
            return ""
        return f"HTTP status {status}"

    async def _mail(self, report: Report, address: str, packed: bytes) -> str:
        now = self._wall()
        submission = Submission(
            report.reporter.sender.encode(),
            (address.encode(),),
            report.mail(address, packed, now),
            binding=REPORTS_BINDING,
            # From here on our queue tries again, for as long as we would.
            expires=max(now + 3600.0, (report.day + 2) * DAY),
            terms=_TERMS,
        )
        try:
            await self._receiver.receive(submission)
        except MessageRefused as error:
            if error.code < 500:
                return str(error)
            self._log.warn(
                "the TLS report to {domain} cannot be mailed to {address}: {error}",
                domain=report.domain,
                address=address,
                error=error,
            )
        return ""


def _imported(entries: list[Entry]) -> list[tuple[int, str, DomainCounts]]:
    """
    What was kept, in a worker; what makes no sense is left out.
    """
    found = []
    for day, domain, data in entries:
        if data is None:
            continue
        try:
            found.append((day, domain, DomainCounts.imported(data)))
        except ValueError:
            # It has its checksum: of another version it must be.
            continue
    return found
