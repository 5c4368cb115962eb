"""The errors that this package raises on purpose.

Each message is one line that says what is wrong, where, and what to do.
"""


class ScalingError(Exception):
    """Base class of every error raised on purpose by this package."""


class InputError(ScalingError, ValueError):
    """An argument is malformed, or arguments contradict each other.

    Parameters
    ----------
    message : str
        What is wrong and what to do, on one line, without the argument's name.
    parameter : str, optional
        Name of the offending argument, such as ``"beta1"``. The command line
        translates it into the option that the user typed.
    """

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(message if parameter is None else f"{parameter}: {message}")
        self.message = message
        self.parameter = parameter


class MissingExtraError(ScalingError, ImportError):
    """A library that an optional part needs is not installed; the message names the extra.

    Parameters
    ----------
    library : str
        Name of the distribution that is missing, such as ``"optuna"``.
    extra : str
        The extra of this package that brings it.
    """

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(
            f"{library} is not installed; pip install 'adam-lr-scaling[{extra}]' brings it"
        )


class DataError(ScalingError, ValueError):
    """A file or a table cannot be used; the message names the file and the row."""
