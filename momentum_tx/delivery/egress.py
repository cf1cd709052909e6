"""
Which way connections of a binding leave: from this host, or by way of a proxy.

Source: Momentum, module ``ha_proxy_client``; SOCKS is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..errors import DialFailed, OutOfDescriptors
from ..interfaces.seams import IConnectedStream, IDial, IDialer
from ..interfaces.services import AddressAnswer
from ..net.handshakes import Handshake, ProxyHeader, SocksHandshake
from ..net.proxied import ProxiedDialer
from ..policy.candidates import source_for
from ..policy.next_hop import is_address, parse_next_hop
from ..settings import Binding

if TYPE_CHECKING:
    from ..interfaces.services import IConfiguration
    from .facilities import Facilities

#: Why a proxy cannot be used whose name has not been looked up yet.
_UNKNOWN: Final = "its address is not known yet"


class Egress:
    """
    Knows the proxies of all bindings, and looks every ``proxy_health_check_interval``
    seconds whether they are there.  While one is not, mail that would leave by it waits.

    :param facilities: configuration, dialer, resolver, clock.
    """

    __slots__ = ("_alarm", "_config", "_f", "_proxies", "_returned", "_slots", "_started")

    def __init__(self, facilities: Facilities) -> None:
        self._f = facilities
        self._alarm = facilities.agenda.alarm(self._ring)
        self._returned: Callable[[], object] = lambda: None
        self._started = False
        self._config: IConfiguration | None = None
        #: By what tells them apart, and of each slot.
        self._proxies: dict[tuple[str, ...], Proxy] = {}
        self._slots: list[Proxy | None] = []

    def start(self, returned: Callable[[], object]) -> None:
        """
        Look whether the proxies are there, and go on looking.

        :param returned: told when one is back, so that mail which waits for it is looked after.
        """
        self._returned = returned
        self._started = True
        self.look()

    def stop(self) -> None:
        """
        Look no more.
        """
        self._started = False
        self._alarm.disarm()
        for proxy in self._proxies.values():
            proxy.stop()

    def look(self) -> None:
        """
        Look now: at the start, or after a reload.
        """
        self._settle()
        self._ring()

    def _ring(self) -> None:
        if not self._started or not self._proxies:
            self._alarm.disarm()
            return
        self._alarm.arm(self._f.config.global_settings.proxy_health_check_interval)
        for proxy in list(self._proxies.values()):
            proxy.check()

    def _settle(self) -> None:
        config = self._f.config
        if self._config is config:
            return
        self._config = config
        before, self._proxies, self._slots = self._proxies, {}, []
        for binding in config.bindings:
            server = binding.ha_proxy_server or binding.socks_proxy_server
            if not server:
                self._slots.append(None)
                continue
            user = password = ""
            if binding.socks_proxy_server:
                user, password = binding.socks_proxy_user, config.secrets.get(binding.socks_proxy_pass_file, "")
            kind = "ha" if binding.ha_proxy_server else "socks"
            key = (kind, server, user, password, binding.bind_address, binding.bind_address_secondary)
            proxy = self._proxies.get(key) or before.pop(key, None)
            if proxy is None:
                proxy = Proxy(self._f, server, kind == "socks", user, password, binding, self._back)
            self._proxies[key] = proxy
            self._slots.append(proxy)
        for proxy in before.values():
            proxy.stop()

    def _back(self) -> None:
        self._returned()

    def _proxy(self, slot: int, domain: str) -> Proxy | None:
        """
        The proxy of a (binding, domain) pair; ``None`` for the ordinary way.
        """
        self._settle()
        if not self._proxies:
            return None
        proxy = self._slots[slot]
        if proxy is None:
            return None
        settings = self._f.config.path(slot, domain)
        return None if (settings.socks_proxy_bypass if proxy.socks else settings.ha_proxy_bypass) else proxy

    def unusable(self, slot: int, domain: str) -> str:
        """
        Why mail of a (binding, domain) pair has to wait for its proxy, in words; empty if
        it has not.
        """
        if self._config is self._f.config and not self._proxies:
            # So it is with most services, and asked before every message.
            return ""
        proxy = self._proxy(slot, domain)
        return proxy.unusable if proxy is not None else ""

    def source(self, slot: int, domain: str, address: str) -> str | None:
        """
        Source of a connection to *address*; empty lets the kernel choose, ``None`` if
        there is none to that family, or this host has not got it while it has the other.
        """
        binding = self._f.config.bindings[slot]
        proxy = self._proxy(slot, domain)
        if proxy is not None:
            return proxy.source(binding) if proxy.socks or _seen_from(binding, address) else None
        source = source_for(address, binding.bind_address, binding.bind_address_secondary)
        plumbing = self._f.plumbing
        if source and plumbing.lacks(source) and not plumbing.absent(slot):
            return None
        return source

    def dialer(self, slot: int, domain: str) -> IDialer:
        """
        Who opens connections of a (binding, domain) pair.
        """
        proxy = self._proxy(slot, domain)
        return self._f.dialer if proxy is None else proxy.dialer(self._f.config.bindings[slot])


def _seen_from(binding: Binding, address: str) -> str:
    """
    The address a destination sees connections come from behind a PROXY header; empty
    if there is none of its family.
    """
    return binding.ha_proxy_ipv6_src_addr if ":" in address else binding.ha_proxy_src_addr


class Proxy:
    """
    One proxy, as it is reached from one source.

    :param facilities: dialer, resolver, clock.
    :param server: where it is: address or name, and port.
    :param socks: whether it speaks SOCKS; else it reads a PROXY header.
    :param user: our name to it; empty for none.
    :param password: the password.
    :param binding: a binding that uses it.
    :param back: told when it can be used again.
    """

    __slots__ = (
        "_address",
        "_back",
        "_binding",
        "_dial",
        "_f",
        "_failures",
        "_healthy",
        "_host",
        "_lookup",
        "_password",
        "_patience",
        "_port",
        "_server",
        "_successes",
        "_user",
        "socks",
        "unusable",
    )

    def __init__(
        self,
        facilities: Facilities,
        server: str,
        socks: bool,
        user: str,
        password: str,
        binding: Binding,
        back: Callable[[], object],
    ) -> None:
        self._f = facilities
        self._server = server
        self._host, self._port = parse_next_hop(server)
        self.socks = socks
        self._user = user.encode()
        self._password = password.encode()
        self._binding = binding
        self._back = back
        self._address = self._host if is_address(self._host) else ""
        #: Why it cannot be used at the moment, in words; empty if it can.
        self.unusable = "" if self._address else f"proxy {server}: {_UNKNOWN}"
        self._healthy = True
        self._failures = 0
        self._successes = 0
        self._dial: IDial | None = None
        self._lookup: Deferred[AddressAnswer] | None = None
        self._patience = facilities.agenda.alarm(self._too_slow)

    def source(self, binding: Binding) -> str:
        """
        Where connections to the proxy come from; empty lets the kernel choose.
        """
        return source_for(self._address, binding.bind_address, binding.bind_address_secondary) or ""

    def dialer(self, binding: Binding) -> IDialer:
        """
        Who opens connections by way of it.
        """

        def handshake(host: str, port: int) -> Handshake:
            if self.socks:
                return SocksHandshake(host, port, self._user, self._password)
            return ProxyHeader(host, port, _seen_from(binding, host))

        return ProxiedDialer(self._f.dialer, (self._address, self._port), self._server, handshake, self._doubt)

    def _doubt(self, reason: str) -> None:
        """
        It was of no use to a connection, and would be of none to others: nobody tries again before it
        has answered a check.
        """
        if not self.unusable:
            self.unusable = reason
            self._tell("notice", f"failed ({reason}); mail waits until it answers")

    # Whether it is there.

    def check(self) -> None:
        """
        See whether it answers, unless somebody is waiting for that already.
        """
        if self._dial is not None or self._lookup is not None:
            return
        self._patience.arm(self._f.config.global_settings.proxy_health_check_timeout)
        if is_address(self._host):
            self._knock()
            return
        self._lookup = lookup = self._f.resolver.lookup_addresses(self._host, True)
        lookup.addCallbacks(self._found, self._not_found)

    def _found(self, answer: AddressAnswer) -> None:
        self._lookup = None
        if not answer.addresses:
            self._failed("its name has no address")
            return
        if self._address not in answer.addresses:
            self._address = answer.addresses[0]
        self._knock()

    def _not_found(self, failure: Failure) -> None:
        if self._lookup is not None:
            self._lookup = None
            self._failed(f"its name could not be looked up: {failure.getErrorMessage()}")

    def _knock(self) -> None:
        place, source = (self._address, self._port), self.source(self._binding)
        dialer = self._f.dialer
        if self.socks:
            # Up to where others would name their destination.
            dialer = ProxiedDialer(dialer, place, self._server, self._introduction, _nobody)
        try:
            self._dial = dialer.dial(*place, source, None, self._answered, self._refused)
        except OutOfDescriptors:
            # That says nothing of the proxy.
            self._patience.disarm()
        except DialFailed as error:
            self._failed(error.reason)

    def _introduction(self, host: str, port: int) -> Handshake:
        return SocksHandshake("", 0, self._user, self._password)

    def _answered(self, stream: IConnectedStream) -> None:
        self._dial = None
        self._patience.disarm()
        stream.close()
        self._failures = 0
        self._successes += 1
        if not self.unusable:
            return
        if not self._healthy and self._successes < self._f.config.global_settings.proxy_health_check_success_threshold:
            return
        self._healthy = True
        self.unusable = ""
        self._tell("notice", "answers, and mail goes on")
        self._back()

    def _refused(self, error: DialFailed) -> None:
        self._dial = None
        self._failed(error.reason)

    def _too_slow(self) -> None:
        self._let_go()
        self._failed("it does not answer in time")

    def _failed(self, reason: str) -> None:
        self._patience.disarm()
        self._successes = 0
        self._failures += 1
        prefix = f"proxy {self._server}: "
        reason = reason if reason.startswith(prefix) else prefix + reason
        if not self._healthy:
            if reason != self.unusable:
                # Whoever mended the first fault has to learn that there is another.
                self.unusable = reason
                self._tell("error", f"still cannot be used ({reason}); mail waits until it can")
        elif self._failures >= self._f.config.global_settings.proxy_health_check_failure_threshold:
            self._healthy = False
            self.unusable = reason
            self._tell("error", f"cannot be used ({reason}); mail waits until it can")

    def _tell(self, level: str, text: str) -> None:
        self._f.hooks.tell_error(
            self._f.wall(), level, f"proxy {self._server}, of binding {self._binding.name}, {text}"
        )

    def stop(self) -> None:
        """
        Look no more.
        """
        self._patience.disarm()
        self._let_go()

    def _let_go(self) -> None:
        dial, self._dial = self._dial, None
        if dial is not None:
            dial.cancel()
        lookup, self._lookup = self._lookup, None
        if lookup is not None:
            lookup.cancel()


def _nobody(reason: str) -> None:
    """
    A check tells its own result.
    """
