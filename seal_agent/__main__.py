"""`python -m seal_agent`, the same as `seal-agent`."""

from __future__ import annotations

import sys

from seal_agent.cli.entry import main

sys.exit(main())
