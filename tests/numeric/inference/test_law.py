"""A posterior as a law: what it answers is what its draws say."""

import json

import numpy as np
import pytest

from scaling import InputError, Recipe, SecondMoments, load_law, save_law
from scaling.numeric.inference.law import PosteriorLaw
from scaling.numeric.inference.prior import Prior
from scaling.numeric.laws import rules_of_thumb

RUN = Recipe(3e-4, 256)
BATCH = np.array([16.0, 256.0, 1024.0, 16384.0])


@pytest.fixture(scope="module")
def law():
    return PosteriorLaw.of_tuned_run(RUN)


@pytest.fixture(scope="module")
def ranged():
    return PosteriorLaw.of_tuned_run(RUN, (1e3, 1e4))


def test_it_goes_through_the_tuned_run_and_rises_less_than_the_square_root(law):
    assert law.reference == (256, 3e-4)
    assert law.learning_rate(256) == pytest.approx(3e-4, rel=0.03)
    assert 3e-4 < law.learning_rate(1024) < rules_of_thumb(law, 1024)["sqrt"]
    assert law.learning_rate_limit == pytest.approx(law.learning_rate(1e12), rel=0.1)


def test_a_new_sweep_scatters_more_than_the_law_and_a_higher_level_holds_more(law):
    low, high = law.interval(BATCH)
    law_low, law_high = law.law_interval(BATCH)
    # Far from the run the law's own width is nearly all.
    assert np.all((low <= law_low) & (law_high <= high))
    assert low[1] < law_low[1]
    assert law_high[1] < high[1]
    assert np.all((law_low < law.learning_rate(BATCH)) & (law.learning_rate(BATCH) < law_high))
    assert np.all(law.interval(BATCH, 0.5)[0] > low)
    with pytest.raises(InputError, match="level"):
        law.interval(BATCH, 1.0)


def test_intervals_widen_away_from_the_tuned_run(law):
    low, high = law.interval(BATCH)
    width = np.log2(high / low)
    assert width.argmin() == 1
    assert width[3] > width[2]


def test_units_of_batch_size_and_learning_rate_do_not_matter(law):
    other = PosteriorLaw.of_tuned_run(Recipe(3e-4 * 64, 256 * 1024))
    np.testing.assert_allclose(
        other.learning_rate(BATCH * 1024) / 64, law.learning_rate(BATCH), rtol=1e-3
    )


def test_a_range_of_the_noise_scale_tells_of_b_crit_as_nearly_as_in_trainings(ranged):
    """One tuned run tells nothing of it: two normal distributions are multiplied."""
    scales = Prior.load().scales
    (middle, spread), (over, apart) = scales["corner"], scales["corner_over_noise"]
    error = np.log2(10) / 2 / 1.6448536  # the range is one of 90 %
    means = np.array([8 + middle, np.log2(1e3 * 10**0.5) + over])
    weights = np.array([spread**-2, 1 / (apart**2 + error**2)])
    found = np.log2(ranged.posterior.parameters()["critical_batch_size"])
    deviation = weights.sum() ** -0.5
    # 500 draws of three digits, 4 standard errors.
    allowed = 4 * deviation / np.sqrt(len(found))
    assert found.mean() == pytest.approx((weights * means).sum() / weights.sum(), abs=allowed)
    assert found.std() == pytest.approx(deviation, abs=allowed)


def test_a_range_narrows_the_answer_and_asks_for_more(law, ranged):
    def width(one):
        low, high = one.law_interval(64)
        return np.log2(high / low)

    assert width(ranged) < width(law)
    assert [fact.key for fact in law.advice()] == ["narrow"]
    assert [fact.key for fact in ranged.advice()] == ["narrow the noise scale"]
    assert ranged.assumptions()[0]["high"] == 1e4


def test_estimates_lie_within_their_intervals(law, ranged):
    for one in (law, ranged):
        for name, (low, high) in one.parameter_intervals().items():
            assert low <= getattr(one, name) <= high


def test_shapes_and_what_is_no_batch_size(law):
    assert np.shape(law.learning_rate(256)) == ()
    assert law.learning_rate(BATCH.reshape(2, 2)).shape == (2, 2)
    assert law.interval(BATCH.reshape(2, 2))[1].shape == (2, 2)
    assert law.learning_rate([]).shape == (0,)
    assert law.regime(-1) == "invalid"
    for answer in (law.learning_rate, law.exponent, law.steps_factor):
        assert np.isnan(answer([0.0, np.nan, np.inf])).all()
    many = np.geomspace(1, 1e6, 1000)
    np.testing.assert_array_equal(law.interval(many)[0][::7], law.interval(many[::7])[0])


def test_no_peak_and_no_warning_from_one_run(law):
    assert law.peak is None
    assert law.warnings(1e6) == ()
    assert law.search_space(1024).warnings == ()


def test_a_file_answers_the_same_and_is_small(ranged, tmp_path):
    path = tmp_path / "law.json"
    save_law(ranged, path)
    assert path.stat().st_size < 200_000
    again = load_law(path)
    assert again.to_dict() == ranged.to_dict()
    assert (again.recipe, again.provenance) == (ranged.recipe, ranged.provenance)
    np.testing.assert_array_equal(again.interval(BATCH), ranged.interval(BATCH))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda law: law["posterior"]["draws"][3].pop(),
        lambda law: law["posterior"].update(draws=[]),
        lambda law: law["posterior"].update(center="far"),
        lambda law: law["posterior"].update(more=1),
        lambda law: law["posterior"]["diagnostics"].update(effective="many"),
        lambda law: law.pop("recipe"),
        lambda law: law.update(noise_scale=[1]),
    ],
)
def test_a_spoilt_file_is_refused(law, spoil, tmp_path):
    path = tmp_path / "law.json"
    save_law(law, path)
    document = json.loads(path.read_text())
    spoil(document)
    path.write_text(json.dumps(document))
    with pytest.raises(Exception, match="law") as caught:
        load_law(path)
    assert type(caught.value).__name__ == "DataError"


MOMENTS = SecondMoments.from_arrays([1e-12, 4e-10, 1e-8])


def test_eps_changes_by_second_moments_though_no_noise_scale_is_known(law, tmp_path):
    shifted = PosteriorLaw.of_tuned_run(RUN, eps=1e-5, second_moments=MOMENTS)
    t = np.sqrt([1e-12, 4e-10, 1e-8])
    u, tuned = t / (t + 1e-5), t / (t + 1e-8)
    factor = (t @ u) / (t @ u**2) * (t @ tuned**2) / (t @ tuned)  # T-J1
    assert shifted.learning_rate(256) == pytest.approx(law.learning_rate(256) * factor, rel=1e-4)
    # T-J1 is good to a quarter of its octaves, one standard error, besides.
    rate, half = law.learning_rate(256), 1.6448536 * np.log2(factor) / 4
    low, high = (np.hypot(np.log2(end / rate), half) for end in law.interval(256))
    ends = rate * factor * np.exp2([-low, high])
    assert shifted.interval(256) == pytest.approx(tuple(ends), rel=1e-4)
    assert dict(shifted.eps_effect(256).values)["factor"] == pytest.approx(factor, rel=1e-4)
    at_tuned = shifted.at(eps=1e-8).learning_rate(BATCH)
    assert at_tuned == pytest.approx(law.learning_rate(BATCH), rel=1e-3)  # T-J2: v depends on B
    save_law(shifted, tmp_path / "law.json")
    again = load_law(tmp_path / "law.json")
    assert again.learning_rate(BATCH).tolist() == shifted.learning_rate(BATCH).tolist()
    with pytest.raises(InputError, match="eps"):
        PosteriorLaw.of_tuned_run(RUN, eps=1e-5)
