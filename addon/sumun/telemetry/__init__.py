"""Metrics and the decision log.

Rule 1: no sink ever blocks or stops the serving path; what cannot be written is counted.
Rule 2: the counts of the events add up to ``sumun_decisions_total``.
"""
