"""The example: a pool of a tokenised index whose swap fee a volatility model sets."""

import pytest

from foretell_relayer.operator import LocalOperator
from foretell_spec.request import NO_SEED

ETHER = 10**18
WAD = 10**18
FIRST_DAY = 1
FIRST_CLOSE = 4_000 * WAD
LIQUIDITY = 1_000 * ETHER


@pytest.fixture(scope="session")
def owner(accounts):
    return accounts[0]


@pytest.fixture(scope="session")
def trader(accounts):
    return accounts[1]


@pytest.fixture(scope="session")
def volatility(inference):
    """The model that ships with the project, found in its folder `models`."""
    return inference.models[0]


@pytest.fixture(scope="session")
def returns(volatility):
    """22 daily returns of the S&P 500, percent, WAD."""
    return volatility.samples()[0]


@pytest.fixture(scope="session")
def closes(returns):
    """The closes that have these returns."""
    prices = [FIRST_CLOSE]
    for change in returns:
        prices.append(prices[-1] * (100 * WAD + change) // (100 * WAD))
    return prices


@pytest.fixture(scope="module")
def feed(project, owner, closes):
    return owner.deploy(project.IndexFeed, owner, FIRST_DAY, closes)


@pytest.fixture(scope="module")
def token(project, owner):
    return owner.deploy(project.IndexToken, 10**9 * ETHER)


@pytest.fixture(scope="module")
def make_pool(project, owner, feed, token, inference):
    def make(model_id, liquidity=LIQUIDITY):
        pool = owner.deploy(project.DynamicFeePool, inference.settlement, model_id, feed, token)
        token.approve(pool, liquidity, sender=owner)
        pool.add_liquidity(liquidity, 0, value=liquidity, sender=owner)
        return pool

    return make


@pytest.fixture(scope="module")
def pool(make_pool, volatility):
    return make_pool(volatility.model_id)


@pytest.fixture
def forecast(inference, volatility, feed):
    """What the model says about the feed's returns, WAD percent: the one correct output."""
    inputs = volatility.manifest.quantise(tuple(feed.recent_returns()))
    (output,) = inference.devnet.infer(volatility, inputs)
    return output * WAD >> volatility.manifest.output_scale


class Liar(LocalOperator):
    """Says that tomorrow will be wilder than the model says."""

    def infer(self, folder, inputs, seed=NO_SEED):
        one_percent = 1 << folder.manifest.output_scale
        return tuple(q + one_percent for q in super().infer(folder, inputs, seed))


@pytest.fixture
def liar(inference):
    """The only operator that the chain asks. The honest ones keep their bonds, and can challenge."""
    devnet, honest = inference.devnet, inference.operators.copy()
    liar = devnet.add_operator(make=lambda identity, store, proofs: Liar(identity, store))
    for operator in honest:
        devnet.chain.remove_operator(operator.address)
    yield liar
    for operator in honest:
        devnet.chain.add_operator(operator.service)
    devnet.remove_operator(liar)
