"""The data directory ($SEAL_HOME): the database, adapter folders, the job queue, run folders.

The database is authoritative, every other file can be checked against it or made again. This room alone speaks SQL.
`connection` opens the database, `schema` has the tables and says which file owns which, `migrations` bring older ones
up to date, `expressions` has what two databases write differently. Other rooms open a `database.Home` and call
functions with names of the domain; what must happen together takes the transaction of
`with home.transaction() as tx`. Nothing here decides what is learned or served. May import core.
"""
