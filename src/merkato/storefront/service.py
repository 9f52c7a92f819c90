"""What storefront is made of. Topology decides in which process it runs."""

from merkato.chassis.web import Assets, Web
from merkato.config import Config
from merkato.storefront.http import ROUTES
from merkato.storefront.http.pages import Pages
from merkato.storefront.templates import LOCALES, Templates

SECRET_CHARS_MIN = 32


def web(config: Config, assets: Assets) -> Web:
    """Put the service together. Raises ValueError when the secret is missing or short."""
    short = len(config.storefront.session_secret) < SECRET_CHARS_MIN
    if "storefront" in config.here and short:
        raise ValueError(f"storefront.session_secret needs at least {SECRET_CHARS_MIN} characters")
    templates = Templates(assets.url, shop_name=config.storefront.name)
    development = config.environment == "development"
    pages = Pages(templates, config.catalog.default_currency, development=development)
    return Web(
        name="storefront",
        prefixes=("/",),
        routes=ROUTES,
        locales=LOCALES,
        failed=pages.failed,
        provides={"pages": pages},
    )
