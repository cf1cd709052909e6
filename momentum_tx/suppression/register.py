"""
The list as the service has it: asked for every message, added to by bounces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from ..interfaces.hooks import ILogPermanentFailureV1
from ..policy.consequence import SUPPRESSED
from .entries import MOST_NOTE, Suppressed, as_json, from_json, key_of, split_key
from .rules import Bounces, Rule

if TYPE_CHECKING:
    from ..hooks.outbound import OutboundHooks
    from ..interfaces.records import IDomainRecord, IMessage
    from ..settings import GlobalSettings
    from .store import SuppressionStore

#: What a client is told at RCPT TO.
REFUSED: Final = 550, "5.7.1 The recipient is on the suppression list"


def rules_of(settings: GlobalSettings) -> tuple[Rule, ...]:
    """
    The rules that *settings* have.

    :raises ValueError: one is none.
    """
    return tuple(Rule.parse(text) for text in settings.suppress_rules)


@implementer(ILogPermanentFailureV1)
class Suppression:
    """
    The list of one service.

    :param store: the list on disk.
    :param hooks: who may think otherwise, and is told.
    :param wall: wall time in epoch seconds.
    :param classify: code of a note, for a domain.
    :ivar loaded: whether the list is in memory; until then nobody is left out, and mail that
        waits is asked about again before it is sent.
    """

    part_of_service = True
    _log = Logger()

    def __init__(
        self,
        store: SuppressionStore,
        hooks: OutboundHooks,
        wall: Callable[[], float],
        classify: Callable[[bytes, str], int],
    ) -> None:
        self._store = store
        self._hooks = hooks
        self._wall = wall
        self._classify = classify
        self._entries: dict[str, Suppressed] = {}
        self._bounces = Bounces()
        self._rules: tuple[Rule, ...] = ()
        self._by_tenant = False
        self.mode = "off"
        self.loaded = False

    def __len__(self) -> int:
        return len(self._entries)

    def configure(self, settings: GlobalSettings) -> None:
        """
        Go by what the options say; rules that are none leave those before in force, which is logged.
        """
        try:
            self._rules = rules_of(settings)
        except ValueError as error:
            self._log.error("global.suppress_rules: {error}; the rules before stay in force", error=error)
        self.mode = settings.suppression
        self._by_tenant = settings.suppress_by_tenant

    def start(self) -> Deferred[None]:
        """
        Read the list.
        """
        return self._store.load().addCallbacks(self._read, self._unread)

    def _read(self, entries: dict[str, Suppressed]) -> None:
        # What was entered meanwhile is newer.
        entries.update(self._entries)
        self._entries, self.loaded = entries, True

    def _unread(self, failure: Any) -> None:
        self._hooks.tell_error(
            self._wall(), "critical", f"the suppression list cannot be read, nobody is left out: {failure.value}"
        )

    def close(self) -> None:
        """
        Let go of the list on disk.
        """
        self._store.close()

    # Who asks.

    def refusal(self, recipient: bytes) -> tuple[int, str] | None:
        """
        What a client is told of a recipient at RCPT TO, where nobody knows yet whose mail it is.
        """
        if self.mode != "refuse" or not self._entries:
            return None
        entry = self.find(recipient.decode("utf-8", "replace"))
        return REFUSED if entry is not None and self._stands(recipient, entry, "") else None

    def leaves_out(self, msg: IMessage) -> bool:
        """
        Whether *msg* is not to be sent.
        """
        if self.mode == "off" or not self._entries:
            return False
        tenant = msg.reception.tenant
        entry = self.find(msg.recipient.decode("utf-8", "replace"), tenant)
        return entry is not None and self._stands(msg.recipient, entry, tenant)

    def _stands(self, recipient: bytes, entry: Suppressed, tenant: str) -> bool:
        hook = self._hooks.suppression_check
        if not hook:
            return True
        answer = hook.override(lambda provider: provider.suppression_check(recipient, tenant, entry))
        return answer is not False

    def find(self, address: str, tenant: str = "") -> Suppressed | None:
        """
        The entry that leaves *address* out: its own or its domain's, a tenant's or everybody's.
        """
        try:
            name = key_of(address)
        except ValueError:
            return None
        domain = f"@{name.rpartition('@')[2]}"
        entries, now = self._entries, self._wall()
        for key in (name, domain) if not tenant else (name, domain, f"{tenant}\x00{name}", f"{tenant}\x00{domain}"):
            entry = entries.get(key)
            if entry is not None and entry.holds(now):
                return entry
        return None

    # Who adds.

    def log_permanent_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        """
        Enter the recipient, if a rule says so.
        """
        note = msg.code if note is None else note
        if self.mode == "off" or note == SUPPRESSED or not self._rules:
            return
        if now is None:
            now = self._wall()
        try:
            tenant = msg.reception.tenant if self._by_tenant else ""
            key = key_of(msg.recipient.decode("utf-8", "replace"), tenant)
        except ValueError:
            return
        code = self._classify(note, dr.domain)
        rule = self._bounces.decided(key, code, self._rules, now)
        if rule is not None:
            text = note[:MOST_NOTE].decode("utf-8", "replace")
            self.add({key: Suppressed("bounce", code, now, now + rule.life if rule.life else 0.0, text)})

    def add(self, entries: dict[str, Suppressed]) -> Deferred[bool]:
        """
        Enter *entries*, by key; one that is there already is replaced.

        :returns: fires with whether that is on disk.
        """
        self._entries.update(entries)
        hook = self._hooks.suppression_added
        if hook:
            for key, entry in entries.items():
                address, tenant = split_key(key)
                hook.tell(address, tenant, entry)
        return self._store.save(list(entries.items()))

    def remove(self, address: str, tenant: str = "") -> Deferred[bool]:
        """
        Take an address off the list.

        :returns: fires with whether it was on it.
        :raises ValueError: it is no address.
        """
        key = key_of(address, tenant)
        if self._entries.pop(key, None) is None:
            return succeed(False)
        return self._store.save([(key, None)]).addCallback(lambda _: True)

    # What operators ask for (see :mod:`momentum_tx.operate.suppress`).

    def show(self, address: str, tenant: str = "") -> dict[str, Any] | None:
        """
        The entry that leaves an address out; nothing if none does.
        """
        entry = self.find(address, tenant)
        return None if entry is None else as_json(key_of(address, tenant), entry)

    def listed(self, after: int = 0, limit: int = 1000) -> dict[str, Any]:
        """
        Entries, in the order in which they were entered.

        :param after: how many to pass over.
        :param limit: how many to tell, at most 10,000.
        """
        found = islice(self._entries.items(), after, after + min(limit, 10_000))
        return {"total": len(self._entries), "entries": [as_json(key, entry) for key, entry in found]}

    def enter(self, entries: Sequence[Any]) -> Deferred[int]:
        """
        Enter what :meth:`listed` told, or less of it; how many that are.

        :raises ValueError: one of them is none; nothing is entered then.
        """
        now = self._wall()
        found = dict(from_json(each, now) for each in entries)
        return self.add(found).addCallback(lambda kept: self._counted(kept, len(found)))

    @staticmethod
    def _counted(kept: bool, count: int) -> int:
        if not kept:
            raise OSError("the entries hold until the service ends, and cannot be written to disk; see its log")
        return count
