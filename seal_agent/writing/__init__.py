"""Self-edits: the training rows and directives that a model writes for a text.

`writer` asks in the formats that `directives` name, `filters` drops rows that the text does not support, `assembly`
holds some back as probes, `corrections` finds watched answers that the text denies. To add a format, add a file to
`formats`. Nothing here trains. May import core, language and retention.
"""
