"""A gateway elsewhere: where the key may travel, and what becomes of what is answered there."""

from __future__ import annotations

import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from llmgw.client.remote import Remote, check_address
from llmgw.desk.keys import ListKeys
from llmgw.desk.kills import ListKills, ThrowKill
from llmgw.errors import (
    BadRequest,
    BudgetExceeded,
    Conflict,
    GatewayError,
    Internal,
    NotFound,
    NotRunning,
    Unauthenticated,
    Unavailable,
)

KEY = "lgw_a-key-that-must-not-leak"


class Answering:
    """A server that answers everything alike and remembers the keys it saw."""

    def __init__(self, status: int, body: str, context: ssl.SSLContext | None = None, **headers: str) -> None:
        self.keys: list[str] = []
        keys = self.keys

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                keys.append(self.headers.get("authorization", ""))
                self.rfile.read(int(self.headers.get("content-length") or 0))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        scheme = "http"
        if context is not None:
            scheme = "https"
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.mark.parametrize(
    ("url", "near"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000/", True),
        ("http://[::1]:8000", True),
        ("https://gateway.example", False),
        ("https://gateway.example/llm", False),
    ],
)
def test_addresses_that_will_do(url: str, near: bool) -> None:
    """TLS to anywhere, plain HTTP to this machine."""
    assert check_address(url) is near


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.example",
        "http://10.0.0.5:8000",
        "http://127.0.0.1.example",
        "http://localhost.example",
        "http://0.0.0.0:8000",
        "gateway.example",
        "ftp://gateway.example",
        "https://",
        "https://[::1",
        "https://host:port",
        "https://me:secret@gateway.example",
        "ftp://me:secret@gateway.example",
        "https://gateway.example?key=secret",
    ],
)
def test_addresses_that_will_not(url: str) -> None:
    """A connection that others could read, or what is no address, is refused without repeating a password."""
    with pytest.raises(BadRequest) as refused:
        check_address(url)
    assert "secret" not in refused.value.message


def test_plain_http_where_it_was_asked_for() -> None:
    """Whoever trusts the network says so."""
    assert check_address("http://10.0.0.5:8000", insecure=True) is False


def test_a_redirect_is_not_followed() -> None:
    """The key goes where it was told to and no further."""
    with Answering(200, "{}") as other, Answering(307, "", location=other.url) as first:
        with Remote(first.url, KEY) as remote, pytest.raises(NotRunning) as refused:
            remote.ask(ListKeys())
        assert first.keys == [f"Bearer {KEY}"]
        assert other.keys == []
        assert other.url in (refused.value.hint or "")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A certificate for 127.0.0.1 that nobody knows yet, and its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    public, private = tmp_path / "public.pem", tmp_path / "private.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


def test_certificates_are_checked(
    certificate: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown certificate ends the connection before the key is sent; SSL_CERT_FILE makes it known."""
    context, file = certificate
    with Answering(200, '{"schema": 1, "kills": []}', context) as server:
        with Remote(server.url, KEY) as remote, pytest.raises(NotRunning) as refused:
            remote.ask(ListKills())
        assert "not trusted" in refused.value.message
        assert server.keys == []
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        with Remote(server.url, KEY) as remote:
            assert remote.ask(ListKills()).kills == ()
        assert server.keys == [f"Bearer {KEY}"]


def told(code: str) -> str:
    return f'{{"error": {{"code": "{code}", "message": "said there", "hint": "do this", "param": null}}}}'


@pytest.mark.parametrize(
    ("status", "body", "kind", "exit_code"),
    [
        (401, told("invalid_key"), Unauthenticated, 4),
        (403, told("admin_required"), Unauthenticated, 4),
        (404, told("not_found"), NotFound, 5),
        (409, told("conflict"), Conflict, 8),
        (402, told("budget_exceeded"), BudgetExceeded, 6),
        (400, told("invalid_request"), BadRequest, 2),
        (503, told("storage_unavailable"), Unavailable, 1),
        (500, told("internal_error"), GatewayError, 1),
        (404, "<html>not here</html>", NotRunning, 3),
        (502, "Bad Gateway", NotRunning, 3),
        (200, "<html>welcome</html>", Internal, 1),
        (200, '{"kills": 5}', Internal, 1),
    ],
)
def test_errors_are_what_they_were(status: int, body: str, kind: type[GatewayError], exit_code: int) -> None:
    """What the gateway said comes out as the error it is there, with its hint; what was no gateway is told apart."""
    with Answering(status, body) as server, Remote(server.url, KEY) as remote:
        with pytest.raises(kind) as raised:
            remote.ask(ListKills())
        assert raised.value.exit_code == exit_code
        assert KEY not in str(raised.value)
        if body.startswith('{"error"'):
            assert (raised.value.message, raised.value.hint) == ("said there", "do this")


def test_nobody_is_there() -> None:
    """A port where nothing listens is a gateway that does not run."""
    with Answering(200, "{}") as server:
        url = server.url
    with Remote(url, KEY) as remote, pytest.raises(NotRunning):
        remote.ask(ThrowKill(scope="all"))
