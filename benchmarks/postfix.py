"""
Postfix, to be measured beside ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness import Unusable, free_port, program, wait_for_port


@dataclass
class Postfix:
    """
    A Postfix of its own: own configuration, queue and port.
    """

    port: int
    directory: Path
    settings: str
    name: str = "Postfix"

    def pid(self) -> int:
        return int((self.directory / "queue" / "pid" / "master.pid").read_text())


#: Services of a relay; nothing runs in a chroot, since the queue is a new directory.
MASTER_CF: Final = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
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
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

#: Durability, process limit and everything else not named here are Postfix's defaults.
#: Input is not slowed down where the queue manager lags, and the next hop gets as many
#: connections as ours opens by default.
MAIN_CF: Final = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = {directory}/maillog
maillog_file_prefixes = {directory}
daemon_directory = {daemon_directory}
command_directory = {command_directory}
shlib_directory = {shlib_directory}
meta_directory = {meta_directory}
myhostname = relay.example
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink_port}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
initial_destination_concurrency = 20
default_destination_concurrency_limit = 32
"""


@contextmanager
def running_postfix(directory: Path, sink_port: int) -> Iterator[Postfix]:
    """
    A Postfix with its default durability, started and stopped.

    :raises Unusable: it is not installed, or we are not root.
    """
    postfix, postconf = program("postfix"), program("postconf")
    if os.geteuid() != 0:
        raise Unusable("only root can start it")
    port = free_port()
    config = directory / "etc"
    for path in (directory, config, directory / "queue", directory / "data"):
        path.mkdir()
    shutil.chown(directory / "data", "postfix")
    installed = {
        name: subprocess.run([postconf, "-dh", name], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("daemon_directory", "command_directory", "shlib_directory", "meta_directory")
    }
    settings = MAIN_CF.format(directory=directory, sink_port=sink_port, **installed)
    (config / "main.cf").write_text(settings)
    (config / "master.cf").write_text(MASTER_CF.format(port=port))
    started = subprocess.run([postfix, "-c", str(config), "start"], capture_output=True, text=True, check=False)
    if started.returncode:
        raise Unusable(f"postfix start: {started.stderr.strip()}")
    try:
        wait_for_port(port, directory / "maillog")
        yield Postfix(port, directory, settings)
    finally:
        subprocess.run([postfix, "-c", str(config), "stop"], capture_output=True, check=False)
