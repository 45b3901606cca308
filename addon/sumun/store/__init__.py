"""What must outlive a process: grants, requests for them, and used forms.

Rule 1: everything here may wait for a disk or a network, so it is called from threads, never on the serving path.
Rule 2: what fails, fails as StoreFault, and changes nothing.
Rule 3: the serving path works with the last snapshot (``watch``); a store that is down takes nothing away from
anybody, and gives nothing.

    tables    the schema and its version
    open      a URL to an engine that waits for nobody long
    store     what can be done                          store.Store
    desk      what administrators do, and its events     desk.Desk
    copy      the last snapshot, for a start without it  copy.Copy
    watch     the snapshot that decisions are made with  watch.Watch
"""
