"""CSV files of optima, as users have them."""

import pytest

from scaling import DataError, InputError
from scaling.numeric.inputs.text import (
    parse_decay_rate,
    parse_non_negative,
    parse_positive,
    parse_size,
)
from scaling.numeric.tables import read_optima

GOOD = "batch_size,learning_rate\n32x8,1e-3\n512,2e-3\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.rstrip("\n"),
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        "# measured on Monday\n\n" + GOOD + "\n\n",
        GOOD.replace("\n", "\r"),
        "batch_size,note,learning_rate\n32x8,a\u0085b\x0bc\u2028d,1e-3\n512,,2e-3\n",
        'learning_rate , seed,"batch_size"\n1e-3,0," 32x8"\n2e-3,1,512\n',
        "bs,peak_lr\n256,1e-3\n512,2e-3\n",
        "config.device_batch_size,grad_accum,n_gpus,lr\n32,1,8,1e-3\n32,2,8,2e-3\n",
    ],
)
def test_tables_are_read(text, tmp_path):
    path = tmp_path / "optima.csv"
    path.write_text(text, newline="")
    assert read_optima(path) == ([256.0, 512.0], [1e-3, 2e-3])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("\n\n# nothing\n", "the file is empty"),
        ("batch_size,learning_rate\n", "there is no row below the header"),
        (
            "batch_size,rate\n1,2\n",
            "no column has a usual name of a learning rate; .* batch_size, rate",
        ),
        ("batch_size,learning_rate,batch_size\n1,2,3\n", "2 columns are called batch_size; rename"),
        (
            "bs,lr,loss\n" + "".join(f"{b},{r},2.5\n" for b in (32, 64) for r in (1, 2, 4)),
            "the runs of a sweep, .* lr fit",
        ),
        ("bs,lr,eps\n32,1e-3,1e-8\n32,2e-3,1e-5\n", "the optima are at 2 values of eps"),
        (GOOD + "1024,fast\n", r"row 3 \(line 4\): learning_rate must be .*'fast'"),
        (GOOD + "\n1024,nan\n", r"row 3 \(line 5\): learning_rate .*'nan'"),
        (GOOD + "32x,1e-3\n", r"row 3 \(line 4\): batch_size .*'32x'"),
        (GOOD + ",1e-3\n", r"row 3 \(line 4\): batch_size .*''"),
        (GOOD + "64,-1e-3\n", r"row 3 \(line 4\): learning_rate .*'-1e-3'"),
        (GOOD + "64\n", r"row 3 \(line 4\) has 1 cells, the header has 2"),
        (GOOD + "64,1e-3,7\n", r"row 3 \(line 4\) has 3 cells, the header has 2"),
        (GOOD + '"64\n",1e-3\n', "quoted cell"),
        (GOOD + '"64,1e-3\n', "not a CSV file"),
        (GOOD + "64,a\x1e\n", r"row 3 \(line 4\): learning_rate must be a number"),
        (GOOD + "64\0,1e-3\n", "not a text file in UTF-8"),
    ],
)
def test_what_is_wrong_is_named(text, says, tmp_path):
    path = tmp_path / "optima.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=says) as caught:
        read_optima(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_optima_of_several_seeds_are_no_runs(tmp_path):
    path = tmp_path / "optima.csv"
    rows = [f"{b},{1e-3 * 2**u},2.5" for b in (32, 64) for u in (-0.5, 0, 0.5, 1)]
    path.write_text("\n".join(["bs,lr,loss", *rows]))
    assert len(read_optima(path)[1]) == 8


def test_separators_of_records_about_a_number_are_blanks(tmp_path):
    path = tmp_path / "optima.csv"
    path.write_text(GOOD + "64,1e-3\x1e\n")
    assert read_optima(path)[1][-1] == 1e-3


def test_files_that_are_no_text(tmp_path):
    (tmp_path / "utf16.csv").write_bytes(GOOD.encode("utf-16"))
    (tmp_path / "latin.csv").write_bytes(b"batch_size,learning_rate\xe9\n")
    for name, says in (
        ("missing.csv", "No such file"),
        (".", "directory"),
        ("utf16.csv", "not a text file in UTF-8"),
        ("latin.csv", "not a text file in UTF-8"),
    ):
        with pytest.raises(DataError, match=says):
            read_optima(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1024", 1024),
        ("32x8x16", 4096),
        ("2X4", 8),
        (" 3 x 1e3", 3000),
        ("4k", 4000),
        ("2kx8", 16000),
        ("0.5", 0.5),
    ],
)
def test_batch_sizes(text, value):
    assert parse_size(text) == value


BAD = [
    "",
    " ",
    "x",
    "32x",
    "x8",
    "0x8",
    "8xx2",
    "-4",
    "1e999",
    "1e200x1e200",
    "1e-200x1e-200",
    "nan",
    "inf",
    "ten",
    "1_000",
    "\uff11\uff12",
    "0",
]


@pytest.mark.parametrize("text", BAD)
def test_bad_batch_sizes(text):
    with pytest.raises(InputError, match="must be a positive, finite number or a product"):
        parse_size(text)


def test_numbers():
    assert (parse_positive("3e-4"), parse_non_negative("0"), parse_decay_rate("0.9")) == (
        3e-4,
        0,
        0.9,
    )
    for parse, bad in (
        (parse_positive, ["0", "-1", "nan", "inf", "1e999", "", "1,5", "0x10"]),
        (parse_non_negative, ["-1e-9", "nan", "inf", "eps"]),
        (parse_decay_rate, ["1", "-0.1", "nan", "0.9x"]),
    ):
        for text in bad:
            with pytest.raises(InputError, match="must be a number"):
                parse(text)
