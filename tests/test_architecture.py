"""Who may import whom, and what importing costs."""

import ast
import importlib
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import scaling

ROOT = Path(__file__).parents[1]

#: What each package may import of the others (architecture: cli -> plotting, engines, measure ->
#: numeric -> errors; symbolic -> errors).
ALLOWED = {
    "numeric": {"numeric", "errors"},
    "symbolic": {"symbolic", "errors"},
    "plotting": {"plotting", "data", "numeric", "errors"},
    "data": {"data", "numeric", "errors"},
    "measure": {"measure", "numeric", "errors"},
    "engines": {"engines", "numeric", "errors"},
    "lab": {"lab", "numeric", "errors"},
}


def imported(path):
    """Full names of all that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_direction_of_imports(package):
    for path in (ROOT / "scaling" / package).rglob("*.py"):
        for name in imported(path):
            first, *rest = name.split(".")
            if first == "scaling" and rest:
                assert rest[0] in ALLOWED[package], f"{path} imports {name}"
            assert first not in {"cli", "typer"}, f"{path} imports {name}"


def test_the_command_line_contains_no_formula():
    for path in (ROOT / "cli").rglob("*.py"):
        assert not {"numpy", "scipy", "sympy"} & {name.split(".")[0] for name in imported(path)}, (
            path
        )


def test_only_the_numeric_layer_tells_laws_apart():
    """Commands, figures and engines ask a law's face, never for its class."""
    for package in ("scaling/plotting", "scaling/engines", "scaling/data", "cli"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
                    assert not ast.unparse(node.args[1]).rstrip(")").endswith("Law"), path
                assert getattr(node, "name", "") != "is_swept", path


def modules():
    """Every module of the package: its name and its file."""
    for top, folder in (("scaling", ROOT / "scaling"), ("scaling.cli", ROOT / "cli")):
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join([top, *(part for part in parts if part != "__init__")]), path


MODULES = dict(modules())


def imports_of(name):
    """Modules of ours that a module imports, wherever in it and for whatever purpose."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level]
            stem = ".".join([*base, *([node.module] if node.module else [])])
            source = stem if node.level else node.module
            inner = {f"{source}.{alias.name}" for alias in node.names} & MODULES.keys()
            yield from inner
            if source in MODULES and len(inner) < len(node.names):
                yield source


def test_no_circles():
    """Also none that a TYPE_CHECKING block or an import inside a function would hide.

    The faces of packages import lazily what lies below them, and do not count.
    """
    graph = {
        name: set(imports_of(name)) for name, path in MODULES.items() if path.name != "__init__.py"
    }
    while graph:
        free = {name for name, used in graph.items() if not used & graph.keys() - {name}}
        assert free, f"among these is a circle: {sorted(graph)}"
        graph = {name: used for name, used in graph.items() if name not in free}


def test_a_folder_holds_at_most_ten_files():
    folders = {path.parent for path in MODULES.values()}
    for folder in folders:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= 10, folder


def test_an_underscore_means_that_only_its_folder_imports_it():
    for name, path in MODULES.items():
        for used in imports_of(name):
            if used.rpartition(".")[2].startswith("_"):
                assert MODULES[used].parent == path.parent, f"{name} imports {used}"


def test_every_package_is_installed():
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = sorted(name for name, path in MODULES.items() if path.name == "__init__.py")
    assert sorted(stated["tool"]["setuptools"]["packages"]) == found


def modules_after(code):
    """Names of the modules that are loaded after some code ran in a new interpreter."""
    code += "\nimport sys; print(*sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.split("\n")[-2].split())


SLOW = {"numpy", "scipy", "sympy", "mpmath", "matplotlib", "pandas", "torch", "rich"}


def test_import_of_the_package_is_free():
    assert not SLOW & modules_after("import scaling")


ASK = """
import sys
from scaling.cli.main import main
sys.argv = ["lr", *{arguments!r}]
try:
    main()
except SystemExit as stop:
    assert not stop.code
"""
RUN = ["query", "--ref-lr", "3e-4", "--ref-batch-size", "256", "--noise-scale", "4000"]


@pytest.mark.parametrize(
    "arguments",
    [
        [*RUN, "--batch-size", "1024"],
        [*RUN, "--batch-size", "1024", "--eps", "1e-6", "--grad-rms", "2e-6", "--json"],
        [*RUN[:-2], "--batch-size", "1024"],
    ],
)
def test_query_imports_nothing_slow(arguments):
    assert modules_after(ASK.format(arguments=arguments)) & SLOW == {"numpy"}


def test_figures_leave_pyplot_alone():
    code = ASK.format(arguments=["plot", "beta", "--out", "/dev/null/never.png"])
    code = code.replace("not stop.code", "stop.code == 1")  # which it cannot write
    assert "matplotlib" in modules_after(code)
    assert "matplotlib.pyplot" not in modules_after(code)


def test_help_needs_no_numpy():
    assert modules_after(ASK.format(arguments=["query", "--help"])) & SLOW <= {"rich"}


#: Faces whose names need an extra.
TRAINING = {"lab", "measure"}
FACES = [
    pytest.param(path.parent, marks=[pytest.mark.torch] * (path.parent.name in TRAINING))
    for path in sorted((ROOT / "scaling").rglob("__init__.pyi"))
]


@pytest.mark.parametrize("folder", FACES, ids=lambda folder: folder.name)
def test_a_face_offers_what_its_stub_says(folder):
    face = importlib.import_module(".".join(folder.relative_to(ROOT).parts))
    tree = ast.parse((folder / "__init__.pyi").read_text())
    stated = [
        a.asname for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names
    ]
    assert sorted(stated) == sorted(face.__all__) == dir(face)
    for name in stated:
        assert getattr(face, name).__doc__
    with pytest.raises(AttributeError, match="no_such"):
        face.no_such  # noqa: B018


MISSPELT = """
import scaling
reveal_type(scaling.load_law("law.json").learning_rate(512, eps="1"))
scaling.fit_sweeep("runs.csv")
"""


def test_a_type_checker_knows_the_names_and_their_types(tmp_path):
    (tmp_path / "script.py").write_text(MISSPELT)
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", tmp_path / "script.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    said = run.stdout
    assert "fit_sweeep" in said, said + run.stderr
    assert 'Unexpected keyword argument "eps" for "learning_rate" of "Law"' in said
    assert len(said.splitlines()) <= 5, said


# A snapshot: a change of the public face is made here on purpose, or is a mistake.
PLAIN_LAW = (
    "reference_batch_size, reference_learning_rate, noise_batch_size, critical_batch_size, "
    "provenance"
)
SWEEP_COLUMNS = "batch_size_column, lr_column, loss_column, eps_column, seed_column"
SWEEP_OPTIONS = "noise_scale, prior, scores, progress"
SIMULATED = (
    "law, batch_sizes, learning_rates, covariates, eps, repetitions, noise, curvature, asymmetry, "
    "departure, divergence, missing, seed"
)
TRANSFER = "eps, beta1, moments, population, provenance, beta2, step, horizon, second_moments"
SIGNATURES = f"""
BatchSizeLaw({PLAIN_LAW})
DataError(args, kwargs)
GradientPopulation(cells, nans, infinities)
GradientStatistics(noise_scale, grad_rms, curvature_ratio)
InputError(message, parameter)
MissingExtraError(library, extra)
Recipe(learning_rate, batch_size, eps, beta1, beta2, weight_decay)
ScalingError(args, kwargs)
SecondMoments(counts, sums, zeros, negatives, nans, infinities)
TransferLaw(recipe, statistics, {TRANSFER})
fit_optima(batch_size, learning_rate, noise_scale, prior, name)
fit_steps(batch_size, steps)
fit_sweep(data, {SWEEP_COLUMNS}, covariates, where, {SWEEP_OPTIONS})
fit_tradeoff(data, batch_size_column, steps_column, group_column, covariate, where)
learning_rate_error(batch_size, eps, beta1, beta2, moments, exact, population, curvature_ratio)
load_law(path)
plan(known, batch_size, covariates, batch_sizes, cost, least, eps, pool)
quadratic_optimum(gradient, variance, hessian, batch_size, eps, beta1, beta2, step, moments)
recipe(known, batch_size, rule, law, eps)
save_law(law, path)
schedule(law, ramp, steps, extrapolate, multiply)
simulate_sweep({SIMULATED})
update_moments(signal, damping, beta1, beta2, step, moments)
"""


def test_public_signatures():
    found = []
    for name in scaling.__all__:
        value = getattr(scaling, name)
        if callable(value):
            try:
                parameters = list(inspect.signature(value).parameters)
            except ValueError:
                parameters = ["args", "kwargs"]
            found.append(f"{name}({', '.join(parameters)})")
    assert found == SIGNATURES.split("\n")[1:-1]


#: Functions of a file, whose docstring shows none.
FILES = {"load_law", "save_law"}


def test_every_public_docstring_has_an_example_or_is_a_plain_record():
    for name in scaling.__all__:
        value = getattr(scaling, name)
        if inspect.isfunction(value) and name not in FILES:
            assert ">>>" in value.__doc__, name


def test_readme_shows_what_the_demo_prints(lr, marek, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(ROOT)
    ran = lr("query", "--points", marek.relative_to(ROOT), "--batch-size", 512)
    assert ran.out.split("\n\n")[0] in (ROOT / "README.md").read_text()
