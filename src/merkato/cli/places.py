"""Where the databases of this installation are, for the commands that look into them."""

from merkato import config
from merkato.chassis.engines.home import Home
from merkato.chassis.engines.start import Engines, addresses


def engines() -> Engines:
    """Give the addresses of the engines that `up` uses. Raises CannotStart if there are none."""
    return addresses(Home(config.home()), config.SERVICES, *config.external_engines())


def database_urls() -> dict[str, str]:
    """Give every service's database, as its own role.

    The configuration at MERKATO_CONFIG counts where it names databases, else what `up` made.
    Raises ValueError where that configuration is wrong.
    """
    try:
        named = dict(config.read().database_urls)
    except ValueError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        named = {}
    return named or engines().database_urls
