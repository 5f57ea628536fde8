"""The data directory ($SEAL_HOME): the SQLite database, adapter folders, the job queue, run folders.

SQLite is authoritative, every other file can be checked against it or made again. Nothing here decides what is learned
or served. May import core.
"""
