"""Errors of an operator's tools. Codes are stable.

OperateError
├── NotRunning      R-OPR-001  there is no relayer to do it                                   give up
├── NoAnswer        R-OPR-002  the relayer lives and does not answer                          retry
├── OrderRefused    R-OPR-003  the relayer will not or cannot do it                           give up
├── ConfigThere     R-OPR-004  a configuration that would be overwritten                      give up
└── Unwell          R-OPR-005  the doctor found something to mend                             give up
"""

from foretell_relayer.errors import RelayError


class OperateError(RelayError):
    """What an operator asked for cannot be done."""

    code = "R-OPR-000"


class NotRunning(OperateError):
    """No relayer works on the journal."""

    code = "R-OPR-001"
    hint = "Start it with `foretell relay`, or name its journal with --journal."


class NoAnswer(OperateError):
    """A relayer holds the journal and did not answer in time; the order stays."""

    code = "R-OPR-002"
    retry = True
    hint = "Look at its log; the order is done as soon as it gets to it."


class OrderRefused(OperateError):
    """The relayer refused an order; the message says why."""

    code = "R-OPR-003"
    hint = "Do what the message says; `foretell status` shows what the relayer holds."


class ConfigThere(OperateError):
    """A configuration is there already."""

    code = "R-OPR-004"
    hint = "Choose another file with --out, or say --replace."


class Unwell(OperateError):
    """The doctor found something that keeps the relayer from earning."""

    code = "R-OPR-005"
    hint = "Mend what is marked FAIL, and run `foretell doctor` again."
