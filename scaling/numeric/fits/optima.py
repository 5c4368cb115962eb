"""The law from a table of optima: the best learning rates found at several batch sizes."""

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError
from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.law import NoiseScale, PosteriorLaw
from scaling.numeric.inference.prior import Prior
from scaling.numeric.inputs.arrays import as_array
from scaling.numeric.laws.law import Point

#: Longer tables are not carried along with the law that they gave.
_MOST_SHOWN = 1000


def fit_optima(
    batch_size: npt.ArrayLike,
    learning_rate: npt.ArrayLike,
    *,
    noise_scale: NoiseScale | None = None,
    prior: Prior | None = None,
    name: str = "the table",
) -> PosteriorLaw:
    """Infer the law from the best learning rates found at several batch sizes.

    Parameters
    ----------
    batch_size, learning_rate : array_like, shape (points,)
        One optimum or more, each as good as the vertex of three losses; repeats (seeds) are fine.
    noise_scale : float or tuple of float, optional
        What was measured besides: a number, good to a factor of 2, or two between which it lies
        with probability 0.9.
    prior : Prior, optional
        What is believed before; learned from real sweeps by default.
    name : str, default "the table"
        What to call the table in the law's provenance.

    Returns
    -------
    PosteriorLaw

    Raises
    ------
    DataError
        If there is no optimum, or a bad value, naming the row.
    InputError
        If the arguments are not vectors of one length.

    Notes
    -----
    theory.md T-I4, T-K1 to T-K4.

    Examples
    --------
    >>> batch_size = [16, 64, 256, 1024, 4096]
    >>> law = fit_optima(batch_size, [0.5e-3, 0.9e-3, 1.4e-3, 1.1e-3, 0.6e-3])
    >>> 100 < law.peak.batch_size < 1000
    True
    """
    columns = as_array(batch_size, "batch_size"), as_array(learning_rate, "learning_rate")
    evidence = Evidence(*columns)
    count = len(evidence)
    if not count:
        raise DataError("there are no optima; one is enough, three make a fit")
    low, high = evidence.batch_size.min(), evidence.batch_size.max()
    where = f"batch sizes {low:.10g} to {high:.10g}" if low < high else f"batch size {low:.10g}"
    points = np.column_stack([evidence.batch_size, evidence.learning_rate]).tolist()
    return PosteriorLaw.of_evidence(
        evidence,
        f"fitted to {count} {'optima' if count > 1 else 'optimum'} at {where} of "
        f"{name if name.isprintable() else ascii(name)}",
        noise_scale,
        prior=prior,
        optima=tuple(Point(*point) for point in points) if count <= _MOST_SHOWN else (),
    )
