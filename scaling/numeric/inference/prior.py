"""What is believed before any evidence (T-K2): one normal distribution per parameter."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from scaling.errors import DataError
from scaling.numeric.inference.family import Family
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.inputs.files import read_text

_LEARNED = Path(__file__).with_name("prior.json")
_LARGEST_FILE = 100_000
#: What all families share: a flat level, and a misfit whose scale is a parameter of its own.
_FIXED = {"level": (0.0, np.inf), "misfit": (0.0, 1.0)}
NAMES = (
    "corner",
    "ratio",
    "log_sharpness",
    "exponent",
    "corner_exponent",
    "log_scatter",
    "log_misfit",
    "log_group_scatter",
    "eps_scale",
    "log_eps_spread",
    "corner_over_noise",
)


@dataclass(frozen=True)
class Prior:
    """Means and standard deviations of the parameters of `Family`.

    Attributes
    ----------
    scales : mapping of str to (float, float)
        By name: ``corner`` (log2 of B_crit over the middle of the batch sizes tried), ``ratio``
        (log2 B_n/B_crit), ``log_sharpness``, exponents of a covariate in the learning rate
        and in B_crit, natural logarithms of the scales (octaves) of what the law leaves over: of
        one optimum (``log_scatter``), of neighbouring ones (``log_misfit``), of a whole group
        (``log_group_scatter``); ``eps_scale`` is log2 of the median sqrt(v) of a huge
        batch, and ``log_eps_spread`` the log of the standard deviation of log sqrt(v);
        ``corner_over_noise`` is no parameter but log2 of B_crit over a noise scale that was
        measured half-way through a tuned run.
    source : str
        Where the numbers come from.
    """

    scales: Mapping[str, tuple[float, float]]
    source: str = ""

    def __post_init__(self) -> None:
        for name in NAMES:
            if name not in self.scales:
                raise DataError(f"the prior has no {name!r}; it needs {', '.join(NAMES)}")
        for name, pair in self.scales.items():
            if name not in NAMES:
                raise DataError(f"the prior has an unknown {name!r}; known are {', '.join(NAMES)}")
            if len(pair) != 2 or not np.isfinite(pair).all() or not pair[1] > 0:
                raise DataError(
                    f"the prior's {name} must be a mean and a positive standard deviation"
                )

    @classmethod
    def load(cls, path: Path | str | None = None) -> Self:
        """Read a prior from JSON; without a path, the one learned from real sweeps.

        What a file leaves out is as learned.

        Raises
        ------
        DataError
            If the file is not such a prior.

        Examples
        --------
        >>> Prior.load().scales["log_sharpness"][1] > 0
        True
        """
        where = _LEARNED if path is None else Path(path)
        text = read_text(where, _LARGEST_FILE)
        try:
            found = json.loads(text)
            scales = {str(k): (float(m), float(s)) for k, (m, s) in found["scales"].items()}
            source = str(found.get("source", ""))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise DataError(
                f'{str(where)!a} is not a prior: JSON like {{"scales": {{"corner": [0, 4]}}}}'
            ) from None
        learned = {} if path is None else cls.load().scales
        try:
            return cls({**learned, **scales}, source)
        except DataError as error:
            raise DataError(f"{str(where)!a}: {error}") from None

    def moments(self, family: Family) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of every parameter of a family, (d,) each."""
        table = {**self.scales, **_FIXED}
        mean, spread = np.array([table[name] for name in family.names], dtype=float).T
        return mean, spread
