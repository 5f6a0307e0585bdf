"""Outside data in a strict form: other fields and other types are refused, with the place in the message."""

from pydantic import BaseModel, ConfigDict, ValidationError


class Strict(BaseModel):
    """No field that is not declared, and no conversion of one type into another."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


def problem(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]
