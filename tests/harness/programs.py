"""Programs that tests compare with. `.ci/run` installs them, so that nothing is skipped there."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str) -> str:
    """Path of a program. On a machine without it the test is skipped, in CI (`CI` is set) it fails."""
    path = shutil.which(name)
    if path is not None:
        return path
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed; .ci/run installs what the tests compare with")
    pytest.skip(f"{name} is not installed: nothing to compare with")
