"""Programs that are sent to a site as text and run there: the standard library only, Python 3.8 or newer.

A request is a line of JSON on stdin, `[operation, arguments]`; its answer is JSON on stdout between two NULs. When
stdin ends, whoever asked is gone.
"""
