"""The enforcement point for DNS.

Rule 1: the responder opens no socket and reads no clock; servers and upstreams do, and decide nothing.
Rule 2: the policy is asked before anything upstream said is used.
Rule 3: every query is counted once, and ends in one answer or in one counted drop.

    question    octets -> what is asked, or what is wrong with it
    deciding    the policy, asked once for all names that it cannot tell apart
    judgement   the policy's word on a name, read the way DNS needs it
    local       names known here, and addresses that no public name should have
    answers     our own answers, as octets; cookies, the option that goes with them
    structured_errors  what software reads of them
    relay       a question on its way to an upstream, and the answer on its way back
    service_records  what HTTPS and SVCB answers lose on that way
    ready       answers that can be given again without parsing
    responder   query -> answer, question for an upstream, or silence
    cache       what upstreams said; recall, who is asked and who is remembered
    handler     one query: judged, recorded, counted, passed on
    tally       counts and attempts, added up before they are handed on
    limits      how many queries a network may ask
    mmsg        many datagrams for each system call
    udp, tcp    the listeners
    server      all of it on one address

There is no recursion, and nothing is validated: that is for the upstreams.
"""
