"""`program-linking page`: the API's page on this machine, for one browser, with the operator's credentials."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from local.lms import Lms
from local.roster import load_sample_roster
from local.serve import Gateway
from program_linking.api import connected_api
from program_linking.page import Server
from tests.command.support import Api
from tests.gateway import serving
from tests.page.support import check, summary


@dataclass
class Page:
    """A page that is served, and a way to ask it for something."""

    server: Server

    def ask(self, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send a request as no browser would have to; an underscore in a header's name is a hyphen."""
        own = {name.replace("_", "-"): value for name, value in headers.items()}
        with socket.socket() as connected, closing(http.client.HTTPConnection("127.0.0.1")) as connection:
            connected.connect(self.server.server_address)
            connection.sock = connected
            own.setdefault("Host", f"127.0.0.1:{self.server.server_port}")
            connection.request(method, path, b"{}" if method == "POST" else None, own)
            with connection.getresponse() as answer:
                return answer.status, dict(answer.headers.items()), answer.read()

    def enter(self) -> str:
        """Open the printed address; the cookie that lets in."""
        url = urlsplit(self.server.address)
        status, headers, _ = self.ask("GET", f"{url.path}?{url.query}")
        assert (status, headers["Location"]) == (303, url.path)
        return headers["Set-Cookie"].partition(";")[0]


@contextmanager
def served(url: str) -> Iterator[Page]:
    """The page of an API."""
    with connected_api(url, None) as api, Server(api, 0) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Page(server)
        server.shutdown()
        thread.join()


@pytest.fixture
def page(lms: Lms) -> Iterator[Page]:
    """The page of the local service, which a browser asks for several things at once."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Gateway)) as port, served(f"http://127.0.0.1:{port}") as page:
        yield page


def test_the_address_is_good_once(page: Page) -> None:
    """The printed address lets one browser in, which keeps a cookie that scripts cannot read; then it is used up."""
    url = urlsplit(page.server.address)
    status, headers, _ = page.ask("GET", f"{url.path}?{url.query}")
    assert status == 303
    assert headers["Set-Cookie"].endswith("; HttpOnly; SameSite=Strict; Path=/")
    assert page.ask("GET", f"{url.path}?{url.query}")[0] == 403
    cookie = headers["Set-Cookie"].partition(";")[0]
    status, headers, body = page.ask("GET", "/", Cookie=cookie)
    assert status == 200
    assert b"<title>Program linking</title>" in body
    assert headers["content-security-policy"].startswith("default-src 'none'")


def test_no_answer_waits_for_an_acknowledgement(page: Page) -> None:
    """On a connection that stays open, answers come at once, here and from the service behind: not after 40 ms."""
    headers = {"Cookie": page.enter()}
    seconds = []
    with closing(http.client.HTTPConnection("127.0.0.1", page.server.server_port)) as connection:
        for _ in range(10):
            begin = time.perf_counter()
            connection.request("GET", "/page/settings.json", headers=headers)
            assert connection.getresponse().read()
            seconds.append(time.perf_counter() - begin)
    assert min(seconds[1:]) < 0.03


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no cookie"),
        pytest.param({"Cookie": "program-linking-PORT=guess"}, id="another cookie"),
        pytest.param({"Cookie": 'program-linking-PORT="'}, id="a cookie that is none"),
    ],
)
def test_nobody_else_gets_in(page: Page, headers: dict[str, str]) -> None:
    """Without the cookie nothing is sent to the API."""
    own = {name: value.replace("PORT", str(page.server.server_port)) for name, value in headers.items()}
    for path in ("/", "/?token=", "/?token=guess", "/programs"):
        assert page.ask("GET", path, **own)[0] == 403


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        pytest.param("GET", {"Host": "links.example.com"}, id="a name that leads here"),
        pytest.param("GET", {"Host": "127.0.0.1"}, id="no port"),
        pytest.param("POST", {"Origin": "https://example.com"}, id="another page"),
        pytest.param("POST", {"Origin": "http://127.0.0.1:1"}, id="another port of this machine"),
        pytest.param("POST", {"Origin": "null"}, id="a page without an origin"),
        pytest.param("POST", {}, id="no origin"),
        pytest.param("GET", {"Sec_Fetch_Site": "cross-site"}, id="a picture on another page"),
        pytest.param("GET", {"Sec_Fetch_Site": "same-site"}, id="a picture on another port"),
    ],
)
def test_other_pages_are_refused(page: Page, method: str, headers: dict[str, str]) -> None:
    """Whatever another page lets the browser send is refused, cookie or not."""
    assert page.ask(method, "/links", Cookie=page.enter(), **headers)[0] == 403


def test_no_other_interface_is_listened_on(page: Page) -> None:
    """The page is to be had on 127.0.0.1 only."""
    own = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)}
    for address in (own | {"::1", "127.0.0.2"}) - {"127.0.0.1"}:
        with pytest.raises(OSError, match=r"refused|unreachable|assign"):
            socket.create_connection((address, page.server.server_port), timeout=1)


def test_requests_are_signed(deployed_api: Api) -> None:
    """What goes to the API is signed with the caller's credentials, path for path, without the browser's headers."""
    with served(deployed_api.url) as page:
        assert page.server.home == "/v1/"
        cookie = page.enter()
        deployed_api.will_answer(207, {"linked": 1})
        origin = f"http://127.0.0.1:{page.server.server_port}"
        status, _, body = page.ask("POST", "/v1/links", Cookie=cookie, Origin=origin, Content_Type="application/json")
        assert (status, body) == (207, b'{"linked": 1}')
        assert page.ask("GET", "/prod/links", Cookie=cookie)[0] == 404
    [received] = deployed_api.received
    assert received.path == "/v1/links"
    assert received.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "Cookie" not in received.headers
    assert "Origin" not in received.headers


def test_an_api_out_of_reach(unused_port: int) -> None:
    """An API that cannot be reached is an answer with a sentence, and the page stays."""
    with served(f"http://127.0.0.1:{unused_port}") as page:
        status, _, body = page.ask("GET", "/", Cookie=page.enter())
        assert status == 504
        assert b"cannot be reached" in body


@pytest.fixture
def unused_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_the_command_serves_until_it_is_interrupted(gateway: str) -> None:
    """The command prints the address, serves, and ends at Ctrl-C without a traceback."""
    command = [sys.executable, "-m", "program_linking.main", "page", "--url", gateway]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert re.fullmatch(r"Open http://127\.0\.0\.1:\d+/\?token=[\w-]+ in a browser .*\n", line)
        process.terminate()
        assert process.wait() == 130
        assert "Traceback" not in process.stderr.read()


@pytest.mark.slow
@pytest.mark.browser
def test_a_browser_links_through_it(page: Page, lms: Lms, chromium: Browser) -> None:
    """A browser opens the printed address, and checks and links as on the API's own page, also after a reload."""
    load_sample_roster(lms)
    window = chromium.new_page()
    window.goto(page.server.address)
    assert "token" not in window.url
    window.reload()
    check(window, "student-001,alice")
    window.get_by_role("button", name="Link 1 learner").click()
    expect(summary(window)).to_contain_text("1 line linked")
    window.close()
