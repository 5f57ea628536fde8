"""Which adapters answer a prompt, and the answer.

`router` finds the adapters whose texts a question is about, `served` is the model through a stack, `batcher` puts
concurrent requests into one batch, `replies` follows tool calls. Nothing here changes what is served. May import core
and language.
"""
