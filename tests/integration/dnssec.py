"""
A small DNSSEC: nsd with a signed, a badly signed and an unsigned zone, and a
validating unbound in front of it, as ordinary programs on loopback ports.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import dns.dnssec
import dns.name
import dns.rdatatype
import dns.rdtypes.dnskeybase
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm, DSDigest
from dns.rdtypes.dnskeybase import Flag
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from momentum_tx.errors import LookupFailed
from momentum_tx.net.resolver import DNSResolver

from .needs import require
from .running import Program

_HEAD = """\
$ORIGIN {zone}.
$TTL 300
@ IN SOA ns root 1 3600 600 86400 45
@ IN NS ns
ns IN A 127.0.0.1
"""

_NSD = """\
server:
    ip-address: 127.0.0.1@{port}
    zonesdir: "{directory}"
    database: ""
    username: ""
    chroot: ""
    pidfile: "{directory}/nsd.pid"
    logfile: "{directory}/nsd.log"
    xfrdfile: "{directory}/xfrd.state"
    zonelistfile: "{directory}/zone.list"
    cookie-secret-file: ""
    server-count: 1
    rrl-ratelimit: 0
remote-control:
    control-enable: no
"""

_UNBOUND = """\
server:
    {interfaces}
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    do-ip6: no
    do-daemonize: no
    use-syslog: no
    logfile: "{directory}/unbound.log"
    directory: "{directory}"
    username: ""
    chroot: ""
    pidfile: "{directory}/unbound.pid"
    module-config: "validator iterator"
    val-log-level: 2
    local-zone: "test." nodefault
    {anchors}
remote-control:
    control-enable: no
"""


class Signed:
    """
    A zone and its key.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._private = ec.generate_private_key(ec.SECP256R1())
        key = dns.dnssec.make_dnskey(self._private.public_key(), Algorithm.ECDSAP256SHA256, Flag.ZONE | Flag.SEP)
        self._key = key
        self.anchor = dns.dnssec.make_ds(dns.name.from_text(name), key, DSDigest.SHA256)

    def sign(self, text: str, tampered: Mapping[str, tuple[str, str]]) -> str:
        """
        The zone with signatures.

        :param tampered: by name, a text in its TLSA records and what stands there after they were signed.
        """
        zone = dns.zone.from_text(text, relativize=False)
        dns.dnssec.sign_zone(zone, keys=[(self._private, self._key)], lifetime=86400)
        for name, (before, after) in tampered.items():
            node = zone[dns.name.from_text(name)]
            rdataset = node.find_rdataset(dns.rdataclass.IN, dns.rdatatype.TLSA)
            changed = [
                dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TLSA, rdata.to_text().replace(before, after))
                for rdata in rdataset
            ]
            rdataset.clear()
            for rdata in changed:
                rdataset.add(rdata, 300)
        return zone.to_text(relativize=False)


class Lab:
    """
    The two servers, on free ports.

    :param directory: theirs; made here.
    :param port: of both protocols, for unbound and for nsd.
    :param extra: another place unbound listens at, as ``address@port``.
    """

    def __init__(self, directory: str, ports: tuple[int, int], extra: str = "") -> None:
        os.mkdir(directory)
        # The servers give up rights that their directory must not need.
        self.directory = directory
        self._ports = ports
        self._extra = extra
        self._zones: dict[str, str] = {}
        self._anchors: list[str] = []
        self._programs: list[Program] = []

    @property
    def server(self) -> tuple[str, int]:
        """
        Where the validating server is.
        """
        return "127.0.0.1", self._ports[0]

    def plain(self, name: str, records: Iterable[str]) -> None:
        """
        Add a zone without signatures.
        """
        self._zones[name] = _HEAD.format(zone=name) + "\n".join(records) + "\n"

    def signed(self, name: str, records: Iterable[str], tampered: Mapping[str, tuple[str, str]]) -> None:
        """
        Add a signed zone.

        :param tampered: see :meth:`Signed.sign`.
        """
        zone = Signed(name)
        text = _HEAD.format(zone=name) + "\n".join(records) + "\n"
        self._zones[name] = zone.sign(text, tampered)
        self._anchors.append(f"{name}. IN DS {zone.anchor.to_text()}")

    def bogus(self, name: str, records: Iterable[str]) -> None:
        """
        Add a zone that is signed with another key than everybody believes.
        """
        self.signed(name, records, {})
        self._anchors[-1] = f"{name}. IN DS {Signed(name).anchor.to_text()}"

    async def start(self) -> None:
        """
        Start both, and wait until they answer.
        """
        nsd, unbound = require("nsd"), require("unbound")
        front, back = self._ports
        for name, text in self._zones.items():
            self._write(f"{name}.zone", text)
        configuration = _NSD.format(port=back, directory=self.directory)
        stubs = ""
        for name in self._zones:
            configuration += f'zone:\n    name: {name}\n    zonefile: "{name}.zone"\n'
            stubs += f'stub-zone:\n    name: "{name}"\n    stub-addr: 127.0.0.1@{back}\n'
        self._write("nsd.conf", configuration)
        places = [f"127.0.0.1@{front}", *filter(None, [self._extra])]
        text = _UNBOUND.format(
            interfaces="\n    ".join(f"interface: {place}" for place in places),
            directory=self.directory,
            anchors="\n    ".join(f'trust-anchor: "{anchor}"' for anchor in self._anchors),
        )
        self._write("unbound.conf", text + stubs)
        self._programs.append(Program([nsd, "-d", "-c", f"{self.directory}/nsd.conf"]))
        self._programs.append(Program([unbound, "-d", "-c", f"{self.directory}/unbound.conf"]))

    async def ready(self, resolver: DNSResolver, domain: str) -> None:
        """
        Wait until *domain* can be looked up.
        """
        for _ in range(100):
            for program in self._programs:
                if program.status is not None:
                    raise AssertionError(f"a server ended: {program.out!r} {program.err!r} {self.log()}")
            try:
                await resolver.lookup_mx(domain)
            except LookupFailed:
                await deferLater(reactor, 0.1)
            else:
                return
        raise AssertionError(f"the servers do not answer: {self.log()}")

    def log(self) -> str:
        """
        The end of what unbound has to say.
        """
        try:
            with open(f"{self.directory}/unbound.log", encoding="utf-8") as lines:
                return lines.read()[-2000:]
        except OSError:
            return ""

    async def stop(self) -> None:
        """
        End both.
        """
        for program in self._programs:
            program.signal("TERM")
            await program.ended

    def stop_later(self) -> Deferred[None]:
        """
        :meth:`stop`, for who cannot await.
        """
        return Deferred.fromCoroutine(self.stop())

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self.directory, name), "w", encoding="utf-8") as lines:
            lines.write(text)
