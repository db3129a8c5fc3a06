"""What clients of the edge may do, as settings, and what the edge is told of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator

from app.defaults import PRODUCTION_CONNECTIONS_EACH, PRODUCTION_HTTP_BYTES_PER_S

if TYPE_CHECKING:
    from edge.config import Access, Allowances
    from edge.core.limits import Rate

_Number = Annotated[int, Field(ge=0)]
_Measure = Annotated[float, Field(ge=0, le=1_000_000)]
_MINUTE_S = 60.0


class EdgeLimits(BaseModel):
    """Limits of the edge; 0 is none, and each counts in every worker by itself."""

    ids_per_message: _Number = Field(
        500,
        description="Ids that one `SUBSCRIBE`, or a list in a query, may name; those above "
        "it are ignored after one error, a query gets 400",
    )
    ids_per_connection: _Number = Field(
        5_000,
        description="Ids that a connection is subscribed to by name; those above it are "
        "ignored after one error",
    )
    messages_per_s: _Measure = Field(
        20, description="Messages of a client in the long run; more close with 1008"
    )
    messages_burst: _Number = Field(
        100, description="Messages that a client may send at once"
    )
    errors_per_minute: _Measure = Field(
        20,
        description="Mistakes of a client in a minute, and at once; more close with 1008",
    )
    connections: _Number = Field(
        0,
        description="Open connections in all; 0 is what the limit of open files allows, "
        "less 512, and so is more than that",
    )
    connections_per_address: _Number | None = Field(
        None,
        description="Open connections of one address, of IPv6 one /64; default "
        f"{PRODUCTION_CONNECTIONS_EACH} in production, else 0",
    )
    http_bytes_per_s: _Number | None = Field(
        None,
        description="Bytes of answers to HTTP requests made for one address in the long run, "
        "before compression; a request counts as 1 KiB more, one that opens a stream or a "
        "WebSocket as 32 KiB more, and the messages that answer it, or a `SUBSCRIBE`, count "
        "as they are made. Beyond it requests get 429 with `Retry-After`, and a `SUBSCRIBE` "
        "is refused and closes with 1008; default "
        f"{PRODUCTION_HTTP_BYTES_PER_S} in production, else 0",
    )
    http_burst_bytes: _Number = Field(
        67_108_864,
        description="The same that may be made at once; 0 is no limit",
    )
    answer_bytes: _Number = Field(
        67_108_864,
        description="Bytes of all answers to GET that slow readers have not taken yet, each "
        "answer counted once however many read it; above it the one under way for longest "
        "is cut off",
    )
    refresh_per_address_s: _Measure = Field(
        10,
        description="Between two requests of one address for a reading of one kind; those "
        "in between are answered and do nothing",
    )
    watch_per_address: _Number = Field(
        120,
        description="Users that nobody watched, named from one address in a minute; those "
        "above it are served what is known and not polled. `STACKS_FEED_WATCH_MAX` bounds "
        "all",
    )
    ping_s: _Measure = Field(
        20, description="Between two pings of a client, and as long it has to answer"
    )
    idle_s: Annotated[float, Field(gt=0, le=3_600)] = Field(
        30,
        description="A connection that asks nothing, or takes longer to send the head of a "
        "request, is closed",
    )


class EdgeAccess(BaseModel):
    """Access to the edge."""

    origins: tuple[str, ...] | None = Field(
        None,
        description="JSON list of origins whose pages may read the answers to HTTP requests "
        "and open connections, beside pages of the edge's own host; "
        '`["*"]` for all; default all in development, none in production',
    )
    origins_with_credentials: tuple[str, ...] | None = Field(
        None,
        description="JSON list of origins, each by its name, whose pages may do so with "
        "cookies or client certificates, for a gateway in front that wants them; the edge "
        "looks at neither",
    )
    proxies: tuple[str, ...] | None = Field(
        None,
        description="JSON list of the networks of proxies in front, as in "
        '`["10.0.0.0/8"]`: of what they write into `X-Forwarded-For` the right-most address '
        "that is no proxy counts. Without them it is not looked at",
    )
    metrics_token: SecretStr | None = Field(
        None,
        description="Whoever asks the edge's port for `/metrics` must show this as a bearer "
        "token",
    )
    refresh_token: SecretStr | None = Field(
        None,
        description="Whoever asks for a reading (POST, or `MANUAL_UPDATE` on a connection) "
        "must show this as a bearer token, when it connects",
    )
    tls_certificate: Path | None = Field(
        None, description="File with certificates: the edge's port speaks TLS"
    )
    tls_key: Path | None = Field(
        None, description="File with their key; default the same file"
    )

    @field_validator("proxies")
    @classmethod
    def _are_networks(cls, texts: tuple[str, ...] | None) -> tuple[str, ...] | None:
        from edge.core.addresses import networks  # noqa: PLC0415 - each process loads its service alone

        networks(texts or ())
        return texts

    @field_validator("origins", "origins_with_credentials")
    @classmethod
    def _are_origins(
        cls, texts: tuple[str, ...] | None, field: ValidationInfo
    ) -> tuple[str, ...] | None:
        from edge.core.origins import ANY_ORIGIN, normal_origin  # noqa: PLC0415

        for text in texts or ():
            if text == ANY_ORIGIN and field.field_name == "origins":
                continue
            if normal_origin(text) is None:
                raise ValueError(f"no origin as in https://a.example: {text!r}")
        return texts

    @field_validator("metrics_token", "refresh_token")
    @classmethod
    def _can_be_shown(cls, token: SecretStr | None) -> SecretStr | None:
        shown = token.get_secret_value() if token else "x"
        if not (shown.isascii() and shown.isprintable() and " " not in shown):
            raise ValueError("a token is printable ASCII without spaces")
        return token

    @field_validator("tls_key")
    @classmethod
    def _has_certificate(cls, key: Path | None, others: ValidationInfo) -> Path | None:
        if key is not None and others.data.get("tls_certificate") is None:
            raise ValueError("a key needs STACKS_FEED_TLS_CERTIFICATE beside it")
        return key


def allowances(
    limits: EdgeLimits, *, watched: int, in_production: bool
) -> "Allowances":
    """Return what clients may do."""
    from edge.config import Allowances  # noqa: PLC0415 - each process loads its service alone
    from edge.core.limits import NO_LIMIT, Rate  # noqa: PLC0415

    each = PRODUCTION_CONNECTIONS_EACH if in_production else 0
    said_each = limits.connections_per_address
    refresh_s = limits.refresh_per_address_s
    # One limit of two numbers: 0 of either turns it off.
    burst = limits.messages_burst
    messages = Rate(limits.messages_per_s, burst) if burst else NO_LIMIT
    return Allowances(
        ids_per_message=limits.ids_per_message,
        ids_per_client=limits.ids_per_connection,
        messages=messages,
        errors=Rate(limits.errors_per_minute / _MINUTE_S, limits.errors_per_minute),
        connections=limits.connections,
        connections_each=each if said_each is None else said_each,
        refreshes_each=Rate(1 / refresh_s) if refresh_s else NO_LIMIT,
        watched=watched,
        http_bytes_each=_http_bytes(limits, in_production=in_production),
        new_watched_each=Rate(
            limits.watch_per_address / _MINUTE_S, limits.watch_per_address
        ),
    )


def _http_bytes(limits: EdgeLimits, *, in_production: bool) -> "Rate":
    from edge.core.limits import NO_LIMIT, Rate  # noqa: PLC0415 - each process loads its service alone

    default = PRODUCTION_HTTP_BYTES_PER_S if in_production else 0
    per_s = default if limits.http_bytes_per_s is None else limits.http_bytes_per_s
    burst = limits.http_burst_bytes
    return Rate(per_s, burst) if per_s and burst else NO_LIMIT


def access(given: EdgeAccess) -> "Access":
    """Return who is let in."""
    from edge.config import Access  # noqa: PLC0415 - each process loads its service alone
    from edge.core.addresses import networks  # noqa: PLC0415

    return Access(
        proxies=networks(given.proxies or ()),
        metrics_token=_revealed(given.metrics_token),
        refresh_token=_revealed(given.refresh_token),
        certificate=given.tls_certificate,
        certificate_key=given.tls_key,
    )


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
