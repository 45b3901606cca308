"""The enforcement point for DNS.

Rule 1: the responder opens no socket and reads no clock; servers and upstreams do, and decide nothing.
Rule 2: the policy is asked before anything upstream said is used.
"""
