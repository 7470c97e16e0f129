"""Every error the gateway raises on purpose, as one tree that each surface renders in its own dialect.

    GatewayError                   status  exit  code
    ├─ ConfigInvalid                  400     2  config_invalid
    ├─ BadRequest                     400     2  invalid_request
    ├─ NotRunning                     503     3  not_running
    ├─ Unauthenticated                401     4  invalid_key
    ├─ NotFound                       404     5  not_found
    │  └─ ModelNotFound               404     5  model_not_found
    ├─ Refused                        403     6  refused
    │  ├─ NotAllowed                  403     6  not_allowed
    │  ├─ RateLimited                 429     6  rate_limited
    │  ├─ BudgetExceeded              402     6  budget_exceeded
    │  └─ TooLarge                    413     6  request_too_large
    ├─ UpstreamFailed                 502     7  upstream_error
    │  ├─ UpstreamTimeout             504     7  upstream_timeout
    │  └─ UpstreamRefused            (its)    7  upstream_refused
    ├─ Conflict                       409     8  conflict
    ├─ Unavailable                    503     1  service_unavailable
    ├─ TimedOut                       504   124  timed_out
    └─ Internal                       500     1  internal_error

Metrics and logs carry ``code`` only. ``message`` says what happened and in which scope, ``hint`` the command or
the change that lifts it. Neither ever holds a secret.
"""

from __future__ import annotations


class GatewayError(Exception):
    """A refusal or failure with a stable code, an HTTP status, an exit code and a hint."""

    code = "internal_error"
    status = 500
    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        param: str | None = None,
        code: str | None = None,
        status: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """``param`` names the offending request field, ``headers`` are sent with an HTTP reply."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.param = param
        self.headers = headers
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status


class ConfigInvalid(GatewayError):
    code, status, exit_code = "config_invalid", 400, 2


class BadRequest(GatewayError):
    code, status, exit_code = "invalid_request", 400, 2


class NotRunning(GatewayError):
    code, status, exit_code = "not_running", 503, 3


START = "start it with `llmgw serve`"
"""What helps where there is no gateway on this machine."""


def not_running() -> NotRunning:
    """What everybody says who needs a gateway on this machine and finds none."""
    return NotRunning("the gateway is not running", hint=START)


class Unauthenticated(GatewayError):
    code, status, exit_code = "invalid_key", 401, 4


class NotFound(GatewayError):
    code, status, exit_code = "not_found", 404, 5


class ModelNotFound(NotFound):
    code = "model_not_found"


class Refused(GatewayError):
    code, status, exit_code = "refused", 403, 6


class NotAllowed(Refused):
    code = "not_allowed"


class RateLimited(Refused):
    code, status = "rate_limited", 429


class BudgetExceeded(Refused):
    code, status = "budget_exceeded", 402


class TooLarge(Refused):
    code, status = "request_too_large", 413


class UpstreamFailed(GatewayError):
    code, status, exit_code = "upstream_error", 502, 7


class UpstreamTimeout(UpstreamFailed):
    code, status = "upstream_timeout", 504


class UpstreamRefused(UpstreamFailed):
    """An upstream answered with an error status of its own; ``status`` is that status, ``body`` its bytes."""

    code = "upstream_refused"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        body: bytes = b"",
        content_type: str = "application/json",
        kind: str | None = None,
        hint: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """``kind`` is the upstream's own error type, kept so that SDKs raise the class they would have raised."""
        super().__init__(message, status=status, hint=hint, headers=headers)
        self.body = body
        self.content_type = content_type
        self.kind = kind


class Conflict(GatewayError):
    code, status, exit_code = "conflict", 409, 8


class Unavailable(GatewayError):
    code, status, exit_code = "service_unavailable", 503, 1


class TimedOut(GatewayError):
    code, status, exit_code = "timed_out", 504, 124


class Internal(GatewayError):
    code, status, exit_code = "internal_error", 500, 1
