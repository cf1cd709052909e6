"""
A plan from a seed.

Each seed has a *weather*: which kinds of trouble it has.  Much trouble of every
kind at once finds less than some trouble of one kind, because little works then.
"""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from ..world import EPOCH
from .demands import draw_demands
from .habits import Habits
from .operator import write_policy
from .plan import Domain, Host, Part, Plan, Step
from .said import draw_reports, draw_said
from .sources import GROUP, SOURCES, draw_binding_steps, draw_bindings, has_group

#: Kinds of trouble a seed may have.
WEATHERS: Final = ("peers", "network", "dns", "disk", "crash", "operator", "hooks", "limits")
#: Where clients find the service.
CLIENTS: Final = "127.0.0.1"
#: Answers of name servers that are not as they should be (names of ``Fault``).
ODD_ANSWERS: Final = (
    "REFUSED",
    "FORMERR",
    "NO_EDNS",
    "TRUNCATED",
    "TRUNCATED_ONLY",
    "ONE_LINK",
    "GARBAGE",
    "WRONG_ID",
    "WRONG_QUESTION",
    "REFERRAL",
    "LOOP",
)


def make_plan(seed: int) -> Plan:
    """
    The plan of *seed*; the same each time.
    """
    return _Making(seed).plan


def _quiet_hours(dice: Random, storm: float) -> str:
    """
    Some minutes of the storm, as the clock on the wall shows them, or the night before it.
    """
    begin = EPOCH + 60.0 * dice.randrange(-10, int(storm / 60.0) + 1)
    shown = [datetime.fromtimestamp(time, UTC) for time in (begin, begin + 60.0 * dice.choice((1, 3, 10)))]
    return "-".join(f"{time:%H:%M}" for time in shown)


class _Making:
    def __init__(self, seed: int) -> None:
        self.dice = dice = Random(seed)
        self.plan = plan = Plan(seed)
        plan.calm = dice.random() < 0.1
        count = 0 if plan.calm else dice.choice((0, 1, 1, 2, 2, 3, len(WEATHERS)))
        self.weather = dice.sample(WEATHERS, count)
        plan.storm = dice.choice((60.0, 300.0, 900.0, 3600.0, 14400.0))
        if "network" in self.weather and dice.random() < 0.3:
            plan.kernel_patience = dice.choice((3.0, 130.0))
        plan.shuffled = dice.random() < 0.5
        plan.dns = "wire" if dice.random() < (0.5 if "dns" in self.weather else 0.1) else "scripted"
        self.habits = Habits(dice, plan.storm)
        self.number = 0
        #: Octet by octet, or large bodies; both would take for ever.
        self.fine = dice.random() < 0.3
        self._settings()
        self._hosts()
        self._domains()
        draw_bindings(dice, plan)
        write_policy(plan, "limits" in self.weather or dice.random() < 0.3)
        if "hooks" in self.weather:
            self._providers()
        self._mail()
        for weather in self.weather:
            getattr(self, f"_{weather}_steps", lambda: None)()
        self._method()
        self._carriage()
        draw_said(plan)
        draw_reports(plan)
        draw_demands(plan)
        plan.steps.sort(key=lambda step: step.at)

    def step(self, at: float, kind: str, **args: Any) -> None:
        self.plan.steps.append(Step(round(at, 3), kind, args))

    def moment(self) -> float:
        """
        Some time in the storm; often a round one, at which other things happen too.
        """
        storm = self.plan.storm
        if self.dice.random() < 0.3:
            return float(self.dice.randrange(int(storm)))
        return self.dice.uniform(0.0, storm)

    # The world.

    def _settings(self) -> None:
        dice, plan = self.dice, self.plan
        settings = plan.settings
        interval = dice.choice((1.0, 5.0, 20.0, 60.0, 300.0, 1200.0))
        settings["retry_interval"] = interval
        settings["max_retry_interval"] = interval * dice.choice((1, 2, 4, 8))
        settings["message_expiration"] = interval * dice.choice((3, 10, 30, 100))
        settings["heartbeat"] = dice.choice((0, 60, 600))
        settings["delayed_queue_scan_interval"] = dice.choice((1.0, 15.0, 15.0, 60.0))
        settings["connect_timeout"] = dice.choice((5.0, 30.0, 300.0))
        settings["idle_timeout"] = dice.choice((0.0, 0.5, 5.0, 30.0))
        settings["shutdown_grace"] = dice.choice((0.0, 1.0, 30.0))
        for name in ("ehlo", "mailfrom", "rcptto", "rset", "quit", "starttls"):
            if dice.random() < 0.5:
                settings[f"{name}_timeout"] = dice.choice((2.0, 10.0, 60.0))
        settings["body_timeout"] = dice.choice((5.0, 60.0, 600.0))
        settings["body_block_timeout"] = dice.choice((5.0, 180.0))
        self._sometimes(0.3, max_retries=dice.choice((0, 1, 3, "none")))
        self._sometimes(0.05, never_retry=True)
        self._sometimes(0.1, retry_intervals=[f"{interval}s", f"{2 * interval}s"])
        growing = " ".join(f"{interval * factor}s" for factor in (1, 3, 8))
        lists = (f"45x: {growing}", f"no_connection: {2 * interval}s {interval}s", f"internal: {growing}")
        self._sometimes(0.1, retry_by_reply=list(lists[: dice.choice((1, 2, 3))]))
        self._sometimes(0.1, delayed_binding_domain_fuzz=dice.choice((4.0, 64.0)))
        self._sometimes(0.1, response_transcode_pattern="^554 (.*)", response_transcode_replace="454 $1")
        self._sometimes(0.1, curfew=[_quiet_hours(dice, plan.storm)])
        self._sometimes(0.2, retry_jitter=dice.choice((0.1, 1.0)))
        self._sometimes(0.2, never_attempt_expired_messages=True)
        self._sometimes(0.5, host_failure_retry=dice.choice((1.0, 10.0, 60.0)))
        self._sometimes(0.3, mx_failures_to_delay=dice.choice((0, 1, 2, 5)))
        self._sometimes(0.3, connect_timeout_to_delay=dice.choice((0.0, 1.0, 60.0)))
        self._sometimes(0.2, pipelining=False)
        self._sometimes(0.3, connection_allocation_aggressiveness="high")
        self._sometimes(0.3, body_cache_size=dice.choice((0, 1000, 100_000)))
        self._sometimes(0.3, max_resident_messages=dice.choice((0, 1, 5)))
        self._sometimes(0.3, max_resident_active_queue=dice.choice((-1, 0, 1, 5)))
        self._sometimes(0.3, drop_body_after_trans_fail=dice.choice((0, 1)))
        self._sometimes(0.4, segment_size=dice.choice((4096, 20_000, 200_000)))
        self._sometimes(0.2, max_dns_ttl=dice.choice((1, 30)))
        self._sometimes(0.2, address_metrics_lifetime=dice.choice((1.0, 60.0)))
        self._sometimes(0.3, tls=dice.choice(("ifavailable", "ifavailable", "required")))
        self._sometimes(0.1, ehlo_hostname="__message__")
        self._sometimes(0.15, use_ipv6=True, prefer_ipv6_mxs=dice.random() < 0.5)
        if plan.calm:
            # Everybody has all the time and offers all that is wanted.
            settings.update({name: 600.0 for name in settings if name.endswith("_timeout") and name != "idle_timeout"})
            settings["message_expiration"] = 100_000.0
            settings["tls"] = "ifavailable"

    def _sometimes(self, share: float, **options: Any) -> None:
        if self.dice.random() < share:
            self.plan.settings.update(options)

    def _hosts(self) -> None:
        dice = self.dice
        most = dice.choice((1, 2, 3, 6))
        for number in range(1, most + 1):
            # Two addresses of one name now and then.
            name = f"mx{number if dice.random() < 0.85 else max(1, number - 1)}.peer.example"
            address = f"198.51.100.{number}"
            if self.plan.settings.get("use_ipv6") and dice.random() < 0.5:
                address = f"2001:db8:7::{number}"
            host = Host(name, address, line=self._line())
            if not self.plan.calm:
                self._offers(host)
            if self.plan.calm:
                pass
            elif "peers" in self.weather or dice.random() < 0.2:
                host.behaviours = [self.habits.draw() for _ in range(dice.choice((0, 1, 1, 2, 3)))]
            self.plan.hosts.append(host)

    def _line(self) -> dict[str, Any]:
        dice = self.dice
        line: dict[str, Any] = {"latency": dice.choice((0.0, 0.001, 0.02, 0.2, 1.5))}
        if dice.random() < 0.3:
            line["jitter"] = dice.choice((0.001, 0.05))
        if self.plan.calm:
            # Slowness is trouble: what takes too long fails.
            return line
        if dice.random() < 0.2:
            line["bandwidth"] = dice.choice((2_000, 50_000, 1_000_000))
        if dice.random() < 0.3:
            line["split"] = dice.choice((1, 3, 40) if self.fine else (500, 2000))
        if dice.random() < 0.2:
            line["window"] = dice.choice((16, 600) if self.fine else (1000, 5000))
        if dice.random() < 0.1:
            line["linger"] = dice.choice((0.001, 0.1))
        return line

    def _offers(self, host: Host) -> None:
        dice = self.dice
        if dice.random() < 0.3:
            host.extensions["pipelining"] = False
        if dice.random() < 0.3:
            host.extensions["starttls"] = True
        if dice.random() < 0.2:
            host.extensions["size"] = dice.choice((2000, 1_000_000))
        if dice.random() < 0.1:
            host.extensions["max_messages"] = dice.choice((1, 3))
        if dice.random() < 0.1:
            host.extensions["plain"] = True

    def _domains(self) -> None:
        dice, plan = self.dice, self.plan
        for number in range(dice.choice((1, 1, 2, 3, 5))):
            domain = Domain(f"d{number}.example")
            kind = dice.random()
            names = list(dict.fromkeys(host.name for host in plan.hosts))
            chosen = dice.sample(names, min(len(names), dice.choice((1, 1, 2, 3))))
            domain.exchangers = [(dice.choice((10, 10, 20)), name) for name in chosen]
            if kind < 0.03:
                domain.kind = "null"
            elif kind < 0.06:
                domain.kind = "nxdomain"
            elif kind < 0.10:
                domain.kind = "prohibited"
            elif kind < 0.15:
                domain.kind = "address"
            elif kind < 0.20:
                domain.kind = "routes"
                routes: Any = [host.address for host in plan.hosts if host.name in chosen]
                plan.tables.setdefault(f'domain."{domain.name}"', {})["routes"] = routes
            elif kind < 0.25:
                domain.kind = "gateway"
                address = next(host.address for host in plan.hosts if host.name in chosen)
                plan.tables.setdefault(f'domain."{domain.name}"', {})["gateway"] = address
            plan.domains.append(domain)

    def _method(self) -> None:
        dice, plan = self.dice, self.plan
        kind = dice.random()
        if kind < 0.08:
            plan.settings["delivery_method"] = "LMTP"
            for host in plan.hosts:
                host.extensions["lmtp"] = True
        elif kind < 0.11:
            plan.settings["delivery_method"] = "SMTP"
            if plan.settings.get("tls") == "required":
                # Without EHLO it cannot be had, and the file is refused.
                plan.settings["tls"] = "ifavailable"
        if kind >= 0.11 and dice.random() < 0.1:
            plan.settings["xclient"] = dice.choice(("ifavailable", "ifavailable", "required"))
            for host in plan.hosts:
                if plan.calm or dice.random() < 0.7:
                    host.extensions["xclient"] = True
        if dice.random() < 0.15:
            plan.settings["transform_8bitmime_content"] = "strict"

    def _carriage(self) -> None:
        dice, plan = self.dice, self.plan
        chunks = dice.random()
        if chunks < 0.3:
            plan.settings["chunk_size"] = dice.choice((100, 1000, 70_000) if self.fine else (1000, 70_000))
            plan.settings["chunking_minimum_size"] = dice.choice((0, 0, 500))
            for host in plan.hosts:
                if plan.calm or dice.random() < 0.7:
                    host.extensions["chunking"] = True
            if not plan.calm and dice.random() < 0.3:
                # As a peer does that is not as good as its word; now and then, or always.
                reply = dice.choice(("503 5.5.1 No BDAT", "451 4.3.0 Later", "552 5.3.4 Too large"))
                args = {"point": "BDAT", "answer": {"reply": reply}, "share": dice.choice((0.2, 1.0))}
                dice.choice(plan.hosts).behaviours.append(Part("BrokenAt", args))
        self._sometimes(0.25, overlap_transactions=True)
        if dice.random() < 0.2 and not plan.calm:
            policy = plan.settings["lost_final_reply"] = dice.choice(("assume_delivered", "hold", "hold"))
            for _ in range(dice.choice((0, 1, 3)) if policy == "hold" else 0):
                self.step(self.moment(), "release")
        if dice.random() < 0.2 and not plan.calm:
            plan.settings["body_minimum_rate"] = dice.choice((0, 5000))

    def _providers(self) -> None:
        dice = self.dice
        kinds = ("raise", "nonsense", "coroutine", "reenter", "veto", "goal", "throttle", "choose", "talkative", "sign")
        for kind in dice.sample(kinds, dice.choice((1, 1, 2, 3))):
            args: dict[str, Any] = {"share": dice.choice((0.1, 0.5, 1.0))}
            if kind == "throttle":
                args = {"most": dice.choice((1, 2, 10)), "seconds": dice.choice((0.5, 5.0, 60.0))}
            self.plan.providers.append(Part(kind, args))

    # What happens.

    def _mail(self) -> None:
        dice, plan = self.dice, self.plan
        waves = dice.choice((1, 2, 4, 8))
        for _ in range(waves):
            begin = dice.uniform(0.0, plan.storm * 0.8) if dice.random() < 0.8 else 0.0
            spread = dice.choice((0.0, 0.0, 1.0, plan.storm * 0.2))
            for _ in range(dice.choice((1, 2, 5, 20))):
                self._letter(begin + dice.uniform(0.0, spread))

    def _letter(self, at: float) -> None:
        dice, plan = self.dice, self.plan
        self.number += 1
        count = dice.choice((1, 1, 1, 2, 3, 8))
        recipients = [dice.choice(plan.domains).name for _ in range(count)]
        size = dice.choice((10, 10, 300, 3000))
        if not self.fine and dice.random() < 0.05:
            size = dice.choice((70_000, 300_000))
        args: dict[str, Any] = {
            "number": self.number,
            "how": dice.choice(("smtp", "smtp", "call")),
            "to": recipients,
            "size": size,
        }
        if dice.random() < 0.1:
            args["eight"] = True
        if has_group(plan) and dice.random() < 0.5:
            args["group"] = GROUP
        elif plan.bindings and dice.random() < 0.7:
            args["binding"] = dice.choice(plan.bindings)[0]
        self.step(at, "mail", **args)
        if args["how"] == "call" and dice.random() < 0.05:
            self.step(at + dice.uniform(0.0, 30.0), "cancel", number=self.number)

    def _network_steps(self) -> None:
        dice, plan = self.dice, self.plan
        for _ in range(dice.choice((1, 2, 4, 8))):
            # The clients are on a network too.
            host = dice.choice([*[each.address for each in plan.hosts], CLIENTS])
            at, lasts = self.moment(), dice.choice((0.5, 10.0, 60.0, plan.storm * 0.3))
            manner = dice.choice(
                ("refuse", "silent", "unreachable", "forbid", "sever", "cut", "cut", "unplumb", "line", "lack", "tls")
            )
            if manner == "lack":
                self.step(at, "lack", flag=dice.choice(("ERROR_SOCKET", "ERROR_IOCTL")))
                self.step(at + lasts, "mend_lack")
            elif manner == "tls":
                self.step(at, "tls", host=host, manner=dice.choice(("failing", "silent")))
                self.step(at + lasts, "mend_tls", host=host)
            elif manner == "sever":
                self.step(at, "sever", host=host, reset=dice.random() < 0.5)
            elif manner == "cut":
                after = dice.choice((0, 1, 5, dice.randrange(400), dice.randrange(4000)))
                side = dice.choice(("to_listener", "to_dialer"))
                self.step(at, "cut", host=host, side=side, after=after, reset=dice.random() < 0.5)
                self.step(at + lasts, "mend_cut", host=host, side=side)
            elif manner == "unplumb":
                address = dice.choice(SOURCES)
                self.step(at, "unplumb", address=address)
                self.step(at + lasts, "plumb", address=address)
            elif manner == "line":
                self.step(at, "line", host=host, line=self._line())
            else:
                self.step(at, manner, host=host)
                self.step(at + lasts, "restore", host=host)

    def _dns_steps(self) -> None:
        dice, plan = self.dice, self.plan
        names = [domain.name for domain in plan.domains] + [host.name for host in plan.hosts]
        for _ in range(dice.choice((1, 2, 4))):
            at, lasts = self.moment(), dice.choice((1.0, 20.0, 120.0, plan.storm * 0.3))
            fault = dice.choice(("servfail", "silent", "slow", "gone", "all_silent", "all_slow", "odd", "odd", "lossy"))
            args: dict[str, Any] = {"fault": fault, "name": dice.choice(names)}
            if fault in ("slow", "all_slow"):
                args["delay"] = dice.choice((0.1, 3.0, 20.0))
            if fault == "odd":
                args["odd"] = dice.choice(ODD_ANSWERS)
            self.step(at, "dns", **args)
            self.step(at + lasts, "mend_dns", **args)

    def _disk_steps(self) -> None:
        dice, plan = self.dice, self.plan
        if dice.random() < 0.5:
            self.step(0.0, "slow_disk", delay=dice.choice((0.001, 0.05, 1.0)))
        for _ in range(dice.choice((1, 2, 4))):
            at, lasts = self.moment(), dice.choice((0.0, 3.0, 40.0, plan.storm * 0.2))
            kind = dice.random()
            if kind < 0.3:
                self.step(at, "full_disk", room=dice.choice((0, 100, 5000)))
                self.step(at + lasts, "mend_disk")
            elif kind < 0.5:
                self.step(at, "slow_disk", delay=dice.choice((0.01, 1.0, 8.0)))
                self.step(at + lasts, "slow_disk", delay=0.0)
            else:
                operation = dice.choice(
                    ("append", "sync", "sync", "create", "sync_names", "read", "unlink", "truncate", "open", "reserve")
                )
                self.step(
                    at,
                    "disk",
                    operation=operation,
                    error=dice.choice(("EIO", "ENOSPC", "EROFS")),
                    times=dice.choice((1, 1, 2, 5, -1)),
                    torn=dice.random() < 0.2,
                )
                self.step(at + lasts, "mend_disk")

    def _crash_steps(self) -> None:
        dice = self.dice
        for _ in range(dice.choice((1, 1, 2, 4))):
            self.step(
                self.moment(),
                dice.choice(("kill", "kill", "power")),
                operations=dice.choice((0, 1, 2, 3, dice.randrange(60))),
                garbage=dice.random() < 0.3,
                down=dice.choice((0.0, 1.0, 100.0)),
            )

    def _operator_steps(self) -> None:
        dice, plan = self.dice, self.plan
        for _ in range(dice.choice((1, 2, 4, 6))):
            at = self.moment()
            kind = dice.choice(
                ("suspend", "suspend", "flush", "flush", "limits", "bad", "reopen", "stop", "clock", "open", "open")
            )
            domain = dice.choice(plan.domains).name
            header = f'domain."{domain}"'
            if kind == "suspend":
                self.step(at, "reload", header=header, options={"suspend_delivery": True})
                again = at + dice.choice((1.0, 30.0, plan.storm * 0.2))
                self.step(again, "reload", header=header, options={"suspend_delivery": False})
            elif kind == "flush":
                self.step(at, "flush", domain=dice.choice((domain, "")))
            elif kind == "limits":
                options = {"max_outbound_connections": dice.choice((1, 2, 32))}
                self.step(at, "reload", header=dice.choice((header, "global")), options=options)
            elif kind == "open":
                slot = dice.randrange(1 + len(plan.bindings))
                lasts = dice.choice((0.0, 0.1, 3.0, 100.0))
                self.step(at, "open", domain=domain, slot=slot, lasts=lasts, cancelled=dice.random() < 0.3)
            elif kind == "stop":
                self.step(at, "stop", down=dice.choice((0.0, 2.0, 200.0)))
            elif kind == "clock":
                self.step(at, "clock", seconds=dice.choice((-3600.0, -5.0, 0.5, 100.0, 7200.0)))
            elif kind == "reopen":
                self.step(at, "reopen")
            else:
                self.step(at, "bad_reload")
        if dice.random() < 0.4:
            draw_binding_steps(dice, plan, self.moment, self.step)
        if dice.random() < 0.3:
            at = self.moment()
            self.step(at, "full_log")
            self.step(at + 30.0, "mend_log")
        if dice.random() < 0.3:
            self.step(self.moment(), "hang_up")
