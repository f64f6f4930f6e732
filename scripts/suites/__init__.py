# SPDX-License-Identifier: GPL-2.0-only
"""The test VM and the suites of tests: what the commands of scripts/suite share."""

import os

TOP = os.environ.get("TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Failure(Exception):
    """Something that the person can read and act on."""
