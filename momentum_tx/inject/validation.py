"""
The last word on a message before it is kept: Momentum's hooks ``final_validation2``,
``final_validation`` and ``post_final_validation``, in this order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from ..errors import MessageRefused
from ..smtp.body import check_content

if TYPE_CHECKING:
    from ..hooks.outbound import OutboundHooks
    from ..queues.message import Reception

_log = Logger()


def validated(hooks: OutboundHooks, reception: Reception, content: bytes) -> bytes:
    """
    *content* as it is kept.

    :raises MessageRefused: a provider refuses it.
    """
    if hooks.final_validation2:
        refusal = hooks.final_validation2.override(lambda provider: provider.final_validation2(reception, content))
        if refusal is not None:
            raise MessageRefused(*_refusal(refusal))
    if hooks.final_validation:
        changed = hooks.final_validation.fold(
            content, lambda provider, so_far: provider.final_validation(reception, so_far)
        )
        if changed is not content:
            fault = check_content(changed) if changed else "it is empty"
            if fault is None:
                content = changed
                reception.eight_bit = reception.eight_bit or not content.isascii()
            else:
                _log.error("final_validation made something that cannot be kept: {fault}", fault=fault)
    if hooks.post_final_validation:
        hooks.post_final_validation.tell(reception, content)
    return content


def _refusal(answer: tuple[object, ...]) -> tuple[int, str]:
    """
    Code and text of an answer; what is none refuses for now, since somebody wants it refused.
    """
    if len(answer) == 2:
        code, text = answer
        if isinstance(code, int) and 400 <= code <= 599 and isinstance(text, str) and text.isprintable():
            return code, text
    _log.error("final_validation2 answered {answer!r}, which is no reply", answer=answer)
    return 451, "4.3.5 The message cannot be taken now, try again later"
