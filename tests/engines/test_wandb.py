"""W&B's sweep configuration, against its JSON schema."""

import json

import jsonschema
import pytest
import yaml

from scaling import InputError
from scaling.engines.wandb import form, learning_rate, sweep_configuration

SIZES = [16, 512, 4096]


@pytest.fixture(scope="module")
def schema(request):
    data = request.config.rootpath / "tests" / "engines" / "wandb_sweep_schema.json"
    return jsonschema.Draft7Validator(json.loads(data.read_text()))


def test_the_schema_accepts_it_and_would_not_accept_anything(law, schema):
    configuration = sweep_configuration(law, SIZES)
    schema.validate(configuration)
    for spoil in (
        lambda c: c.update(method="tpe"),
        lambda c: c["parameters"]["lr_multiplier"].pop("max"),
        lambda c: c["parameters"]["lr_multiplier"].update(distribution="loguniform"),
        lambda c: c["parameters"]["lr_multiplier"].update(min=0),
        lambda c: c.update(parameter={}),
    ):
        spoilt = json.loads(json.dumps(configuration))
        spoil(spoilt)
        with pytest.raises(jsonschema.ValidationError):
            schema.validate(spoilt)


def test_the_multiplier_reaches_every_interval_and_no_further(law):
    configuration = sweep_configuration(law, SIZES, level=0.95)
    multiplier = configuration["parameters"]["lr_multiplier"]
    assert multiplier["distribution"] == "log_uniform_values"
    reach = []
    for size in SIZES:
        low, high = law.interval(size, 0.95)
        ends = [
            learning_rate({"batch_size": size, "lr_multiplier": multiplier[end]}, law)
            for end in ("min", "max")
        ]
        assert ends[0] <= low * (1 + 1e-12)
        assert high * (1 - 1e-12) <= ends[1]
        reach.append((low / ends[0], ends[1] / high))
    assert min(low for low, _ in reach) == pytest.approx(1)
    assert min(high for _, high in reach) == pytest.approx(1)


def test_form_is_the_configuration_in_yaml(law, schema):
    text = form([law.search_space(size) for size in SIZES])
    found = yaml.safe_load(text)
    schema.validate(found)
    assert found == sweep_configuration(law, SIZES)
    assert f"{law.learning_rate(512):.6g} at batch_size 512" in text


def test_batch_sizes_are_needed_and_ranges_warned_of(law):
    with pytest.raises(InputError, match="at least one"):
        sweep_configuration(law, [])
    with pytest.warns(UserWarning, match="extrapolated"):
        sweep_configuration(law, [512, 16384])
