"""Who may say that there is a phone call, and what the provider is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from pydantic import SecretStr

from bots.errors import ConfigError
from bots.settings import DEFAULT_CONFIG, load_settings
from runner.doctor import examine
from runner.phones import (
    Webhook,
    is_signed_by_plivo,
    is_signed_by_telnyx,
    is_signed_by_twilio,
)
from runner.rooms.daily import SIGNATURE_SECS
from runner.session import Session
from tests.app import key_of, service
from tests.phone_caller import stream_in
from tests.standins.phone import (
    ACCOUNT,
    CALLED,
    CALLER,
    CALLS,
    EXOTEL_SECRET,
    PASSWORD,
    PUBLIC_URL,
    ExotelCall,
    Form,
    PhoneCall,
    TelnyxCall,
    TwilioCall,
    telnyx_public_key,
)

TELEPHONY = {
    "public_url": PUBLIC_URL,
    "twilio": {"account_sid": ACCOUNT, "auth_token": PASSWORD},
    "telnyx": {"api_key": "KEY", "public_key": telnyx_public_key()},
    "plivo": {"auth_id": ACCOUNT, "auth_token": PASSWORD},
    "exotel": {"secret": EXOTEL_SECRET},
}
TOKEN = SecretStr(PASSWORD)


@asynccontextmanager
async def serving(**realtime: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Open a service that takes calls of all providers, and has a user."""
    rules = {"telephony": TELEPHONY, "limits": {"sessions": 10}, **realtime}
    async with service(voice={"realtime": rules}) as http:
        await key_of(http, "ada")
        yield http


def sessions_of(http: httpx.AsyncClient) -> list[Session]:
    manager: Any = http.app.state.sessions  # type: ignore[attr-defined]
    return list(manager._sessions.values())


async def tell(
    http: httpx.AsyncClient, call: PhoneCall, *, query: str = "", **form: str
) -> httpx.Response:
    """Tell of a call, as its provider does; with `form`, of what the provider has not signed."""
    path = f"/telephony/{call.name}{query}"
    if call.name == "exotel":
        bot = dict(parse_qsl(query.removeprefix("?")))
        return await http.get(path, params={**call.asks(), **form, **bot})
    headers = call.signed(PUBLIC_URL + path, call.asks())
    return await http.post(path, data={**call.asks(), **form}, headers=headers)


def webhook(call: PhoneCall, url: str, form: Form | None = None) -> Webhook:
    form = call.asks() if form is None else form
    headers = {name.lower(): value for name, value in call.signed(url, form).items()}
    return Webhook(url, headers, urlencode(form).encode(), now=0)


class TestSignatures:
    def test_that_in_the_documentation_of_twilio_is_known(self) -> None:
        asked = {
            "CallSid": "CA1234567890ABCDE",
            "Caller": "+14158675309",
            "Digits": "1234",
            "From": "+14158675309",
            "To": "+18005551212",
        }
        url = "https://mycompany.com/myapp.php?foo=1&bar=2"
        headers = {"x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}
        told = Webhook(url, headers, urlencode(asked).encode(), 0)
        token = SecretStr("12345")
        assert is_signed_by_twilio(told, token)
        assert not is_signed_by_twilio(replace(told, url=url + "&more"), token)
        assert not is_signed_by_twilio(replace(told, body=told.body + b"&More=1"), token)
        assert not is_signed_by_twilio(replace(told, headers={}), token)
        assert not is_signed_by_twilio(told, SecretStr("54321"))

    @pytest.mark.parametrize("called", [PUBLIC_URL, f"{PUBLIC_URL}:443"])
    @pytest.mark.parametrize("signed", [PUBLIC_URL, f"{PUBLIC_URL}:443"])
    def test_twilio_may_sign_with_the_port_or_without(self, called: str, signed: str) -> None:
        told = webhook(TwilioCall("CA1"), f"{signed}/telephony/twilio")
        assert is_signed_by_twilio(replace(told, url=f"{called}/telephony/twilio"), TOKEN)

    @pytest.mark.parametrize(
        ("query", "form", "signature"),
        [
            ("", {}, "A+bGSKbkL69miuZceAusRJduvfsK1+/ukrGXVoP2W9s="),
            ("?bot=sales&a=1%202", {}, "WoPr/XEzSU8RIbLbM+3Ddt4bXYA77Iq1a8Mq0ZycZ1o="),
            ("", None, "PO5ECFrCSwyIuga90aEmKMc/UxnF3kpFrJ942Dsm5o8="),
            ("?bot=sales&a=1%202", None, "KuWXcLLQJQDad8AWxT6Cm4znMjxOkzSG7qsuxBSQmRc="),
        ],
        ids=["neither", "query", "form", "both"],
    )
    def test_those_of_plivos_own_package_are_known(
        self, query: str, form: Form | None, signature: str
    ) -> None:
        asked = {"CallUUID": "u", "From": "+1555", "To": "1", "Event": "StartApp", "Empty": ""}
        headers = {
            "x-plivo-signature-v3": f"of-another-token,{signature}",
            "x-plivo-signature-v3-nonce": "12345",
        }
        body = urlencode(asked if form is None else form).encode()
        told = Webhook(f"https://a.example.com/telephony/plivo{query}", headers, body, 0)
        token = SecretStr("token")
        assert is_signed_by_plivo(told, token)
        assert not is_signed_by_plivo(replace(told, body=told.body + b"&More=1"), token)
        assert not is_signed_by_plivo(replace(told, url=told.url + "/x"), token)
        assert not is_signed_by_plivo(replace(told, headers={}), token)

    def test_one_of_telnyx_is_good_for_some_minutes(self) -> None:
        told = webhook(TelnyxCall("v3:1"), f"{PUBLIC_URL}/telephony/telnyx")
        at, key = int(told.headers["telnyx-timestamp"]), telnyx_public_key()
        for now in (at - SIGNATURE_SECS, at + SIGNATURE_SECS):
            assert is_signed_by_telnyx(replace(told, now=now), key)
        for now in (at - SIGNATURE_SECS - 1, at + SIGNATURE_SECS + 1):
            assert not is_signed_by_telnyx(replace(told, now=now), key)
        told = replace(told, now=at)
        assert not is_signed_by_telnyx(replace(told, body=told.body + b" "), key)
        for name, value in (
            ("telnyx-timestamp", str(at + 1)),
            ("telnyx-timestamp", "soon"),
            ("telnyx-signature-ed25519", "not Base64!"),
            ("telnyx-signature-ed25519", ""),
        ):
            wrong = replace(told, headers={**told.headers, name: value})
            assert not is_signed_by_telnyx(wrong, key)


class TestCalls:
    @pytest.mark.parametrize("name", CALLS)
    async def test_one_is_answered_with_where_its_sound_is_to_go(self, name: str) -> None:
        call = CALLS[name]("CA1")
        async with serving() as http:
            answer = await tell(http, call)
            [session] = sessions_of(http)
        assert answer.status_code == 200
        kind = "application/json" if name == "exotel" else "application/xml"
        assert answer.headers["content-type"].startswith(kind)
        assert stream_in(answer.text, call).endswith(session.token)
        assert (session.transport, session.bot_name) == (name, "receptionist")
        assert CALLER not in repr(session), "nobody keeps who called"
        assert CALLED not in repr(session)

    @pytest.mark.parametrize("name", CALLS)
    async def test_one_that_another_tells_of_is_not_taken(self, name: str) -> None:
        call = CALLS[name]("CA1")
        async with serving() as http:
            if name == "exotel":
                answers = [
                    await tell(http, call, secret="guessed"),
                    await http.get("/telephony/exotel", params={"CallSid": "CA1"}),
                ]
            else:
                answers = [
                    await tell(http, call, From="+15550000"),
                    await http.post(f"/telephony/{name}", data=call.asks()),
                    await http.post(f"/telephony/{name}", content=b"\xff"),
                ]
            assert not sessions_of(http)
        for answer in answers:
            assert answer.status_code == 403
            problem = answer.json()["error"]
            assert problem["code"] == "FORBIDDEN"
            assert f"{PUBLIC_URL}/telephony/{name}" in problem["message"]
            assert "secret" not in problem["message"]

    @pytest.mark.parametrize("name", CALLS)
    async def test_one_has_one_session_however_often_it_is_told_of(self, name: str) -> None:
        async with serving() as http:
            answers = await asyncio.gather(*(tell(http, CALLS[name]("CA1")) for _ in range(3)))
            assert len({answer.text for answer in answers}) == 1
            another = await tell(http, CALLS[name]("CA2"))
            assert another.text != answers[0].text
            assert len(sessions_of(http)) == 2

    async def test_providers_may_have_the_same_name_for_different_calls(self) -> None:
        async with serving() as http:
            for call in CALLS.values():
                await tell(http, call("CA1"))
            assert sorted(it.transport for it in sessions_of(http)) == sorted(CALLS)

    @pytest.mark.parametrize(
        ("name", "busy"),
        [
            ("twilio", '<Reject reason="busy"/>'),
            ("telnyx", '<Reject reason="busy"/>'),
            ("plivo", '<Hangup reason="busy"/>'),
        ],
    )
    async def test_who_calls_when_all_lines_are_busy_hears_that(self, name: str, busy: str) -> None:
        async with serving(limits={"sessions": 1}) as http:
            await tell(http, CALLS[name]("CA1"))
            answer = await tell(http, CALLS[name]("CA2"))
            assert answer.status_code == 200
            assert busy in answer.text
            assert len(sessions_of(http)) == 1

    async def test_exotel_goes_on_without_the_bot_when_all_lines_are_busy(self) -> None:
        async with serving(limits={"sessions": 1}) as http:
            await tell(http, ExotelCall("CA1"))
            assert (await tell(http, ExotelCall("CA2"))).status_code == 429

    async def test_callers_are_not_counted_as_one_user(self) -> None:
        limits = {"sessions": 10, "sessions_per_user": 2, "starts_per_minute": 2}
        async with serving(limits=limits) as http:
            for number in range(5):
                assert "Stream" in (await tell(http, TwilioCall(f"CA{number}"))).text

    @pytest.mark.parametrize("name", CALLS)
    async def test_the_address_may_name_the_bot(self, name: str) -> None:
        call = CALLS[name]("CA1")
        async with serving() as http:
            assert (await tell(http, call, query="?bot=sales")).status_code == 200
            assert [session.bot_name for session in sessions_of(http)] == ["sales"]
            unknown = await tell(http, CALLS[name]("CA2"), query="?bot=nobody")
            assert unknown.status_code == 404

    async def test_one_without_a_name_is_not_taken(self) -> None:
        class Nameless(TwilioCall):
            def asks(self) -> Form:
                return {"From": CALLER}

        async with serving() as http:
            answer = await tell(http, Nameless("CA1"))
        assert answer.status_code == 422
        assert "CallSid" in answer.text

    async def test_a_session_of_ones_own_tells_where_its_sound_is_to_go(self) -> None:
        async with service(voice={"realtime": {"telephony": TELEPHONY}}) as http:
            answer = await http.post("/start", json={"transport": "twilio"})
            [session] = sessions_of(http)
        url = f"{PUBLIC_URL.replace('http', 'ws')}/ws/twilio/{session.token}"
        assert answer.json() == {"wsUrl": url}


class TestSettings:
    @pytest.mark.parametrize("lack", [*CALLS, "public_url"])
    async def test_what_is_not_set_up_is_not_there(self, lack: str) -> None:
        telephony = {name: value for name, value in TELEPHONY.items() if name != lack}
        async with serving(telephony=telephony) as http:
            there = set((await http.get("/status")).json()["transports"]) & set(CALLS)
            answered = {name for name in CALLS if (await tell(http, CALLS[name]("CA1"))).is_success}
            assert there == answered == (set() if lack == "public_url" else {*CALLS} - {lack})

    @pytest.mark.parametrize(
        ("telephony", "problem"),
        [
            ({"public_url": "voice.example.com"}, "public_url"),
            ({"public_url": "https://voice.example.com/phone"}, "public_url"),
            ({"telnyx": {"api_key": "KEY", "public_key": "short"}}, "public_key: expected 32"),
        ],
    )
    def test_what_is_wrong_is_named_at_start(self, telephony: dict[str, Any], problem: str) -> None:
        with pytest.raises(ConfigError, match=problem):
            load_settings(overrides={"voice": {"realtime": {"telephony": telephony}}})

    def test_doctor_says_what_is_missing(self, capsys: pytest.CaptureFixture[str]) -> None:
        def said_of(**telephony: Any) -> str:
            examine(DEFAULT_CONFIG, {"voice": {"realtime": {"telephony": telephony}}})
            [said] = [it for it in capsys.readouterr().out.split("\n") if " telephony: " in it]
            return said

        twilio = {"twilio": TELEPHONY["twilio"]}
        assert said_of() == "ok    telephony: no phone provider has its keys here"
        assert said_of(**twilio).startswith("mend  telephony: twilio: set voice.realtime.")
        whole = said_of(**twilio, public_url=f"{PUBLIC_URL}/")
        assert whole == f"ok    telephony: calls come to {PUBLIC_URL}/telephony/twilio"
