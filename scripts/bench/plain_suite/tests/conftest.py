"""Roles and contracts. Deployments are of the session: what tests change, Ape's isolation takes back."""

import pytest

SUPPLY = 10**24


@pytest.fixture(scope="session")
def owner(accounts):
    return accounts[0]


@pytest.fixture(scope="session")
def alice(accounts):
    return accounts[1]


@pytest.fixture(scope="session")
def bob(accounts):
    return accounts[2]


@pytest.fixture(scope="session")
def token(project, owner, alice):
    deployed = owner.deploy(project.Token)
    deployed.mint(alice, SUPPLY, sender=owner)
    return deployed


@pytest.fixture(scope="session")
def vault(project, owner, token):
    return owner.deploy(project.Vault, token)


@pytest.fixture
def approved(token, vault, alice):
    """The vault may take alice's tokens."""
    token.approve(vault, 2**256 - 1, sender=alice)
    return vault


@pytest.fixture
def deposited(approved, alice):
    """Alice has 1,000 shares."""
    approved.deposit(1_000, sender=alice)
    return approved
