"""What the back office is made of. Topology decides in which process it runs."""

from merkato.admin.domain import settings
from merkato.admin.http import ROUTES
from merkato.admin.http.pages import Pages
from merkato.admin.templates import Templates
from merkato.chassis.web import Assets, Web
from merkato.config import Config


def web(config: Config, assets: Assets) -> Web:
    """Put the service together."""
    templates = Templates(assets.url, shop_name=config.storefront.name)
    catalog = config.catalog
    pages = Pages(templates, catalog.default_currency, catalog.default_locale)
    return Web(
        name="admin",
        prefixes=("/admin",),
        routes=ROUTES,
        locales=("en",),
        failed=pages.failed,
        cookie_path="/admin",
        provides={"pages": pages, "settings": settings.shown(config)},
    )
