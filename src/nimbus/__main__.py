"""``python -m nimbus`` is ``nimbus``; ``torchrun -m nimbus`` needs it."""

from __future__ import annotations

from nimbus.cli import main

if __name__ == "__main__":
    main()
