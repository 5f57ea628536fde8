"""The one tree of errors.

    SealError                 everything this package raises on purpose
    ├── InputError            the user's input: an empty or binary document, a bad option
    │   ├── MissingExtra      something optional is not installed (an ImportError too)
    │   └── ContextLengthExceeded   a prompt or a text of more tokens than the model reads, or may be asked for
    ├── ModelError            the model: unknown name, damaged GGUF, no chat template
    │   └── ServerError       the server that runs the model is away, broken, or another than expected
    ├── StorageError          the disk: not writable, full, a damaged adapter or database
    │   └── StackChanged      another process changed the stack while an edit was learned on top of it
    │       └── Erased        everything of a user was erased while something was learned for that user
    ├── Refused               the user's own rule wants something not learned (`LearnerConfig.before_learn`)
    ├── AdapterError          an adapter or stack that is unknown or does not fit the model
    └── EditFault             the *model* wrote a malformed self-edit; goes back into its context
        └── TrainingFault     a self-edit that cannot be trained: its loss is not finite, or its layers do not exist

Every message says what happened, the value seen and what to do. The command line prints it on one
line and exits with code 2. `EditFault` is the model's fault, never the user's: the graph catches it,
lets the model try again and writes what is left into the ledger.
"""


class SealError(Exception):
    """Base of every error raised on purpose by seal-agent."""


class InputError(SealError):
    """The user's input cannot be used; the message says what to change."""


class MissingExtra(InputError, ImportError):
    """A library of an extra is not installed; the message names the extra."""


class ContextLengthExceeded(InputError):
    """A prompt or a text has more tokens than the model reads, or than one request may have."""


class ModelError(SealError):
    """A model cannot be loaded or lacks what learning needs."""


class ServerError(ModelError):
    """The server that runs the model does not answer, or not as it should."""


class StorageError(SealError):
    """The disk refused: a folder that cannot be written, no space, damaged files."""


class StackChanged(StorageError):
    """The stack an edit was learned on is not the one served any more; the edit is to be learned again."""


class Erased(StackChanged):
    """The user an edit was learned for is forgotten: nothing of it may be kept."""


class AdapterError(SealError):
    """An adapter or stack is unknown, damaged or belongs to another model."""


class Refused(SealError):
    """Raised by the user's own rule, with the reason: the episode is closed and nothing is learned from it."""


class EditFault(SealError):
    """The model wrote a self-edit that cannot be trained on."""


class TrainingFault(EditFault):
    """A self-edit cannot be trained as its directives say; nothing of it is kept."""
