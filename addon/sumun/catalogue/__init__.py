"""Text of services and of lists to entries and refusals, one module a format.

Rule 1: a bad line neither stops the load nor vanishes: it becomes a refusal with its number and the reason.
Rule 2: nothing here opens a file.

    service_file    one service's YAML -> model.service.Service, or a ServiceFault with file and line
    consistency     what can be wrong between services
    reference       services -> docs/reference/catalogue.md
    detect          which format a list is in
    lists           a list in one of FORMATS -> Entry | Refused
    built_in        the lists that come with Sumun
    guard           names that no list and no service may take down
    line            what a line may ask for, the same for every format
"""
