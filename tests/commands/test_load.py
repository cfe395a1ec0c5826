"""The load driver reads a stream of events as a client of the API does."""

from __future__ import annotations

import json

import httpx
import pytest

from ci.chat import lines


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_event_ends_at_a_line_feed_and_nowhere_else(size: int) -> None:
    text = "a\x85b\u2028c\x0bé"
    sent = f"data: {json.dumps(text, ensure_ascii=False)}\r\n\ndata: [DONE]".encode()
    pieces = iter([sent[start : start + size] for start in range(0, len(sent), size)])
    found = [line for line in lines(httpx.Response(200, content=pieces)) if line]
    assert json.loads(found[0].removeprefix("data: ")) == text
    assert found[1:] == ["data: [DONE]"]
