"""``lr simulate``: the runs of a made-up sweep with a known law, to plan a real one."""

from typing import Annotated

import typer

from ..options import BATCH_SIZE, NON_NEGATIVE, NUMBER
from ..terminal import echo


def simulate(
    lr: Annotated[
        float, typer.Option(help="True optimum at the first batch size given.", **NUMBER)
    ],
    critical_batch_size: Annotated[float, typer.Option(help="True B_crit.", **BATCH_SIZE)],
    noise_batch_size: Annotated[float, typer.Option(help="True B_n.", **BATCH_SIZE)],
    batch_size: Annotated[
        list[float], typer.Option(help="Batch size of the grid; repeatable.", **BATCH_SIZE)
    ],
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="CSV to write; standard output by default."),
    ] = None,
    learning_rate: Annotated[
        list[float] | None,
        typer.Option(
            help="Learning rate of the grid; repeatable (default: steps of sqrt 2 around all "
            "optima).",
            **NUMBER,
        ),
    ] = None,
    covariate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="Value of a covariate to run, such as N=1e9; repeatable. The first of each is "
            "what --lr, --critical-batch-size and --noise-batch-size refer to.",
        ),
    ] = None,
    lr_exponent: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="Exponent of the rate in a covariate."),
    ] = None,
    critical_exponent: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="Exponent of B_crit and B_n in a covariate."),
    ] = None,
    repetitions: Annotated[int, typer.Option(help="Seeds of each run.", min=1)] = 1,
    noise: Annotated[
        float,
        typer.Option(help="Relative standard deviation of a loss from run to run.", **NON_NEGATIVE),
    ] = 0.001,
    curvature: Annotated[
        float, typer.Option(help="Relative rise of the loss one octave off.", **NUMBER)
    ] = 0.01,
    departure: Annotated[
        float,
        typer.Option(help="Scatter of true optima about the law, in octaves.", **NON_NEGATIVE),
    ] = 0.0,
    missing: Annotated[
        float, typer.Option(help="Share of runs that are missing.", **NON_NEGATIVE)
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the random numbers.", min=0)] = 0,
) -> None:
    """Make up the runs of a sweep whose law is known, as CSV.

    Fit it with `lr fit` to see how far a grid, a noise and a number of seeds
    would determine the law, before you pay for the real sweep.

    lr simulate --lr 3e-4 --critical-batch-size 200 --noise-batch-size 2000
    --batch-size 16 --batch-size 64 --batch-size 256 --batch-size 1024 > runs.csv
    """
    from scaling import simulate_sweep
    from scaling.numeric.fits import known_law
    from scaling.numeric.tables.run_tables import write_runs

    values = _values(covariate or [])
    law = known_law(
        learning_rate=lr,
        reference_batch_size=batch_size[0],
        noise_batch_size=noise_batch_size,
        critical_batch_size=critical_batch_size,
        covariates={name: numbers[0] for name, numbers in values.items()},
        learning_rate_exponents=_exponents(lr_exponent or [], values, "lr_exponent"),
        critical_exponents=_exponents(critical_exponent or [], values, "critical_exponent"),
    )
    runs = simulate_sweep(
        law,
        batch_size,
        learning_rate or None,
        covariates=values,
        repetitions=repetitions,
        noise=noise,
        curvature=curvature,
        departure=departure,
        missing=missing,
        seed=seed,
    )
    text = write_runs(runs, out)
    if text is not None:
        echo(text, nl=False)


def _values(texts: list[str]) -> dict[str, list[float]]:
    """Read NAME=NUMBER, any number of values by name."""
    from scaling.numeric.inputs.text import parse_settings

    values: dict[str, list[float]] = {}
    for text in texts:
        for name, number in parse_settings([text], "covariate").items():
            values.setdefault(name, []).append(number)
    return values


def _exponents(texts: list[str], known: dict[str, list[float]], option: str) -> dict[str, float]:
    from scaling.numeric.inputs.text import parse_finite, parse_settings

    return parse_settings(texts, option, dict.fromkeys(known, parse_finite))
