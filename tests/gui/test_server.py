"""Who gets in: the token, the origin, loopback."""

import asyncio
import pickle
import re

import numpy as np
import pytest
from anndata import AnnData

import nimbus
from nimbus.gui.opening import Request, desk_of, open_desk

pytest.importorskip("panel")
pytest.importorskip("bokeh")

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from nimbus.gui.page import build
from nimbus.gui.server import Address, make_server

TOKEN = "a-token-for-tests"

AsyncHTTPClient.configure(None, defaults={"connect_timeout": 180, "request_timeout": 180})


@pytest.fixture(scope="module")
def desk():
    scores = np.repeat([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1]], [30, 20, 10], axis=0)
    table = AnnData(np.zeros((60, 2)), layers={"nimbus": scores})
    nimbus.tl.cluster(table, grid=(2, 2), n_metaclusters=3)
    return desk_of(table, Request("nimbus"), title="<b>cells</b>")


def served_desk(desk, address):
    return make_server(lambda: build(desk), address, title=desk.facts.title)


@pytest.fixture
def ask(desk):
    """Start a server, run a coroutine against it, and stop it."""

    def run(question, **given):
        async def main():
            served = served_desk(desk, Address(token=TOKEN, **given))
            served.server.start()
            try:
                return await question(served)
            finally:
                served.server.stop()

        return asyncio.run(main())

    return run


def base(served):
    return served.url.split("/?")[0]


async def status(url, **headers):
    try:
        answer = await AsyncHTTPClient().fetch(HTTPRequest(url, headers=headers))
    except HTTPClientError as error:
        return error.code
    return answer.code


async def session(served):
    """Bokeh's own token of a session, which the page that was let in holds."""
    answer = await AsyncHTTPClient().fetch(served.url)
    docs = re.search(r'"token":\s*"([^"]+)"', answer.body.decode())
    return docs[1]


async def websocket(served, query, origin, bokeh_token):
    request = HTTPRequest(
        f"{base(served).replace('http', 'ws')}/ws{query}", headers={"Origin": origin}
    )
    try:
        opened = await websocket_connect(request, subprotocols=["bokeh", bokeh_token])
    except HTTPClientError as error:
        return error.code
    greeting = await opened.read_message()
    opened.close()
    return "closed" if greeting is None else "open"


class TestToken:
    @pytest.mark.parametrize(
        "query", ["", "?token=", "?token=another-token", f"?token={TOKEN}x", f"?Token={TOKEN}"]
    )
    def test_without_the_token_there_is_403(self, ask, query):
        async def question(served):
            script = f"/autoload.js{query or '?'}&bokeh-autoload-element=1"
            return [await status(base(served) + path) for path in (f"/{query}", script)]

        assert ask(question) == [403, 403]

    def test_with_the_token_there_is_the_page(self, ask, capsys):
        async def question(served):
            answer = await AsyncHTTPClient().fetch(served.url)
            return answer.code, answer.headers["Referrer-Policy"], answer.headers["Cache-Control"]

        assert ask(question) == (200, "no-referrer", "no-store")
        assert "Traceback" not in capsys.readouterr().out, "Panel prints errors, and shows nothing"

    @pytest.mark.parametrize("token", ["a&b=c d#e%20+", "größer als acht"])
    def test_a_token_of_any_characters_is_in_the_address(self, desk, token):
        async def main():
            served = served_desk(desk, Address(token=token))
            served.server.start()
            try:
                return await status(served.url)
            finally:
                served.server.stop()

        assert asyncio.run(main()) == 200

    def test_a_token_is_drawn_anew_and_too_short_a_one_is_refused(self, desk):
        async def main():
            made = [served_desk(desk, Address()) for _ in range(2)]
            for one in made:
                one.server.stop()
            return [one.token for one in made]

        first, second = asyncio.run(main())
        assert len(first) >= 32
        assert first != second
        with pytest.raises(ValueError, match="8 characters or more, not 3"):
            served_desk(desk, Address(token="abc"))


class TestWebsocket:
    def test_it_opens_for_the_page_itself(self, ask):
        async def question(served):
            own = await session(served)
            return await websocket(served, f"?token={TOKEN}", base(served), own)

        assert ask(question) == "open"

    @pytest.mark.parametrize("query", ["", "?token=another-token"])
    def test_without_the_token_it_is_refused_even_with_the_key_of_a_session(self, ask, query):
        async def question(served):
            own = await session(served)
            return await websocket(served, query, base(served), own)

        assert ask(question) == 403

    @pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null"])
    def test_a_page_of_another_origin_is_refused_even_with_the_token(self, ask, origin):
        async def question(served):
            own = await session(served)
            return await websocket(served, f"?token={TOKEN}", origin, own)

        assert ask(question) == 403

    @pytest.mark.parametrize(
        ("named", "origin"),
        [
            ("hub.example:81", "http://hub.example:81"),
            ("https://Hub.example/nimbus", "https://hub.example"),
            ("hub.example:443", "https://hub.example"),
        ],
    )
    def test_an_origin_that_was_named_is_let_in(self, ask, named, origin):
        async def question(served):
            own = await session(served)
            return await websocket(served, f"?token={TOKEN}", origin, own)

        assert ask(question, origins=[named]) == "open"

    def test_the_name_of_this_machine_is_let_in_however_it_is_written(self, ask, monkeypatch):
        monkeypatch.setattr("socket.gethostname", lambda: "Ada-PC")

        async def question(served):
            port = served.url.partition("/?")[0].rpartition(":")[2]
            assert served.outside == f"ada-pc:{port}"
            own = await session(served)
            return await websocket(served, f"?token={TOKEN}", f"http://ada-pc:{port}", own)

        assert ask(question, host="0.0.0.0") == "open"

    def test_a_session_that_nobody_signed_is_refused(self, ask):
        from bokeh.util.token import generate_jwt_token, generate_session_id

        async def question(served):
            forged = generate_jwt_token(generate_session_id(signed=False), signed=False)
            return await websocket(served, f"?token={TOKEN}", base(served), forged)

        assert ask(question) == "closed"


class TestPlace:
    def test_it_listens_on_loopback_alone(self, ask):
        async def question(served):
            sockets = served.server._http._sockets.values()
            return {one.getsockname()[0] for one in sockets}

        assert ask(question) == {"127.0.0.1"}

    def test_a_port_that_is_taken_is_named(self, ask, desk):
        async def question(served):
            port = int(base(served).rsplit(":", 1)[1])
            with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 cannot be used"):
                served_desk(desk, Address(port=port))

        ask(question)

    def test_a_host_that_is_not_this_machine_is_named(self, desk):
        with pytest.raises(OSError, match=r"^192.0.2.7 cannot be used .*; give another --port or"):
            served_desk(desk, Address(host="192.0.2.7"))

    def test_an_address_of_ipv6_is_refused(self, desk):
        with pytest.raises(ValueError, match="host '::1' is no name or IPv4 address"):
            served_desk(desk, Address(host="::1"))

    def test_what_people_wrote_is_shown_as_text(self, ask):
        async def question(served):
            return (await AsyncHTTPClient().fetch(served.url)).body.decode()

        body = ask(question)
        assert "<b>cells</b>" not in body


def test_a_table_of_h5ad_is_read_without_unpickling(tmp_path, desk):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    path = tmp_path / "trap.h5ad"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(OSError, match=r".+"):
        open_desk(path, Request("nimbus"))
