"""Serves the page to one person: loopback, a token in the address, one origin."""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bokeh.server.auth_provider import AuthProvider
from panel.io.server import get_server
from tornado.web import HTTPError

LOOPBACK = "127.0.0.1"
ANY_ADDRESS = ("", "0.0.0.0")

REFUSED = "the address needs ?token=...; it was printed when the page was started"


class TokenAuth(AuthProvider):  # type: ignore[misc]
    """Lets in who knows the token, to the page as to its websocket.

    Parameters
    ----------
    token
        What the address has to hold.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        super().__init__()

    @property
    def get_user(self) -> Callable[[Any], str]:
        """Gives the user of a request, or ends it with 403."""
        return self._user

    @property
    def login_url(self) -> str:
        """Bokeh asks for one; who has no token is refused before."""
        return "/login"

    def _user(self, handler: Any) -> str:
        given = handler.get_query_argument("token", default="")
        if not hmac.compare_digest(given.encode(), self._token):
            raise HTTPError(403, reason="Forbidden", log_message=REFUSED)
        handler.set_header("Referrer-Policy", "no-referrer")
        handler.set_header("Cache-Control", "no-store")
        return "user"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the page is served.

    Parameters
    ----------
    host
        Address to listen on; loopback unless a person says otherwise.
    port
        ``None`` takes a free one.
    token
        ``None`` draws one.
    origins
        ``HOST:PORT`` or the address, as the browser has it, where that differs: behind a tunnel or
        a proxy.
    """

    host: str = LOOPBACK
    port: int | None = None
    token: str | None = None
    origins: Sequence[str] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A server that runs when it is told to.

    Parameters
    ----------
    server
        Bokeh's.
    url
        Address for the browser.
    token
        What the address holds.
    outside
        ``HOST:PORT`` for other machines, if they can reach it.
    """

    server: Any
    url: str
    token: str
    outside: str


def make_server(build: Callable[[], Any], address: Address, *, title: str) -> Served:
    """A server of a page; it does not run yet.

    Parameters
    ----------
    build
        Makes the page, once for each window.
    address
        Where it is served.
    title
        What the page is of.

    Raises
    ------
    OSError
        The port is taken, or the host is none of this machine.
    ValueError
        A token that is too short to keep anybody out, or an IPv6 address.
    """
    token = secrets.token_urlsafe(24) if address.token is None else address.token
    if len(token) < 8:
        raise ValueError(f"a token needs 8 characters or more, not {len(token)}")
    if ":" in address.host:
        raise ValueError(
            f"host {address.host!r} is no name or IPv4 address of this machine, which Bokeh's "
            f"server needs; {LOOPBACK} is this machine alone, 0.0.0.0 all of its IPv4 addresses"
        )
    try:
        port = free_port(address.host) if address.port is None else address.port
        server = get_server(
            build,
            port=port,
            address=address.host,
            title=f"{title} - nimbus",
            websocket_origin=allowed_origins(address, port),
            auth_provider=TokenAuth(token),
            sign_sessions=True,
            secret_key=secrets.token_bytes(32),
        )
    except OSError as error:
        what = "" if address.port is None else f"port {address.port} of "
        raise OSError(
            f"{what}{address.host} cannot be used ({error.strerror}); give another --port or "
            "--host, or leave them out"
        ) from error
    everywhere = address.host in ANY_ADDRESS
    url = f"http://{LOOPBACK if everywhere else address.host}:{port}/?token={quote(token, safe='')}"
    return Served(server, url, token, f"{_own_name() if everywhere else address.host}:{port}")


def allowed_origins(address: Address, port: int) -> list[str]:
    """Origins whose pages may open the websocket.

    Examples
    --------
    >>> allowed_origins(Address(), 5006)
    ['127.0.0.1:5006', 'localhost:5006']
    >>> allowed_origins(Address(host="192.0.2.7", origins=["https://Hub.example/nimbus"]), 80)
    ['127.0.0.1:80', 'localhost:80', '192.0.2.7:80', 'hub.example']
    """
    own = [LOOPBACK, "localhost"]
    if address.host in ANY_ADDRESS:
        own.append(_own_name())
    elif address.host.lower() not in own:
        own.append(address.host.lower())
    return [*(f"{name}:{port}" for name in own), *map(_origin, address.origins)]


def _origin(given: str) -> str:
    """As Bokeh compares it: host and port, small; it takes 80 where a browser tells no port."""
    name = given.rpartition("://")[2].partition("/")[0].lower()
    return name.removesuffix(":443")


def _own_name() -> str:
    return socket.gethostname().lower()


def free_port(host: str) -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
