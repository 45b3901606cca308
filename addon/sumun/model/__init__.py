"""The words of the policy, as frozen values.

Rule 1: a value is parsed once, where it enters; after that nobody checks or normalises it again.
Rule 2: nothing here knows a file, a socket, a clock or a framework, and nothing here decides.

    segment    a named set of client networks            segment.Segment
    service    a thing reached                           service.Service
    rule       conditions and an action                  rule.Rule
    request    who asks for what, as far as known        request.AccessRequest
    decision   what the policy decision point said       decision.Decision | decision.Undetermined
    verdict    what an enforcement point then did        verdict.Verdict
    event      the record of one attempt                 event.AccessDecided
"""
