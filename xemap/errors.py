"""Errors that a user can act on.

Every message names the thing that is wrong, its value and what to do. The command-line tools print
it as one line and exit with status 2 (see :mod:`xemap.cli`).
"""

from __future__ import annotations


class XeMapError(Exception):
    """Base of every error whose message is meant for the user."""


class ConfigError(XeMapError):
    """A config value or key that does not fit."""


class DataError(XeMapError):
    """A file that is missing, broken, or not what it claims to be."""


class OutOfSpaceError(DataError):
    """The disk, a quota or the largest allowed file is full; what was finished is kept."""


class LayoutError(DataError):
    """A file or folder of another make than its source's documented one; converters never skip it."""


class CheckpointError(XeMapError):
    """A checkpoint that cannot be read safely or belongs to another architecture."""
