"""A cold `lr query` against importing what it is made of."""

import subprocess
import sys
from pathlib import Path

from timing import ratio, report

LR = Path(sys.executable).with_name("lr")
RUN = ("query", "--ref-lr", "3e-4", "--ref-batch-size", "32x8", "--noise-scale", "4000")
ASK = (*RUN, "--batch-size", "1024")
BARE = tuple(x for x in ASK if x not in ("--noise-scale", "4000"))
EPS = ("--eps", "1e-6", "--grad-rms", "2e-6")


def process(*command):
    return lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    imports = process(sys.executable, "-c", "import numpy, typer")
    results = [
        report("lr query / import numpy, typer", ratio(process(LR, *ASK), imports, 10), 1.6),
        report("  with eps", ratio(process(LR, *ASK, *EPS), imports, 10), 1.6),
        report("  without noise scale", ratio(process(LR, *BARE), imports, 10), 1.6),
        report("lr --help / import numpy, typer", ratio(process(LR, "--help"), imports, 10), 1.6),
    ]
    sys.exit(not all(results))
