"""`merkato nginx`: a configuration of nginx for the door, made from the table of routes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from merkato import config, topology
from merkato.gateway.nginx import configuration


def nginx(
    *,
    config_file: Annotated[Path | None, Parameter(name="--config")] = None,
    listen: str = "8080",
    also: Sequence[str] = (),
    folder: Path = Path("/tmp/merkato-nginx"),
) -> None:
    """Print a configuration: `merkato nginx > nginx.conf`, then `nginx -c $PWD/nginx.conf`.

    Requests go straight to the service they are for, and what is unusual to the gateway, which has
    to believe nginx (`gateway.trusted_proxies`). Certificates are for you to add.

    Parameters
    ----------
    config_file
        The gateway's configuration (JSON), which says where the services are; MERKATO_CONFIG
        when not given.
    listen
        What nginx listens on: a port, or an address and a port.
    also
        Further replicas of a service, as `orders=http://10.0.0.7:8000`; may be repeated.
    folder
        Where nginx may keep its files.

    """
    settings = config.read(config_file)
    more: dict[str, list[str]] = {}
    for one in also:
        name, _, url = one.partition("=")
        if name not in config.ALL or not url.startswith(("http://", "https://")):
            raise ValueError(f"--also {one}: name a service and its URL, orders=http://…")
        more.setdefault(name, []).append(url)
    made = configuration(settings, topology.services(settings), listen, more, str(folder))
    print(made, end="")
