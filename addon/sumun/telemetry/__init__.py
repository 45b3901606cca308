"""Metrics and the decision log.

Rule 1: no sink ever blocks or stops the serving path; what cannot be written is counted.
Rule 2: the counts of the events add up to ``sumun_decisions_total``.
Rule 3: no prompt, request body, path, query string or matched identifier enters here, so none can leave.

    recorder        takes what enforcement points did, folds repeats, gives out ids           recorder.Recorder
    record          what the log says of one or more equal attempts                           record.Record
    spool           bounded queue and thread between the recorder and a sink                  spool.Spool
    sink            where lines end                                           json_lines.JsonLines | stream.Stream
    shared metrics  one memory-mapped file a process, merged when scraped     shared_metrics.share | render
"""
