"""Text of services and of lists to entries and refusals, one module a format.

Rule 1: a bad line neither stops the load nor vanishes: it becomes a refusal with its number and the reason.
Rule 2: nothing here opens a file.
"""
