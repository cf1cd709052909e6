"""
Tells what TLS the mail of a domain has to have, and why: as values for programs, and
as text for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..delivery.facilities import Facilities
from ..delivery.tls_policies import TLSDecision
from ..flags import ConnFlag
from ..policy.consequence import note_for
from ..policy.mta_sts import KeptPolicy
from ..policy.tls import TLSParameters
from ..queues.domain import DomainRecord, MXType

#: Patterns of a policy that are written out; the rest is counted.
_MOST_PATTERNS = 20


def told(facilities: Facilities, dr: DomainRecord | None, domain: str, slot: int) -> dict[str, Any]:
    """
    What is known of a domain at this moment; nothing is looked up.

    :param dr: its record; ``None`` if no mail for it came lately.
    :param slot: the binding slot the mail would leave from.
    :returns: values that JSON can write.
    """
    config = facilities.config
    found: dict[str, Any] = {
        "domain": domain,
        "binding": config.bindings[slot].name,
        "routing": MXType.UNKNOWN.value if dr is None else dr.mx_type.value,
        "problem": "" if dr is None else _no_way(dr).decode("ascii", "replace"),
        "validated": dr is not None and dr.secure,
        "mta_sts": _mta_sts(facilities, dr, domain, slot),
        "exchangers": [],
    }
    if dr is not None:
        policies = facilities.tls_policies
        decisions = {each.host: each for each in policies.decisions(domain)}
        for mx in sorted(dr.mxlist, key=lambda mx: mx.preference):
            exchanger = {
                "host": mx.host.name,
                "preference": mx.preference,
                "addresses": list(mx.host.addresses),
                "left_out": policies.why_left_out(dr, slot, mx.host),
                "decision": None,
            }
            decision = decisions.get(mx.host.name)
            if decision is not None:
                exchanger["decision"] = _decision(decision)
            found["exchangers"].append(exchanger)
    return found


def _no_way(dr: DomainRecord) -> bytes:
    """
    Why no mail can be sent at all: what its status text would be; empty if it can.
    """
    if dr.mx_type is MXType.NULL:
        return note_for(ConnFlag.ERROR_SMTP_NULL_MX)
    if dr.mx_type is MXType.BROKEN:
        return note_for(ConnFlag.ERROR_MX_LOOKUP_FAILED)
    return note_for(ConnFlag.ERROR_PROHIBITED_IP) if dr.all_prohibited else dr.routing_note


def _mta_sts(facilities: Facilities, dr: DomainRecord | None, domain: str, slot: int) -> dict[str, Any]:
    sts, config = facilities.sts, facilities.config
    found: dict[str, Any] = {
        "looked_for": sts is not None and config.domain(domain).use_mta_sts,
        "obeyed": dr is not None and facilities.tls_policies.in_force(dr, slot) is not None,
        "problem": "",
        "policy": None,
    }
    if sts is not None:
        kept = sts.known(domain)
        found["problem"] = sts.problem(domain)[1]
        found["policy"] = None if kept is None else policy_values(kept)
    return found


def policy_values(kept: KeptPolicy) -> dict[str, Any]:
    """
    A policy, as values.
    """
    return {
        "mode": kept.policy.mode,
        "id": kept.record,
        "fetched_at": kept.fetched_at,
        "expires": kept.expires,
        "max_age": kept.policy.max_age,
        "mx": sorted(kept.policy.patterns),
    }


def _decision(decision: TLSDecision) -> dict[str, Any]:
    tlsa = decision.tlsa
    records = None
    if tlsa is not None and tlsa.published:
        records = {
            "name": tlsa.base,
            "published": tlsa.published,
            "usable": [
                {"usage": each.usage, "selector": each.selector, "matching": each.matching, "data": each.data.hex()}
                for each in tlsa.associations
            ],
        }
    return {
        "at": decision.at,
        "demanded": None if decision.demanded is None else demand_values(decision.demanded),
        "options": demand_values(decision.wished),
        "tlsa": records,
        "without_dane": decision.without_dane,
    }


def demand_values(parameters: TLSParameters) -> dict[str, Any]:
    """
    What is wanted of a connection, as values; nothing of our own certificate.
    """
    return {
        "tls": parameters.use,
        "verify": parameters.verify,
        "names": list(parameters.names),
        "sni": parameters.sni,
        "by": parameters.origin,
        "clear_after_failure": parameters.fallback,
    }


# For people.

_USES = {
    "no": "no TLS",
    "ifavailable": "TLS where it is offered",
    "required": "TLS",
    "implicit": "TLS from the first octet",
}
_ORIGINS = {
    "setting": "options",
    "hook": "a hook",
    "mta-sts": "the MTA-STS policy",
    "dane": "TLSA records",
    "requiretls": "REQUIRETLS",
}


def as_text(found: Mapping[str, Any]) -> str:
    """
    What :func:`told` has found, in lines.
    """
    lines = [f"{found['domain']}, from binding {found['binding']}"]
    validated = "validated by DNSSEC" if found["validated"] else "not validated by DNSSEC"
    lines.append(f"  exchangers: {len(found['exchangers'])} ({found['routing']}), {validated}")
    if found["problem"]:
        lines.append(f"  problem: {found['problem']}")
    lines += [f"  {line}" for line in _sts_lines(found["mta_sts"])]
    for each in found["exchangers"]:
        lines.append(f"  {each['preference']} {each['host']} ({', '.join(each['addresses']) or 'no usable address'})")
        lines += [f"    {line}" for line in _exchanger_lines(each)]
    return "\n".join(lines) + "\n"


def _sts_lines(sts: Mapping[str, Any]) -> list[str]:
    if not sts["looked_for"]:
        return ["MTA-STS: not looked for (use_mta_sts)"]
    policy, lines = sts["policy"], []
    if policy is None:
        lines.append("MTA-STS: no policy")
    else:
        obeyed = "" if sts["obeyed"] or policy["mode"] == "none" else ", not obeyed here"
        lines.append(f"MTA-STS: {policy['mode']}{obeyed}, id {policy['id']}")
        lines.append(f"  fetched {_moment(policy['fetched_at'])}, counts until {_moment(policy['expires'])}")
        shown = policy["mx"][:_MOST_PATTERNS]
        more = len(policy["mx"]) - len(shown)
        lines.append(f"  mx: {', '.join(shown)}{f' and {more} more' if more else ''}")
    if sts["problem"]:
        lines.append(f"  problem: {sts['problem']}")
    if sts.get("kept") is not None and policy is None:
        lines.append(f"  kept on disk: {sts['kept']['mode']}, counts until {_moment(sts['kept']['expires'])}")
    return lines


def _exchanger_lines(exchanger: Mapping[str, Any]) -> list[str]:
    lines = []
    if exchanger["left_out"]:
        lines.append(f"left out: {exchanger['left_out']}")
    decision = exchanger["decision"]
    if decision is None:
        if not exchanger["left_out"]:
            lines.append("nothing was decided yet")
        return lines
    demanded = decision["demanded"]
    lines.append("demanded: nothing is sent, mail waits" if demanded is None else f"demanded: {sentence(demanded)}")
    tlsa = decision["tlsa"]
    if tlsa is not None:
        usable = ", ".join(f"{each['usage']} {each['selector']} {each['matching']}" for each in tlsa["usable"])
        lines.append(f"TLSA: {tlsa['published']} at {tlsa['name']}, usable: {usable or 'none'}")
    if decision["without_dane"]:
        lines.append(f"{'TLSA' if demanded is None else 'no TLSA'}: {decision['without_dane']}")
    if demanded is not None and demanded["by"] != "setting":
        lines.append(f"options alone: {sentence(decision['options'])}")
    shown = exchanger.get("shown")
    if shown is not None:
        lines += [f"shown: {line}" for line in _shown_lines(shown)]
    return lines


def _shown_lines(shown: Mapping[str, Any]) -> list[str]:
    if shown["error"]:
        return [shown["error"], "mail would go in clear" if shown["acceptable"] else "mail would not go there"]
    verified = f"verified: {shown['verified']}" if shown["verified"] else "not verified"
    lines = [f"{shown['version']}, {shown['cipher']}, {verified}", f"certificate {shown['certificate']}"]
    if shown["problem"]:
        lines.append(shown["problem"])
    lines.append("mail would go" if shown["acceptable"] else "mail would not go there")
    return lines


def sentence(demanded: Mapping[str, Any]) -> str:
    """
    A demand in words.
    """
    words = [_USES[demanded["tls"]]]
    names = " or ".join(demanded["names"])
    if demanded["tls"] != "no":
        words += {
            "no": [],
            "optional": [f"a certificate with the name {names}, if it has one"],
            "ca": ["a certificate of a trusted issuer"],
            "host": [f"a certificate with the name {names}"],
            "dane": ["a certificate, or an issuer, of the TLSA records"],
        }[demanded["verify"]]
    return f"{', '.join(words)} (by {_ORIGINS.get(demanded['by'], demanded['by'])})"


def _moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
