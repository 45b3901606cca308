"""The enforcement point for DNS.

Rule 1: the responder opens no socket and reads no clock; servers and upstreams do, and decide nothing.
Rule 2: the policy is asked before anything upstream said is used.
Rule 3: every query is counted once, and ends in one answer or in one counted drop.

    question    octets -> what is asked, or what is wrong with it
    judgement   the policy's word on a name, read the way DNS needs it
    answers     our own answers, as octets
    relay       a question on its way to an upstream, and the answer on its way back
    ready       answers of ours that can be given again without parsing
    responder   query -> answer, question for an upstream, or silence
    handler     one query: judged, recorded, counted, passed on
    udp, tcp    the listeners
    server      all of it on one address

There is no cache of what upstreams said, and no list of local names but one for probes.
"""
