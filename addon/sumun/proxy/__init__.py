"""The enforcement point in mitmproxy: a gate on names, and hooks on decrypted requests.

Rule 1: nothing is dialled for a request that is blocked.
Rule 2: a connection that no rule needs to look into is relayed byte for byte, without certificates of ours.
Rule 3: every hook that fails, fails as the segment says.
"""
