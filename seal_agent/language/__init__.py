"""What depends on a human language: sentences, questions, pronouns, time words, instructions, word lists.

Other rooms ask `base.for_text(text)` for the `Language` of a text, and hold no word lists and no regular expressions
over words. English has rules (`english`); a text in any other language is learned sentence by sentence, without
questions (`plain`). May import core.

- `base`: the protocol `Language`, and the choice of a text's language
- `detection`: the code of a text's language     `sentences`: a text in sentences, in any language
- `source`: a text and its statements to learn      `values`: what the rules return
- `words`, `fields`, `few_shot`, `prompts`: what is the same in every language

To add a language, such as German:

1. Make a folder `german/` beside `english/`, with a frozen dataclass `German(Plain)` with `code: str = "de"` in
   `language.py`. Override only what German has rules for; `base.py` describes each method, `plain.py` has the defaults.
2. Add `German()` to `with_rules()` in `base.py`. `base.for_text` gives it every text that is found to be German.
3. If it has rules for questions, set `has_questions`; without them a text is learned sentence by sentence.
4. `docs/extend/language.md` has the whole class, and the tests that change.

Where sentencex splits sentences wrongly, `english/abbreviations.py` shows how to correct it.
"""
