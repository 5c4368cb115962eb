"""What the laboratory's tables say about the theory, in numbers.

Octaves throughout: 1 is a factor of two in the learning rate.
"""

from itertools import product

import numpy as np

from scaling import GradientStatistics, Recipe, SecondMoments, TransferLaw
from scaling.plotting.data import lab_optima, lab_problems

BUDGETS, DECAYS = ("examples", "steps"), ("linear", "constant")
EPS = (1e-4, 1e-2, 1e-1)
#: "Small": at most this share of the noise scale.
SMALL = 1 / 4
RULES = {"sqrt": 0.5, "linear": 1.0, "constant": 0.0}


def rms(values):
    return float(np.sqrt(np.mean(np.square(values)))) if np.size(values) else np.nan


def common(some, others):
    """Rows of the batch sizes that both have."""
    _, i, j = np.intersect1d(some.batch_size, others.batch_size, return_indices=True)
    return i, j


def slope(base):
    """Of log2 lr over log2 B for small B, and how many batch sizes it is of."""
    middle = len(base) // 2
    small = base.batch_size <= SMALL * base.noise_scale[middle]
    if small.sum() < 3:
        return np.nan, int(small.sum())
    return float(np.polyfit(np.log2(base.batch_size[small]), base.log_rate[small], 1)[0]), int(
        small.sum()
    )


def beta1(found, **setting):
    """Octaves from beta1 = 0 to 0.9, below the noise scale and above, all beta2 and eps."""
    low, high = [], []
    for beta2, eps in product((0.999, 0.95), (1e-8, *EPS)):
        with_, without = (
            found.where(beta1=value, beta2=beta2, eps=eps, **setting) for value in (0.9, 0.0)
        )
        i, j = common(with_, without)
        shift = with_.log_rate[i] - without.log_rate[j]
        below = with_.batch_size[i] <= with_.noise_scale[i]
        low += shift[below].tolist()
        high += shift[~below].tolist()
    return low, high


def eps_shifts(found, **setting):
    """Shifts from eps = 1e-8: predicted (T-J1) and measured."""
    predicted, measured = [], []
    for first, second in product((0.9, 0.0), (0.999, 0.95)):
        base = found.where(beta1=first, beta2=second, **setting)
        for eps in EPS:
            other = found.where(beta1=first, beta2=second, eps=eps, **setting)
            for i, j in zip(*common(base, other), strict=True):
                moments = SecondMoments.from_json(base.second_moments[i])
                predicted.append(np.log2(moments.eps_shift(eps, 1e-8)))
                measured.append(other.log_rate[j] - base.log_rate[i])
    return np.array(predicted), np.array(measured)


def transfer(base):
    """RMSE over the other batch sizes from the middle one, by the law and by each rule."""
    middle = len(base) // 2
    own, rate = base.batch_size[middle], base.log_rate[middle]
    others = np.arange(len(base)) != middle
    octaves = np.log2(base.batch_size / own)
    tuned = Recipe(float(2**rate), float(own))
    law = TransferLaw(tuned, GradientStatistics(float(base.noise_scale[middle])))
    answers = {"law": np.log2(law.learning_rate(base.batch_size))}
    answers |= {name: rate + power * octaves for name, power in RULES.items()}
    return {name: rms((answer - base.log_rate)[others]) for name, answer in answers.items()}


def jointly(found, **setting):
    """RMSE over batch sizes and eps from one run at 1e-8: by T-J3, and by sqrt without eps."""
    base = found.where(**setting)
    middle = len(base) // 2
    own, rate, noise = base.batch_size[middle], base.log_rate[middle], base.noise_scale[middle]
    moments = SecondMoments.from_json(base.second_moments[middle])
    law, sqrt = [], []
    for eps in (1e-8, *EPS):
        other = found.where(eps=eps, **setting)
        for size, best in zip(other.batch_size, other.log_rate, strict=True):
            rise = np.log2((1 / own + 1 / noise) / (1 / size + 1 / noise)) / 2
            there = moments.at_batch_size(float(size), float(own), float(noise))
            shift = np.log2(there.eps_shift(eps) / moments.eps_shift(1e-8))
            law.append(rate + rise + shift - best)
            sqrt.append(rate + np.log2(size / own) / 2 - best)
    return rms(law), rms(sqrt)


def changes(found, **setting):
    """Octaves by which other changes move the optimum: mean, and the largest."""
    base = found.where(**setting)
    other = {"beta2 0.95": {"beta2": 0.95}, "cosine": {"decay": "cosine"}}
    other |= {f"warm-up {share:g}": {"warm_up": share} for share in (0.1, 0.3)}
    other |= {f"weight decay {rate:g}": {"weight_decay": rate} for rate in (0.01, 0.1, 1.0)}
    for name, change in other.items():
        changed = found.where(**(setting | change))
        i, j = common(changed, base)
        if i.size:
            shift = changed.log_rate[i] - base.log_rate[j]
            yield name, float(shift.mean()), float(shift[np.abs(shift).argmax()])


def lines():
    """All of it, line by line."""
    totals = {"law": [], **{name: [] for name in RULES}}
    for problem in lab_problems():
        found = lab_optima(problem)
        yield f"\n{problem}: {len(found)} settings"
        for budget, decay in product(BUDGETS, DECAYS):
            setting = {"budget": budget, "decay": decay}
            base = found.where(**setting)
            if len(base) < 3:
                continue
            yield f"  fixed {budget}, {decay}; noise scale {base.noise_scale[len(base) // 2]:.0f}"
            steepness, count = slope(base)
            yield f"    slope for small B      {steepness:.2f} ({count} batch sizes)"
            for name, shift in zip(("below", "above"), beta1(found, **setting), strict=True):
                if shift:
                    low, high = np.quantile(shift, (0.1, 0.9))
                    yield (
                        f"    beta1 0 to 0.9, B {name} B_n: mean {np.mean(shift):+.2f}, "
                        f"80 % within {low:+.2f} to {high:+.2f} ({len(shift)})"
                    )
            predicted, measured = eps_shifts(found, **setting)
            yield (
                f"    eps: T-J1 off by       {rms(predicted - measured):.2f} "
                f"(no shift: {rms(measured):.2f}, {measured.size})"
            )
            off = transfer(base)
            yield f"    over B from the middle {_listed(off)}"
            for name, value in off.items():
                totals[name].append(value)
            law, sqrt = jointly(found, **setting)
            yield f"    over B and eps: T-J3   {law:.2f}, sqrt without eps {sqrt:.2f}"
            for name, mean, most in changes(found, **setting):
                yield f"    {name:22} mean {mean:+.2f}, at most {most:+.2f}"
    yield f"\nover B, mean of all: {_listed({name: np.mean(x) for name, x in totals.items()})}"


def _listed(values):
    return " ".join(f"{name} {x:.2f}" for name, x in values.items())


if __name__ == "__main__":
    print(*lines(), sep="\n")
