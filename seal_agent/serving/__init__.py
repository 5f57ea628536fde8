"""Which adapters answer a prompt, and the answer.

`router` finds the adapters whose texts a question is about, `served` is the model with a stack, `batcher` joins
concurrent requests to one batch, `replies` parses and streams tool calls. Nothing here changes what is served. May
import core and language.
"""
