"""
AUTH with a foreign server.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.net.certificates import self_signed

from .running import free_port, until
from .test_service import ServiceCase


class AuthenticationTests(ServiceCase):
    """
    aiosmtpd as a submission service, with PLAIN and LOGIN inside TLS.
    """

    async def test_password(self) -> None:
        """
        With the right password mail is taken; with a wrong one it waits, and says why without a word of the password.
        """
        certificate, key = self_signed()
        for name, pem in (("cert.pem", certificate), ("key.pem", key)):
            Path(self.directory, name).write_bytes(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{self.directory}/cert.pem", f"{self.directory}/key.pem")
        arrived: list[tuple[Any, list[str]]] = []
        mechanisms: list[str] = []

        class Keeping:
            async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
                arrived.append((session.auth_data.login, envelope.rcpt_tos))
                return "250 kept"

        def known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
            mechanisms.append(mechanism)
            right = isinstance(data, LoginPassword) and data == LoginPassword(b"lea", "hunter2 ü".encode())
            return AuthResult(success=right, handled=right, auth_data=data)

        port = free_port()
        controller = Controller(
            Keeping(),
            hostname="127.0.0.1",
            port=port,
            tls_context=context,
            require_starttls=True,
            authenticator=known,
            auth_required=True,
        )
        controller.start()
        self.addCleanup(controller.stop)
        text = ""
        for domain, types, secret in (
            ("plain.test", '["PLAIN"]', "hunter2 ü"),
            ("login.test", '["LOGIN"]', "hunter2 ü"),
            ("wrong.test", "[]", "hunter3"),
        ):
            path = Path(self.directory, domain)
            path.write_text(secret + "\n", encoding="utf-8")
            path.chmod(0o600)
            text += (
                f'[domain."{domain}"]\nroutes = ["127.0.0.1:{port}"]\ntls = "required"\n'
                'outbound_smtp_auth_user = "lea"\n'
                f'outbound_smtp_auth_type = {types}\noutbound_smtp_auth_pass_file = "{path}"\n'
            )
        self.configure(text)
        await self.start()
        await self.inject_all([(f"b@{domain}.test", b"Subject: x\n\ntext\n") for domain in ("plain", "login", "wrong")])
        await until(lambda: len(arrived) == 2 and self.records("T"), "two messages and a refusal")
        await self.stop()
        self.assertEqual(
            sorted(arrived, key=str), [(b"lea", ["b@login.test"]), (b"lea", ["b@plain.test"])], "both by password"
        )
        self.assertEqual(sorted(mechanisms), ["LOGIN", "PLAIN", "PLAIN"])
        (note,) = [fields[-1] for fields in self.records("T")]
        self.assertIn("[internal] AUTH PLAIN refused: 535 5.7.8", note)
        self.assertNotIn("hunter", note)
