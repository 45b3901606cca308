"""Files to a running policy.

Rule 1: a policy is built whole and exchanged whole; building happens off the serving path.
Rule 2: a fault at start is fatal unless a last good policy is at hand; on reload it is reported and the old one stays.

    sources     configuration, catalogue and lists as texts, and their revision
    build       texts -> policy, or every fault of every file
    compiler, large_lists      a million names in one file that all processes map
    last_good   the texts behind the last policy that could be built
    fetch, exchange, gzipped   a list over HTTPS, bounded
    vet, signature             is this the next version of that list?
    record, update, refresh    what is at hand, one attempt, one attempt after another
    outcome                    what became of an attempt
    active      the policy in force: start, reload, watch
"""
