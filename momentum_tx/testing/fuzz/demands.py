"""
What domains want of TLS, by DANE and MTA-STS: drawn, published, and judged.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from ...policy.tls import TLSAssociation
from ..tls import ModelledCertificate
from .plan import Plan

if TYPE_CHECKING:
    from ..peer_session import Taken
    from .stage import Stage

#: What stands in TLSA records, and in the certificates that match them.
_ASSOCIATION: Final = TLSAssociation(3, 1, 1, b"d" * 32)
_RIGHT: Final = ModelledCertificate(tlsa=(_ASSOCIATION,))
_STRANGE: Final = ModelledCertificate(("stranger.example",), trusted=False)
#: Trouble in which a policy may not be found, so that mail rightly goes without it.
_HIDING: Final = frozenset({"dns", "disk", "full_disk", "slow_disk"})
#: Options by which an operator sends mail another way.
_OTHER_WAYS: Final = ("routes", "gateway")


def draw_demands(plan: Plan) -> None:
    """
    Have some domains of *plan* want TLS, from a source of its own.
    """
    dice = Random(f"{plan.seed} demands")
    if plan.calm or dice.random() < 0.7 or _says(plan, "delivery_method"):
        return
    for domain in plan.domains:
        if domain.kind == "mx" and domain.exchangers and dice.random() < 0.6 and not _goes_elsewhere(plan, domain.name):
            plan.demands[domain.name] = dice.choice(("dane", "enforce", "testing"))
    if not plan.demands:
        return
    plan.settings.update(use_dane=True, use_mta_sts=True, trust_ad=True)
    for host in plan.hosts:
        if dice.random() < 0.8:
            host.extensions["starttls"] = True
        if dice.random() < 0.2:
            host.extensions["stranger"] = True


def _says(plan: Plan, option: str) -> bool:
    reloads = [step.args.get("options", {}) for step in plan.steps if step.kind == "reload"]
    return any(option in options for options in (plan.settings, *plan.tables.values(), *reloads))


def _goes_elsewhere(plan: Plan, domain: str) -> bool:
    headers = ("global", f'domain."{domain}"')
    written = [options for header, options in plan.tables.items() if header in headers or header.startswith("binding")]
    written += [step.args["options"] for step in plan.steps if step.kind == "reload" and step.args["header"] in headers]
    return any(option in options for options in (plan.settings, *written) for option in _OTHER_WAYS)


class DemandWatch:
    """
    Publishes what the domains of a story want, and looks at what is taken for them.

    :param stage: the story.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        plan, zone = stage.plan, stage.world.resolver
        self._certain = not any(step.kind in _HIDING for step in plan.steps)
        if not plan.demands:
            return
        strange = {host.address for host in plan.hosts if host.extensions.get("stranger")}
        for address, receiver in stage.receivers.items():
            receiver.certificate = _STRANGE if address in strange else _RIGHT
        for domain in plan.domains:
            demand = plan.demands.get(domain.name)
            if demand == "dane":
                zone.signed.update((domain.name, *(name for _, name in domain.exchangers)))
                for _, name in domain.exchangers:
                    zone.tlsa[f"_25._tcp.{name}"] = [
                        (_ASSOCIATION.usage, _ASSOCIATION.selector, _ASSOCIATION.matching, _ASSOCIATION.data)
                    ]
            elif demand is not None:
                names = "".join(f"mx: {name}\n" for _, name in domain.exchangers)
                text = f"version: STSv1\nmode: {demand}\n{names}max_age: 604800\n"
                stage.world.publish_policy(domain.name, text.encode())

    def taken(self, address: str, taken: Taken) -> None:
        """
        A receiver has taken a message.
        """
        demands = self._stage.plan.demands
        if not demands:
            return
        wanted = {demands.get(path.rpartition(b"@")[2].decode("ascii", "replace")) for path in taken.recipients}
        strange = self._stage.receivers[address].certificate is _STRANGE
        for demand in ("dane", "enforce"):
            if demand in wanted and (demand == "dane" or self._certain) and (strange or not taken.encrypted):
                how = "in clear" if not taken.encrypted else "by somebody else"
                self._stage.fault("demand of TLS", f"mail with {demand} was taken {how} at {address}")
                return
