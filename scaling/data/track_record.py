"""How near each route to a learning rate came to optima of real trainings that it had not seen."""

import json
from pathlib import Path

from scaling.errors import InputError
from scaling.numeric.facts import Fact, fact

_RECORD = Path(__file__).with_name("evidence.json")


def track_record(route: str) -> Fact:
    """State how near a route came, beside rules of thumb.

    Parameters
    ----------
    route : str
        What is known of the training: ``"tuned run"``, ``"noise scale"`` (measured along it),
        ``"second moments"`` (and another eps is asked for), ``"second moments, noise scale"``,
        ``"optima"`` or ``"runs"`` of a sweep at other batch sizes, ``"unseen setting"`` (a sweep
        at other settings).

    Returns
    -------
    Fact
        ``octaves``: root mean square error of the learning rate, a factor of two being 1;
        ``sqrt``, and ``best`` of the rule of thumb (``rule``) that came nearest in hindsight,
        likewise; ``inside``: share of the optima inside the 90 % interval, ``width`` in octaves;
        ``trainings`` and ``optima``: how many.

    Raises
    ------
    InputError
        If there is no such route.

    Notes
    -----
    Measured by ``make evidence``; tests/evidence/EVIDENCE.md has it by training.

    Examples
    --------
    >>> found = track_record("runs")
    >>> found["octaves"] < found["best"] < found["sqrt"]
    True
    """
    routes = json.loads(_RECORD.read_text())
    if route not in routes:
        raise InputError(f"must be one of {', '.join(routes)}, got {route!r}", "route")
    told = routes[route]
    rules = {name: error for name, error in told["rmse"].items() if name not in _OURS}
    rule = min(rules, key=rules.__getitem__)
    return fact(
        "track record",
        octaves=told["rmse"]["law"],
        sqrt=rules["sqrt"],
        rule=rule,
        best=rules[rule],
        inside=told["coverage"],
        width=told["width"],
        trainings=told["trainings"],
        optima=told["optima"],
    )


#: What is no rule of thumb.
_OURS = ("law", "T-I2")
