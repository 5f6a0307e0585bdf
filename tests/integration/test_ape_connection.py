"""The provider's own life, in this process: what a connection starts, and that nothing is left of it."""

import gc
from collections.abc import Iterator

import psutil
import pytest
from ape.exceptions import APINotImplementedError, ProviderNotConnectedError, UnknownSnapshotError
from ape.utils import ManagerAccessMixin

from ape_foretell.provider import DevnetProvider

ETHER = 10**18

pytestmark = pytest.mark.slow


@pytest.fixture
def provider() -> Iterator[DevnetProvider]:
    local = ManagerAccessMixin.network_manager.ethereum.local
    with local.use_provider("foretell", disconnect_after=True) as connected:
        assert isinstance(connected, DevnetProvider)
        yield connected
    connected.disconnect()


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_connect__what_was_loaded_before__is_not_collected_again_and_again(provider: DevnetProvider) -> None:
    assert gc.get_freeze_count() > 100_000
    provider.disconnect()
    assert gc.get_freeze_count() == 0
    provider.connect()


def test_connect__after_disconnect__is_a_fresh_chain(provider: DevnetProvider) -> None:
    start = provider.devnet.w3.eth.block_number
    provider.mine(3)

    provider.disconnect()
    assert not provider.is_connected
    with pytest.raises(ProviderNotConnectedError):
        _ = provider.devnet
    provider.connect()

    assert provider.is_connected
    assert provider.devnet.w3.eth.block_number == start


def test_disconnect__operators_were_asked__ends_their_processes(provider: DevnetProvider) -> None:
    before = children()
    (model,) = provider.devnet.models.values()
    provider.devnet.infer(model, model.manifest.quantise(tuple(model.samples()[0])))
    assert children() > before

    provider.disconnect()

    assert children() <= before


def test_restore__unknown_snapshot__says_so(provider: DevnetProvider) -> None:
    with pytest.raises(UnknownSnapshotError):
        provider.restore(12345)


def test_pending_block__before_it_is_made__is_the_next_one(provider: DevnetProvider) -> None:
    head, pending = provider.get_block("latest"), provider.get_block("pending")
    assert (pending.number, pending.parent_hash) == (head.number + 1, head.hash)
    assert pending.timestamp > head.timestamp


def test_set_timestamp__of_the_pending_block__changes_nothing(provider: DevnetProvider) -> None:
    provider.set_timestamp(provider.get_block("pending").timestamp)
    height = provider.devnet.w3.eth.block_number
    provider.mine()
    assert provider.devnet.w3.eth.block_number == height + 1


def test_request__unknown_method__is_not_implemented(provider: DevnetProvider) -> None:
    with pytest.raises(APINotImplementedError, match="parity_enode"):
        provider.make_request("parity_enode", [])


def test_set_storage_and_code__address__has_them(provider: DevnetProvider) -> None:
    address = "0x00000000000000000000000000000000DeaDBeef"
    provider.set_code(address, "0x600160005260206000f3")
    provider.set_storage(address, 2, b"\x07")
    assert provider.get_code(address).hex().removeprefix("0x") == "600160005260206000f3"
    assert int.from_bytes(provider.get_storage(address, 2), "big") == 7
