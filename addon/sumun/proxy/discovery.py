"""LLM APIs on hosts that the catalogue does not know: told by the shape of the request, judged as a service of its own.

Only what is seen anyhow is looked at: plain HTTP, and what is decrypted for another reason.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sumun.content import llm_api
from sumun.content.llm_request import LIMIT, LlmRequest
from sumun.model.decision import Decision, Undetermined
from sumun.model.name import DomainName
from sumun.policy.engine import Policy
from sumun.proxy.ruling import Ruling, strictest
from sumun.proxy.translate import Flow, declared_size, plain_path

STANDS_FOR_IT = DomainName(f"{llm_api.SERVICE}.invalid")
"""The name that the catalogue files the service under."""


def may_be_unknown_api(flow: Flow, ruling: Ruling) -> bool:
    """Whether the body is worth a look, and not too large for one."""
    size = declared_size(flow.request)
    return _is_unknown(ruling) and (size is None or size <= LIMIT) and llm_api.may_be(*_head(flow))


def is_unknown_api(flow: Flow, ruling: Ruling, facts: LlmRequest) -> bool:
    """Whether the whole request has the shape."""
    return _is_unknown(ruling) and llm_api.is_one(*_head(flow), facts)


def as_unknown_api(policy: Policy, ruling: Ruling, *, at: datetime) -> Ruling:
    """What a rule that names the service says, else what holds anyhow; the event tells of the service either way.

    Rules on categories do not act on it: a shape is no proof, and an innocent API may share it.
    """
    stand_in = replace(ruling.request, name=STANDS_FOR_IT)
    outcome = policy.decide(stand_in, at=at)
    if isinstance(outcome, Decision) and outcome.rule and llm_api.SERVICE in (outcome.rule.when.services or ()):
        return strictest([Ruling(ruling.request, outcome), ruling])
    return Ruling(ruling.request, replace(ruling.outcome, service=policy.facts(stand_in).service))


def _is_unknown(ruling: Ruling) -> bool:
    outcome = ruling.outcome
    return outcome.service is None and (isinstance(outcome, Undetermined) or outcome.action.lets_through)


def _head(flow: Flow) -> tuple[str, str, str]:
    request = flow.request
    return request.method, plain_path(request.path), request.headers.get("content-type", "")
