"""The command line `seal-agent`.

Each file has one command or one group of commands; `app` combines them and `entry` handles Ctrl-C. A command reads its
options, calls the room that does the work and prints the result. It makes no decisions. May import every room; nothing
imports it.
"""
