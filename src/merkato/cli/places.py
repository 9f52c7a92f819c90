"""The settings and databases of this installation, for the commands that look into them."""

from merkato import config
from merkato.chassis import supervisor
from merkato.chassis.engines.home import Home
from merkato.chassis.engines.start import Engines, addresses
from merkato.chassis.supervisor import CannotStart
from merkato.config import Config


def settings() -> Config:
    """Give the configuration at MERKATO_CONFIG, or that of `up`; defaults where there is none.

    Raises ValueError where it is wrong.
    """
    try:
        return config.read()
    except ValueError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return Config()
        raise


def engines() -> Engines:
    """Give the addresses of the engines that `up` uses. Raises CannotStart if there are none."""
    return addresses(Home(config.home()), config.SERVICES, *config.external_engines())


def database_urls() -> dict[str, str]:
    """Give every service's database, as its own role.

    The configuration counts where it names databases, else what `up` made. Raises ValueError where
    the configuration is wrong, CannotStart where there are no databases.
    """
    return dict(settings().database_urls) or engines().database_urls


def front_door() -> str:
    """Give the address of the shop that runs here. Raises CannotStart where none does."""
    running = supervisor.state(Home(config.home()).run)
    doors = [one for one in running.children if one.name in {"shop", "gateway"}] if running else []
    if not doors:
        raise CannotStart("This needs a running shop; merkato up starts it.")
    return f"http://127.0.0.1:{doors[0].address.rpartition(':')[2]}"
