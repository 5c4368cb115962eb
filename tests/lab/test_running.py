"""A run may be cut off, shared out and taken up: the tables are the same byte by byte."""

import csv
import multiprocessing
import signal
import time
from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
pytest.importorskip("joblib", reason="needs the extra 'torch'")

from scaling import SecondMoments, fit_sweep  # noqa: E402
from scaling.errors import DataError, InputError  # noqa: E402
from scaling.lab import read_configuration, run_configuration  # noqa: E402
from scaling.lab.cells import run_cell  # noqa: E402
from scaling.lab.problems.quadratic import Quadratic  # noqa: E402

pytestmark = pytest.mark.torch


def journal_of(out):
    return out.with_name(f".{out.name}.journal")


def tables(out):
    return out.read_bytes(), out.with_suffix(".measured.csv").read_bytes()


@pytest.fixture
def undisturbed(tiny, tmp_path):
    out = tmp_path / "undisturbed.csv"
    told = []
    run_configuration(
        read_configuration(tiny), out, progress=lambda done, total: told.append(done / total)
    )
    assert not journal_of(out).exists()
    assert told == sorted(told)
    assert (told[0], told[-1], len(told)) == (0, 1, 17)
    return tables(out)


def test_every_run_is_a_row_that_lr_fit_reads(tiny, tmp_path, undisturbed):
    cells = read_configuration(tiny).cells()
    rows = list(csv.DictReader(undisturbed[0].decode().splitlines()))
    runs = Counter((row["batch_size"], row["eps"], row["beta1"]) for row in rows)
    assert len(runs) == len(cells)
    assert min(runs.values()) >= 5 * 2
    assert len({tuple(row.values()) for row in rows}) == len(rows)
    table = tmp_path / "undisturbed.csv"
    found = fit_sweep(table, where="beta1 == 0", scores=False)
    assert len(found.runs) == sum(row["beta1"] == "0" for row in rows)


def test_the_first_seed_is_measured_where_it_trained_best(tiny):
    cell = read_configuration(tiny).cells()[0]
    result = run_cell(cell)
    assert [(m.fraction, m.seed) for m in result.measured] == [(0.5, 0), (1.0, 0)]
    assert [m.step for m in result.measured] == [cell.steps // 2, cell.steps]
    mean = {}
    for run in result.runs:
        mean.setdefault(run.learning_rate, []).append(run.loss)
    best = min(mean, key=lambda rate: np.mean(mean[rate]))
    assert {m.learning_rate for m in result.measured} == {best}
    # Of a quadratic loss the noise is the same all along.
    trace = float(Quadratic().deviation.square().sum())
    for measured in result.measured:
        assert abs(measured.noise.trace - trace) < 5 * measured.noise.trace_error
        assert SecondMoments.from_json(measured.second_moments).count == 64


def test_the_best_learning_rate_is_between_others(tiny):
    for cell in read_configuration(tiny).cells()[::5]:
        runs = run_cell(cell).runs
        mean = {}
        for run in runs:
            mean.setdefault(run.exponent, []).append(np.inf if run.loss is None else run.loss)
        order = sorted(mean)
        best = order.index(min(order, key=lambda k: np.mean(mean[k])))
        assert 2 <= best < len(order) - 2
        assert order == list(range(order[0], order[-1] + 1))


def test_killed_twenty_times(tiny, tmp_path):
    text = tiny.read_text().replace("[1, 4, 16, 64]", "[4]").replace("= 256", "= 4096")
    tiny.write_text(text.replace("[1e-8, 1]", str([2.0**-k for k in range(32)])))
    configuration = read_configuration(tiny)
    run_configuration(configuration, tmp_path / "undisturbed.csv")
    out = tmp_path / "killed.csv"
    journal = journal_of(out)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["scaling.lab.running"])
    generator = np.random.default_rng(0)
    lines = kills = 0
    while kills < 20:
        process = context.Process(target=run_configuration, args=(configuration, out))
        process.start()
        # Wherever it is, once it has come further.
        while process.is_alive() and lines_of(journal) == lines:
            time.sleep(0.001)
        process.join(generator.uniform(0, 0.05))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert not out.exists()
        lines, kills = lines_of(journal), kills + 1
    run_configuration(configuration, out)
    assert tables(out) == tables(tmp_path / "undisturbed.csv")


def lines_of(journal):
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def test_a_line_cut_off_anywhere_is_trained_again(tiny, tmp_path, undisturbed):
    out, configuration = tmp_path / "torn.csv", read_configuration(tiny)

    class Enough(Exception):  # noqa: N818
        pass

    def stop(done, total):
        if done > total / 2:
            raise Enough

    with pytest.raises(Enough):
        run_configuration(configuration, out, progress=stop)
    journal = journal_of(out)
    whole = journal.read_bytes()
    assert 0 < whole.count(b"\n") < 16
    assert not out.exists()
    for cut in (1, 2, len(whole.splitlines()[-1]) - 1):
        journal.write_bytes(whole[:-cut])
        run_configuration(configuration, out)
        assert tables(out) == undisturbed
        out.unlink()
    journal.write_bytes(b"{}\n" + whole)
    with pytest.raises(DataError, match="line 1 is no record of a cell"):
        run_configuration(configuration, out)


@pytest.mark.parametrize("jobs", [2, 3])
def test_the_number_of_workers_changes_nothing(tiny, tmp_path, undisturbed, jobs):
    out = tmp_path / "parallel.csv"
    run_configuration(read_configuration(tiny), out, jobs=jobs)
    assert tables(out) == undisturbed


@pytest.mark.filterwarnings("default")  # of other libraries, on their threads
def test_a_dask_cluster_of_two_workers(tiny, tmp_path, undisturbed):
    distributed = pytest.importorskip("distributed", reason="needs the extra 'dask'")
    out = tmp_path / "dask.csv"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        run_configuration(
            read_configuration(tiny), out, backend="dask", address=cluster.scheduler_address
        )
    assert tables(out) == undisturbed


def test_what_exists_is_not_overwritten(tiny, tmp_path):
    out, configuration = tmp_path / "runs.csv", read_configuration(tiny)
    out.write_text("mine")
    with pytest.raises(DataError, match="exists already"):
        run_configuration(configuration, out)
    assert out.read_text() == "mine"
    with pytest.raises(DataError, match="there is no folder"):
        run_configuration(configuration, tmp_path / "no" / "runs.csv")
    with pytest.raises(InputError, match="give that of the Dask scheduler"):
        run_configuration(configuration, tmp_path / "a.csv", backend="dask")
    with pytest.raises(InputError, match="goes with --backend dask"):
        run_configuration(configuration, tmp_path / "a.csv", address="tcp://localhost:1")


def test_other_cells_in_the_journal_do_no_harm(tiny, tmp_path):
    out, configuration = tmp_path / "runs.csv", read_configuration(tiny)
    tiny.write_text(tiny.read_text().replace("[1, 4, 16, 64]", "[1, 4, 16]"))
    fewer = read_configuration(tiny)

    def stop(done, total):
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_configuration(configuration, out, progress=stop)
    run_configuration(fewer, out)
    sizes = {row["batch_size"] for row in csv.DictReader(out.read_text().splitlines())}
    assert sizes == {"1", "4", "16"}
