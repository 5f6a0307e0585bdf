"""Take the picture of the operator's page that docs/ shows: a real relayer at work on a real anvil.

python -m scripts.operator_page [FILE]

It answers a few requests, one of them against an operator who lies; then Chromium looks at the page. Needs
anvil (`make setup-dev`) and Debian's package chromium.
"""

import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Final

from tests.kit import chromium
from tests.kit.anvil import LIAR, Anvil, Stage, free_port, relaying, set_stage, wait_for

FILE: Final = Path(__file__).parent.parent / "docs" / "operator-page.png"
SIZE: Final = (1180, 1420)
DELIVERED, FINAL = 2, 4
PROVEN: Final = 4
WINDOW: Final = 3601


def main(arguments: list[str]) -> int:
    """Take the picture; the exit status."""
    if chromium.binary() is None:
        print(chromium.MISSING)
        return 1
    file = Path(arguments[0]) if arguments else FILE
    anvil = Anvil()
    anvil.start()
    try:
        with tempfile.TemporaryDirectory(prefix="foretell-page-") as scratch:
            _show(set_stage(anvil), Path(scratch), file.resolve())
    finally:
        anvil.stop()
    print(f"wrote {file}, {file.stat().st_size} bytes")
    return 0


def _show(stage: Stage, scratch: Path, file: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with relaying(stage, scratch, "--http", str(port)):
        _work(stage)
        wait_for("the books", lambda: _is_ready(url), 120)
        chromium.shoot(url, file, *SIZE)


def _work(stage: Stage) -> None:
    """Requests of every kind; the last ones stay open."""
    lied = stage.request(provisional=True)
    stage.deliver(lied, (123,), LIAR)
    stage.wait_status(lied, FINAL)
    for policy in ({"provisional": True}, {"min_assurance": PROVEN}, {"provisional": True}):
        stage.wait_status(stage.request(**policy), FINAL)
    plain = stage.request()
    stage.wait_status(plain, DELIVERED)
    stage.anvil.pass_time(WINDOW)
    stage.wait_status(plain, FINAL)
    for _ in range(3):
        stage.wait_status(stage.request(), DELIVERED)


def _is_ready(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310  our own address
        figures = answer.read().decode().splitlines()
    return "foretell_relay_bound_requests 3.0" in figures and "foretell_relay_ready 1.0" in figures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
