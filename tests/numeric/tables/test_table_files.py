"""Tables from files and data frames: what is read, and what is refused and how."""

import csv
import gzip
import io
import json
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from scaling import DataError, InputError, MissingExtraError, ScalingError
from scaling.numeric.tables import Table, as_table, read_table_file
from scaling.numeric.tables._files import _read_csv

RUNS = {
    "bs": [64, 128, 256],
    "lr": [1e-3, 2e-3, 3e-4],
    "loss": [3.25, None, 3.5],
    "model": ["85M", None, "1.2B"],
}
FRAMES = {
    "dict": lambda runs: runs,
    "arrays": lambda runs: {name: np.array(column) for name, column in runs.items()},
    "records": lambda runs: [
        dict(zip(runs, row, strict=True)) for row in zip(*runs.values(), strict=True)
    ],
    "pandas": pd.DataFrame,
    "pandas, nullable": lambda runs: pd.DataFrame(runs).convert_dtypes(),
    "pandas, arrow": lambda runs: pd.DataFrame(runs).convert_dtypes(dtype_backend="pyarrow"),
    "pandas, categories": lambda runs: pd.DataFrame(runs).astype({"model": "category"}),
    "pandas, single precision": lambda runs: pd.DataFrame(runs).astype({"lr": "float32"}),
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
}

# As W&B's "export to CSV" writes a table of runs: every cell in quotes, notes of any kind.
WANDB = """\
"Name","State","Notes","Created","config.optimizer.lr","config.batch_size","summary.val/loss"
"brisk-sun-1","finished","","2025-01-02T03:04:05.000Z","0.001","64","3.25"
"calm-moon-2","crashed","too hot,
# or so it ""seemed""

","2025-01-02T03:04:06.000Z","0.002","128","NaN"
"proud-star-3","finished","","2025-01-02T03:04:07.000Z","3e-4","256","3.5"
"""

# As Optuna writes the data frame of a study's trials.
OPTUNA = """\
,number,value,datetime_start,datetime_complete,duration,params_batch_size,params_lr,state
0,0,3.25,2025-01-02 03:04:05.1,2025-01-02 03:04:06.2,0 days 00:00:01.1,64,0.001,COMPLETE
1,1,,2025-01-02 03:04:05.1,2025-01-02 03:04:06.2,0 days 00:00:01.1,128,0.002,FAIL
2,2,3.5,2025-01-02 03:04:05.1,2025-01-02 03:04:06.2,0 days 00:00:01.1,256,0.0003,COMPLETE
"""


def write(path, content):
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content, "utf-8")
    return path


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_data_frames(make):
    table = as_table(make(RUNS))
    assert len(table) == 3
    assert table.names == ("bs", "lr", "loss", "model")
    assert table.numbers("bs").tolist() == table.batch_sizes("bs").tolist() == RUNS["bs"]
    # A rate in single precision is the decimal number that was meant.
    assert table.positive("lr").tolist() == RUNS["lr"]
    np.testing.assert_array_equal(table.numbers("loss", missing=True), [3.25, np.nan, 3.5])
    assert table.texts("model") == ["85M", "", "1.2B"]
    assert table.texts("bs") == ["64", "128", "256"]
    with pytest.raises(DataError, match=r"^the table: index 1: loss must be a number, finite"):
        table.numbers("loss")
    with pytest.raises(DataError, match=r"^the table: index 0: model .*'85M'"):
        table.numbers("model")
    assert as_table(table) is table


def test_structured_arrays_and_whole_numbers_beyond_floating_point():
    table = as_table(np.array([(1, 0.5)], dtype=[("bs", int), ("lr", float)]), source="mine")
    assert (table.numbers("bs"), table.numbers("lr")) == (1, 0.5)
    huge = as_table({"loss": [10**400, 1], "run": [True, 1]})
    assert huge.numbers("loss", missing=True).tolist() == [np.inf, 1]
    with pytest.raises(DataError, match="'True'"):
        huge.numbers("run")


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (3, InputError, "must be a mapping.*got int"),
        (None, InputError, "got NoneType"),
        ({}, InputError, "must be a mapping"),
        (np.zeros(3), InputError, "must be a mapping"),
        ([1, 2], InputError, "got list"),
        (pl.DataFrame(RUNS).lazy(), InputError, r"collect\(\)"),
        ([], DataError, "there is no row"),
        ({"lr": []}, DataError, "there is no row"),
        ({"lr": 3}, DataError, "column 'lr' is not a vector"),
        ({"lr": [[1, 2], [3, 4]], "bs": np.zeros((2, 2))}, DataError, "'bs' is not a vector"),
        ({"lr": [1], "bs": [1, 2]}, DataError, r"differ in length: \[1, 2\]"),
        ({3: [1]}, DataError, "named 3, which is not a text"),
        (pd.DataFrame([[1, 2]], columns=["lr", "lr"]), DataError, "'lr' 2 times"),
    ],
)
def test_what_is_no_table(data, error, says):
    with pytest.raises(error, match=says):
        as_table(data)


def parquet_bytes(runs):
    buffer = io.BytesIO()
    parquet.write_table(pa.table(runs), buffer)
    return buffer.getvalue()


RECORDS = [
    {"config": {"lr": 1e-3, "batch_size": 64}, "loss": 3.25},
    {"config": {"lr": 2e-3, "batch_size": 128}, "loss": "NaN"},
    {"config": {"lr": 3e-4, "batch_size": 256, "tags": ["a", {"b": 1}]}, "loss": 3.5},
]
FILES = {
    "wandb": WANDB,
    "optuna": OPTUNA,
    "byte-order mark": "\ufeff" + OPTUNA,
    "semicolons": OPTUNA.replace(",", ";"),
    "tabs": OPTUNA.replace(",", "\t"),
    "windows": WANDB.replace("\n", "\r\n"),
    "comment": "# my sweep, by me; and me\n\n" + OPTUNA + "\n#\n",
    "quotes within cells": 'lr,bs,note,loss\n1e-3,64,5" disk,3.25\n\n# "a\n2e-3,128,,nan\n'
    '3e-4,256,"a\n\n# b ""c""",3.5\n',
    "quoted header": '"lr";"bs, of all devices";"batch size";loss\n'
    "1e-3;1;64;3.25\n2e-3;1;128;NAN\n3e-4;1;256;3.5\n",
    "parquet": parquet_bytes(RUNS),
    "json": json.dumps(RECORDS),
    "json lines": "\n".join(json.dumps(record) for record in RECORDS) + "\n",
    "json lines, spaced": "\n\n".join(json.dumps(record) for record in RECORDS),
    "json table": '{"columns": ["lr", "bs", "loss"], "data": '
    "[[1e-3, 64, 3.25], [2e-3, 128, NaN], [3e-4, 256, 3.5]]}",
}


@pytest.mark.parametrize("name", FILES)
def test_files(name, tmp_path):
    path = write(tmp_path / "runs", FILES[name])
    table = as_table(path)
    assert table.numbers(table.guess("learning_rate")).tolist() == [1e-3, 2e-3, 3e-4]
    assert table.batch_sizes(table.guess("batch_size")).tolist() == [64, 128, 256]
    loss = table.numbers(table.guess("loss"), missing=True)
    np.testing.assert_array_equal(loss, [3.25, np.nan, 3.5])
    assert table.describe_row(1).startswith(f"{path}: row 2")
    assert repr(table).startswith("Table(source=")


def test_rows_are_found_in_the_file(tmp_path):
    table = read_table_file(write(tmp_path / "runs.csv", WANDB)).where("State == 'finished'")
    assert table.texts("Name") == ["brisk-sun-1", "proud-star-3"]
    assert table.describe_row(1) == f"{tmp_path / 'runs.csv'}: row 3 (line 7)"
    with pytest.raises(DataError, match=r"row 1 \(line 2\): Created must be .*'2025-01-02T"):
        table.numbers("Created")


BAD_FILES = {
    "": "the file is empty",
    "\n# nothing\n": "the file is empty",
    "lr,loss\n": "no row below the header",
    "lr,loss\n1,2\n\n1\n": r"row 2 \(line 4\) has 1 cells, the header has 2$",
    "lr,bs\n1,2\n1,1,024\n": r"row 2 \(line 3\) has 3 cells.* comma in it needs quotes",
    "lr,loss\n" + "1,2\n" * 1000 + "1,2,3\n": r"row 1001 \(line 1002\) has 3 cells",
    'lr,loss\n1,"2\n': "not a CSV file: unexpected end of data, in line 2",
    'lr,loss\n1,"2"3\n': "not a CSV file",
    b"lr,loss\n1,\x002\n": "not a text file in UTF-8",
    "lr,loss\n1,2\n".encode("utf-16"): "not a text file in UTF-8",
    b"lr,loss\xe9\n1,2\n": "not a text file in UTF-8",
    b"PK\x03\x04and so on": "a spreadsheet or an archive; export",
    b"\x1f\x8b\x08and so on": "not a whole gzip file",
    gzip.compress(b"lr,loss\n1,2\n")[:-3]: "not a whole gzip file",
    gzip.compress(b"lr,loss\n1,2\n")[:-8] + b"\0" * 8: "not a whole gzip file",
    gzip.compress(b"lr,loss\n1\n"): r"row 1 \(line 2\) has 1 cells",
    b"SQLite format 3\0": "not a whole database",
    b"PAR1and so on": "not a whole Parquet file",
    parquet_bytes({"lr": pa.array([], pa.float64())}): "there is no row",
    "[]": "there is no row",
    '[{"lr": 1}, 2]': "not a table; JSON must be",
    '{"lr": [1, 2]}': "not a table; JSON must be",
    '{"columns": 3, "data": 4}': "not a table; JSON must be",
    '{"columns": ["lr"], "data": [[1], [1, 2]]}': "row 2 must be a list of 1 cells",
    '[{"lr": 1, "lr": 2}]': "the key 'lr' stands twice",
    '[{"lr": 1},\n {"lr": }]': "not a whole JSON file: .* at line 2",
    '{"lr": 1}\n{"lr": 2}\n{"lr": }\n': "not a whole JSON file: .* at line 3",
    "[" * 100000: "nested too deeply|not a whole JSON",
    '[{"lr": ' + "1" * 5000 + "}]": "number too long",
}


@pytest.mark.parametrize("content", BAD_FILES, ids=range(len(BAD_FILES)))
def test_bad_files_are_one_line(content, tmp_path):
    path = write(tmp_path / "runs.csv", content)
    with pytest.raises(DataError, match=BAD_FILES[content]) as caught:
        read_table_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_compressed_tables_are_read_within_a_bound(tmp_path, monkeypatch):
    text = "lr,loss\n" + "1,2\n" * 1000
    path = write(tmp_path / "runs.csv.gz", gzip.compress(text.encode()))
    assert read_table_file(path).numbers("lr").tolist() == [1.0] * 1000
    monkeypatch.setattr("scaling.numeric.tables._files.LARGEST", len(text) - 1)
    with pytest.raises(DataError, match=r"runs\.csv\.gz: not read: unpacked, it is larger"):
        read_table_file(path)


@pytest.mark.parametrize("library", ["pyarrow", "narwhals"])
def test_parquet_and_frames_name_the_extra(library, tmp_path, monkeypatch):
    path = write(tmp_path / "runs.parquet", parquet_bytes(RUNS))
    frame = pd.DataFrame(RUNS)
    monkeypatch.setitem(sys.modules, library, None)
    for data in (path, frame) if library == "narwhals" else (path,):
        with pytest.raises(MissingExtraError, match=rf"{library} .*adam-lr-scaling\[sweeps\]"):
            as_table(data)
    assert len(as_table(RUNS)) == 3


def test_cells_beyond_a_bound_are_not_read(tmp_path):
    path = write(tmp_path / "runs.parquet", parquet_bytes({"lr": np.ones(20_000_001)}))
    assert path.stat().st_size < 1e6
    with pytest.raises(DataError, match="20000001 rows of 1 columns, and at most 20000000 cells"):
        read_table_file(path)
    long = pa.array(["x" * 1_000_000] * 600).dictionary_encode()
    path = write(tmp_path / "long.parquet", parquet_bytes({"lr": long}))
    assert path.stat().st_size < 1e6
    with pytest.raises(DataError, match="unpacked, it is larger than 512 MiB"):
        read_table_file(path)
    path = write(tmp_path / "runs.csv", ",".join(["a"] * 10_001) + "\n")
    with pytest.raises(DataError, match="10001 columns; at most 10000 are"):
        read_table_file(path)


def test_bytes_beyond_a_bound_are_not_read(tmp_path):
    with (tmp_path / "sparse.csv").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(DataError, match="larger than 512 MiB"):
        read_table_file(tmp_path / "sparse.csv")
    with pytest.raises(DataError, match="/dev/zero: cannot be read: it is a device"):
        read_table_file("/dev/zero")


def test_columns_of_other_libraries_in_a_mapping():
    table = as_table({"lr": pd.Series([1e-3, 2e-3]), "n": pl.Series([1, None]), "bs": range(1, 3)})
    assert table.numbers("lr").tolist() == [1e-3, 2e-3]
    np.testing.assert_array_equal(table.numbers("n", missing=True), [1, np.nan])
    assert table.numbers("bs").tolist() == [1, 2]


MISSING = ["", " ", "nan", "NaN", "NAN", "inf", "-inf", "Infinity", "1e999"]
UNREADABLE = [
    "NA",
    "None",
    "null",
    "fast",
    "1e",
    "0x10",
    "\uff11",
    "1 2",
    "--1",
    "True",
    "2024-01-02",
]
SEPARATED = ["1,024", "1_024", "1 024", "1'024", "1\u00a0024", "0,5", "1,024.5"]


@pytest.mark.parametrize("cell", [*MISSING, *UNREADABLE, *SEPARATED, "-1", "0"])
def test_cells(cell, tmp_path):
    path = write(tmp_path / "runs.csv", f"x;y\n1;a\n\n{cell};b\n")
    table = read_table_file(path)
    methods = {
        "finite": table.numbers,
        "positive": table.positive,
        "batch": table.batch_sizes,
        "size": table.sizes,
    }
    accepted = {"-1": ["finite"], "0": ["finite"]}.get(cell, [])
    for name, read in methods.items():
        if name in accepted:
            assert read("x").tolist() == [1, float(cell)]
            continue
        with pytest.raises(DataError, match=r"row 2 \(line 4\): x must be a.* number") as caught:
            read("x")
        assert repr(cell) in str(caught.value)
        assert ("thousands separators" in str(caught.value)) == (cell in {*SEPARATED, "1 2"})
    if cell in (*MISSING, "-1", "0"):
        expected = float(cell) if cell.strip() else np.nan
        np.testing.assert_array_equal(table.numbers("x", missing=True), [1, expected])
    else:
        with pytest.raises(DataError, match=r"row 2 \(line 4\): x must be a number"):
            table.numbers("x", missing=True)


def test_sizes_and_products():
    table = as_table(
        {"model": ["85M", "1.2b", "7 k", "2T", "3e8"], "bs": ["32x8", "1k", "2", "3", "4"]}
    )
    assert table.sizes("model").tolist() == [85e6, 1.2e9, 7e3, 2e12, 3e8]
    assert table.batch_sizes("bs").tolist() == [256, 1000, 2, 3, 4]
    for bad in ("M", "7G", "-7M", "7MM", "0k", "1e300T", "gpt-7B"):
        with pytest.raises(DataError, match=r"as 4k, 1\.2B or 32x8"):
            as_table({"model": [bad]}).sizes("model")


def test_columns_that_are_not_there(tmp_path):
    table = read_table_file(write(tmp_path / "runs.csv", "lr,loss,loss\n1,2,3\n"))
    assert table.numbers("lr").tolist() == [1]
    with pytest.raises(DataError, match="no column 'bs'; the header has lr, loss, loss"):
        table.numbers("bs")
    with pytest.raises(DataError, match="there are 2 columns 'loss'"):
        table.texts("loss")
    many = as_table({f"c{i}": [i] for i in range(100)} | {"": [1], " x": [1]})
    with pytest.raises(DataError, match="c19, and 82 more"):
        many.numbers("bs")


CELLS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\0"))


@given(
    st.lists(st.tuples(st.floats(), CELLS, CELLS), min_size=1, max_size=8),
    st.sampled_from(",;\t"),
    st.booleans(),
)
def test_whatever_csv_writes_is_read(rows, separator, quoted):
    text = io.StringIO()
    style = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=separator, quoting=style, lineterminator="\n")
    writer.writerows([("x", "a", "b"), *rows])
    file = io.TextIOWrapper(io.BytesIO(text.getvalue().encode()), "utf-8-sig")
    names, columns, lines = _read_csv("runs.csv", file)
    table = Table("runs.csv", tuple(names), tuple(columns), np.arange(len(rows)), lines)
    np.testing.assert_array_equal(table.numbers("x", missing=True), [row[0] for row in rows])
    assert table.texts("a") == [row[1] for row in rows]
    assert table.texts("b") == [row[2] for row in rows]
    assert lines[0] == 2
    before = text.getvalue().split("\n")
    for line, row in zip(lines, rows, strict=True):
        assert before[line - 1].lstrip('"').startswith(repr(row[0]))


def test_a_damaged_file_never_is_a_traceback(tmp_path):
    rng = np.random.default_rng(11)
    whole = [
        bytearray(content.encode() if isinstance(content, str) else content)
        for content in FILES.values()
    ]
    path = tmp_path / "runs"
    refused, said = 0, set()
    for _ in range(400):
        content = bytearray(whole[rng.integers(len(whole))])
        for _ in range(rng.integers(1, 4)):
            content[rng.integers(len(content))] = rng.choice(list(b'\n",;#0x\xff{}['))
        try:
            table = as_table(write(path, bytes(content)))
            for name in table.names:
                table.numbers(name, missing=True)
        except ScalingError as error:
            refused += 1
            said.add(str(error))
    assert 100 < refused < 400
    assert not any("\n" in line for line in said)
