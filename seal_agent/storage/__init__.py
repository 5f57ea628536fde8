"""The data directory ($SEAL_HOME): the database, adapter folders, the job queue, run folders.

The database is authoritative; every other file can be checked against it or rebuilt. Only this room contains SQL.
`connection` opens the database, `schema` has the tables and names the file that owns each, `migrations` upgrade older
databases, `expressions` has the SQL that differs between databases. Other rooms open a `database.Home` and call
functions named in domain terms; changes that belong together share the transaction of `with home.transaction() as tx`.
Nothing here decides what is learned or served. May import core.
"""
