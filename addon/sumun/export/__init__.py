"""Names to files for other software.

Rule 1: what is written reads back to the same names: the formats are those that lists are read in.
Rule 2: what a format cannot say is left out or narrowed, never widened, and each such loss is told.

    names       names that are blocked, asked one by one -> the fewest entries that say so
    fit         entries -> those that a format can say, and losses
    ranks       entries in which the longest name wins -> Adblock's, in which exceptions do
    zone        entries -> records of a response policy zone
    formats     each format: what it can say, and how
    write       entries -> one file
"""
