"""The vectors of the general questions, computed once for a model and kept in the data directory for all namespaces.

They hold no user's text. A file that is missing, damaged or of other questions is made again.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from seal_agent.core.errors import StorageError
from seal_agent.retention.index import Embedder
from seal_agent.storage.database import Home
from seal_agent.storage.files import write_whole

FOLDER = "general"

log = logging.getLogger(__name__)


def vectors_of(home: Home, model: str, embedder: Embedder, texts: Sequence[str]) -> NDArray[np.float32]:
    """The unit vectors (n, d) of `texts`, from the file of `model` or computed now and stored.

    Those of a user's own embedder are always computed: its settings are not known.
    """
    if embedder.identity:
        return embedder.embed(texts)
    named = hashlib.sha256("\0".join((model, *texts)).encode()).hexdigest()[:16]
    path = home.root / FOLDER / f"{named}.npy"
    with suppress(OSError, ValueError, EOFError):
        kept: NDArray[np.float32] = np.load(path, allow_pickle=False)
        if kept.dtype == np.float32 and kept.ndim == 2 and len(kept) == len(texts):
            return kept
    made = embedder.embed(texts)
    np.save(content := io.BytesIO(), made)
    try:
        write_whole(path, content.getvalue())
    except StorageError as error:
        log.warning("the vectors of the general questions were not kept: %s", error)
    return made
