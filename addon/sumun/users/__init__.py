"""Who users are: a file of hashed passwords, or a directory that is asked over TLS.

Rule 1: a password is never logged, never kept, and never leaves in a message of an exception.
Rule 2: what waits (hashing, the network) runs in threads, few at a time, and ends within its time.
Rule 3: from outside, an unknown name looks like a wrong password, in words and in time.
"""
