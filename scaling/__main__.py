"""Where the process of ``lr``, or ``python -m scaling``, begins."""

import signal
import sys

#: Exit statuses of a process that a signal ended, as shells count: 128 + its number.
_INTERRUPTED, _TERMINATED = 130, 143


def main() -> None:
    """Run ``lr``; a signal ends it quietly, at any moment, and lets it clean up."""
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
        from scaling.cli.main import main as run  # type: ignore[import-not-found]

        run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
