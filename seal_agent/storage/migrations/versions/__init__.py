"""One migration a file, named by the schema that it leads to. Written once: no later version changes them."""
