"""What the generated pages say where the code has no words of its own; tests compare the names with the code."""

from __future__ import annotations

REQUEST_HEADERS = {
    "authorization": "`Bearer KEY`: a key of the gateway",
    "x-api-key": "the same, as Anthropic's SDKs send it",
    "x-llmgw-key": "a key of the gateway, where `authorization` carries a Claude Code sign-in meant for Anthropic",
    "x-llmgw-tag": "tags for this call in the ledger, comma separated, at most 16 of 64 characters each",
    "x-llmgw-cache": "`refresh` asks anew, `no-store` remembers nothing either, `only` makes no call: 504 where nothing is remembered",
    "cache-control": "the same as `no-cache`, `no-store`, `only-if-cached`; `max-age` bounds the age of a remembered answer",
    "idempotency-key": "a text of the caller's own: the same request under it is answered once, and then with the same bytes",
    "x-llmgw-cascade": "`on` or `off`: whether this request begins with a cheap model, where [cascades](../guides/routing.md#the-cheap-model-first) are enabled",
    "x-llmgw-meta": "`body` asks for `gateway_meta` in the answer",
    "x-llmgw-continue": "`true` says that a repeated call is [meant](../guides/loops.md)",
}
ANSWER_HEADERS = {
    "x-llmgw-request-id": "the request's id in the ledger: `llmgw request show ID`",
    "x-llmgw-target": "who answered, as `provider/model`",
    "x-llmgw-tier": "`local`, `cheap` or `premium`",
    "x-llmgw-cost": "dollars, exact, on plain answers; `unknown` where no price is known",
    "x-llmgw-cache": "`exact`, `semantic` or `joined`: a cache answered; `miss`: none could; `bypass`: none was asked",
    "age": "seconds since a remembered answer was made",
    "x-llmgw-idempotent-replay": "`true` on what was sent before under the same idempotency key",
    "x-llmgw-budget-left": "dollars that the tightest ceiling still leaves for such calls; `unlimited` where none holds",
    "x-llmgw-budget-warning": "the budget that has passed a mark, and what is spent of it",
    "x-llmgw-queue": "the place that the call had [in line](../guides/resilience.md#slots-and-queues), and how many milliseconds it stood there",
    "x-llmgw-escalated": "which models' answers were [not good enough](../guides/routing.md#the-cheap-model-first), and by which check",
    "x-llmgw-fallbacks": "how many targets failed or were not good enough before this one, where any were",
    "x-llmgw-trimmed": "about how many tokens of older turns were [left behind](../guides/routing.md#context-budgets)",
    "x-llmgw-dropped": "fields that a translation had to leave out, comma separated",
    "x-llmgw-warning": "what else is worth knowing, as an Ollama context that was too small",
    "x-llmgw-estimated": "`true` on a token count that was estimated and not asked of the provider",
}
FIELDS = {
    "force_tier": "`local`, `cheap` or `premium`: keep to the targets of this tier; anything else is refused with 400",
    "context": "an object about where the question comes from: another one is another question to the caches; its `file_path` is what a commit makes them forget. A request that has one is not vague",
    "idempotency_key": "as the header `idempotency-key`",
}
BUDGET = {
    "date": "today, in the gateway's time zone",
    "daily_spent": "dollars that today's requests cost, of everybody",
    "request_count": "today's requests",
    "cheap_cost": "dollars of those that the cheap tier answered",
    "premium_cost": "dollars of those that the premium tier answered",
    "cache_hits": "requests that a cache answered",
    "level": "the highest mark of the budget `all` for a day that is reached: `ok`, `soft`, `medium` or `hard`",
    "limits": "its marks `soft`, `medium` and `hard` in dollars; null where there is none",
    "remaining": "dollars neither spent nor held of its ceiling; null without one",
    "reset_at": "when the day ends, with its offset from UTC",
}
META = {
    "request_id": "as `x-llmgw-request-id`",
    "latency_ms": "milliseconds since the request arrived",
    "source": "the provider that answered",
    "cache": "as `x-llmgw-cache`",
    "cost_nanousd": "cost in nano-dollars; null where no price is known",
    "cost_usd": "the same in dollars, as a decimal text",
    "saved_usd": "dollars that the call would have cost which a cache answered, as a decimal text",
    "budget_left_usd": "dollars that the tightest ceiling still leaves, as a decimal text; null where none holds",
    "routing": "`tier`, `target`, `reason` in words, `attempts`, and with a cascade `escalated` as the header says it",
    "dropped": "fields that a translation had to leave out",
}
PATHS = {
    "/v1/messages/count_tokens": "count the tokens of a call without making it: asked of Anthropic, estimated for other targets",
    "/v1/models": "list every name this key may ask for, in a shape both SDK families read",
    "/health": "tell whether the gateway is well; no key needed, no secret told; 503 when the ledger cannot be written",
    "/admin/kill-switch": "LLM Gateway v2.0's kill switch, `?action=enable`, `disable` or `status`",
    "/cache/invalidate": "forgets remembered answers: `event` `git_commit` with `commit` and `files`, or `manual`; see [caching](../guides/caching.md#looking-inside-and-forgetting)",
}
"""Where there is more to say than the operation itself does."""

OTHER_VARIABLES = {
    "LLMGW_HOME": "keep config, database, log and state under this folder",
    "LLMGW_CONFIG": "read this config file",
    "LLMGW_NO_INPUT": "never ask a question, as `--no-input`",
    "LLMGW_URL": "a [gateway elsewhere](../guides/remote.md) that commands are about, as `--url`",
    "LLMGW_ADMIN_KEY": "the key with which commands ask a gateway elsewhere; without it LLMGW_KEY",
    "LLMGW_KEY": "the key that `env`, `exec` and `connect` hand on",
    "LLMGW_INSECURE_HTTP": "`1` lets the key for a gateway elsewhere travel over plain http",
    "NO_COLOR": "no colour (any value)",
    "FORCE_COLOR": "colour even in a pipe; `CLICOLOR_FORCE` is understood too",
    "OLLAMA_HOST": "where Ollama listens, as Ollama itself reads it",
    "COLUMNS": "width of tables; under 100 they leave columns out",
}

LOCAL_LLM = {
    "LOCAL_LLM_URL": "a local server: Ollama on port 11434, else OpenAI-compatible",
    "LOCAL_LLM_MODEL": "`tiers.local`",
    "LOCAL_LLM_API_KEY": "the credential of that server",
    "LOCAL_LLM_ENABLED": "`false` is `server.discover = false`",
    "CONFIG_PATH": "as `LLMGW_CONFIG`, where it names a `.toml` file",
}

PASSED_BY = {
    "temperature": "a temperature above `cache.exact.max_temperature`: chance is wanted",
    "n": "several answers at once",
    "store": "an answer that the provider is to keep",
    "tools": "tools, unless `cache.exact.tools` is set and all of them are plain functions",
    "images": "pictures or documents, where `cache.exact.images` is off",
    "remote": "a picture or document that lies at an address, where it may change",
    "unclear": "a body that two readers may read differently: a member that stands twice in it, a number that is none; or one above 4 MB",
}
KINDS = {
    "usual": "any other request",
    "deterministic": "`temperature` is 0",
    "dated": "one of the latest user turns speaks at its beginning or end of today, now, the latest, news or weather, in English, German, French, Spanish or Italian",
}

PROSE = {
    "commands": """\
`llmgw help COMMAND` shows the same in a terminal. `budget`, `limit`, `kill`, `key`, `status`, `report`, `request`,
`route`, `why`, `model list` and `provider list` also work on a [gateway elsewhere](../guides/remote.md). Options that every command
takes:""",
    "config": """\
`llmgw config path` tells where the file lies, `llmgw config check` whether it is right, `llmgw config show --origin` what
is in force and why. Flags win over variables, variables over the file, the file over the defaults. `${VAR}` and
`${VAR:-default}` are replaced in every text; a variable that is not set is an error, but for one that holds a secret and a
command that only looks. `llmgw config schema` prints a JSON Schema for editors. Each option also has a
[variable](environment.md).""",
    "errors": """\
Every error has a code that does not change, an HTTP status, the exit code of a command, a message and, where something
helps, a hint. Metrics and logs carry the code alone; no message holds a secret.""",
    "codes": """\
`upstream_refused` has the status that the provider answered with, and to a caller of the same dialect the provider's own
body. Some places are more exact:""",
    "error headers": """\
Statuses 402, 403 and 413 come with `x-should-retry: false`, 401 with `www-authenticate`; `retry-after` of a provider is
passed on. A 429 of the gateway's own has an exact `retry-after` and `retry-after-ms`, and what is left of the
[limit](../guides/limits.md) under the names that the caller's SDK knows.""",
    "providers": """\
`llmgw provider list --all` shows the same with what is in use. The tier is that of a provider's models whose price is
not known; a known price decides for itself. A variable may have `LLMGW_` before it, or `_FILE` behind it and then names
a file.""",
    "patterns": "A model that no provider lists goes to the one whose names look like it:",
    "refused": """\
These are left out of a request, and where it is translated the answer names them. An output limit is never lost: it
travels under the name that the provider takes.""",
    "environment": "Flags go before variables, variables before `llmgw.toml`, the file before defaults.",
    "provider options": """\
Options of a provider follow the pattern `LLMGW_PROVIDERS_NAME_OPTION`, as in `LLMGW_PROVIDERS_OPENAI_BASE_URL`. Tables
whose names a variable cannot spell, `[models]` and `[prices]`, are for the file alone.""",
    "later": "Known, and noted by `llmgw config check` as without effect in this version:",
    "paths": """\
What lies under `/admin` and `/api/admin` takes a key with admin rights and is told [apart](api.md); `/openapi.json` has
everything for programs, `/docs` for people, and lets them try it. Callers who leave the `/v1` out are understood where the table says so. Any other path answers 404, in
the shape of the caller's dialect as every [error](errors.md).""",
    "api": """\
For keys with admin rights (`llmgw key create NAME --admin`) and for `GATEWAY_SECRET`, sent as every
[key](http.md#headers-of-a-request) or in `x-admin-key`. `llmgw --url` does [the same](../guides/remote.md), and what it
prints with `--json` is what is answered here. `/openapi.json` is this page for programs, `/docs` one to try it on.

Every answer has `"schema": 1`; fields are only ever added. Money is `*_nanousd`, a whole number of nano-dollars, and
`*_usd`, the same as an exact decimal text; of what is sent either will do. Moments are RFC 3339 with an offset. A field
or parameter that is not known is refused, none is ignored.

A refusal is `{"error": {"code", "message", "hint", "param"}}` with the status of its [code](errors.md): 400 for what
cannot be meant, `param` naming the field; 401 without a key that counts, 403 for one without admin rights; 404 for what
is not there; 409 for a name that is taken. A POST sets what it names in place of what was there, also twice.""",
    "passed": "Passed on to a target of the same dialect, as is the query (`?beta=true`): {}.",
    "kept": """\
Every header of the provider is passed on too (rate limits, request ids, `retry-after`), but for those about its own
connection: {}.""",
    "caching": "What the [caches](../guides/caching.md) do and what they leave alone, by the rules in the code.",
    "passed by": """\
A request with any of these is answered by no cache, nor is its answer remembered; `x-llmgw-cache` says `bypass`. An
[idempotency key](../guides/caching.md#sending-a-request-twice) works all the same.""",
    "live": "So is one with any of these members, by which a model looks at the world or a provider remembers:",
    "meaningless": """\
Two requests that differ in nothing but these are the same. Every other member of a body makes another request, also one
that no gateway has heard of; so do the tenant, the targets that the model's name leads to, the query, and these headers:
{}.""",
    "remembered": """\
An answer is remembered when it came whole, ended by itself and not at a limit, holds text (calls of tools, where
`cache.exact.tools` is set), and lost nothing in a translation.""",
    "fields": "They may stand in the body of a call on both surfaces and are never sent on.",
    "budget": """\
The figures that LLM Gateway v2.0 had, for any key. More is told by `llmgw budget list --json`.""",
    "meta": """\
Added to an answer that asks for it: by a field of the gateway, a virtual model or the header `x-llmgw-meta: body`. A
stream carries it in a comment line before it closes.""",
}
