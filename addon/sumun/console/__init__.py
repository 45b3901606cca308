"""The administrator's side: metrics, health and readiness over HTTP.

Rule 1: nothing here changes anything; every answer is a picture of what is.
Rule 2: nothing of a request is ever echoed, and a page of another site cannot read an answer (``hosts``).
There is no login in this version: who can connect can read, so the listener belongs on loopback or on a network of
administrators.

    console    the listener                          console.Console
    app        paths and answers                     app.application
    view       what the console is told              view.LoadedView
    gauges     what a scrape adds to the counters    gauges.ConsoleCollector
    readiness  do all roles answer?                  readiness.Readiness, probes
    hosts      which Host headers are taken          hosts.OnlyHosts
"""
