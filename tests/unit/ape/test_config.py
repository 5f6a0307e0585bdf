"""The section `foretell:`, and the chain that it describes."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from ape.exceptions import ConfigError, ProviderError
from ape_test import ApeTestConfig

from ape_foretell.config import ForetellConfig
from ape_foretell.start import chain_config, start_devnet

VOLATILITY = Path(__file__).resolve().parents[3] / "models" / "volatility"
ETHER = 10**18
MNEMONIC = "test test test test test test test test test test test junk"
FIRST_OF_MNEMONIC = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
OTHER_PATH = "m/44'/60'/1'/0"


def model_folder(project: Path, name: str) -> Path:
    folder = project / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    return folder


def section_test(**fields: Any) -> ApeTestConfig:
    return ApeTestConfig.model_validate({"mnemonic": MNEMONIC, "balance": 5 * ETHER, **fields})


def test_models__not_named__are_those_of_the_projects_folder(tmp_path: Path) -> None:
    folders = [model_folder(tmp_path, name) for name in ("models/b", "models/a")]
    (tmp_path / "models" / "notes").mkdir()
    assert ForetellConfig().model_folders(tmp_path) == sorted(folders)


def test_models__none_there__are_none(tmp_path: Path) -> None:
    assert ForetellConfig().model_folders(tmp_path) == []


def test_models__named__are_relative_to_the_project(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, "elsewhere/net")
    config = ForetellConfig.model_validate({"models": ["elsewhere/net", str(folder)]})
    assert config.model_folders(tmp_path) == [folder, folder]


def test_models__empty_list__registers_none_of_the_folder(tmp_path: Path) -> None:
    model_folder(tmp_path, "models/a")
    assert ForetellConfig.model_validate({"models": []}).model_folders(tmp_path) == []


def test_models__no_model_there__says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`foretell model add`"):
        ForetellConfig.model_validate({"models": ["nowhere"]}).model_folders(tmp_path)


def test_bond__as_text__is_in_wei() -> None:
    assert ForetellConfig.model_validate({"operator_bond": "20 ether"}).operator_bond == 20 * ETHER


def test_section__misspelt_field__is_refused() -> None:
    with pytest.raises(ConfigError, match="operator_bonds"):
        ForetellConfig.from_overrides({"operator_bonds": 1})


def test_operators__over_the_limit__are_refused() -> None:
    with pytest.raises(ConfigError):
        ForetellConfig.from_overrides({"operators": 17})


def test_chain__of_the_default_path__funds_apes_accounts() -> None:
    config = chain_config(ForetellConfig(chain_id=1337), section_test(number_of_accounts=4), Path())
    assert (config.chain_id, config.mnemonic) == (1337, MNEMONIC)
    assert (config.accounts, config.balance, config.endowments) == (4, 5 * ETHER, ())


def test_chain__of_another_path__funds_the_accounts_there() -> None:
    config = chain_config(ForetellConfig(), section_test(number_of_accounts=2, hd_path=OTHER_PATH), Path())
    assert [wei for _, wei in config.endowments] == [5 * ETHER] * 2
    assert FIRST_OF_MNEMONIC not in [address for address, _ in config.endowments]


def test_chain__no_accounts__is_refused() -> None:
    with pytest.raises(ConfigError, match="foretell: 0 accounts"):
        chain_config(ForetellConfig(), section_test(number_of_accounts=0), Path())


def test_chain__with_opengradient__serves_it_with_the_project_s_prices(tmp_path: Path) -> None:
    header = "base,quote,time,open,high,low,close\n"
    (tmp_path / "prices.csv").write_text(header + "ETH,USD,2023-11-14,1,2,1,2\n")
    section = {"models": {"Qm": "0x" + "12" * 32}, "feed": {"file": "prices.csv", "candle_minutes": 60}}
    config = ForetellConfig.from_overrides({"opengradient": section})
    served = chain_config(config, section_test(), tmp_path).opengradient
    assert served is not None
    assert served.model_id("Qm") == bytes.fromhex("12" * 32)
    assert served.feed is not None
    assert list(served.feed.pairs) == [("ETH", "USD")]
    assert chain_config(ForetellConfig(), section_test(), tmp_path).opengradient is None
    (tmp_path / "prices.csv").unlink()
    with pytest.raises(ConfigError, match=r"prices\.csv cannot be read"):
        chain_config(config, section_test(), tmp_path)


def test_chain__opengradient_without_settings__is_served() -> None:
    config = ForetellConfig.from_overrides({"opengradient": {}})
    assert chain_config(config, section_test(), Path()).opengradient is not None


def test_start__model_altered__is_refused_with_its_code(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "volatility"
    shutil.copytree(VOLATILITY, folder)
    (folder / "model.onnx").write_bytes(b"another model")
    with pytest.raises(ProviderError, match=r"foretell: R-MOD-005.*model\.onnx"):
        start_devnet(ForetellConfig(), section_test(), tmp_path)


def test_start__operators_and_bond__are_those_of_the_section(tmp_path: Path) -> None:
    config = ForetellConfig(operators=3, operator_bond=7 * ETHER)
    with start_devnet(config, section_test(), tmp_path) as devnet:
        registry = devnet.operator_registry.functions
        bonds = [registry.free_bond(operator.address).call() for operator in devnet.operators]
    assert bonds == [7 * ETHER] * 3
