"""The compiler's optimisers must not change what the contracts do (attack class C33).

vyper 0.4.3 is known to translate some expressions wrongly, differently at each level. The lint bans those
that are known; here all contract tests run again on what the other levels compile.
"""

import os
import subprocess
import sys

import pytest

from tests.kit.compiled import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("level", ["none", "codesize"])
def test_contract_tests__other_optimisation_level__pass(level: str) -> None:
    environment = {**os.environ, "FORETELL_OPTIMIZE": level, "HYPOTHESIS_PROFILE": "dev"}
    arguments = ["-q", "-x", "-p", "no:ape_test", "-p", "no:cacheprovider", "tests/unit/contracts"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
