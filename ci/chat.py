"""Asks a chat server, and reads its answer as it streams."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx

from ci.helm_release import base_url
from vllm_chart.errors import UserError


def lines(response: httpx.Response) -> Iterator[str]:
    """The lines of a stream of events, as they come.

    httpx' own also end at U+0085, U+2028 and their like, which vLLM writes as they are inside the JSON of an event.
    """
    rest = b""
    for piece in response.iter_bytes():
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode().rstrip("\r") for line in whole)
    yield rest.decode()


def stream_answer(model: str, question: str, max_tokens: int = 64) -> Iterator[str]:
    """The pieces of a chat answer as they arrive.

    Raises:
        UserError: where the server answers with an error or the stream ends early.
    """
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": True,
    }
    try:
        with httpx.stream("POST", f"{base_url()}/v1/chat/completions", json=body, timeout=120) as response:
            if response.status_code != 200:
                raise UserError(f"vLLM answered {response.status_code}: {response.read().decode()[:500]}")
            for line in lines(response):
                if line == "data: [DONE]":
                    return
                if line.startswith("data: "):
                    choices = json.loads(line.removeprefix("data: "))["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        yield text
    except httpx.HTTPError as error:
        raise UserError(
            f"The request to {base_url()} failed ({error}): is the release up? See `kubectl get pods`."
        ) from error
    raise UserError("The answer ended without [DONE].")
