"""Every setting: its unit, its default and what it means. The only reader of the environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

SERVICES = ("users", "catalog", "inventory", "orders", "payments", "notifications", "broker")
WEB = ("storefront", "admin", "gateway")
ALL = SERVICES + WEB


class Secret(str):
    """A string that does not show itself in logs, errors or `repr`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Ed25519 keys as JWKs (RFC 8037); a process holds private keys of its own services only."""

    signing: Mapping[str, Mapping[str, str]] = {}  # service -> private JWK, with `kid`
    published: Mapping[str, tuple[Mapping[str, str], ...]] = {}  # service -> public JWKs accepted

    def __repr__(self) -> str:
        return f"Keys(signing={sorted(self.signing)})"


class Users(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of users."""

    access_token_s: int = 900  # life of an access token
    refresh_token_s: int = 30 * 86_400  # life of a refresh token
    refresh_grace_s: int = 5  # reuse of a refresh token within this is a lost answer, not a theft
    email_token_s: int = 1_800  # life of a verification or password-reset token
    argon2_time_cost: int = 2  # passes
    argon2_memory_kib: int = 19_456  # memory of one hash
    argon2_concurrency: int = 2  # hashes computed at once in this process
    login_failures_max: int = 10  # failed logins per account and window, then pauses
    login_window_s: int = 900  # length of that window, and the longest pause
    totp_key: str = ""  # seals second factors; at least 32 characters; empty: none are offered
    staff_totp: bool = False  # staff must have a second factor; until then they are customers
    invitation_s: int = 7 * 86_400  # life of an invitation to become staff
    spray_failures_max: int = 100  # failed logins with one password per window and process


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of catalog."""

    default_locale: str = "en"  # every product and category has its texts in this one
    default_currency: str = "EUR"  # prices are shown in it when nobody says which
    few_below: int = 5  # pieces; fewer than this and more than none is "few"


class Seller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sells, as invoices show it."""

    name: str = "Merkato"  # the firm's name
    lines: tuple[str, ...] = ()  # street and number, and what belongs to them
    postal_code: str = ""  # as written in its country
    city: str = ""  # the firm's seat
    region: str | None = None  # state or province
    country: str = ""  # ISO 3166-1 alpha-2
    tax_id: str | None = None  # VAT number
    email: str | None = None  # for questions about an invoice
    phone: str | None = None  # the same, by telephone
    company: str | None = None  # legal form and registration, if they are to be shown


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of orders."""

    token_secret: str = ""  # HMAC key of order and cart tokens; at least 32 characters
    pay_within_s: int = 1_800  # time a customer has to pay an order, from placing
    hold_s: int = 60  # life of a provisional reservation; at least 4 times the request deadline
    watch_after_s: int = 30  # an order that stands still this long is asked about
    seller: Seller = Seller()  # who sells; invoices show whoever it was when the order was placed


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of inventory."""

    low_stock_threshold: int = 5  # units; a row without a threshold of its own uses this one
    provisional_per_principal_max: int = 100  # open provisional holds one principal may have


class Payments(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of payments."""

    stripe_url: str | None = None  # base URL of the processor; None: Stripe itself
    stripe_key: str = ""  # secret API key; empty: cards are not offered
    stripe_webhook_secret: str = ""  # signs the processor's webhooks
    capture: Literal["at_once", "at_shipment"] = "at_once"  # when cards are charged
    provider_deadline_s: float = 8.0  # longest wait for one answer of the processor
    concurrency: int = 16  # payments asked about at once


class MessageGateway(msgspec.Struct, frozen=True, kw_only=True):
    """Where messages to telephones are handed over; see docs/notifications.md."""

    url: str  # takes our signed POST
    secret: str  # signs it: whsec_<base64>, or any text of 24 characters or more


class Notifications(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of notifications."""

    smtp_url: str = "smtp://127.0.0.1:1025"  # smtp:// or smtps://, user:password@ if needed
    sender: str = "shop@merkato.example"  # From of every mail; may be Name <address>
    staff: tuple[str, ...] = ("staff@merkato.example",)  # who hears of what people must look at
    staff_locale: str = "en"  # of mails to staff
    shop_name: str | None = None  # signs the mails; null: the name on the pages
    connections: int = 2  # SMTP connections open at once
    gateways: Mapping[
        Literal["sms", "push"], MessageGateway
    ] = {}  # by channel; none: it is not offered
    bounce_secret: str = ""  # signs bounces told to us; empty: they are not taken


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of broker."""

    log_days: int = 30  # public events are kept this long; at least 7
    streams_max: int = 200  # live streams of events open at once in this process
    secret_keys: tuple[str, ...] = ()  # seal webhooks' secrets: the first seals, all of them open
    webhook_networks: tuple[str, ...] = ()  # own networks webhooks may go to, such as 10.1.0.0/16
    webhooks_at_once: int = 64  # webhooks under way at once


class Storefront(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the shop's pages."""

    name: str = "Mirabelle & Moss"  # the shop's name on every page, and in mails
    session_secret: str = ""  # seals what browsers keep for us; at least 32 characters


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the gateway. Limits are token buckets: so many requests a second, and a burst."""

    trusted_proxies: tuple[str, ...] = ()  # networks (CIDR) whose X-Forwarded-For is believed
    unlimited: tuple[str, ...] = ("127.0.0.0/8", "::1/128")  # networks without limits
    cors_origins: tuple[str, ...] = ()  # origins whose pages may call the API from a browser
    address_per_s: float = 50.0  # requests of one address, for ever …
    address_burst: int = 500  # … and at once
    principal_per_s: float = 100.0  # requests of one person, key or guest's token
    principal_burst: int = 1_000  # of these, at once
    login_per_s: float = 1.0  # writes below /api/v1/auth/ from one address
    login_burst: int = 30  # of these, at once


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration. Read once, at the door; the rest of the house is handed parts."""

    environment: Literal["development", "production"] = "production"  # stand-ins: development
    here: tuple[str, ...] = ALL  # services that run in this process
    elsewhere: Mapping[str, str] = {}  # service -> base URL of the process that runs it
    host: str = "127.0.0.1"  # address this process listens on
    port: int = 8000  # TCP port this process listens on
    public_url: str = "http://127.0.0.1:8000"  # the shop's address in links and mails
    database_urls: Mapping[str, str] = {}  # service -> its own database, as its own role
    nats_urls: Mapping[str, str] = {}  # service -> the broker, as its own user
    pool_max: int = 10  # database connections per service and process
    keys: Keys = Keys()
    failpoints: Mapping[str, str] = {}  # place -> kill | raise | sleep:SECONDS; development only
    log_level: Literal["debug", "info", "warning", "error"] = "info"  # what is worth a line
    users: Users = Users()
    catalog: Catalog = Catalog()
    orders: Orders = Orders()
    inventory: Inventory = Inventory()
    payments: Payments = Payments()
    notifications: Notifications = Notifications()
    broker: Broker = Broker()
    storefront: Storefront = Storefront()
    gateway: Gateway = Gateway()

    @property
    def shop_name(self) -> str:
        """Name the shop as its mails do: as its pages do, unless told otherwise."""
        return self.notifications.shop_name or self.storefront.name


def home() -> Path:
    """Give the data folder of an embedded shop: MERKATO_HOME, or `.merkato` where we stand."""
    return Path(os.environ.get("MERKATO_HOME") or ".merkato").absolute()


def external_engines() -> tuple[str | None, str | None]:
    """Give DATABASE_URL and NATS_URL; None where Merkato is to run the engine itself."""
    return os.environ.get("DATABASE_URL") or None, os.environ.get("NATS_URL") or None


def api_key() -> str | None:
    """Give MERKATO_API_KEY, by which commands call a shop; None where it is not set."""
    return os.environ.get("MERKATO_API_KEY") or None


def network() -> str:
    """Give MERKATO_NETWORK, the containers' network (CIDR), whose proxies the gateway believes."""
    return os.environ.get("MERKATO_NETWORK") or ""


def from_environment() -> Config:
    """Give what `merkato prepare` shall set up: the file at MERKATO_CONFIG, if one is named.

    Above it counts what the environment says. Raises ValueError where either is wrong.
    """
    file = os.environ.get("MERKATO_CONFIG")
    asked = msgspec.to_builtins(read(Path(file)) if file else Config())
    for value, place, name in (
        (os.environ.get("MERKATO_ENVIRONMENT"), asked, "environment"),
        (os.environ.get("MERKATO_PUBLIC_URL"), asked, "public_url"),
        (os.environ.get("SMTP_URL"), asked["notifications"], "smtp_url"),
        (os.environ.get("STRIPE_KEY"), asked["payments"], "stripe_key"),
        (os.environ.get("STRIPE_WEBHOOK_SECRET"), asked["payments"], "stripe_webhook_secret"),
    ):
        if value:
            place[name] = value
    return msgspec.convert(asked, Config)


def read(path: Path | None = None) -> Config:
    """Read the configuration from the JSON file at `path` or MERKATO_CONFIG.

    Raises ValueError with the file's name and the place of the mistake.
    """
    file = path or Path(os.environ.get("MERKATO_CONFIG") or home() / "config.json")
    try:
        return msgspec.json.decode(file.read_bytes(), type=Config)
    except FileNotFoundError as missing:
        raise ValueError(f"No configuration at {file}; set MERKATO_CONFIG.") from missing
    except msgspec.DecodeError as wrong:
        raise ValueError(f"{file}: {wrong}") from wrong
