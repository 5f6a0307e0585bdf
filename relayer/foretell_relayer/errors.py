"""Errors of the relayer service. Codes are stable: logs, metrics, the journal and the documentation refer
to them.

RelayError
├── ConfigError              what the user asked for cannot be done
│   ├── BadSetting           R-CFG-001  a setting is missing or malformed                             give up
│   └── NoModel              R-CFG-002  no model to serve                                             give up
├── KeyStoreError            the signing key
│   ├── BadKeystore          R-KEY-001  no keystore there, or not one of version 3                    give up
│   ├── WrongPassword        R-KEY-002  the password does not open the keystore                       give up
│   ├── NotTheSigner         R-KEY-003  the key is not the one that the operator registered           give up
│   ├── NotAnOperator        R-KEY-004  the operator is not registered, or its bond is too small      give up
│   ├── DevelopmentKey       R-KEY-005  a well-known key on a chain that is worth something           give up
│   ├── SignerUnreachable    R-KEY-006  the remote signer is down, or cannot sign now                 retry
│   └── SignerWrong          R-KEY-007  the remote signer has not our key, or signs with another      give up
├── JournalError             the journal, our only memory
│   ├── JournalHeld          R-JNL-001  another relayer works on it                                   give up
│   ├── OtherChain           R-JNL-002  it belongs to another chain, settlement or operator           give up
│   ├── DamagedJournal       R-JNL-003  it is damaged, or no journal at all                           give up
│   ├── NewerJournal         R-JNL-004  a newer version of this program wrote it                      give up
│   ├── LeaseLost            R-JNL-005  another relayer took over while this one slept                give up
│   ├── JournalUnwritable    R-JNL-006  the disk is full or read-only                                 retry
│   └── JournalUnreachable   R-JNL-007  its database server does not answer                           retry
├── RpcError                 the node
│   ├── RpcUnreachable       R-RPC-001  no answer: down, refused, timed out                           retry
│   ├── RpcRefused           R-RPC-002  it answered with an error, or with nonsense                   retry
│   ├── ChainChanged         R-RPC-003  it serves another chain than at the start                     give up
│   ├── NotSettlement        R-RPC-004  there is no Settlement contract at the address                give up
│   └── RpcDisagreed         R-RPC-005  nodes contradict each other                                   retry
├── WatchError
│   ├── Reorganised          R-WCH-001  confirmed blocks were replaced; what was read is read again   retry
│   └── TooDeep              R-WCH-002  more blocks were replaced than the journal remembers          give up
└── SubmitError
    ├── WouldRevert          R-SUB-001  the chain would refuse the transaction as things stand        retry
    ├── Underfunded          R-SUB-002  the sender cannot pay for gas                                 retry
    ├── FeeTooHigh           R-SUB-003  gas costs more than the configured ceiling                    retry
    ├── Unprofitable         R-SUB-004  the request pays less than it costs                           retry
    └── BreakerOpen          R-SUB-005  too much failed in a row, so no new work is taken             retry
"""

from foretell_relayer.coded import CodedError


class RelayError(CodedError):
    """Something that the relayer foresees."""

    code = "R-RLY-000"


class ConfigError(RelayError):
    """The configuration cannot be used."""


class BadSetting(ConfigError):
    """A setting is missing or malformed; the message names it."""

    code = "R-CFG-001"
    hint = "`foretell relay --help` lists the settings; each is also read from FORETELL_RELAY_<NAME>."


class NoModel(ConfigError):
    """There is no model to serve."""

    code = "R-CFG-002"
    hint = "Give a model's folder with --model; `foretell model add` makes one of an ONNX file."


class KeyStoreError(RelayError):
    """The signing key cannot be used. No message of these errors contains a key or a password."""


class BadKeystore(KeyStoreError):
    """The file is missing, unreadable or no keystore of version 3."""

    code = "R-KEY-001"
    hint = "Give an encrypted keystore (JSON, version 3) with --keystore."


class WrongPassword(KeyStoreError):
    """The password does not open the keystore."""

    code = "R-KEY-002"
    hint = "Give the password with --password-file, FORETELL_RELAY_PASSWORD or at the prompt."


class NotTheSigner(KeyStoreError):
    """The operator registered another signing key."""

    code = "R-KEY-003"
    hint = "Use the registered signer's keystore, or name the operator that this key serves with --operator."


class NotAnOperator(KeyStoreError):
    """No active bond stands behind the operator."""

    code = "R-KEY-004"
    hint = "Register with OperatorRegistry.register(signer, exposure_cap), or raise the bond with add_bond()."


class DevelopmentKey(KeyStoreError):
    """A key that everybody knows, on a chain that is no development chain."""

    code = "R-KEY-005"
    hint = "Use --keystore; --dev-key is for chain ids 31337 and 1337."


class SignerUnreachable(KeyStoreError):
    """The remote signer does not answer, or answers that it cannot sign now."""

    code = "R-KEY-006"
    retry = True
    hint = "Check web3signer and --remote-signer; work goes on by itself."


class SignerWrong(KeyStoreError):
    """The remote signer does not hold the wanted key, or what it gave back is no signature of that key."""

    code = "R-KEY-007"
    hint = "Check --remote-address, and which keys web3signer has loaded. Nothing that it signed was sent."


class JournalError(RelayError):
    """The journal cannot be used."""


class JournalHeld(JournalError):
    """Another relayer holds the lease on this journal."""

    code = "R-JNL-001"
    hint = "Stop the other relayer, or give this one another operator and another --journal."


class OtherChain(JournalError):
    """The journal is pinned to another chain, settlement or operator."""

    code = "R-JNL-002"
    hint = (
        "Use the journal of this chain, or a new file: --journal PATH. Never delete one with open deliveries."
    )


class DamagedJournal(JournalError):
    """The file is no journal, or its pages are damaged."""

    code = "R-JNL-003"
    hint = (
        "Keep the file, and start with a new --journal and the --from-block of your oldest open request:"
        " open requests are found again on the chain."
    )


class NewerJournal(JournalError):
    """The schema is newer than this program."""

    code = "R-JNL-004"
    hint = (
        "Upgrade this program; or put the copy back that was made before the upgrade (PATH.before-REVISION),"
        " or give it another --journal."
    )


class LeaseLost(JournalError):
    """This process slept for longer than its lease, and another one works on the journal now."""

    code = "R-JNL-005"
    hint = "Leave the other relayer alone; this one has stopped and sent nothing since."


class JournalUnwritable(JournalError):
    """The disk is full, read-only or failing."""

    code = "R-JNL-006"
    retry = True
    hint = "Free some space; work goes on by itself."


class JournalUnreachable(JournalError):
    """The database server does not answer, or refuses us."""

    code = "R-JNL-007"
    retry = True
    hint = "Check the server and --database; work goes on by itself."


class RpcError(RelayError):
    """The node did not help."""


class RpcUnreachable(RpcError):
    """No answer."""

    code = "R-RPC-001"
    retry = True
    hint = "Check the node and --rpc; nothing is lost meanwhile."


class RpcRefused(RpcError):
    """The node answered with an error or with something that is no answer.

    ``data`` is the revert data of a call that reverted, else empty.
    """

    code = "R-RPC-002"
    retry = True
    hint = "Check --rpc, its path and its key; work goes on as soon as the node helps."

    def __init__(self, message: str, data: bytes = b"") -> None:
        super().__init__(message)
        self.data = data


class ChainChanged(RpcError):
    """The chain id or the genesis block is another one than before."""

    code = "R-RPC-003"
    hint = "Point --rpc at the chain that this journal belongs to, or use a new --journal."


class NotSettlement(RpcError):
    """The address has no code, or code that does not answer like Settlement."""

    code = "R-RPC-004"
    hint = "Check --settlement and --rpc: the contract must be deployed on this chain."


class RpcDisagreed(RpcError):
    """Nodes do not say the same of what cannot change, and no two of them agree."""

    code = "R-RPC-005"
    retry = True
    hint = "Find out which node is wrong, and take it out of --rpc; with a third node the majority decides."


class WatchError(RelayError):
    """The chain was not what it was."""


class Reorganised(WatchError):
    """Blocks that were read before are no longer part of the chain."""

    code = "R-WCH-001"
    retry = True
    hint = "Nothing: blocks are read again by themselves. If it happens often, raise --confirmations."


class TooDeep(WatchError):
    """A reorganisation deeper than all blocks that the journal remembers."""

    code = "R-WCH-002"
    hint = "Make sure that the node is on the right chain; then start with a new --journal."


class SubmitError(RelayError):
    """A transaction could not be sent now."""


class WouldRevert(SubmitError):
    """The node simulated the transaction and it reverted; ``reason`` is the contract's own text."""

    code = "R-SUB-001"
    retry = True
    hint = "Nothing, mostly: somebody else was quicker. `foretell why REQUEST` tells what comes next."

    def __init__(self, reason: str) -> None:
        super().__init__(f"the chain would refuse it: {reason}")
        self.reason = reason


class Underfunded(SubmitError):
    """The sender's balance does not cover gas."""

    code = "R-SUB-002"
    retry = True
    hint = "Send ether to the relayer's account; work goes on by itself."


class FeeTooHigh(SubmitError):
    """The chain's base fee is above the ceiling."""

    code = "R-SUB-003"
    retry = True
    hint = "Wait, or raise --max-fee-gwei."


class Unprofitable(SubmitError):
    """The request's fee does not cover gas, proof and bond."""

    code = "R-SUB-004"
    retry = True
    hint = "Nothing, or drop --only-profitable; the request is looked at again until its deadline."


class BreakerOpen(SubmitError):
    """Several requests in a row failed here, so work that needs a bond is not taken for a while."""

    code = "R-SUB-005"
    retry = True
    hint = "Look for what fails (`foretell why REQUEST`); one request is tried after each pause."
