"""Write tests/numeric/moments/exact_moments.csv: T-F1, T-F2 and T-F4 by mpmath at 50 digits.

Run by hand (ten minutes): python tests/numeric/moments/make_exact_reference.py

Nothing here is shared with `scaling`: softsign is integrated as theory writes it (T-F1) or taken
from the Voigt profile (T-F2), and T-F4 by Gauss-Legendre panels in log tau, with sums over lags
taken one by one, or, where beta2 is near 1, by Euler-Maclaurin (whose terms are polylogarithms).
Rounded to 25 digits, which is also how far the quadrature is good.
"""

import csv
from pathlib import Path

import mpmath as mp

DIGITS = 50
OUTPUT = Path(__file__).parent / "exact_moments.csv"

SOFTSIGN_A = ["1e-8", "1e-3", "0.1", "0.7", "1", "3", "6", "9", "40", "1e4", "1e8"]
SOFTSIGN_B = ["0", "1e-8", "1e-4", "0.03", "0.5", "1", "2.5", "7", "30", "1e4", "1e8"]

#: beta1, beta2, step (0 stands for infinity), where eps stands.
ADAM = [
    ("0", "0", 1, "outside"),
    ("0.9", "0.999", 1, "inside"),
    ("0.9", "0.95", 2, "outside"),
    ("0.9", "0.999", 10, "outside"),
    ("0.5", "0.9", 0, "outside"),
    ("0.9", "0.95", 0, "outside"),
    ("0.9", "0.95", 0, "inside"),
    ("0.9", "0.999", 0, "outside"),
    ("0.9", "0.9999", 0, "outside"),
    ("0.8", "0.2", 1000, "outside"),
]
ADAM_POINTS = [
    (a, b) for a in ("1e-6", "0.2", "1.5", "12", "1e8") for b in ("0", "1e-5", "0.4", "3", "1e8")
]


def softsign(a, b):
    """T-F1 by quadrature with breaks where the integrand bends, T-F2 by the Voigt profile."""
    a, b = mp.mpf(a), mp.mpf(b)
    scale = 1 / mp.sqrt(a**2 + b**2 + 1)
    breaks = {mp.mpf(0), mp.mpf(1), *(min(scale * k, mp.mpf(1)) for k in (1, 3, 6, 12, 25))}
    edge = min(b**2, mp.mpf(1) / 2)
    breaks |= {1 - edge * mp.mpf(10) ** k for k in (-3, -2, -1, 0) if edge > 0}

    def integrand(u):
        left = 1 - u**2
        return mp.exp(-(a**2 * u**2 + (b**2 * u**2 / left if b else 0)) / 2) if left else mp.mpf(0)

    mean = a * mp.sqrt(2 / mp.pi) * mp.quad(integrand, sorted(breaks), maxdegree=10)
    with mp.workdps(DIGITS + 60):
        z = mp.mpc(a, b) / mp.sqrt(2)
        # exp(-z^2) erfc(-iz), which overflows apart; far out by its asymptotic series.
        if abs(z) < 1000:
            faddeeva = mp.exp(-(z**2)) * mp.erfc(-1j * z)
        else:
            faddeeva = sum(
                mp.gamma(k + mp.mpf(1) / 2) / z ** (2 * k + 1) for k in range(30)
            ) * mp.mpc(0, 1 / mp.pi)
        second_moment = 1 - mp.pi * b * faddeeva.real / mp.sqrt(2 * mp.pi)
    return mean, second_moment


def lag_sums(tau, beta1, beta2, step):
    """Sums of T-F4 at one tau: exp(-sum log d/2), P, C, D."""
    steps = step or mp.inf
    c0 = (1 - beta1) / (1 if steps == mp.inf else 1 - beta1**steps)
    w0 = (1 - beta2) / (1 if steps == mp.inf else 1 - beta2**steps)
    x0 = 2 * tau * w0
    slowest = beta1 if beta2 > mp.mpf("0.99") and not step else max(beta1, beta2)
    count = step or int(-70 / mp.log10(slowest)) // 2 + 1
    C = D = logs = P = mp.mpf(0)
    c, x = c0, x0
    for _ in range(count):
        C += c / (1 + x)
        D += c * c / (1 + x)
        if slowest >= beta2 or step:
            logs += mp.log(1 + x)
            P += x / (1 + x) / 2
        c, x = c * beta1, x * beta2
    if not (slowest >= beta2 or step):
        rate = -mp.log(beta2)

        def euler_maclaurin(order):
            """Sum over k of -Li_order(-x0 exp(-rate k))."""

            def li(s):
                return -mp.polylog(s, -x0).real

            total = li(order + 1) / rate + li(order) / 2
            for j in range(1, 9):
                factor = mp.bernoulli(2 * j) / mp.factorial(2 * j)
                total += factor * rate ** (2 * j - 1) * li(order - 2 * j + 1)
            return total

        logs, P = euler_maclaurin(1), euler_maclaurin(0) / 2
    return mp.exp(-logs / 2), P, C, D


def gauss_legendre(count):
    """Nodes and weights on [0, 1]."""
    nodes = []
    for i in range(count):
        x = mp.cos(mp.pi * (i + mp.mpf(3) / 4) / (count + mp.mpf(1) / 2))
        for _ in range(8):
            p, q = mp.mpf(1), x
            for n in range(2, count + 1):
                p, q = q, ((2 * n - 1) * x * q - (n - 1) * p) / n
            slope = count * (x * q - p) / (x * x - 1)
            x -= q / slope
        nodes.append(((1 + x) / 2, 1 / ((1 - x * x) * slope**2)))
    return nodes


def adam(beta1, beta2, step, eps, points):
    """T-F4 at many (a, b), over panels of unit width in log tau."""
    beta1, beta2 = mp.mpf(beta1), mp.mpf(beta2)
    # At t = 1 the integrand of the second moment falls as tau^(-1/2), at t = 2 as tau^(-1).
    last = {1: 130, 2: 70}.get(step, 45 if step or beta2 < mp.mpf("0.5") else 12)
    rule = gauss_legendre(16)
    totals = {point: [mp.mpf(0), mp.mpf(0)] for point in points}
    for panel in range(-100, last):
        for node, weight in rule:
            tau = mp.exp(panel + node)
            A, P, C, D = lag_sums(tau, beta1, beta2, step)
            kernels = {b: kernel(mp.mpf(b) * mp.sqrt(tau), eps) for _, b in points}
            for (a_text, b), total in totals.items():
                a = mp.mpf(a_text)
                first, second = kernels[b]
                common = weight * A * mp.exp(-a * a * P)
                total[0] += common * mp.sqrt(tau / mp.pi) * first * a * C
                total[1] += common * tau * second * ((a * C) ** 2 + D)
    return totals


def kernel(z, eps):
    """K1 sqrt(pi tau) and K2 at z = b sqrt(tau), by T-F4 as it stands, at enough digits."""
    if eps == "inside":
        return (mp.exp(-z * z),) * 2
    with mp.workdps(DIGITS + 60):
        scaled = mp.exp(z * z) * mp.erfc(z) if z < 1e4 else asymptotic_erfcx(z)
        return (
            1 - mp.sqrt(mp.pi) * z * scaled,
            (1 + 2 * z * z) * scaled - 2 * z / mp.sqrt(mp.pi),
        )


def asymptotic_erfcx(z):
    """exp(z^2) erfc(z) for large z."""
    term = total = mp.mpf(1)
    for k in range(1, 30):
        term *= -(2 * k - 1) / (2 * z * z)
        total += term
    return total / (z * mp.sqrt(mp.pi))


if __name__ == "__main__":
    mp.mp.dps = DIGITS
    rows = [
        ("exact-softsign", "", "", "", a, b, *softsign(a, b))
        for a in SOFTSIGN_A
        for b in SOFTSIGN_B
    ]
    for beta1, beta2, step, eps in ADAM:
        model = "exact-adam" if eps == "outside" else "exact-adam-inside"
        found = adam(beta1, beta2, step, eps, ADAM_POINTS)
        rows += [(model, beta1, beta2, step, a, b, *found[a, b]) for a, b in ADAM_POINTS]
        print(model, beta1, beta2, step, flush=True)
    with OUTPUT.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["model", "beta1", "beta2", "step", "signal", "damping", "mean", "second_moment"]
        )
        writer.writerows([*row[:6], *(mp.nstr(x, 25) for x in row[6:])] for row in rows)
