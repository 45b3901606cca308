"""What a decrypted request says: the model it names, whether it uploads.

Rule 1: bytes in, facts out; nothing of the content itself leaves this package.
"""
