"""A mapping, out of a YAML file, to a typed configuration.

Rule 1: all faults are found at once, each with its line, its path in the spelling of the file, and what to do.
Rule 2: nothing here opens a file; names that live elsewhere (services, categories) are passed in.
"""
