"""A gateway elsewhere, over its admin API: every ask travels to the place it names, with an admin key.

The key goes to the one address that was given and nowhere else: redirects are not followed, certificates are checked,
and a connection that others can read is refused unless it was asked for.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

import httpx
import msgspec
from msgspec.structs import replace

from llmgw.config.masking import mask_url
from llmgw.config.zones import read_zone
from llmgw.desk.status import ShowStatus, Status
from llmgw.desk.wire import collapse, expand
from llmgw.errors import BadRequest, GatewayError, Internal, NotRunning, Unauthenticated

if TYPE_CHECKING:
    from types import TracebackType
    from zoneinfo import ZoneInfo

    from llmgw.desk.asking import A, Ask

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
FIELD = re.compile(r"{(\w+)}")
ADMIN_REQUIRED = "admin_required"
"""The code with which a gateway refuses a key without admin rights."""


def check_address(url: str, *, insecure: bool = False) -> bool:
    """Whether the gateway is on this machine; BadRequest for an address that makes no sense, or where others could listen."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # a port, or an address in brackets, that is none
        usable = False
    if not usable:
        raise BadRequest(
            f"`{mask_url(url)}` is not the address of a gateway", hint="write it as https://host"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadRequest(
            "the address of a gateway holds neither a password nor a query",
            hint="write it as https://host; its key belongs in LLMGW_ADMIN_KEY",
        )
    near = _is_loopback(parts.hostname or "")
    if parts.scheme == "http" and not near and not insecure:
        raise BadRequest(
            f"the key would travel to {parts.hostname} unencrypted",
            hint="use https://, or set LLMGW_INSECURE_HTTP=1 where you trust the network",
        )
    return near


class Remote:
    """The gateway at ``url``, asked with an admin key; BadRequest as `check_address`."""

    def __init__(self, url: str, key: str, *, insecure: bool = False) -> None:
        """With ``insecure`` the key may travel unencrypted, also to another machine."""
        near = check_address(url, insecure=insecure)
        self.url = url.rstrip("/")
        self._client = httpx.Client(
            headers={"authorization": f"Bearer {key}", "accept": "application/json"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            # a proxy is for reaching other machines
            mounts={"http://": None, "https://": None} if near else None,
        )
        self._zone: ZoneInfo | None = None

    def ask(self, ask: Ask[A]) -> A:
        """Send it, and read the answer.

        NotRunning when nothing answers there, Unauthenticated when the key opens nothing; else what the gateway said.
        """
        fields: dict[str, Any] = msgspec.to_builtins(ask)
        given = {name: value for name, value in fields.items() if value is not None}
        path = FIELD.sub(lambda match: quote(str(given.pop(match[1])), safe=""), ask.at.path)
        if ask.at.in_query:
            reply = self._send(
                ask.at.method, path, params={name: _query(each) for name, each in given.items()}
            )
        else:
            kept = {name: value for name, value in fields.items() if f"{{{name}}}" not in ask.at.path}
            reply = self._send(ask.at.method, path, json=expand(kept))
        try:
            answer: Any = msgspec.convert(collapse(msgspec.json.decode(reply.content)), ask.answer)
        except (msgspec.DecodeError, BadRequest) as error:
            raise Internal(
                f"the answer of {self.url} cannot be read: {error}",
                hint="is it of another version? compare `llmgw version` with `llmgw status`",
            ) from None
        if isinstance(answer, Status):
            answer = replace(answer, url=self.url)  # it knows only its own side of the wire
        return answer  # type: ignore[no-any-return]

    def zone(self, name: str | None = None) -> ZoneInfo:
        if name:
            return read_zone(name)
        if self._zone is None:
            self._zone = read_zone(self.ask(ShowStatus()).timezone)
        return self._zone

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            reply = self._client.request(method, self.url + path, **content)
        except httpx.HTTPError as error:
            raise unreachable(self.url, error) from None
        if reply.is_success:
            return reply
        if reply.is_redirect:
            raise NotRunning(
                f"{self.url} sends elsewhere, where the key does not follow",
                hint=f"give the address itself: {reply.headers.get('location', '')[:200]}",
            )
        raise error_of(self.url, reply)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()


class Told(msgspec.Struct):
    """An error as the admin API tells it."""

    code: str
    message: str
    hint: str | None = None
    param: str | None = None


class Refusal(msgspec.Struct):
    error: Told


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _query(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def unreachable(url: str, error: httpx.HTTPError) -> NotRunning:
    """The error of a gateway that cannot be reached."""
    words = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return NotRunning(
            f"the certificate of {url} is not trusted: {words.partition('] ')[2] or words}",
            hint="SSL_CERT_FILE names a file with an authority of your own",
        )
    return NotRunning(
        f"no gateway answers at {url} ({words})", hint="is it up there, and `--url` or LLMGW_URL right?"
    )


def error_of(url: str, reply: httpx.Response) -> GatewayError:
    """What a gateway said as the error it is; NotRunning where no gateway said it."""
    try:
        told = msgspec.json.decode(reply.content, type=Refusal).error
    except msgspec.DecodeError:
        return NotRunning(
            f"what answers at {url} is no gateway, or an older one (status {reply.status_code})",
            hint="is `--url` or LLMGW_URL right? it is the address without /v1",
        )
    if told.code == ADMIN_REQUIRED:
        return Unauthenticated(told.message, hint=told.hint, code=told.code)
    kinds = [each for each in _tree(GatewayError) if each.__init__ is GatewayError.__init__]
    kinds.remove(NotRunning)  # who is told of it does not run
    kind = next(
        (each for each in kinds if each.code == told.code),
        next((each for each in kinds if each.status == reply.status_code), Internal),
    )
    return kind(told.message, hint=told.hint, param=told.param, code=told.code, status=reply.status_code)


def _tree(kind: type[GatewayError]) -> list[type[GatewayError]]:
    """A class and all below it, the nearest first."""
    return [kind, *(each for child in kind.__subclasses__() for each in _tree(child))]
