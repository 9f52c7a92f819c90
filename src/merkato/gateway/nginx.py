"""The front door as a configuration of nginx, made from the same table of routes.

Requests go straight to the service of their prefix. What is unusual goes to the gateway, which
answers it in its own words: crooked paths, routes for services only, documents and pages.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from merkato.chassis import edge, http
from merkato.chassis.allowance import BODY_MAX_BYTES, PARAMETER, STREAM, USUAL, Allowances
from merkato.chassis.service import Service
from merkato.chassis.web import FORM_MAX_BYTES
from merkato.config import Config
from merkato.contracts.problem import DependencyUnavailable, Malformed, Problem, UpstreamTimeout
from merkato.contracts.problem import RateLimited as Limited
from merkato.gateway import routing
from merkato.gateway.headers import CLAIMS, HSTS, SAFE

WITH_BODY = ("POST", "PUT", "PATCH")
REFUSALS: Mapping[int, type[Problem]] = {  # nginx's own answers, as it numbers them
    400: Malformed, 408: edge.RequestTimeout, 413: edge.PayloadTooLarge, 414: edge.UriTooLong,
    429: Limited, 494: edge.HeadersTooLarge, 502: DependencyUnavailable,
    503: DependencyUnavailable, 504: UpstreamTimeout,
}  # fmt: skip
HEAD = """\
# Made by `merkato nginx`; do not edit. Check with: nginx -t -c <this file>
worker_processes auto;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    server_tokens off;
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;

    client_header_timeout 10s;
    client_body_timeout 10s;
    client_max_body_size {body_max};
    client_header_buffer_size 4k;
    large_client_header_buffers 8 16k;
    underscores_in_headers off;  # and ignore_invalid_headers on, as they are by default
    merge_slashes off;
    keepalive_timeout 60s;

    proxy_http_version 1.1;
    proxy_connect_timeout 2s;
    proxy_read_timeout 12s;
    proxy_next_upstream error timeout;  # of reads, and of what never left
    proxy_next_upstream_tries 2;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Request-Id $kept_request_id;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
{dropped}
    map $http_x_request_id $kept_request_id {{
        default $request_id;
        "~^[A-Za-z0-9._:-]{{8,80}}$" $http_x_request_id;
    }}
    map "$uri $request_uri" $crooked {{
        default 0;
        "~^/refused/\\d+ " 0;
        "~*^.* /[^?]*(?:{crooked})" 1;
        "~*^.* (?:{crooked})" 1;
    }}
    map "$http_authorization$http_x_cart_token$http_x_order_token" $unless_said {{
        default no-store;
        "" "";
    }}
    map $upstream_http_cache_control $private {{ default ""; "" $unless_said; }}
    geo $known {{ default 0; {unlimited} }}
    map $binary_remote_addr $network {{  # of version 6 the /64, or the address of version 4 within
        default $binary_remote_addr;
        "~(?s)^\\x00{{10}}\\xff\\xff(?<of_4>.{{4}})$" $of_4;
        "~(?s)^(?<of_6>.{{8}}).{{8}}$" $of_6;
    }}
    map $known $caller {{ 1 ""; 0 $network; }}
    map "$request_method $uri" $logging_in {{ default ""; "~^POST /api/v1/auth/" $caller; }}
    limit_req_zone $caller zone=address:10m rate={address_rate};
    limit_req_zone $logging_in zone=login:10m rate={login_rate};
    limit_req_status 429;
{origins}
"""
CROOKED = r"//|/\.{1,2}(?:[/;?]|$)|\\\\|%(?:25)*(?:2[ef]|5c|00)|%c[01]"


def configuration(
    config: Config,
    services: Mapping[str, Service],
    listen: str,
    also: Mapping[str, Sequence[str]],
    folder: str,
) -> str:
    """Write the configuration. `also`: further replicas, service -> URLs; `folder`: its files."""
    settings = config.gateway
    parts = [
        HEAD.format(
            folder=folder,
            body_max=BODY_MAX_BYTES,
            dropped=_dropped(),
            crooked=CROOKED,
            unlimited=" ".join(f"{network} 1;" for network in settings.unlimited),
            address_rate=_rate(settings.address_per_s),
            login_rate=_rate(settings.login_per_s),
            origins=_origins(settings.cors_origins),
        )
    ]
    gateway = f"http://{config.host}:{config.port}"
    addresses = {name: config.elsewhere.get(name, gateway) for name in (*services, "gateway")}
    addresses["gateway"] = config.elsewhere.get("gateway", gateway)
    for name, url in addresses.items():
        parts.append(_upstream(name, [url, *also.get(name, ())]))
    parts.append(_server(config, services, listen))
    return "\n".join(parts) + "}\n"


def _dropped() -> str:
    ours = {b"x-forwarded-for", b"x-forwarded-proto"}
    names = sorted(name.decode().title() for name in CLAIMS - ours)
    return "\n".join(f'    proxy_set_header {name} "";' for name in names)


def _rate(per_s: float) -> str:
    return f"{int(per_s)}r/s" if per_s >= 1 else f"{max(1, int(per_s * 60))}r/m"


def _origins(origins: Sequence[str]) -> str:
    known = " ".join(f'"{origin}" $http_origin;' for origin in origins)
    return f'    map $http_origin $allowed_origin {{ default ""; {known} }}'


def _upstream(name: str, urls: Sequence[str]) -> str:
    servers = "\n".join(
        f"        server {urlsplit(url).netloc} max_fails=1 fail_timeout=2s;" for url in urls
    )
    # one zone: a replica that one worker of nginx finds dead is dead to all of them
    lines = f"        zone {name} 64k;\n{servers}\n        keepalive 32;"
    return f"    upstream {name} {{\n{lines}\n    }}"


def _server(config: Config, services: Mapping[str, Service], listen: str) -> str:
    settings = config.gateway
    lines = [
        "    server {",
        f"        listen {listen} default_server backlog=1024;",
        *(f"        set_real_ip_from {one};" for one in settings.trusted_proxies),
        *(["        real_ip_header X-Forwarded-For;"] if settings.trusted_proxies else []),
        f"        limit_req zone=address burst={settings.address_burst} nodelay;",
        f"        limit_req zone=login burst={settings.login_burst} nodelay;",
        *_answers(config),
        *_refusals(),
        "        error_page 418 = @gateway;",
        "        if ($crooked) { return 418; }",
        "        location @gateway { proxy_pass http://gateway; }",
        "        location / { proxy_pass http://gateway; }",
        "        location = /admin { proxy_pass http://gateway; }",  # else sent to /admin/
        # forms with pictures and files of goods; the back office looks at each form's own size
        f"        location /admin/ {{ client_max_body_size {FORM_MAX_BYTES}; "
        "proxy_request_buffering off; proxy_read_timeout 10m; proxy_pass http://gateway; }",
    ]
    for pattern in _for_gateway(services):
        lines.append(f'        location ~ "{pattern}" {{ proxy_pass http://gateway; }}')
    for pattern, name, more in _special(services):
        lines.append(f'        location ~ "{pattern}" {{ {more} proxy_pass http://{name}; }}')
    for prefix, name in sorted(routing.prefixes(services)):
        lines.append(f"        location {prefix} {{ proxy_pass http://{name}; }}")
    return "\n".join([*lines, "    }\n"])


def _answers(config: Config) -> list[str]:
    """Add to every answer what the gateway would; to pages only what they do not say."""
    safe = {name.decode(): value.decode() for name, value in SAFE}
    lines = []
    for name in ("x-content-type-options", "referrer-policy"):
        lines += [
            f"        proxy_hide_header {name};",
            f'        add_header {name} "{safe[name]}" always;',
        ]
    lines.append("        add_header Cache-Control $private always;")
    lines.append("        add_header Access-Control-Allow-Origin $allowed_origin always;")
    if config.public_url.startswith("https://"):
        lines.append("        proxy_hide_header strict-transport-security;")
        lines.append(f'        add_header {HSTS[0].decode()} "{HSTS[1].decode()}" always;')
    return lines


def _refusals() -> list[str]:
    lines = []
    for code, kind in REFUSALS.items():
        body = (
            f'{{"type":"/problems/{kind.slug}","title":"{kind.title}","status":{kind.status},'
            '"detail":"","instance":"urn:request:$kept_request_id",'
            '"request_id":"$kept_request_id"}'
        )
        retry = 'add_header Retry-After "2" always; ' if kind.status in (429, 503) else ""
        lines += [
            # not a named location: what nginx cannot read at all has no address
            f"        error_page {code} ={kind.status} /refused/{code};",
            f"        location = /refused/{code} {{ internal; "
            "default_type application/problem+json; "
            f"add_header X-Request-Id $kept_request_id always; {retry}"
            f"return {kind.status} '{body}'; }}",
        ]
    return lines


def _pattern(path: str) -> str:
    """Write a route's path as a regular expression of nginx."""
    parts = [part.replace(".", r"\.") for part in PARAMETER.split(path)]
    return "^" + "[^/]+".join(parts) + "/?$"


def _for_gateway(services: Mapping[str, Service]) -> list[str]:
    """List the paths that have a method for services only: the gateway knows which."""
    return sorted(
        {
            _pattern(path)
            for one in services.values()
            for (_, path), policy in http.policies(one.routes).items()
            if policy == http.SERVICE
        }
    )


def _special(services: Mapping[str, Service]) -> list[tuple[str, str, str]]:
    """List (path, service, directives) of routes with larger bodies or lasting answers."""
    found: dict[str, tuple[str, str]] = {}
    for name, one in services.items():
        allowances = Allowances(one.routes)
        for method, path in http.policies(one.routes):
            allowance = allowances.of(method, path)
            if path.endswith(STREAM):
                found[_pattern(path)] = (name, "proxy_buffering off; proxy_read_timeout 1h;")
            elif allowance is not USUAL and method in WITH_BODY:
                found[_pattern(path)] = (
                    name,
                    f"client_max_body_size {allowance.body_max_bytes}; "
                    "proxy_request_buffering off; proxy_read_timeout 10m;",
                )
    return [(pattern, *found[pattern]) for pattern in sorted(found)]
