"""Self-edits: the training rows and directives that a model writes for a text.

`writer` asks the model in the formats that `directives` name, `filters` drops rows that the text does not support,
`assembly` holds some out as probes, `corrections` finds replay items that the text contradicts. To add a format, add a
file to `formats`. Nothing here trains. May import core, language and retention.
"""
