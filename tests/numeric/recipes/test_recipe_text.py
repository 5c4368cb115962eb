"""Recipes as text, against the optimizers themselves where they are installed."""

import ast

import pytest

from scaling import InputError, Recipe
from scaling.numeric.recipes import constructor_lines
from scaling.numeric.recipes.recipe_text import parse_recipe

TUNED = Recipe(3e-4, 256, eps=1e-8, beta1=0.9, beta2=0.95, weight_decay=0.1)


def call(line):
    """Name and keyword arguments of a constructor line."""
    tree = ast.parse(line, mode="eval").body
    return ast.unparse(tree.func), {k.arg: ast.literal_eval(k.value) for k in tree.keywords}


def test_lines_hold_the_recipe():
    lines = constructor_lines(TUNED)
    assert call(lines["torch"]) == (
        "torch.optim.AdamW",
        {"lr": 3e-4, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1},
    )
    assert call(lines["optax"]) == (
        "optax.adamw",
        {
            "learning_rate": 3e-4,
            "b1": 0.9,
            "b2": 0.95,
            "eps": 1e-8,
            "eps_root": 0.0,
            "weight_decay": 0.1,
        },
    )
    assert all("# eps outside the root" in line for line in lines.values())


def test_without_weight_decay_it_is_adam():
    lines = constructor_lines(Recipe(3e-4, 256, beta1=0.9, beta2=0.95))
    assert call(lines["torch"])[0] == "torch.optim.Adam"
    assert call(lines["optax"])[0] == "optax.adam"
    assert all("weight_decay" not in line for line in lines.values())


def test_eps_inside_the_root_is_optax_only():
    lines = constructor_lines(TUNED, eps="inside")
    assert list(lines) == ["optax"]
    _, arguments = call(lines["optax"])
    assert (arguments["eps"], arguments["eps_root"]) == (0.0, pytest.approx(1e-16))
    assert "# eps inside the root" in lines["optax"]
    none = Recipe(3e-4, 256, eps=0, beta1=0.9, beta2=0.95)
    assert list(constructor_lines(none, eps="inside")) == ["torch", "optax"]


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999, 0.99999804, 1 - 1e-12, 0.123456789])
def test_decay_rates_keep_the_digits_that_matter(beta):
    written = call(constructor_lines(Recipe(1, 1, beta1=0.5, beta2=beta))["torch"])[1]["betas"][1]
    assert 1 - written == pytest.approx(1 - beta, rel=1e-5)
    assert 0 <= written < 1


@pytest.mark.torch
@pytest.mark.parametrize("eps", [1e-8, 3e-3])
def test_torch_means_what_the_comment_says(eps):
    torch = pytest.importorskip("torch", reason="needs the extra torch")
    recipe = Recipe(1e-3, 256, eps=eps, beta1=0.9, beta2=0.95, weight_decay=0.1)
    weight = torch.nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    model = torch.nn.ParameterList([weight])
    optimizer = eval(constructor_lines(recipe)["torch"], {"torch": torch, "model": model})  # noqa: S307
    assert step_by(torch_gradient(weight, optimizer), recipe) == pytest.approx(0, abs=1e-15)


@pytest.mark.torch
@pytest.mark.parametrize("place", ["outside", "inside"])
def test_optax_means_what_the_comment_says(place):
    jax = pytest.importorskip("jax", reason="needs the extra optax")
    optax = pytest.importorskip("optax", reason="needs the extra optax")
    recipe = Recipe(1e-3, 256, eps=3e-3, beta1=0.9, beta2=0.95, weight_decay=0.1)
    transform = eval(constructor_lines(recipe, eps=place)["optax"], {"optax": optax})  # noqa: S307
    weights = jax.numpy.asarray([2.0])
    updates, _ = transform.update(jax.numpy.asarray([4e-3]), transform.init(weights), weights)
    off = step_by(2.0 + float(updates[0]), recipe, inside=place == "inside")
    assert off == pytest.approx(0, abs=3e-7)  # single precision
    wrong = step_by(2.0 + float(updates[0]), recipe, inside=place != "inside")
    assert abs(wrong) > 1e-5


def torch_gradient(weight, optimizer):
    weight.grad = weight.detach() * 0 + 4e-3
    optimizer.step()
    return float(weight.detach()[0])


def step_by(after, recipe, inside=False):
    """Difference to the first step of AdamW on a gradient of 4e-3 from a weight of 2."""
    g, eps = 4e-3, recipe.eps
    direction = g / ((g * g + eps * eps) ** 0.5 if inside else g + eps)
    wanted = 2.0 - recipe.learning_rate * (direction + recipe.weight_decay * 2.0)
    return after - wanted


def test_lines_need_decay_rates_and_a_place():
    with pytest.raises(InputError, match="both decay rates"):
        constructor_lines(Recipe(3e-4, 256, beta1=0.9))
    with pytest.raises(InputError, match="'outside' or 'inside'"):
        constructor_lines(TUNED, eps="root")


def test_a_recipe_is_read():
    text = "lr=3e-4, batch_size = 32x8,eps=1e-9,beta1=0.8,beta2=0.95,weight_decay=0.1"
    assert parse_recipe(text) == Recipe(3e-4, 256, 1e-9, 0.8, 0.95, 0.1)
    assert parse_recipe("batch_size=256,lr=3e-4") == Recipe(3e-4, 256)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must be NAME=NUMBER"),
        ("lr", "must be NAME=NUMBER"),
        ("lr=3e-4,batch_size=256,", "must be NAME=NUMBER"),
        ("lr=3e-4,batch_size=256,momentum=0.9", "momentum"),
        ("lr=3e-4,batch_size=256,lr=1", "lr is given twice"),
        ("lr=3e-4", "batch_size is missing"),
        ("batch_size=256", "lr is missing"),
        ("lr=0,batch_size=256", "lr must be"),
        ("lr=3e-4,batch_size=32x", "batch_size must be"),
        ("lr=3e-4,batch_size=256,beta1=1", "beta1 must be"),
        ("lr=3e-4,batch_size=256,eps=-1", "eps must be"),
        ("lr=3e-4,batch_size=256,weight_decay=nan", "weight_decay must be"),
        ("lr=3e-4=5,batch_size=256", "lr must be"),
    ],
)
def test_malformed_recipes(text, says):
    with pytest.raises(InputError, match=says):
        parse_recipe(text)
