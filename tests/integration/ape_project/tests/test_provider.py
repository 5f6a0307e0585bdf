"""Run by `ape test` in a copy of this folder: what a user's suite may rely on."""

import ape
import pytest
from ape.exceptions import AccountsError, ContractLogicError, OutOfGasError, TransactionError

SIGNED, PROVEN = 1, 4
ETHER = 10**18


@pytest.fixture(scope="session")
def owner(accounts):
    return accounts[0]


@pytest.fixture(scope="session")
def volatility(inference):
    return inference.models[0]


@pytest.fixture(scope="session")
def inputs(volatility):
    return volatility.samples()[0]


@pytest.fixture(scope="module")
def decider(project, owner, volatility):
    return owner.deploy(project.Decider, volatility.model_id)


@pytest.mark.parametrize("assurance", [SIGNED, PROVEN])
def test_decide__transaction__simply_works(decider, inputs, owner, assurance):
    receipt = decider.decide(inputs, 0, assurance, sender=owner)

    (event,) = receipt.decode_logs(decider.Decided)
    assert event.assurance == assurance
    assert event.output > 0
    assert receipt.return_value is True
    assert decider.decisions() == 1


def test_isolation__after_other_tests__starts_afresh(decider):
    assert decider.decisions() == 0


def test_decide__as_a_call__answers_and_changes_nothing(decider, inputs, owner):
    assert decider.decide.call(inputs, 0, PROVEN, sender=owner) is True
    assert decider.decisions() == 0


def test_estimate__of_an_inference__suffices(decider, inputs, owner):
    gas = decider.decide.estimate_gas_cost(inputs, 0, SIGNED, sender=owner)

    receipt = decider.decide(inputs, 0, SIGNED, sender=owner, gas=gas)

    assert receipt.gas_used <= gas < 2 * receipt.gas_used


def test_revert__own_reason__is_what_reverts_compares(decider, inputs, owner):
    with ape.reverts("decider: negative threshold"):
        decider.decide(inputs, -1, SIGNED, sender=owner)
    with ape.reverts("decider: negative threshold"):
        decider.decide.call(inputs, -1, SIGNED, sender=owner)
    with ape.reverts("decider: negative threshold"):
        decider.decide.estimate_gas_cost(inputs, -1, SIGNED, sender=owner)


def test_revert__of_the_precompile__is_in_words(decider, inputs, owner):
    with ape.reverts("inference: the input has the wrong size or lies outside the model's domain"):
        decider.decide(inputs[:3], 0, SIGNED, sender=owner)


def test_revert__asked_not_to_raise__gives_the_receipt(decider, inputs, owner):
    receipt = decider.decide(inputs, -1, SIGNED, sender=owner, raise_on_revert=False)

    assert receipt.failed
    assert isinstance(receipt.error, ContractLogicError)
    assert receipt.error.revert_message == "decider: negative threshold"


def test_out_of_gas__is_told_from_a_revert(decider, owner):
    with pytest.raises(OutOfGasError):
        decider.burn(sender=owner, gas=100_000)


@pytest.fixture
def no_operators(inference):
    chain = inference.devnet.chain
    for operator in inference.operators:
        chain.remove_operator(operator.address)
    yield
    for operator in inference.operators:
        chain.add_operator(operator.service)


@pytest.mark.usefixtures("no_operators")
def test_no_operator__transaction_and_call__say_so(decider, inputs, owner):
    with pytest.raises(TransactionError, match="inference: no bonded operator serves this model"):
        decider.decide(inputs, 0, SIGNED, sender=owner)
    with pytest.raises(TransactionError, match="inference: no bonded operator serves this model"):
        decider.decide.call(inputs, 0, SIGNED, sender=owner)


def test_no_operator__afterwards__the_account_goes_on(decider, inputs, owner):
    assert decider.decide(inputs, 0, SIGNED, sender=owner).return_value is True


def test_trace__of_a_transaction__shows_the_precompile(decider, inputs, owner, inference):
    receipt = decider.decide(inputs, 0, SIGNED, sender=owner)

    tree = receipt.trace.get_calltree()
    called = [call.address.hex() for call in tree.calls]
    assert called[0].endswith("f07e7e11")
    assert "decide" in str(receipt.trace)


def test_print__of_a_contract__is_in_the_receipt(decider, owner):
    receipt = decider.tell(sender=owner)

    assert receipt.debug_logs_typed == [("at", receipt.timestamp)]


def test_print__of_none__is_none(decider, owner):
    assert decider.draw(sender=owner).debug_logs_typed == []


def test_trace__of_a_transaction_sent_again_after_a_restore__is_its_own(chain, decider, owner):
    snapshot = chain.snapshot()
    first = decider.tell(sender=owner)
    before = first.return_value
    chain.restore(snapshot)
    chain.pending_timestamp = before + 1_000

    second = decider.tell(sender=owner)

    assert second.txn_hash == first.txn_hash
    assert second.return_value == second.timestamp >= before + 1_000


def test_receipt__of_a_sent_transaction__is_the_nodes(chain, decider, inputs, owner):
    receipt = decider.decide(inputs, 0, SIGNED, sender=owner)

    node = chain.provider.web3.eth.get_transaction_receipt(receipt.txn_hash)
    assert receipt.logs == [dict(log) for log in node["logs"]]
    assert type(receipt.logs[0]["topics"][0]) is type(node["logs"][0]["topics"][0])
    assert receipt.gas_used == node["gasUsed"]
    assert receipt.gas_price == node["effectiveGasPrice"]
    assert receipt.block_number == node["blockNumber"]


def test_head__asked_for_by_tag_and_by_number__is_the_same_block(chain, owner):
    owner.transfer(owner, 1)

    assert chain.provider.get_block("latest") == chain.provider.get_block(chain.blocks.height)
    assert chain.blocks.head.num_transactions == 1


def test_accounts__are_those_of_the_configuration(accounts):
    assert len(accounts) == 3
    untouched = accounts[1:]
    assert [account.balance for account in untouched] == [50 * ETHER] * 2
    assert [account.nonce for account in untouched] == [0] * 2


def test_set_balance__account__has_it(accounts):
    accounts[1].balance = "7 ether"
    assert accounts[1].balance == 7 * ETHER


def test_time__moved__is_the_next_blocks(chain):
    later = chain.pending_timestamp + 3_600

    chain.pending_timestamp = later
    chain.mine()

    assert chain.blocks.head.timestamp == later


def test_mine__many__are_made(chain):
    height = chain.blocks.height
    chain.mine(5)
    assert chain.blocks.height == height + 5


def test_restore__of_a_snapshot__undoes(chain, decider, inputs, owner):
    snapshot = chain.snapshot()
    decider.decide(inputs, 0, SIGNED, sender=owner)

    chain.restore(snapshot)

    assert decider.decisions() == 0


def test_restore__after_a_proven_answer__forgets_it(chain, decider, inputs, owner):
    with chain.isolate():
        decider.decide(inputs, 0, PROVEN, sender=owner)

    receipt = decider.decide(inputs, 0, SIGNED, sender=owner)

    assert receipt.decode_logs(decider.Decided)[0].assurance == SIGNED


def test_restore__to_a_block_that_read_prevrandao__works(chain, decider, owner):
    decider.draw(sender=owner)
    drawn, snapshot = decider.lot(), chain.snapshot()
    decider.draw(sender=owner)
    assert decider.lot() != drawn

    chain.restore(snapshot)

    assert decider.lot() == drawn


def test_auto_mine__off__leaves_transactions_pending(chain, accounts):
    chain.provider.auto_mine = False
    try:
        pending = accounts[0].transfer(accounts[1], "1 ether", required_confirmations=0)
        assert pending.block_number == -1
        chain.mine()
    finally:
        chain.provider.auto_mine = True
    assert chain.provider.get_receipt(pending.txn_hash).block_number == chain.blocks.height


def test_impersonation__is_refused_in_words(accounts):
    with pytest.raises(AccountsError, match="'foretell' does not support impersonating accounts"):
        accounts.impersonate_account("0x000000000000000000000000000000000000dEaD")


def test_model__registered_twice__is_the_same(inference, volatility):
    assert inference.model(volatility.folder.path) == volatility


def test_system_contracts__are_at_hand(inference, volatility):
    assert inference.model_registry.is_open(volatility.model_id)
    (operator,) = inference.operators
    assert inference.operator_registry.signer_of(operator.address) == operator.address
