"""
Bindings whose connections leave by way of a proxy.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Protocol
from zope.interface import implementer

from momentum_tx import open_connection
from momentum_tx.errors import ConfigError
from momentum_tx.flags import ConnFlag
from momentum_tx.interfaces.hooks import IConnectionPostBind, ILogClientConnectionFailure
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.proxies import HeaderProxy, SocksProxy
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

PROXY, SEEN, SEEN6 = "10.0.0.1", "203.0.113.9", "2001:db8:1::9"
HEADER = f'[binding.b1]\nha_proxy_server = "{PROXY}:8085"\nha_proxy_src_addr = "{SEEN}"\n'
SOCKS = f'[binding.b1]\nsocks_proxy_server = "{PROXY}:1080"\n'
NAMED = '[binding.b1]\nsocks_proxy_server = "proxy.sender.example:1080"\n'


@implementer(ILogClientConnectionFailure, IConnectionPostBind)
class Watch:
    """
    Notes which attempts failed and how, and where descriptors were to lead.
    """

    def __init__(self) -> None:
        self.failed: list[ConnFlag] = []
        self.bound: list[Any] = []

    def log_client_connection_failure(
        self, addr: object, err: int, dr: Any, binding_slot: int, now: float | None
    ) -> None:
        self.failed.append(ConnFlag(err) & ConnFlag.ERRORS)

    def connection_post_bind(self, dr: Any, binding_slot: int, fd: int, addr: Any) -> bool:
        self.bound.append((binding_slot, addr.host))
        return False


class EgressCase(WorldCase):
    """
    A world with a proxy, and what operators are told of it.
    """

    def made(self, config: str, kind: type[HeaderProxy] | type[SocksProxy] | None, **options: bytes) -> World:
        """
        A world whose binding b1 has the proxy.
        """
        self.watch = Watch()
        world = self.world(config, providers=[self.watch], start=False)
        self.told: list[tuple[str, str]] = []
        self.patch(world.service.hooks, "tell_error", lambda now, level, text: self.told.append((level, text)))
        port = 8085 if kind is HeaderProxy else 1080
        if kind is not None:
            self.proxy = kind(world.network, PROXY, port, SEEN, SEEN6, **options)
        world.start()
        self.mx = world.exchanger("example.com")
        return world

    def sources(self, receiver: Receiver | None = None) -> list[str]:
        """
        Where the mail came from that a receiver took.
        """
        return [taken.source for taken in (receiver or self.mx).ledger]

    def send(self, world: World, to: str = BOB, binding: str = "b1") -> None:
        """
        Send a message from a binding.
        """
        world.send(SENDER, [to], world.message(), binding=binding).addErrback(lambda _: None)


class WayTests(EgressCase):
    """
    Which way mail leaves.
    """

    def test_by_proxy(self) -> None:
        """
        Mail of the binding comes from the proxy's address, other mail from ours; logs and hooks know the
        exchanger, not the proxy.
        """
        for config, kind in ((HEADER, HeaderProxy), (SOCKS, SocksProxy)):
            world = self.made(config, kind)
            self.send(world)
            world.advance(1)
            self.send(world, binding="default")
            world.advance(1)
            self.assertEqual(self.sources(), [SEEN, "192.0.2.1"])
            self.assertEqual(self.proxy.asked, [(self.mx.address, 25, SEEN)])
            self.assertEqual(self.watch.bound, [(1, self.mx.address), (0, self.mx.address)])
            self.assertIn(self.mx.address, str(self.last(world, "D")))

    def test_for_all(self) -> None:
        """
        Written for all it holds for every binding that has none of its own.
        """
        world = self.made(SOCKS.replace("binding.b1", "global") + "[binding.b1]\n", SocksProxy)
        self.send(world)
        world.advance(1)
        self.send(world, binding="default")
        world.advance(1)
        self.assertEqual(self.sources(), [SEEN, SEEN])

    def test_bypass(self) -> None:
        """
        A domain may be left out, on one binding or on all.
        """
        for config, kind, option in ((HEADER, HeaderProxy, "ha_proxy"), (SOCKS, SocksProxy, "socks_proxy")):
            world = self.made(config + f'[binding.b1.domain."example.net"]\n{option}_bypass = true\n', kind)
            other = world.exchanger("example.net")
            self.send(world)
            self.send(world, "eve@example.net")
            world.advance(1)
            self.assertEqual((self.sources(), self.sources(other)), ([SEEN], ["192.0.2.1"]))

    def test_no_sharing(self) -> None:
        """
        A connection by the proxy does not serve a domain that bypasses it, though the exchanger is the same.
        """
        config = HEADER + 'idle_timeout = 60\n[domain."example.net"]\nha_proxy_bypass = true\n'
        world = self.made(config, HeaderProxy)
        world.resolver.mx["example.net"] = world.resolver.mx["example.com"]
        self.send(world)
        world.advance(1)
        self.send(world, "eve@example.net")
        world.advance(1)
        self.assertEqual(self.sources(), [SEEN, "192.0.2.1"])

    def test_families(self) -> None:
        """
        Behind a header there are connections to hosts of a family only with a source address of that family.
        """
        config = "[global]\nuse_ipv6 = true\n" + HEADER
        six = f'ha_proxy_ipv6_src_addr = "{SEEN6}"\n'
        for more, source in (("", SEEN), (six, SEEN6)):
            world = self.made(config + more, HeaderProxy)
            both = world.receiver("2001:db8:2::7")
            four = world.exchanger("both.example")
            world.resolver.mx["both.example"] = [(5, "six.both.example"), (10, "mx1.both.example")]
            world.resolver.addresses["six.both.example"] = ["2001:db8:2::7"]
            self.send(world, "bob@both.example")
            world.advance(1)
            self.assertEqual(self.sources(both) + self.sources(four), [source])

    def test_tls(self) -> None:
        """
        TLS is the destination's, through whatever proxy.
        """
        for config, kind in ((HEADER, HeaderProxy), (SOCKS, SocksProxy)):
            world = self.made(config + 'tls = "required"\n', kind)
            self.mx.starttls = True
            self.send(world)
            world.advance(1)
            self.assertEqual([(taken.source, taken.encrypted) for taken in self.mx.ledger], [(SEEN, True)])

    def test_own_protocol(self) -> None:
        """
        A connection of an embedder's own goes the same way, and its protocol hears the exchanger alone.
        """
        for config, kind in ((HEADER, HeaderProxy), (SOCKS, SocksProxy)):
            world = self.made(config, kind)
            dr = world.service.delivery.domain_record("example.com")
            opening = open_connection(dr, 1)
            with_addresses = opening.addErrback(lambda failure: None)
            world.advance(1)
            handle = self.successResultOf(with_addresses)
            if handle is None:
                # The exchangers were not known yet; now they are.
                opening = open_connection(dr, 1)
                world.advance(1)
                handle = self.successResultOf(opening)
            heard: list[bytes] = []
            protocol: Any = Protocol()
            protocol.dataReceived = heard.append
            stream: Any = handle.connection.stream
            stream.start(protocol)
            world.advance(1)
            self.assertEqual(b"".join(heard)[:4], b"220 ")
            self.assertEqual((handle.connection.address, self.mx.open[0].client), (self.mx.address, SEEN))
            protocol.transport.loseConnection()
            handle.close()
            world.advance(1)

    def test_prohibited(self) -> None:
        """
        The proxy may be anywhere, a destination may not: nobody's DNS leads into the proxy's network.
        """
        world = self.made(SOCKS, SocksProxy)
        world.resolver.mx["inside.example"] = [(10, "mx.inside.example")]
        world.resolver.addresses["mx.inside.example"] = ["10.0.0.77"]
        self.send(world, "bob@inside.example")
        world.advance(5)
        self.assertEqual((self.proxy.asked, self.kinds(world)), ([], "RP"))

    def test_source(self) -> None:
        """
        ``bind_address`` is where connections to the proxy come from.
        """
        world = self.made(SOCKS + 'bind_address = "192.0.2.2"\n', SocksProxy)
        self.send(world)
        world.advance(1)
        self.assertEqual(self.sources(), [SEEN])
        self.assertEqual({source for source, host, _ in world.network.dialled if host == PROXY}, {"192.0.2.2"})

    def test_reload(self) -> None:
        """
        A proxy that is written, changed or removed counts from the reload on.
        """
        world = self.made("[binding.b1]\n[global]\nidle_timeout = 1\n", SocksProxy)
        for config in ("", SOCKS, "[binding.b1]\n"):
            if config:
                world.reload(config)
            self.send(world)
            world.advance(10)
        self.assertEqual(self.sources(), ["192.0.2.1", SEEN, "192.0.2.1"])
        self.assertEqual(self.proxy.open, [])


class FaultTests(EgressCase):
    """
    Whose fault it is.
    """

    def test_proxy_down(self) -> None:
        """
        A proxy that is not there hurts no message, and no destination is blamed: mail waits, and leaves when
        checks have succeeded often enough.
        """
        for config, kind in ((HEADER, HeaderProxy), (SOCKS, SocksProxy)):
            world = self.made(config, kind)
            world.network.refuse(PROXY)
            world.advance(30)
            self.send(world)
            world.advance(86400)
            self.assertEqual((self.kinds(world), self.watch.failed), ("R", []))
            self.assertEqual([level for level, _ in self.told], ["error"])
            self.assertIn("of binding b1, cannot be used", self.told[0][1])
            self.send(world, binding="default")
            world.advance(1)
            self.assertEqual(self.sources(), ["192.0.2.1"])
            world.network.restore(PROXY)
            world.advance(8)
            self.assertEqual(self.sources(), ["192.0.2.1"])
            world.advance(10)
            self.assertEqual(self.sources(), ["192.0.2.1", SEEN])
            self.assertEqual([level for level, _ in self.told], ["error", "notice"])

    def test_in_doubt(self) -> None:
        """
        Between two checks connections find out, which hurts no message; no other is begun before the next.
        """
        world = self.made("[global]\nproxy_health_check_interval = 60\n" + SOCKS, SocksProxy)
        world.advance(1)
        world.network.refuse(PROXY)
        for number in range(20):
            self.send(world, f"u{number}@example.com")
        world.advance(1)
        begun = len(self.watch.failed)
        world.advance(30)
        self.assertEqual(self.watch.failed, [ConnFlag.ERROR_BIND] * begun)
        self.assertEqual(self.kinds(world).count("T"), 0)
        self.assertEqual([level for level, _ in self.told], ["notice"])
        world.network.restore(PROXY)
        world.advance(40)
        self.assertEqual(len(self.mx.ledger), 20)
        self.assertEqual(world.domain("example.com").contact_failing_since, 0.0)

    def test_thresholds(self) -> None:
        """
        So many failures in a row and no fewer; one success begins the count anew.
        """
        world = self.made(
            "[global]\nproxy_health_check_interval = 10\nproxy_health_check_failure_threshold = 2\n"
            "proxy_health_check_success_threshold = 1\n" + HEADER,
            HeaderProxy,
        )
        world.advance(5)
        for down, levels in ((True, 0), (False, 0), (True, 0), (True, 1), (True, 1), (False, 2)):
            (world.network.refuse if down else world.network.restore)(PROXY)
            world.advance(10)
            self.assertEqual(len(self.told), levels)

    def test_slow_proxy(self) -> None:
        """
        A proxy that does not answer in time counts as one that is not there, and so does one that wants
        something else of us than we have.
        """
        down: tuple[Callable[[World], object], ...] = (
            lambda world: world.network.black_hole(PROXY),
            lambda world: self.proxy.instead.update(greeting=b"\x05"),
            lambda world: self.proxy.instead.update(greeting=b"\x05\x02"),
            lambda world: self.proxy.instead.update(greeting=b"220 I am a mail server\r\n"),
        )
        for fault in down:
            world = self.made(SOCKS, SocksProxy)
            fault(world)
            world.advance(30)
            self.send(world)
            world.advance(60)
            self.assertEqual((self.kinds(world), self.watch.failed), ("R", []))
            self.assertEqual([level for level, _ in self.told], ["error"])

    def test_another_fault(self) -> None:
        """
        A proxy that is there again and does not know us is told once with its new fault.
        """
        world = self.made(SOCKS, SocksProxy)
        world.network.refuse(PROXY)
        world.advance(60)
        self.proxy.instead["greeting"] = b"\x05\xff"
        world.network.restore(PROXY)
        world.advance(60)
        (_, first), (level, second) = self.told
        self.assertIn("of binding b1, still cannot be used", second)
        self.assertEqual(level, "error")
        self.assertNotEqual(first.partition("(")[2], second.partition("(")[2])

    def test_password(self) -> None:
        """
        The proxy is told the password of the file; a wrong one keeps mail waiting until a reload brings
        another, and is in no log.
        """
        path = self.mktemp()

        def write(password: str) -> None:
            Path(path).write_text(password + "\n")
            Path(path).chmod(0o600)

        write("wr0ng")
        config = f"{SOCKS}socks_proxy_user = 'mta'\nsocks_proxy_pass_file = '{path}'\n"
        world = self.made(config, SocksProxy, user=b"mta", password=b"s3cret")
        self.send(world)
        world.advance(60)
        self.assertEqual((self.kinds(world), [level for level, _ in self.told][-1]), ("R", "error"))
        write("s3cret")
        world.reload(config)
        world.advance(5)
        self.assertEqual(self.sources(), [SEEN])
        assert isinstance(self.proxy, SocksProxy)
        self.assertEqual({self.proxy.known[0], self.proxy.known[-1]}, {b"mta\0wr0ng", b"mta\0s3cret"})
        self.assertNotRegex(str(self.told) + repr(world.service.delivery.facilities.config.bindings), "wr0ng|s3cret")

    def test_destination_down(self) -> None:
        """
        What a SOCKS proxy says of an exchanger counts as if we had found it out: the next is tried, and
        the address is left alone.
        """
        world = self.made(SOCKS, SocksProxy)
        second = world.exchanger("example.com", 20)
        world.network.refuse(self.mx.address)
        self.send(world)
        world.advance(1)
        self.assertEqual((self.sources(second), self.told), ([SEEN], []))
        self.send(world, "carol@example.com")
        world.advance(1)
        self.assertEqual([host for host, _, _ in self.proxy.asked], [self.mx.address, second.address])

    def test_its_own_reasons(self) -> None:
        """
        A proxy that refuses one destination for reasons of its own hurts one message of it, not the
        exchanger, and no other domain.
        """
        world = self.made("[global]\nretry_interval = 600\n" + SOCKS, SocksProxy)
        other = world.exchanger("example.net")

        def refuse(session: Any) -> None:
            session.transport.write(b"\x05\x02\x00\x01" + bytes(6))

        take = self.proxy.take
        self.patch(
            self.proxy,
            "take",
            lambda session: refuse(session) if self.mx_asked(session) else take(session),
        )
        self.send(world)
        self.send(world, "eve@example.net")
        world.advance(5)
        self.assertEqual((self.sources(), self.sources(other)), ([], [SEEN]))
        self.assertEqual(self.watch.failed, [ConnFlag.ERROR_BIND])
        self.assertEqual((self.kinds(world).count("T"), self.told), (1, []))

    def mx_asked(self, session: Any) -> bool:
        """
        Whether a client wants to be connected to the exchanger of example.com.
        """
        octets = bytes(map(int, self.mx.address.split(".")))
        return octets in session.peek(10)

    def test_timeout(self) -> None:
        """
        ``connect_timeout`` holds for all of it; an exchanger that does not answer the proxy is to blame itself.
        """
        world = self.made("[global]\nconnect_timeout = 20\nretry_interval = 600\n" + SOCKS, SocksProxy)
        world.network.black_hole(self.mx.address)
        self.send(world)
        world.advance(19)
        self.assertEqual(self.watch.failed, [])
        world.advance(2)
        self.assertEqual((self.watch.failed, self.told), ([ConnFlag.ERROR_CONNECT_TIMEOUT], []))
        self.assertEqual(self.last(world, "T")["note"], "450 4.4.1 [internal] Connection Timed Out")

    def test_explained(self) -> None:
        """
        Whoever asks is told why mail waits.
        """
        world = self.made(SOCKS, SocksProxy)
        world.network.refuse(PROXY)
        world.advance(30)
        suspension = world.service.delivery.facilities.suspension
        self.assertIn("proxy 10.0.0.1:1080: ", suspension.reason(1, "example.com", world.wall()))
        self.assertEqual(suspension.reason(0, "example.com", world.wall()), "")


class NameTests(EgressCase):
    """
    Proxies by name.
    """

    def test_looked_up(self) -> None:
        """
        A name is looked up at the start, and again at each check: when it leads elsewhere, so do new connections.
        """
        world = self.world(NAMED + "[global]\nidle_timeout = 1\n", start=False)
        one = SocksProxy(world.network, PROXY, 1080, SEEN)
        two = SocksProxy(world.network, "10.0.0.2", 1080, "203.0.113.10")
        world.resolver.addresses["proxy.sender.example"] = [PROXY]
        world.start()
        mx = world.exchanger("example.com")
        self.send(world)
        world.advance(10)
        world.resolver.addresses["proxy.sender.example"] = ["10.0.0.2"]
        world.advance(10)
        self.send(world)
        world.advance(10)
        self.assertEqual([taken.source for taken in mx.ledger], [SEEN, "203.0.113.10"])
        self.assertEqual((len(one.asked), len(two.asked)), (1, 1))

    def test_unknown(self) -> None:
        """
        While the name has no address mail waits.
        """
        world = self.made(NAMED, None)
        self.send(world)
        world.advance(60)
        self.assertEqual((self.kinds(world), self.watch.failed), ("R", []))
        self.assertEqual([level for level, _ in self.told], ["error"])
        SocksProxy(world.network, PROXY, 1080, SEEN)
        world.resolver.addresses["proxy.sender.example"] = [PROXY]
        world.advance(60)
        self.assertEqual(self.sources(), [SEEN])


class ConfigurationTests(WorldCase):
    """
    What cannot be.
    """

    def test_mistakes(self) -> None:
        """
        Each is told with what is wrong.
        """
        for config, text in (
            (HEADER + f'socks_proxy_server = "{PROXY}:1080"\n', "a binding has one proxy"),
            (f'[binding.b1]\nha_proxy_server = "{PROXY}:8085"\n', "has no address to connect from"),
            (HEADER.replace(":8085", ""), "has no port"),
            (HEADER.replace(SEEN, SEEN6), "is no IPv4 address"),
            (HEADER.replace("ha_proxy_src_addr", "ha_proxy_ipv6_src_addr"), "is no IPv6 address"),
            (SOCKS.replace(PROXY, "a b"), "is no address and port"),
            (SOCKS + "socks_proxy_user = 'mta'\n", "does not go without socks_proxy_pass_file"),
            (SOCKS + "socks_proxy_pass_file = '/nowhere/x'\n", "cannot be read: No such file"),
            (SOCKS + f"socks_proxy_user = '{'x' * 256}'\n", "more than 255 octets"),
        ):
            error = self.assertRaises(ConfigError, self.world, config, start=False)
            self.assertIn(text, str(error))
