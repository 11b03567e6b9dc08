"""The settings of one model, and the root of all settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evo.secrets import secret_in, secret_in_url


class Settings(BaseModel):
    """Root of all settings: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False, hide_input_in_errors=True)


class NamedSettings(Settings):
    """A plugin by name with its arguments: ``exact`` or ``{name: exact, ignore_case: false}``."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def arguments(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


class PriceSettings(Settings):
    """US dollars for a million tokens, as providers print them."""

    prompt_usd_per_million: float = Field(ge=0)
    output_usd_per_million: float = Field(ge=0)


_KEY_PLACE = "put the key into an environment variable and name that: api_key_env: MY_KEY"


class ModelSettings(Settings):
    """A model: a name alone, or with its endpoint and options."""

    name: str = Field(min_length=1)
    api_base: str | None = None
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; keys themselves are never written in a file."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    max_tokens: int = Field(default=64, ge=1)
    timeout_s: float = Field(default=60.0, gt=0)
    attempts: int = Field(default=5, ge=1, le=20)
    """How often one call is sent at most, when it fails for a passing reason."""
    price: PriceSettings | None = None
    client: Literal["litellm", "direct"] | None = None
    """Who sends its calls; left out, see `is_direct`."""
    concurrency: int | None = Field(default=None, ge=1)
    """Most calls under way at once, of the whole run; fewer while the provider answers 429."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    patience_s: float = Field(default=600.0, ge=0)
    """How long the run pauses while no call is answered, before it ends and can be resumed."""
    hedge_after_s: float | None = Field(default=None, gt=0)
    """After how long a call is sent a second time, the first answer taken and both counted; left out: never."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Passed on to the provider, or to the in-process model."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("api_base")
    @classmethod
    def _no_secret_in_url(cls, value: str | None) -> str | None:
        if found := secret_in_url(value or ""):
            raise ValueError(f"expected a URL alone, got one with {found}; {_KEY_PLACE}")
        return value

    @field_validator("options")
    @classmethod
    def _no_secret_option(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        if found := secret_in(value):
            raise ValueError(f"expected no secret, as options are recorded, got one in {found!r}; {_KEY_PLACE}")
        return value

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        if value is not None and not value.replace("_", "").isalnum():
            raise ValueError("expected the NAME of an environment variable such as OPENAI_API_KEY, not a key")
        return value

    @model_validator(mode="after")
    def _hedge_in_time(self) -> ModelSettings:
        if self.hedge_after_s is not None and self.hedge_after_s >= self.timeout_s:
            raise ValueError(
                f"expected hedge_after_s below timeout_s ({self.timeout_s:g}), got {self.hedge_after_s:g}: no call "
                "would ever be sent twice"
            )
        return self

    @model_validator(mode="after")
    def _direct_where_it_can(self) -> ModelSettings:
        if self.client == "direct" and not (self.name.startswith("openai/") and self.api_base):
            raise ValueError(
                f"client: direct asks OpenAI-compatible endpoints: expected openai/NAME with an api_base, got "
                f"{self.name}; add the api_base, or leave client out"
            )
        return self

    @property
    def is_in_process(self) -> bool:
        """Whether it is answered within the process, at no price."""
        return self.name.startswith(("local/", "fake/"))

    @property
    def is_direct(self) -> bool:
        """Whether calls go out without LiteLLM.

        Where ``client`` is left out: to an OpenAI-compatible endpoint of one's own network or with a price in the
        settings, as LiteLLM's list of prices is not needed, and without options, which are in LiteLLM's words.
        """
        if self.client is not None:
            return self.client == "direct"
        if self.api_base is None or not self.name.startswith("openai/") or self.options:
            return False
        return self.price is not None or is_private(self.api_base)

    def placed(self, base: Path) -> ModelSettings:
        """Return this model, a file of its own (``local/PATH.gguf``) named by its absolute path.

        Other processes work in other folders, and a run may be resumed from anywhere.
        """
        kind, _, path = self.name.partition("/")
        if kind != "local" or not path.endswith(".gguf") or path.startswith("hf:"):
            return self
        return self.model_copy(update={"name": f"local/{(base / Path(path).expanduser()).absolute()}"})


def is_private(api_base: str) -> bool:
    """Whether an endpoint is on this machine or network, where a public list price says nothing."""
    host = urlsplit(api_base).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host
