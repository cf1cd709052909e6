"""
Other people's mail servers, each an instance of its own in a directory of its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from unittest import SkipTest

from .needs import REQUIRE_ALL, require
from .running import free_port

#: Seconds that a server has to listen.
PATIENCE: Final = 20.0

_POSTFIX_MAIN: Final = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = {directory}/maillog
maillog_file_prefixes = {directory}
daemon_directory = {daemon_directory}
command_directory = {command_directory}
shlib_directory = {shlib_directory}
meta_directory = {meta_directory}
myhostname = postfix.example
mydestination =
alias_maps =
alias_database =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = postfix.test
virtual_mailbox_base = {directory}/mail
virtual_mailbox_maps = inline:{{ {{ b@postfix.test = box/ }}, {{ c@postfix.test = box/ }} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_tls_security_level = {tls}
smtpd_tls_chain_files = {chain}
smtpd_recipient_limit = 1000
smtpd_relay_restrictions = permit_auth_destination, reject
"""
_POSTFIX_MASTER: Final = """\
127.0.0.1:{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""
_EXIM: Final = """\
primary_hostname = exim.example
domainlist local_domains = exim.test
keep_environment =
exim_path = {program}
spool_directory = {directory}/spool
log_file_path = {directory}/log-%s
pid_file_path = {directory}/pid
exim_user = root
exim_group = root
never_users =
acl_smtp_rcpt = check_recipient
acl_smtp_data = check_data
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
{tls}
begin acl
check_recipient:
  deny local_parts = nobody
       message = no such mailbox
  accept domains = +local_domains
  deny
check_data:
  accept
begin routers
all:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  maildir_format
  directory = {directory}/box
  create_directory
  user = nobody
"""
_EXIM_TLS: Final = """\
tls_certificate = {chain}
tls_privatekey = {chain}
tls_advertise_hosts = *
"""
_OPENSMTPD: Final = """\
listen on 127.0.0.1 port {port} hostname opensmtpd.example
action "on" relay host "smtp://127.0.0.1:{onward}"
match from any for domain "opensmtpd.test" action "on"
"""


@dataclass(frozen=True)
class Server:
    """
    A server that runs.

    :ivar port: where, on 127.0.0.1.
    :ivar box: the maildir that mail is put into.
    :ivar log: what it wrote about itself.
    """

    port: int
    box: Path
    log: Path

    def messages(self) -> list[bytes]:
        """
        What is in its mailbox.
        """
        new = self.box / "new"
        return [path.read_bytes() for path in sorted(new.iterdir())] if new.exists() else []


def require_root() -> None:
    """
    Skip the test unless we are root, which servers want that switch users.
    """
    if os.geteuid() != 0:
        raise SkipTest("only root can start it")


def require_users(*names: str) -> None:
    """
    Skip the test, or fail where all is required, unless the users exist that a
    server was built to run as.
    """
    for name in names:
        try:
            pwd.getpwnam(name)
        except KeyError:
            if os.environ.get(REQUIRE_ALL) == "1":
                raise AssertionError(f"there is no user {name}, and {REQUIRE_ALL} is set") from None
            raise SkipTest(f"there is no user {name}") from None


def listening(port: int, log: Path, process: subprocess.Popen[bytes] | None = None) -> None:
    """
    Wait until somebody greets on *port*.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as sock:
                sock.settimeout(5)
                if sock.recv(3) == b"220":
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"it does not listen: {log.read_text(errors='replace')[-2000:] if log.exists() else ''}")


@contextmanager
def postfix(directory: Path, chain: Path | None = None, required: bool = False) -> Iterator[Server]:
    """
    Postfix's smtpd and all behind it, into a mailbox.

    :param chain: key and certificate; without it there is no STARTTLS.
    :param required: whether it takes no mail in clear.
    """
    program, postconf = require("postfix"), require("postconf")
    require_root()
    nobody = pwd.getpwnam("nobody")
    config, port = directory / "etc", free_port()
    directory.chmod(0o755)
    for path in (config, directory / "queue", directory / "data", directory / "mail"):
        path.mkdir()
    shutil.chown(directory / "data", "postfix")
    shutil.chown(directory / "mail", nobody.pw_uid, nobody.pw_gid)
    installed = {
        name: subprocess.run([postconf, "-dh", name], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("daemon_directory", "command_directory", "shlib_directory", "meta_directory")
    }
    main = _POSTFIX_MAIN.format(
        directory=directory,
        uid=nobody.pw_uid,
        gid=nobody.pw_gid,
        tls="none" if chain is None else "encrypt" if required else "may",
        chain=chain or "",
        **installed,
    )
    (config / "main.cf").write_text(main)
    (config / "master.cf").write_text(_POSTFIX_MASTER.format(port=port))
    started = subprocess.run([program, "-c", str(config), "start"], capture_output=True, text=True)
    if started.returncode:
        raise AssertionError(f"postfix start: {started.stderr}")
    try:
        log = directory / "maillog"
        listening(port, log)
        yield Server(port, directory / "mail" / "box", log)
    finally:
        subprocess.run([program, "-c", str(config), "stop"], capture_output=True, check=False)


@contextmanager
def exim(directory: Path, chain: Path | None = None) -> Iterator[Server]:
    """
    Exim's daemon, into a mailbox.

    :param chain: key and certificate; without it there is no STARTTLS.
    """
    program = require("exim4")
    require_root()
    require_users("Debian-exim")
    port = free_port()
    tls = "tls_advertise_hosts =" if chain is None else _EXIM_TLS.format(chain=chain)
    config = directory / "exim.conf"
    (directory / "box").mkdir()
    shutil.chown(directory / "box", "nobody")
    config.write_text(_EXIM.format(directory=directory, program=program, port=port, tls=tls))
    log = directory / "log-main"
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen([program, "-C", str(config), "-bdf"], stdout=output, stderr=output)
    try:
        listening(port, log, process)
        yield Server(port, directory / "box", log)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def opensmtpd(directory: Path, onward: int) -> Iterator[Server]:
    """
    OpenSMTPD, which passes its mail on: its mailboxes need programs at places of the
    system.

    :param onward: port of the server it passes mail on to.
    """
    program = require("smtpd")
    require_root()
    require_users("opensmtpd", "opensmtpq")
    Path("/var/lib/opensmtpd/empty").mkdir(mode=0o711, parents=True, exist_ok=True)
    port = free_port()
    config = directory / "smtpd.conf"
    config.write_text(_OPENSMTPD.format(port=port, onward=onward))
    config.chmod(0o600)
    log = directory / "output"
    with log.open("wb") as output:
        process = subprocess.Popen([program, "-d", "-f", str(config)], stdout=output, stderr=output)
    try:
        listening(port, log, process)
        yield Server(port, directory / "none", log)
    finally:
        process.terminate()
        process.wait()
