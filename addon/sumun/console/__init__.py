"""The administrator's side: metrics, health and readiness over HTTP.

Rule 1: nothing of a request is ever echoed, and a page of another site cannot read an answer (``hosts``).
Rule 2: what is changed is changed by a form that was sealed here, counts once, and is told as an event (``grants``).
There is no login in this version: who can connect can read what concerns no single person, so the listener belongs on
loopback or on a network of administrators; what concerns one, and what changes something, is for this host alone.

    console    the listener                          console.Console
    app        paths and answers                     app.application
    view       what the console is told              view.LoadedView
    gauges     what a scrape adds to the counters    gauges.ConsoleCollector
    readiness  do all roles answer?                  readiness.Readiness, probes
    hosts      which Host headers are taken          hosts.OnlyHosts
    html       layout and style of its pages         html.page
    sealed     what a form carries, signed           sealed.Seals
    form       which forms count                     form.read
    grants     approvals, reviews, what is in force  grants.GrantsPage

A further part of the console is a module like ``grants``: routes, a template, an entry in ``layout.html.j2``.
"""
