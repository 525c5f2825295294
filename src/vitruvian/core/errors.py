"""Errors that a user can mend: shown as one line, without a traceback, with exit code 2."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right; the message says what is wrong, where, and what to do."""


class ConfigError(UserError):
    """A key, a value or a `_target_` of the configuration is wrong."""


class DataError(UserError):
    """A data file or a folder of data is missing, broken or contradicts itself."""


class RunError(UserError):
    """A run directory or a checkpoint cannot be used as asked."""
