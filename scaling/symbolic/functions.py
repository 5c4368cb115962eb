"""The functions of the argument: softsign and its stand-ins, the Gaussian, scaled tails."""

from typing import Any

import sympy


def softsign(x: sympy.Expr, eps: sympy.Expr) -> sympy.Expr:
    """Return x / sqrt(x^2 + eps^2), Adam's update with epsilon inside the root.

    Parameters
    ----------
    x, eps : sympy.Expr

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> import sympy
    >>> softsign(sympy.Integer(3), sympy.Integer(4))
    3/5
    """
    return x / sympy.sqrt(x**2 + eps**2)


def isru(x: sympy.Expr, slope: sympy.Expr) -> sympy.Expr:
    """Return x / sqrt(x^2 + 1/slope^2), the smooth stand-in of an S-curve (T-B2).

    Parameters
    ----------
    x, slope : sympy.Expr
        ``slope`` is the S-curve's slope at 0.

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> import sympy
    >>> isru(sympy.Integer(3), sympy.Rational(1, 4))
    3/5
    """
    return x / sympy.sqrt(x**2 + 1 / slope**2)


def normal_density(x: sympy.Expr, scale: sympy.Expr | int = 1) -> sympy.Expr:
    """Return the density at x of a centred Gaussian with this standard deviation.

    Examples
    --------
    >>> import sympy
    >>> normal_density(sympy.Integer(0))
    sqrt(2)/(2*sqrt(pi))
    """
    return sympy.exp(-(x**2) / (2 * scale**2)) / (sympy.sqrt(2 * sympy.pi) * scale)


class erfcx(sympy.Function):  # type: ignore[misc]  # noqa: N801 (SciPy's name, which lambdify prints)
    """The scaled complementary error function exp(z^2) erfc(z).

    Examples
    --------
    >>> import sympy
    >>> erfcx(sympy.Symbol("z")).rewrite(sympy.erfc)
    exp(z**2)*erfc(z)
    """

    nargs = 1

    def _eval_rewrite_as_erfc(self, z: sympy.Expr, **_: Any) -> sympy.Expr:
        return sympy.exp(z**2) * sympy.erfc(z)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"\operatorname{{erfcx}}{power}\left({printer.doprint(self.args[0])}\right)"


class kve(sympy.Function):  # type: ignore[misc]  # noqa: N801 (SciPy's name, which lambdify prints)
    """The scaled modified Bessel function exp(z) K_n(z).

    Examples
    --------
    >>> import sympy
    >>> kve(1, sympy.Symbol("z")).rewrite(sympy.besselk)
    exp(z)*besselk(1, z)
    """

    nargs = 2

    def _eval_rewrite_as_besselk(self, n: sympy.Expr, z: sympy.Expr, **_: Any) -> sympy.Expr:
        return sympy.exp(z) * sympy.besselk(n, z)

    def _latex(self, printer: Any) -> str:
        order, z = (printer.doprint(argument) for argument in self.args)
        return rf"e^{{{z}}} K_{{{order}}}\left({z}\right)"
