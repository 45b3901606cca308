"""A mapping, out of a YAML file, to a typed configuration.

Rule 1: all faults are found at once, each with its line, its path in the spelling of the file, and what to do.
Rule 2: nothing here opens a file; names that live elsewhere (services, categories) are passed in.

    document   YAML text -> plain data, and the line of every key     document.Document
    shape      plain data -> the raw configuration, what is sound of it
    raw        every key as the file says it; schema.json comes from here
    values, moments, upstreams   one value of the file -> one value of ours
    parse      raw -> the checked configuration                       configuration.Config
    rules, checks, warnings      what is wrong, or doubtful, beyond one value
    settings   addresses, upstreams and files, for the parts that serve
"""
