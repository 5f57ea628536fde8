"""What a reply made without a model says about what was learned: in English, the language of the commands."""

from __future__ import annotations

from collections.abc import Sequence

KNOWN = "This is what I have learned from you, newest first:"
KNOWN_NOTHING = "I have learned nothing from you yet."
MORE = "And {num} more."
WHY = "My last reply used this:"
WHY_NOTHING = "My last reply used nothing that I learned from you."
WHY_UNRECORDED = "I have no record of what my last reply used."
FORGET = "I am now deleting this for good, and everything that was learned from it:"
FORGET_NOTHING = (
    "Nothing that I learned fits, so nothing is forgotten. Name it in other words, or ask what I know about you. "
    "Everything about a user is deleted by the command `seal-agent forget --user NAME`."
)
UNDO = "I am now taking back what I learned last in this conversation, and will not use it any more:"
UNDO_KEPT = "The record of it stays; to delete that too, ask me to forget it."
UNDO_NOTHING = "I have learned nothing in this conversation that could be taken back."
UNDO_WAITING = "What you said last is still being learned. Ask me again when that has ended."
LEARNED, CORRECTED, FORGOTTEN, TAKEN_BACK = "Learned", "Corrected", "Forgotten", "Taken back"
FAILED, NOT_LEARNED = "That could not be done", "Not learned"
PASSAGES = "{title}: {num} passages"
MAX_SHOWN = 200  # characters of a text


def said_on(text: str, day: str) -> str:
    """A text that the user said, with its day."""
    shown = f'"{shortened(text)}"'
    return f"{day}: {shown}" if day else shown


def shortened(text: str) -> str:
    """The text in one line; a long one is cut after a word, or inside its first word if that is too long itself."""
    line = " ".join(text.split())
    if len(line) <= MAX_SHOWN:
        return line
    kept = line[: MAX_SHOWN - 2]  # with the character that shows whether a word ends before it
    return f"{kept.rpartition(' ')[0] or kept[:-1]}..."


def listed(opening: str, items: Sequence[str], *closing: str) -> str:
    """A list under its opening, with one item a line."""
    return "\n".join([opening, *(f"- {item}" for item in items), *closing])
