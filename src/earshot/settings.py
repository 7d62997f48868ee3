"""Frozen configuration: read once at the edge, handed down; there is no global settings object.

Order of precedence: arguments, environment (`EARSHOT_STORE`, `EARSHOT_KEEP__DAYS`, …),
`earshot.toml` in the home folder, defaults.
"""

import tomllib
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from earshot.errors import ConfigError


class Frozen(BaseModel):
    """A part of the settings; unknown names are errors, so that a typo is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Keep(Frozen):
    """What stays, and for how long."""

    posts: Literal["all", "matched"] = "all"
    """Store every post, or only those that match a rule."""
    days: float = Field(7.0, gt=0)
    """Days after `received_at` that a post is kept."""
    gigabytes: float = Field(5.0, gt=0)
    """Size of the store at which the oldest posts go first."""
    log_hours: float = Field(72.0, gt=0)
    """Hours that the log keeps records which the engine has already worked off."""
    log_gigabytes: float = Field(8.0, gt=0)
    """Size of the log at which collectors are held back."""


class Weights(Frozen):
    """Weights of a keyword's score, applied to the growth of a post's counters."""

    replies: float = 0.2
    """Of a reply (X, Bluesky, Mastodon)."""
    reposts: float = 0.5
    """Of a repost."""
    likes: float = 0.3
    """Of a like."""
    reddit_comments: float = 0.2
    """Of a comment on Reddit."""
    reddit_score: float = 0.8
    """Of a point of Reddit's score."""
    meetup_rsvp: float = 1.0
    """Of a person who comes to an event of Meetup."""


class Web(Frozen):
    """Where the API and the web app listen."""

    host: str = "127.0.0.1"
    """Address to listen on; others than this machine's own reach it from outside."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to listen on; 0: any that is free."""
    public_url: str = ""
    """The address people use when a proxy stands in front; empty: http://host:port."""


class Bluesky(Frozen):
    """The Bluesky source."""

    hosts: tuple[str, ...] = (
        "wss://jetstream.us-east.bsky.network",
        "wss://jetstream.us-west.bsky.network",
        "wss://jetstream1.us-east.bsky.network",
        "wss://jetstream2.us-east.bsky.network",
        "wss://jetstream1.us-west.bsky.network",
        "wss://jetstream2.us-west.bsky.network",
    )
    """Jetstream hosts in order of preference; each is asked for v2 first, then v1."""
    profiles: str = "https://public.api.bsky.app"
    """Where `app.bsky.actor.getProfiles` is asked; empty: names are not resolved."""


class Settings(BaseSettings):
    """All of it. Relative paths in URLs start at `home`."""

    model_config = SettingsConfigDict(
        env_prefix="EARSHOT_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    home: Path = Field(default_factory=lambda: platformdirs.user_data_path("earshot"))
    """The one folder in which everything the program keeps lies; by default the user's own."""
    log: str = "sqlite:///data/log.db"
    """Where records are kept from the moment they are taken in until they are worked off."""
    engine: Literal["local"] = "local"
    """What drives the pipeline."""
    store: str = "sqlite:///data/store.db"
    """Where posts, index, windows and counts are kept."""
    live: str = "memory:"
    """How changes get to those who watch."""
    lake: str = "file:data/lake"
    """Where the history lies as Parquet."""
    control: str = "sqlite:///data/control.db"
    """Where rules, people, sessions, tokens and the audit are kept."""
    keep: Keep = Keep()
    weights: Weights = Weights()
    web: Web = Web()
    bluesky: Bluesky = Bluesky()
    log_format: Literal["auto", "pretty", "json"] = "auto"
    """How the program's own messages look; `auto`: pretty on a terminal."""
    batch: int = Field(16384, ge=1, le=65536)
    """The most records that one batch of the pipeline takes."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, environment, then `earshot.toml` of the home that those two name."""
        home = init_settings().get("home") or env_settings().get("home")
        toml = Path(home or platformdirs.user_data_path("earshot")) / "earshot.toml"
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml)


def load(**given: Any) -> Settings:  # noqa: ANN401 - whatever the fields take
    """Read the settings; what is None in `given` counts as not given.

    Raises:
        ConfigError: A setting is unknown or cannot be; says which, and where it may come from.
    """
    try:
        return Settings(**{k: v for k, v in given.items() if v is not None})
    except ValidationError as e:
        wrong = "; ".join(
            f"{'.'.join(str(p) for p in x['loc']) or 'settings'}: {x['msg']}" for x in e.errors()
        )
        msg = f"the settings cannot work: {wrong}"
        raise ConfigError(msg, hint="see earshot.toml and the EARSHOT_… variables") from e
    except tomllib.TOMLDecodeError as e:
        msg = f"earshot.toml cannot be read: {e}"
        raise ConfigError(msg, hint="mend the line, or move the file away") from e


def resolve(url: str, home: Path) -> str:
    """Make the relative path of a `sqlite:///…` or `file:…` URL start at `home`."""
    for prefix in ("sqlite:///", "file:"):
        if url.startswith(prefix):
            return prefix + str(home / url.removeprefix(prefix))
    return url
