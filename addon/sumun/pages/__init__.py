"""What a person or a program is shown instead of what it asked for: decision in, bytes out.

Rule 1: nothing of the request is reflected but the catalogue's name of the service and, escaped, the host.
Rule 2: no external asset, no script.
"""
