"""Resolvers that Sumun asks: the sinkhole forwards to them, and the proxy finds its origins through them.

Rule 1: an answer is matched to its question before anybody sees it.
Rule 2: every failure is an UpstreamError, and nothing else.
"""
