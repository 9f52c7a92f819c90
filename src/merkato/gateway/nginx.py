"""The front door as a configuration of nginx, made from the same table of routes.

Requests go straight to the service of their prefix. What is unusual goes to the gateway, which
answers it in its own words: crooked paths, routes for services only, documents and pages.
"""

import math
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from merkato.chassis import edge, http
from merkato.chassis.allowance import BODY_MAX_BYTES, PARAMETER, STREAM, USUAL, Allowances
from merkato.chassis.service import Service
from merkato.chassis.web import FORM_MAX_BYTES
from merkato.config import Config, Gateway
from merkato.contracts.problem import DependencyUnavailable, Malformed, Problem, UpstreamTimeout
from merkato.contracts.problem import RateLimited as Limited
from merkato.gateway import routing
from merkato.gateway.headers import CLAIMS, HSTS, READABLE, SAFE, Fields
from merkato.gateway.limits import rates

WITH_BODY = ("POST", "PUT", "PATCH")
REFUSALS: Mapping[int, type[Problem]] = {  # nginx's own answers, as it numbers them
    400: Malformed, 408: edge.RequestTimeout, 413: edge.PayloadTooLarge, 414: edge.UriTooLong,
    429: Limited, 494: edge.HeadersTooLarge, 502: DependencyUnavailable,
    503: DependencyUnavailable, 504: UpstreamTimeout,
}  # fmt: skip
ALWAYS = ("x-content-type-options", "referrer-policy")  # said of pages too, whatever they say
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
    map $http_authorization $token {{
        default $http_authorization;
        "" $http_x_cart_token$http_x_order_token;
    }}
    map "$known $token" $principal {{  # the end of a token: of a signed one, its signature
        default "";
        "~^0 (?:.*(?=.{{86}}$))?(?<proof>.+)$" $proof;
    }}
    limit_req_zone $caller zone=address:10m rate={address_rate};
    limit_req_zone $principal zone=principal:16m rate={principal_rate};
    limit_req_zone $logging_in zone=login:10m rate={login_rate};
    limit_req_status 429;
    map $logging_in $wait {{ default {login_wait}; "" {usual_wait}; }}
    map "$known $upstream_http_ratelimit_policy,$logging_in" $allowance {{
        default "";
        "0 ," '{usual_policy}';
        "~(?s)^0 ,." '{usual_policy}, {login_policy}';
    }}
{safe}
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
            **_limits(settings),
            safe=_safe(),
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


def _limits(settings: Gateway) -> dict[str, str | int]:
    """Give what the head says of limits: their rates, how they are told, how long to wait."""
    address, principal, login = rates(settings).values()
    usual_s = 1 / min(address.per_s, principal.per_s)
    return {
        "address_rate": _rate(address.per_s),
        "principal_rate": _rate(principal.per_s),
        "login_rate": _rate(login.per_s),
        "usual_policy": f"{address.policy}, {principal.policy}",
        "login_policy": login.policy,
        "usual_wait": math.ceil(usual_s),
        "login_wait": math.ceil(max(usual_s, 1 / login.per_s)),
    }


def _rate(per_s: float) -> str:
    return f"{int(per_s)}r/s" if per_s >= 1 else f"{max(1, int(per_s * 60))}r/m"


def _safe() -> str:
    """Map what a service does not say of itself; the gateway says it, and pages their own."""
    return "\n".join(
        f'    map "$proxy_host $upstream_http_{_variable(name)}" ${_variable(name)} {{\n'
        f'        default ""; "~^gateway " ""; "~ $" "{value}";\n    }}'
        for name, value in _texts(SAFE)
        if name not in ALWAYS
    )


def _variable(name: str) -> str:
    return name.replace("-", "_")


def _origins(origins: Sequence[str]) -> str:
    """Map what pages of other origins may do; the gateway answers for itself."""
    known = " ".join(f'"{origin}" $http_origin;' for origin in origins)
    return f"""\
    map $http_origin $known_origin {{ default ""; {known} }}
    map $proxy_host $allowed_origin {{ default $known_origin; gateway ""; }}
    map $allowed_origin $readable {{ default "{READABLE.decode()}"; "" ""; }}
    map $proxy_host $varies {{ default "{"Origin" if origins else ""}"; gateway ""; }}
    map "$request_method $http_access_control_request_method" $preflight {{
        default 0; "~^OPTIONS ." 1;
    }}"""


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
        f"        limit_req zone=principal burst={settings.principal_burst} nodelay;",
        f"        limit_req zone=login burst={settings.login_burst} nodelay;",
        *(f"        {line}" for line in _answers(config)),
        *_refusals(config),
        "        error_page 418 = @gateway;",
        "        if ($crooked) { return 418; }",
        "        if ($preflight) { return 418; }",
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
    safe = _texts(SAFE)
    said = {name: f'"{value}"' for name, value in safe if name in ALWAYS}
    if config.public_url.startswith("https://"):
        said |= {name: f'"{value}"' for name, value in _texts([HSTS])}
    hidden = [f"proxy_hide_header {name};" for name in said]
    said |= {name: f"${_variable(name)}" for name, _ in safe if name not in ALWAYS}
    said |= {
        "Cache-Control": "$private",
        "RateLimit-Policy": "$allowance",
        "Access-Control-Allow-Origin": "$allowed_origin",
        "Access-Control-Expose-Headers": "$readable",
        "Vary": "$varies",
    }
    return hidden + [f"add_header {name} {value} always;" for name, value in said.items()]


def _texts(fields: Fields) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode()) for name, value in fields]


def _refusals(config: Config) -> list[str]:
    lines, said = [], " ".join(_answers(config))
    for code, kind in REFUSALS.items():
        body = (
            f'{{"type":"/problems/{kind.slug}","title":"{kind.title}","status":{kind.status},'
            '"detail":"","instance":"urn:request:$kept_request_id",'
            '"request_id":"$kept_request_id"}'
        )
        wait = {429: "$wait", 503: "2"}.get(kind.status)
        retry = f"add_header Retry-After {wait} always; " if wait else ""
        lines += [
            # not a named location: what nginx cannot read at all has no address
            f"        error_page {code} ={kind.status} /refused/{code};",
            f"        location = /refused/{code} {{ internal; "
            "default_type application/problem+json; "
            f"{said} add_header X-Request-Id $kept_request_id always; {retry}"
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
