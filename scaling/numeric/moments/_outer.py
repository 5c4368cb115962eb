"""Sums of products f(a) g(b) over nodes, as matrix products where a and b form a grid."""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray

#: Numbers held at a time in one factor: 16 MB.
_CHUNK = 2**21


def outer_sums(
    a: FloatArray,
    b: FloatArray,
    left: Callable[[FloatArray], Sequence[FloatArray]],
    right: Callable[[FloatArray], Sequence[FloatArray]],
    nodes: int,
    count: int,
) -> list[FloatArray]:
    """Return sum_j left_i(a)_j right_i(b)_j for each pair i of factors.

    Parameters
    ----------
    a, b : ndarray
        Shapes that broadcast. Along axes where only one of them varies, the sums are matrix
        products; along axes that they share they are taken element by element.
    left, right : callable
        Return as many factors each, with one axis more than their argument: the nodes.
    nodes : int
        Length of that axis.
    count : int
        Number of pairs.
    """
    ndim = max(a.ndim, b.ndim)
    a, b = (x.reshape((1,) * (ndim - x.ndim) + x.shape) for x in (a, b))
    only_a = [i for i in range(ndim) if b.shape[i] == 1 != a.shape[i]]
    only_b = [i for i in range(ndim) if a.shape[i] == 1 != b.shape[i]]
    shared = [i for i in range(ndim) if i not in only_a + only_b]
    order = [*shared, *only_a, *only_b]
    shape = np.broadcast_shapes(a.shape, b.shape)
    common, *own = (int(np.prod([shape[i] for i in axes])) for axes in (shared, only_a, only_b))
    a = a.transpose(order).reshape(common, own[0])
    b = b.transpose(order).reshape(common, own[1])
    rows = max(1, _CHUNK // nodes)
    steps = max(1, rows // min(rows, max(1, *own))), rows, rows
    results = [np.empty((common, *own)) for _ in range(count)]
    lengths = common, *own
    for s, i, j in product(*map(range, (0, 0, 0), lengths, steps)):
        at = slice(s, s + steps[0])
        of_a, of_b = slice(i, i + rows), slice(j, j + rows)
        for result, f, g in zip(results, left(a[at, of_a]), right(b[at, of_b]), strict=True):
            result[at, of_a, of_b] = np.matmul(f, g.swapaxes(1, 2))
    back = np.argsort(order)
    return [x.reshape([shape[i] for i in order]).transpose(back) for x in results]
