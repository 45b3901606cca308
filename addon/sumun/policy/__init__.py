"""The policy decision point.

Rule 1: nothing here reads a clock, a file or a socket, and nothing logs.
Rule 2: nothing here knows whether the question came from the proxy or from the sinkhole; only what is known
about the request counts.
Rule 3: ``decide`` is total. What it cannot settle it says, with what it needs.

    segment_table   client address -> segment, longest prefix
    domain_index    name -> entries, most specific first
    schedule        does a rule hold at an instant, and when does that change
    conditions      rule and facts -> matches, does not match, or needs to know more
    grants          what was granted while the filter runs -> rules ahead of those it passes
    engine          the order of the questions: exemptions, rules, default
    compile         configuration and catalogue -> engine
    copies          hosts that show other hosts, and the hosts that they show
    canaries        names by which software asks for a way round
    by_name         what is said of a name alone, copies and canaries included
    blocked         what the sinkhole of a segment blocks now, name by name
    trace           the same questions, answered one by one for a person
    explain         all of it for one request, for a person
    verdicts        what each enforcement point does with a decision
"""
