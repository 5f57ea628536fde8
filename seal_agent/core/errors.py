"""The tree of errors.

    SealError                 every error that this package raises on purpose
    ├── InputError            the user's input: an empty or binary document, a bad option
    │   ├── MissingExtra      a library of an extra is not installed (an ImportError too)
    │   └── ContextLengthExceeded   a prompt or text with too many tokens
    ├── ModelError            the model: unknown name, damaged GGUF, no chat template
    │   └── ServerError       the model server is unreachable, broken or of another kind
    ├── StorageError          the disk: not writable, full, a damaged adapter or database
    │   └── StackChanged      another process changed the stack while an edit was learned on top of it
    │       └── Erased        the user was erased while an edit was learned for that user
    ├── Refused               the user's own rule forbids an edit (`LearnerConfig.before_learn`)
    ├── AdapterError          an adapter or stack that is unknown or does not fit the model
    └── EditFault             the *model* wrote a malformed self-edit; goes back into its context
        ├── TrainingFault     a self-edit that cannot be trained: its loss is not finite, or its layers do not exist
        └── WriterFault       the chat model that writes (`LearnerConfig.writer`) does not answer

Every message says what happened, the value seen and what to do. The command line prints it on one
line and exits with code 2. `EditFault` is the model's fault, not the user's: the learner catches it,
lets the model try again and writes the last fault into the ledger.
"""


class SealError(Exception):
    """Base of every error raised on purpose by seal-agent."""


class InputError(SealError):
    """The user's input cannot be used; the message says what to change."""


class MissingExtra(InputError, ImportError):
    """A library of an extra is not installed; the message names the extra."""


class ContextLengthExceeded(InputError):
    """A prompt or text has more tokens than the model or one request may have."""


class ModelError(SealError):
    """A model cannot be loaded or lacks what learning needs."""


class ServerError(ModelError):
    """The model server does not answer, or answers unexpectedly."""


class StorageError(SealError):
    """Reading or writing the disk failed: a folder that is not writable, no space, damaged files."""


class StackChanged(StorageError):
    """The stack changed since the edit's training began; learn the edit again."""


class Erased(StackChanged):
    """The user was erased while an edit was learned for that user; nothing of the edit may be stored."""


class AdapterError(SealError):
    """An adapter or stack is unknown, damaged or belongs to another model."""


class Refused(SealError):
    """Raised by the user's own rule with a reason; closes the episode without learning."""


class EditFault(SealError):
    """The model wrote a self-edit that cannot be trained on."""


class TrainingFault(EditFault):
    """A self-edit cannot be trained with its directives; nothing is stored."""


class SameAgain(EditFault):
    """No usable row is left, and another attempt would give the same rows."""


class WriterFault(EditFault):
    """The chat model that writes does not answer; the next attempt asks it again."""
