"""The settings file that ``foretell init`` writes: each setting with its comment, and checked."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

import click

from foretell_relayer.cli import relay
from foretell_relayer.config import PATHS, Settings, load_settings
from foretell_relayer.errors import BadSetting
from foretell_relayer.operate.errors import ConfigThere
from foretell_relayer.redact import public_url

_HEAD: Final = """\
# Settings of a Foretell relayer: foretell relay --config {name}
#
# The command line comes before the environment (FORETELL_RELAY_<NAME>), and that before this file.
# Paths are relative to this file's folder. No password belongs here: name a file with password_file.
"""
_WIDTH: Final = 100
_EXAMPLES: Final = {
    "database": "postgresql://user:password@host/database",
    "http": "127.0.0.1:9464",
    "keystore": "signer.json",
    "password_file": "password",
    "remote_signer": "https://signer.example:9000",
}


def write(path: Path, given: dict[str, Any], *, replace: bool) -> None:
    """Write a settings file with what was ``given``.

    Raises:
        ConfigThere: there is a file already.
        BadSetting: a relayer would not accept it.
    """
    if path.exists() and not replace:
        raise ConfigThere(f"{path} is there already")
    chosen = {name: _plain(name, value) for name, value in given.items() if value not in (None, ())}
    folder = path.resolve().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Only its owner may read it: an RPC's address often holds a key.
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text(path.name, chosen))
            load_settings(Path(name))
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise BadSetting(f"--out: {path}: {error.strerror}") from None


def text(name: str, chosen: dict[str, Any]) -> str:
    """The file's text."""
    parts = [_HEAD.format(name=name)]
    for option in relay.params:
        field = Settings.model_fields.get(option.name or "")
        if not isinstance(option, click.Option) or field is None:
            continue
        parts.append(_entry(option, chosen))
    return "\n".join(parts)


def _entry(option: click.Option, chosen: dict[str, Any]) -> str:
    name = str(option.name)
    comment = _comment((option.help or "").strip())
    if name in chosen:
        return f"{comment}{name} = {_value(chosen[name])}\n"
    default = Settings.model_fields[name].get_default()
    if name == "rpc":
        default = public_url(default.get_secret_value())
    return f"{comment}# {name} = {_value(_example(name, default))}\n"


def _comment(help_text: str) -> str:
    lines, line = [], "#"
    for word in help_text.split():
        if len(line) + len(word) + 1 > _WIDTH:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return "\n".join([*lines, line]) + "\n"


def _example(name: str, default: Any) -> Any:
    """What stands behind the ``#`` of a setting that has no default."""
    if default is not None:
        return list(default) if isinstance(default, tuple) else default
    return _EXAMPLES.get(name, "")


def _plain(name: str, value: Any) -> Any:
    if name in PATHS:
        absolute = [str(Path(each).resolve()) for each in (value if isinstance(value, tuple) else (value,))]
        return absolute if isinstance(value, tuple) else absolute[0]
    return list(value) if isinstance(value, tuple) else value


def _value(value: Any) -> str:
    """A value in TOML; its strings, numbers, booleans and lists of them are those of JSON."""
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
