"""``lr plot``: draw a figure by its name, or all of them."""

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from scaling.errors import DataError, InputError

from ..options import NON_NEGATIVE, NUMBER, Command, flag
from ..terminal import echo

if TYPE_CHECKING:
    from scaling.plotting import NamedFigure
    from scaling.plotting.gallery import Option

_DPI = typer.Option(help="Dots per inch, of PNG files (default: 200).", **NUMBER)
#: How options of figures are read, by their kind.
_KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "number": (float, NON_NEGATIVE),
    "numbers": (list[float], NON_NEGATIVE),
    "text": (str, {"metavar": "NAME"}),
}
_ALL_FORMATS = ("png", "svg")


class _Figures(TyperGroup):
    """The figures as commands, each made when it is asked for."""

    def list_commands(self, _: Any) -> list[str]:
        from scaling.plotting import FIGURES

        return list(FIGURES)

    def get_command(self, _: Any, name: str) -> Any:
        from scaling.plotting import named_figure

        return _command(named_figure(name))


app = typer.Typer(cls=_Figures, invoke_without_command=True, add_completion=False)


@app.callback(subcommand_metavar="[NAME [OPTIONS OF THE FIGURE]]")
def plot(
    context: typer.Context,
    list_all: Annotated[
        bool, typer.Option("--list", help="List the figures, a line each.")
    ] = False,
    draw_all: Annotated[
        bool, typer.Option("--all", help="Draw all figures, as PNG and SVG, into --out.")
    ] = False,
    out: Annotated[
        str | None,
        typer.Option(metavar="DIRECTORY", help="Folder for --all (default: figures)."),
    ] = None,
    dpi: Annotated[float | None, _DPI] = None,
) -> None:
    """Draw a figure of the theory by its name, or all of them.

    lr plot --list

    lr plot learning-rate-eps --eps 0 --eps 1 --eps 10 --out surge.svg

    lr plot --all --out figures
    """
    group = {"list": list_all, "all": draw_all, "out": out, "dpi": dpi}
    given = [name for name, value in group.items() if value]
    if context.invoked_subcommand is not None:
        if given:
            raise InputError(
                f"put it after the figure's name, {context.invoked_subcommand}", given[0]
            )
    elif list_all:
        if len(given) > 1:
            raise InputError("cannot be combined with --list; leave one out", given[1])
        _list()
    elif draw_all:
        _draw_all(out or "figures", dpi)
    else:
        raise InputError("name a figure; `lr plot --list` shows them, --all draws them all")


def _list() -> None:
    from scaling.plotting import FIGURES

    width = max(map(len, FIGURES))
    for name, figure in FIGURES.items():
        echo(f"{name:{width}}  {figure.summary}")


def _draw_all(directory: str, dpi: float | None) -> None:
    from scaling.plotting import FIGURES

    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{directory}: cannot be made: {reason}") from None
    for i, (name, figure) in enumerate(FIGURES.items(), start=1):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{i}/{len(FIGURES)} {name}")
            sys.stderr.flush()
        drawn = figure.draw()
        for kind in _ALL_FORMATS:
            write(drawn, f"{directory}/{name}.{kind}", figure.summary, dpi)
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    echo(f"wrote {len(FIGURES)} figures, PNG and SVG, to {directory}")


def write(figure: Any, path: str, title: str, dpi: float | None) -> None:
    """Write a figure to a file."""
    from scaling.plotting.saving import DEFAULT_DPI, save_figure

    save_figure(figure, path, title=title, dpi=DEFAULT_DPI if dpi is None else dpi)


def _command(figure: "NamedFigure") -> Any:
    """Make the command that draws one figure, with the figure's own options."""

    def draw(out: str | None = None, dpi: float | None = None, **given: Any) -> None:
        from scaling.plotting.saving import figure_format

        path = f"{figure.name}.png" if out is None else out
        figure_format(path)  # before the work
        chosen = {name: x for name, x in given.items() if x not in (None, [])}
        drawn = figure.draw(
            **{name: tuple(x) if isinstance(x, list) else x for name, x in chosen.items()}
        )
        write(drawn, path, figure.summary, dpi)
        echo(f"wrote {path}")

    text = f"File to write, .png, .svg or .pdf (default: {figure.name}.png)."
    parameters = [
        *(_parameter(option) for option in figure.options),
        _optional("out", str, typer.Option(metavar="FILE", help=text)),
        _optional("dpi", float, _DPI),
    ]
    draw.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    draw.__annotations__ = {p.name: p.annotation for p in parameters}
    single = typer.Typer(
        add_completion=False, context_settings={"help_option_names": ["-h", "--help"]}
    )
    single.command(figure.name, cls=Command, help=figure.summary + ".", short_help=figure.summary)(
        draw
    )
    return typer.main.get_command(single)


def _parameter(option: "Option") -> inspect.Parameter:
    kind, how = _KINDS[option.kind]
    text = option.help + _default(option.default)
    return _optional(option.name, kind, typer.Option(flag(option.name), help=text, **how))


def _optional(name: str, kind: Any, option: Any) -> inspect.Parameter:
    annotation = Annotated[kind | None, option]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _default(value: Any) -> str:
    """Say the default, at the end of an option's help."""
    if isinstance(value, tuple):
        return f"; repeatable (default: {', '.join(f'{number:.3g}' for number in value)})."
    return f" (default: {value:g})." if isinstance(value, float) else f" (default: {value})."
