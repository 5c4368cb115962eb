"""Fits of a form to what the cells say: many at once, so that refits are cheap.

A cell's optimum departs from any law by some scatter. Its cost curve, as a likelihood, is
folded with Student's t of scale tau (heavy tails: a cell that is plain wrong does not drag the
law along); minus twice the logarithm is what the law pays for the value it predicts. tau has
its own likelihood, with the parameters integrated out (Laplace), which is what restricted
maximum likelihood does.
"""

from dataclasses import dataclass

import numpy as np

from scaling.numeric.fits.forms import Design, Form
from scaling.numeric.inputs.arrays import FloatArray, IntArray

#: Degrees of freedom of the scatter's t distribution.
TAILS = 5.0
#: Scatters that are tried, in octaves.
SCATTERS = np.log(2) * np.geomspace(0.01, 1.3, 15)
_MOST_STEPS = 80
_LONGEST_STEP = 3.0


@dataclass(frozen=True, eq=False)
class Curves:
    """Cost of a predicted log learning rate, for T tables of C cells.

    Piecewise quadratic on an even grid, continued by straight lines.

    Attributes
    ----------
    start, step : float
        The grid.
    value, slope : ndarray, shape (T, C, G)
    best : ndarray, shape (T, C)
        Where the cost is least.
    """

    start: float
    step: float
    value: FloatArray
    slope: FloatArray
    best: FloatArray

    def split(self, tables: int) -> "Curves":
        """Take one table of many cells for several tables of fewer."""
        shape = (tables, -1, self.value.shape[2])
        return Curves(
            self.start,
            self.step,
            self.value.reshape(shape),
            self.slope.reshape(shape),
            self.best.reshape(tables, -1),
        )

    def at(self, m: FloatArray, table: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Cost, slope and a curvature for Newton's method at m, shape (R, C).

        ``table`` holds for each row the number of its table.
        """
        position = (m - self.start) / self.step
        node = np.clip(position, 0, self.value.shape[2] - 2).astype(np.intp)
        cells = np.arange(m.shape[1])
        at = (table[:, None], cells, node)
        past = (table[:, None], cells, node + 1)
        t = position - node
        inside = np.clip(t, 0, 1)
        first, second = self.slope[at], self.slope[past]
        slope = first + (second - first) * inside
        value = self.value[at] + self.step * (
            first * inside + (second - first) * inside**2 / 2 + slope * (t - inside)
        )
        away = m - self.best[table[:, None], cells]
        with np.errstate(divide="ignore", invalid="ignore"):
            secant = np.where(np.abs(away) > self.step, slope / away, 0.0)
        bend = np.maximum(np.maximum(secant, (second - first) / self.step), 1e-9)
        return value, slope, bend


def fold(grid: FloatArray, cost: FloatArray, scatter: FloatArray) -> Curves:
    """Fold cost curves (C, G) with each of T scatters (natural units)."""
    from scipy.special import stdtr

    step = float(grid[1] - grid[0])
    weight = np.exp(-np.minimum(cost, 1400.0) / 2)
    apart = np.arange(grid.size)
    tables = []
    for tau in scatter:
        # Integrated over each step of the grid, so that scatters finer than it do no harm;
        # as differences of the lower tail, which is accurate far out.
        inner = stdtr(TAILS, (0.5 - apart) * step / tau)
        outer = stdtr(TAILS, (-0.5 - apart) * step / tau)
        kernel = inner - outer
        mirrored = np.concatenate([kernel[:0:-1], kernel])
        toeplitz = np.lib.stride_tricks.sliding_window_view(mirrored, grid.size)[::-1]
        tables.append(-2 * np.log(weight @ toeplitz))
    return curves(grid, np.stack(tables))


def curves(grid: FloatArray, value: FloatArray) -> Curves:
    """Make continuous curves of values (T, C, G)."""
    step = float(grid[1] - grid[0])
    slope = np.gradient(value, step, axis=2)
    rise = np.cumsum((slope[..., 1:] + slope[..., :-1]) * (step / 2), axis=2)
    smooth = np.concatenate([np.zeros_like(rise[..., :1]), rise], axis=2)
    smooth += (value - smooth).mean(axis=2, keepdims=True)
    return Curves(float(grid[0]), step, smooth, slope, grid[np.argmin(smooth, axis=2)])


@dataclass(frozen=True, eq=False)
class Found:
    """Minima: parameters (R, P), costs (R,) and second derivatives (R, P, P)."""

    theta: FloatArray
    cost: FloatArray
    hessian: FloatArray


def minimise(
    form: Form,
    design: Design,
    tables: Curves,
    starts: FloatArray,
    *,
    table: IntArray | None = None,
    weights: FloatArray | None = None,
    shift: FloatArray | None = None,
    held: dict[int, FloatArray] | None = None,
) -> Found:
    """Minimise cost plus prior from every start, all at once (Levenberg-Marquardt).

    Parameters
    ----------
    form, design, tables
        What is fitted to what.
    starts : ndarray, shape (R, P)
    table : ndarray of int, shape (R,), optional
        Which table each row is fitted to; the first by default.
    weights : ndarray, shape (R, C), optional
        What each cell counts.
    shift : ndarray, shape (R, C), optional
        By how much each cell's curve is moved.
    held : dict, optional
        Values (R,) of parameters, by number, that are not fitted.
    """
    rows, size = starts.shape
    theta = starts.copy()
    held = held or {}
    for k, value in held.items():
        theta[:, k] = value
    free = np.array([k not in held for k in range(size)])
    spread = form.spreads(design.z.shape[1])
    table = np.zeros(rows, dtype=np.intp) if table is None else table

    def evaluate(points: FloatArray, which: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        m, jacobian = form.evaluate(points, design)
        if shift is not None:
            m = m - shift[which]
        value, slope, bend = tables.at(m, table[which])
        if weights is not None:
            value, slope, bend = (weights[which] * part for part in (value, slope, bend))
        away = points / spread
        cost = value.sum(axis=1) + (away**2).sum(axis=1)
        gradient = (slope[:, None, :] @ jacobian)[:, 0] + 2 * away / spread
        transposed = np.swapaxes(jacobian, 1, 2)
        hessian = (transposed * bend[:, None, :]) @ jacobian
        hessian[:, range(size), range(size)] += 2 / spread**2
        return cost, gradient, hessian

    everyone = np.arange(rows)
    cost, gradient, hessian = evaluate(theta, everyone)
    damping = np.full(rows, 1e-3)
    active = everyone
    quiet = np.zeros(rows, dtype=int)
    for _ in range(_MOST_STEPS):
        step = _step(gradient[active], hessian[active], damping[active], free)
        trial = theta[active] + step
        new_cost, new_gradient, new_hessian = evaluate(trial, active)
        better = new_cost < cost[active]
        gain = np.where(better, cost[active] - new_cost, 0.0)
        taken = active[better]
        theta[taken], cost[taken] = trial[better], new_cost[better]
        gradient[taken], hessian[taken] = new_gradient[better], new_hessian[better]
        damping[active] = np.where(better, damping[active] / 5, damping[active] * 6)
        quiet[active] = np.where(gain < 1e-5, quiet[active] + 1, 0)
        active = active[(quiet[active] < 4) & (damping[active] < 1e8)]
        if not active.size:
            break
    return Found(theta, cost, hessian)


def _step(
    gradient: FloatArray, hessian: FloatArray, damping: FloatArray, free: FloatArray
) -> FloatArray:
    """Damped Newton steps of limited length."""
    step = np.zeros_like(gradient)
    inner = hessian[:, free][:, :, free].copy()
    size = inner.shape[1]
    diagonal = inner[:, range(size), range(size)]
    inner[:, range(size), range(size)] += damping[:, None] * (diagonal + 1e-6)
    step[:, free] = -np.linalg.solve(inner, gradient[:, free][..., None])[..., 0]
    longest = np.abs(step).max(axis=1, keepdims=True)
    return np.asarray(step * np.minimum(1, _LONGEST_STEP / np.maximum(longest, 1e-300)))


def best_of(found: Found, repeats: int) -> Found:
    """Best of every ``repeats`` consecutive rows."""
    cost = found.cost.reshape(-1, repeats)
    rows = np.arange(cost.shape[0]) * repeats + np.argmin(cost, axis=1)
    return Found(found.theta[rows], found.cost[rows], found.hessian[rows])


def at_scale(form: Form, design: Design, starts: FloatArray, optimum: FloatArray) -> FloatArray:
    """Set the log-linear terms of starts by least squares to the optima, shape (S, P)."""
    value, _ = form.evaluate(starts, design)
    rest = optimum - value
    solution, *_ = np.linalg.lstsq(design.constant, rest.T, rcond=1e-6)
    result = starts.copy()
    result[:, : solution.shape[0]] += solution.T
    return result
