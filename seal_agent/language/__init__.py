"""What depends on a human language: sentences, questions, pronouns, time words, instructions.

The rules are for English (`english`) and for small models that cannot write training rows themselves. Other rooms ask
this one and hold no word lists. May import core.
"""
