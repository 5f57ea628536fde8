"""The command line `seal-agent`.

Each file holds one command or one group of commands; `app` puts them together and `entry` obeys Ctrl-C. A command
reads its options, calls the room that does the work and prints the result. It decides nothing itself. May import
every room; nothing imports it.
"""
