"""An object of the user's own Python code, named on the command line as "module:object"."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import typer


def chat_model(named: str) -> Any:
    """The chat model that `named` stands for: an object of a module, or what a function or class there returns.

    The module is looked for in the working directory as well. Raises `typer.BadParameter` for anything else.
    """
    module, _, name = named.partition(":")
    if not module or not name:
        raise typer.BadParameter(f"{named!r} names no object; give module:object, such as writers:larger")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), name)
        is_model = hasattr(found, "invoke") and not isinstance(found, type)
        model = found() if callable(found) and not is_model else found
    except (ImportError, AttributeError) as error:
        raise typer.BadParameter(f"{named!r} cannot be imported: {error}; name an object of your own module") from None
    except Exception as error:  # edge of the program: it is the user's own code
        raise typer.BadParameter(f"{named!r} failed: {type(error).__name__}: {error}") from error
    if not hasattr(model, "invoke"):
        raise typer.BadParameter(f"{named!r} is {model!r}, which is no LangChain chat model")
    return model
