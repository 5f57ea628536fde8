"""What depends on a human language: sentences, questions, pronouns, time words, instructions, word lists.

Other rooms ask `base.for_text(text)` for the `Language` that a text is read in, and hold no word lists and no regular
expressions over words. English has rules (`english`); a text in any other language is learned as its sentences, and
nothing is asked about it (`plain`). May import core.

- `base`: the protocol `Language`, and which language answers for a text
- `detection`: the code of a text's language     `sentences`: a text in sentences, in any language
- `source`: a text as what is to be learned      `values`: what the rules return
- `words`, `fields`, `few_shot`, `prompts`: what is the same in every language

To add a language, German say:

1. Make a folder `german/` with a class `German(Plain)` whose `code` is "de", beside `english/language.py`. Override
   only what German has rules for; `base.py` says what each method is asked, and `plain.py` what it answers otherwise.
2. Add it to `with_rules()` in `base.py`. `base.for_text` gives it every text that `detection` finds to be German.
3. Where it makes questions, let `has_questions` be true; without that a text is learned as its sentences.
4. Test it as `tests/language/test_languages.py` does for English and for a plain language.

Where sentencex splits sentences wrongly, `english/abbreviations.py` shows how to correct it.
"""
