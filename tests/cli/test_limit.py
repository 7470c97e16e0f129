"""Limits from the command line. # D-19"""

import anthropic
import openai
import pytest


def test_life_of_a_limit(llmgw):
    """Limits are set, replaced, listed and lifted with the gateway down; the row that results is printed."""
    made = llmgw.run("limit", "set", "key:ci", "60/rpm", "100_000/tpm", "4/concurrency", "--json")
    assert made.json["limits"][1] == {
        "scope": "key:ci",
        "measure": "tpm",
        "amount": 100_000,
        "origin": "limit set",
    }
    assert "no key `ci` yet" in made.err
    llmgw.run("limit", "set", "all", "1000/rpd")
    llmgw.run("limit", "set", "key:ci", "30/rpm")
    listed = llmgw.run("limit", "list", "--json").json["limits"]
    assert [(row["scope"], row["amount"], row["measure"]) for row in listed] == [
        ("all", 1000, "rpd"),
        ("key:ci", 30, "rpm"),
        ("key:ci", 100_000, "tpm"),
        ("key:ci", 4, "concurrency"),
    ]
    assert llmgw.run("limit", "remove", "key:ci", "tpm").code == 0
    assert llmgw.run("limit", "list", "--scope", "key:ci", "-q").out == "key:ci\nkey:ci\n"
    assert llmgw.run("limit", "remove", "key:ci").code == 0
    assert llmgw.run("limit", "list", "-q").out == "all\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["set", "all", "60"], 2),
        (["set", "all", "sixty/rpm"], 2),
        (["set", "all", "60/hour"], 2),
        (["set", "all", "0/rpm"], 2),
        (["set", "all", "-5/rpm"], 2),
        (["set", "all"], 2),
        (["set", "kay:ci", "60/rpm"], 2),
        (["set", "all", "5/tpm", "60/nothing"], 2),
        (["remove", "key:nobody"], 5),
        (["remove", "all", "tpm"], 5),
    ],
)
def test_exit_codes(llmgw, words, code):
    """What cannot be meant is refused with the exit code of the table, and changes nothing."""
    llmgw.run("limit", "set", "all", "60/rpm")
    result = llmgw.run("limit", *words)
    assert (result.code, result.out) == (code, "")
    assert "rror" in result.err
    assert llmgw.run("limit", "list", "-o", "plain").out == "all\t60\trpm\tlimit set\n"


def test_old_variables_are_limits_for_everybody(llmgw):
    """RATE_LIMIT_RPM and RATE_LIMIT_TPM hold until a limit is set in their place, and cannot be lifted by a command."""
    old = {"RATE_LIMIT_RPM": "60", "RATE_LIMIT_TPM": "100000"}
    llmgw.run("limit", "set", "all", "90/rpm")
    listed = llmgw.run("limit", "list", "--json", **old).json["limits"]
    assert [(row["amount"], row["measure"], row["origin"]) for row in listed] == [
        (100_000, "tpm", "config"),
        (90, "rpm", "limit set"),
    ]
    assert "60/rpm from the configuration is in force again" in llmgw.run("limit", "remove", "all", **old).err
    refused = llmgw.run("limit", "remove", "all", "tpm", **old)
    assert (refused.code, "come from the configuration" in refused.err) == (5, True)


def test_a_running_gateway_obeys_at_once(llmgw):
    """A limit set while the gateway runs refuses the next call in both SDKs, and lifting it lets it through."""
    key = llmgw.run("key", "create", "ci", "-q").out.strip()
    assert llmgw.run("serve", "--demo", "--port", "0", RATE_LIMIT_TPM="1000000").code == 0
    url = llmgw.run("status", "--json").json["url"]
    chat = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0)
    claude = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
    asked = {"model": "gateway-auto", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
    chat.chat.completions.create(**asked)
    llmgw.run("limit", "set", "key:ci", "1/rpd")
    chat.chat.completions.create(**asked)
    with pytest.raises(openai.RateLimitError) as one:
        chat.chat.completions.create(**asked)
    with pytest.raises(anthropic.RateLimitError) as two:
        claude.messages.create(**asked)
    assert "llmgw limit set key:ci 2/rpd" in one.value.message
    assert two.value.response.headers["retry-after"] == one.value.response.headers["retry-after"]
    assert one.value.response.headers["x-ratelimit-limit-tokens"] == "1000000"
    llmgw.run("limit", "remove", "key:ci")
    claude.messages.create(**asked)
    chat.close()
    claude.close()
