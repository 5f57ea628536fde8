"""The rules for English: parts of speech, questions, pronouns, relative time, contradictions."""
