"""Programs that are sent to a site as text and run there: the standard library only, Python 3.8 or newer.

Each answers one request: a line of JSON on stdin, `[operation, arguments]`; the answer is JSON on stdout between two
NULs. It ends when its stdin does: whoever asked is gone.
"""
