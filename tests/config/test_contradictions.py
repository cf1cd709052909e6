"""
Tests for options that do not go together.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.load import default, parse
from momentum_tx.errors import ConfigError


class DoubtTests(SynchronousTestCase):
    """
    What works otherwise than its author will expect is told, and taken.
    """

    def doubts(self, text: str, *expected: str) -> None:
        """
        *text* is taken, with exactly these doubts: each part of the text of one, in the order of the file.
        """
        found = parse(text, "x").warnings
        self.assertEqual(len(found), len(expected), "\n".join(found))
        for warning, part in zip(found, expected, strict=True):
            self.assertIn(part, warning)

    def test_none(self) -> None:
        """
        The built-in values are beyond doubt.
        """
        self.assertEqual(default().warnings, [])

    def test_whole_text(self) -> None:
        """
        A doubt says file, line, key, and every number with the place it comes from.
        """
        text = """
[global]
max_deliveries_per_connection = 20
outbound_throttle_connections = "60/min"
outbound_throttle_messages = "500"
"""
        self.assertEqual(
            parse(text, "x").warnings,
            [
                'x:5: global.outbound_throttle_messages: "500" cannot be kept up: outbound_throttle_connections ='
                ' "60/min" (x:4) and max_deliveries_per_connection = 20 (x:3) are 20 messages a second'
            ],
        )

    def test_message_rate(self) -> None:
        """
        A rate of messages that the connections can carry is beyond doubt; so is one without a limit beside it.
        """
        text = (
            "[global]\nmax_deliveries_per_connection = {}\noutbound_throttle_connections = '{}'\n"
            "outbound_throttle_messages = '{}'"
        )
        self.doubts(text.format(20, "1", "20"))
        self.doubts(text.format(20, "1", "21"), "cannot be kept up")
        self.doubts(text.format(0, "1", "500"))
        self.doubts(text.format(20, "0", "500"))
        self.doubts(text.format(20, "1", "0"))

    def test_message_rate_of_many(self) -> None:
        """
        A throttle that many share is no contradiction to the slow connections of one of them, nor is one that somebody
        escapes.
        """
        slow = "max_deliveries_per_connection = 1\noutbound_throttle_connections = '1'\n"
        self.doubts("[global]\noutbound_throttle_messages = '500'\n[domain.'a.example']\n" + slow)
        whole = f"[global]\noutbound_throttle_messages = '500'\n{slow}"
        self.doubts(whole, "cannot be kept up")
        self.doubts(f"{whole}[domain.'a.example']\nmax_deliveries_per_connection = 0")
        # Throttles of hosts are others.
        self.doubts(f"{whole}[host.'mx.example']\noutbound_throttle_connections = '5'", "cannot be kept up")
        self.doubts(
            f"[global]\n{slow}[domain.'a.example']\noutbound_throttle_messages = '500'", 'domain."a.example".outbound'
        )

    def test_totals(self) -> None:
        """
        A number of connections above a total that always holds for them.
        """
        self.doubts(
            "[global]\nserver_max_outbound_connections = 40\n[domain.'a.example']\nmax_outbound_connections = 41",
            'x:4: domain."a.example".max_outbound_connections: 41 connections cannot be reached:'
            " server_max_outbound_connections of the whole server (x:2) allows 40",
        )
        self.doubts("[global]\nserver_max_outbound_connections = 40\nmax_outbound_connections = 40")
        self.doubts("[global]\nmax_outbound_connections = 20001", "(built-in) allows 20000")
        self.doubts(
            "[binding_group.g]\nscope_max_outbound_connections = 10\n[binding_group.g.binding.b.domain.'a.example']\n"
            "max_outbound_connections = 11\n[binding.b]\nscope_max_outbound_connections = 12",
            "scope_max_outbound_connections (x:2) allows 10",
            "scope_max_outbound_connections (x:2) allows 10",
        )
        self.doubts(
            "[binding.b]\nserver_max_outbound_connections = 5\nmax_outbound_connections = 6",
            "server_max_outbound_connections (x:2) allows 5",
        )
        self.doubts("[binding.b]\nserver_max_outbound_connections = 20001", "allows 20000")
        self.doubts(
            "[host.'mx.example']\nscope_max_outbound_connections = 5\nmax_outbound_connections = 6",
            "scope_max_outbound_connections (x:2) allows 5",
        )

    def test_totals_of_a_part(self) -> None:
        """
        A total for a part of what a number holds for is what totals are for; one that a member escapes is none.
        """
        self.doubts(
            "[global]\nmax_outbound_connections = 50\n[domain.'a.example']\nscope_max_outbound_connections = 10"
        )
        self.doubts(
            "[binding_group.g]\nserver_max_outbound_connections = 5\nmax_outbound_connections = 6\n"
            "[binding_group.g.binding.b]\nserver_max_outbound_connections = 10"
        )

    def test_nothing(self) -> None:
        """
        A limit of nothing is not the same as no limit.
        """
        self.doubts("[domain.'a.example']\nmax_outbound_connections = 0", "0 lets no mail out")
        self.doubts("[host.'a.example']\nmax_outbound_connections = 0", "0 lets no mail out")
        self.doubts("[host.'a.example']\nmax_outbound_connections = -1")

    def test_retry_interval(self) -> None:
        """
        A delay above the longest one, wherever nobody raises that.
        """
        self.doubts("[global]\nretry_interval = 43200")
        self.doubts(
            "[domain.'a.example']\nretry_interval = 43201\nmessage_expiration = 100000",
            "43201 seconds cannot be reached: max_retry_interval = 43200.0 (built-in)",
        )
        self.doubts("[global]\nretry_interval = 900\n[domain.'a.example']\nmax_retry_interval = 300")
        self.doubts(
            "[global]\nretry_interval = 50000\n[binding.b.domain.'a.example']\nmax_retry_interval = 60000",
        )
        self.doubts(
            "[domain.'A.example']\nretry_interval = 50000\n[binding.b.domain.'a.example']\nmax_retry_interval = 60000",
        )

    def test_retry_intervals(self) -> None:
        """
        Where delays are listed, the others have no effect, even in a narrower table.
        """
        self.doubts(
            "[global]\nretry_intervals = ['5m']\n[domain.'a.example']\nretry_interval = 60\nmax_retry_interval = 70",
            'retry_interval: has no effect: retry_intervals = ["5m"] (x:2) says all delays',
            "max_retry_interval: has no effect",
        )
        self.doubts(
            "[global]\nretry_intervals = ['5m']\n[domain.'a.example']\nretry_interval = 60\nretry_intervals = []"
        )
        self.doubts("[global]\nretry_intervals = ['5m']\nretry_interval = 60\n[binding.b]\nretry_intervals = []")

    def test_first_retry(self) -> None:
        """
        A life that is over before the first retry.
        """
        self.doubts(
            "[domain.'a.example']\nmessage_expiration = 1199",
            "mail that fails once waits 1200 seconds for its first retry, and gets no other, for"
            " message_expiration = 1199.0 (x:2) is over by then",
        )
        self.doubts("[global]\nmessage_expiration = 1200")
        self.doubts("[global]\nmessage_expiration = 299\nretry_intervals = ['5m', '1s']", "waits 300 seconds")
        self.doubts("[global]\nmessage_expiration = 300\nmax_retry_interval = 300")
        self.doubts("[global]\nmessage_expiration = 299\nmax_retry_interval = 300", "waits 300 seconds")
        self.doubts(
            "[global]\nmessage_expiration = 60\nnever_attempt_expired_messages = true", "is then failed unattempted"
        )
        for end in ("never_retry = true", "max_retries = 0", "retry_by_reply = ['421: 10s']"):
            self.doubts(f"[global]\nmessage_expiration = 60\n{end}")

    def test_batch(self) -> None:
        """
        More recipients of a transaction than of its connection.
        """
        self.doubts("[global]\nmax_recipients_per_batch = 20\nmax_recipients_per_connection = 20")
        self.doubts(
            "[global]\nmax_recipients_per_batch = 21\nmax_recipients_per_connection = 20",
            "21 recipients cannot be reached: max_recipients_per_connection = 20 (x:3)",
        )
        # The built-in 100 is nobody's wish.
        self.doubts("[global]\nmax_recipients_per_connection = 20")

    def test_timeouts(self) -> None:
        """
        Patience that peers do not have, and impatience that sends mail twice.
        """
        self.doubts("[global]\nidle_timeout = 300\nbody_timeout = 60")
        self.doubts("[global]\nidle_timeout = 301\nbody_timeout = 59", "hang up after 300", "is sent it again")

    def test_gateway(self) -> None:
        """
        Options of a domain whose mail is the gateway's have no effect; those of the gateway have.
        """
        gateway = "[global]\ngateway = 'relay.example'\n"
        self.doubts(
            f"{gateway}[domain.'a.example']\ntls = 'required'\nroutes = ['mx.example']",
            'domain."a.example": tls, routes have no effect: gateway = "relay.example" (x:2) takes this mail, and'
            ' options of [domain."relay.example"] hold for it',
        )
        self.doubts(f"{gateway}[domain.'a.example']\ngateway = ''\ntls = 'required'")
        self.doubts(f"{gateway}[domain.'RELAY.example']\ntls = 'required'")
        self.doubts(f"{gateway}[domain.'/^relay/']\ntls = 'required'")
        self.doubts(f"{gateway}[domain.'/^rely/']\ntls = 'required'", "tls has no effect")
        self.doubts(f"{gateway}[domain.'a.example']\ntls = 'required'\n[binding.b]\ngateway = ''")
        self.doubts(
            f"{gateway}[domain.'a.example']\ntls = 'required'\n[domain.'b.example']\ngateway = ''", "tls has no"
        )

    def test_ports(self) -> None:
        """
        A port of what is not spoken.
        """
        self.doubts("[global]\nlmtp_port = 24", "nothing has delivery_method")
        self.doubts("[global]\nlmtp_port = 24\n[domain.'a.example']\ndelivery_method = 'lmtp'")
        self.doubts(
            "[global]\nremote_smtp_port = 2525\ndelivery_method = 'LMTP'",
            'has no effect: with delivery_method = "LMTP" (x:3) lmtp_port is connected to',
        )
        self.doubts("[global]\nremote_smtp_port = 26\n[domain.'a.example']\ndelivery_method = 'LMTP'")
        self.doubts("[global]\nremote_smtp_port = 26\ndelivery_method = 'LMTP'\n[binding.b]\ndelivery_method = 'ESMTP'")

    def test_families(self) -> None:
        """
        IPv6 sources where no IPv6 address is ever looked up.
        """
        text = "[global]\nuse_ipv6 = {}\nprefer_ipv6_mxs = true\n[binding.b]\nbind_address = '2001:db8::1'"
        self.doubts(text.format("true"))
        self.doubts(text.format("false"), "has no effect: use_ipv6 = false (x:2)", "are not looked up")

    def test_service(self) -> None:
        """
        An open relay, header fields that anybody may write, a client's share above the whole, a hook twice.
        """
        self.doubts("[global]\nrelay_hosts = ['10.0.0.0/8', '0.0.0.0/0']", "0.0.0.0/0 is everybody")
        self.doubts("[global]\ntrusted_hosts = ['::/0']", "::/0 is everybody")
        self.doubts("[global]\nmax_inbound_connections_per_client = 2001", "max_inbound_connections = 2000 (built-in)")
        self.doubts("[global]\nmax_inbound_connections = 10")
        self.doubts("[global]\nhooks = ['a:b', 'c:d', 'a:b']", "a:b is named twice")


class MistakeTests(SynchronousTestCase):
    """
    What can never work is refused.
    """

    def refused(self, text: str, *expected: str) -> None:
        """
        *text* is refused with exactly these mistakes.
        """
        error = self.assertRaises(ConfigError, parse, text, "x")
        self.assertEqual(str(error).splitlines(), list(expected))

    def test_tls_without_ehlo(self) -> None:
        """
        TLS cannot be required of a session that does not say EHLO.
        """
        self.refused(
            "[global]\ntls = 'required'\n[domain.'a.example']\ndelivery_method = 'SMTP'",
            'x:4: domain."a.example".delivery_method: no mail could be delivered: "SMTP" does not go with'
            ' tls = "required" (x:2), for without EHLO there is no STARTTLS',
        )
        self.refused(
            "[global]\ndelivery_method = 'SMTP'\n[domain.'a.example']\ntls = 'required'",
            'x:4: domain."a.example".tls: no mail could be delivered: "required" does not go with'
            ' delivery_method = "SMTP" (x:2), for without EHLO there is no STARTTLS',
        )
        self.refused(
            "[global]\ndelivery_method = 'SMTP'\nxclient = 'required'",
            'x:2: global.delivery_method: no mail could be delivered: "SMTP" does not go with xclient = "required"'
            " (x:3), for without EHLO there is no XCLIENT",
        )
        for good in ("tls = 'ifavailable'\ndelivery_method = 'SMTP'", "tls = 'required'\ndelivery_method = 'LMTP'"):
            parse(f"[global]\n{good}")
        parse("[global]\ntls = 'required'\n[domain.'a.example']\ntls = 'no'\ndelivery_method = 'SMTP'")

    def test_families(self) -> None:
        """
        Two sources of one family; what another table decides does not count.
        """
        self.refused(
            "[global]\nbind_address = '192.0.2.1'\n[binding.b]\nbind_address_secondary = '192.0.2.2'",
            "x:4: binding.b.bind_address_secondary: 192.0.2.2 is of the same family as bind_address, 192.0.2.1; it must"
            " be of the other",
        )
        both = "bind_address_secondary = '192.0.2.2'\nbind_address = '192.0.2.1'\n"
        parse(f"[binding.b]\n{both}[binding_group.g.binding.b]\nbind_address_secondary = '2001:db8::1'")
