"""Slack's own Python SDK against a running mockup.

    pip install slack_sdk
    python with_slack_sdk.py http://127.0.0.1:8082

Prints one line a check, and exits 1 at the first that fails. It puts faults of
its own and deletes all faults at its end.
"""

import json
import sys
import urllib.request

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError


def put_faults(base, faults):
    request = urllib.request.Request(
        f"{base}/_mock/faults",
        data=json.dumps(faults).encode() if faults else None,
        method="PUT" if faults else "DELETE",
    )
    urllib.request.urlopen(request).close()


def refusal(call):
    try:
        call()
    except SlackApiError as error:
        return error.response
    sys.exit("FAILED: SlackApiError was not raised")


def check(what, holds):
    if not holds:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


def main(base):
    client = WebClient(token="xoxb-sdk", base_url=f"{base}/api/")
    text = "[high] 디스크 <full> & \"hot\""

    answer = client.chat_postMessage(channel="C0SDK", text=text)
    check("a message is answered ok, with its channel", answer["ok"] and answer["channel"] == "C0SDK")
    check("the answer has the message's text and ts",
          answer["message"]["text"] == text and answer["message"]["ts"] == answer["ts"])
    with urllib.request.urlopen(f"{base}/_mock/messages?channel=C0SDK&limit=1") as shown:
        kept = json.load(shown)[0]
    check("the mockup shows the message and its token",
          (kept["text"], kept["token"], kept["ts"]) == (text, "xoxb-sdk", answer["ts"]))
    form = client.api_call("chat.postMessage", data={"channel": "C0SDK", "text": text})
    check("a form body is read like JSON", form["message"]["text"] == text)
    check("auth.test knows the token", client.auth_test()["ok"])
    check("api.test answers", client.api_test()["ok"])

    put_faults(base, {"channels": {
        "C0GONE": {"error": "channel_not_found"},
        "C0BUSY": {"status": 429, "retryAfter": 60},
    }})
    try:
        missing = refusal(lambda: client.chat_postMessage(channel="C0GONE", text=text))
        check("SlackApiError says channel_not_found", missing["error"] == "channel_not_found")
        limited = refusal(lambda: client.chat_postMessage(channel="C0BUSY", text=text))
        check("SlackApiError says ratelimited, 429 and Retry-After",
              limited["error"] == "ratelimited" and limited.status_code == 429
              and limited.headers["Retry-After"] == "60")
    finally:
        put_faults(base, None)

    anonymous = WebClient(base_url=f"{base}/api/")
    nobody = refusal(lambda: anonymous.chat_postMessage(channel="C0SDK", text=text))
    check("SlackApiError says not_authed without a token", nobody["error"] == "not_authed")


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
