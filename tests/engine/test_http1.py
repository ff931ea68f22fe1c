"""One HTTP/1.1 answer out of bytes that come in any pieces; what is not plainly one is refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.http1 import NotHttpError, Reader

COUNTED = b"HTTP/1.1 200 OK\r\nX-Used: 7\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;name=value\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n"
)


def fed(*pieces: bytes) -> tuple[Reader, bool]:
    reader = Reader()
    done = False
    for piece in pieces:
        assert not done, "whole before the last piece"
        done = reader.feed(piece)
    return reader, done


@pytest.mark.parametrize("answer", [COUNTED, CHUNKED])
@given(cuts=st.lists(st.integers(min_value=1, max_value=110), max_size=8))
def test_the_pieces_do_not_matter(answer: bytes, cuts: list[int]) -> None:
    places = [0, *sorted({cut for cut in cuts if cut < len(answer)}), len(answer)]
    reader, done = fed(*(answer[one:two] for one, two in pairwise(places)))
    assert done
    assert (reader.status, reader.body, reader.reusable) == (200, b"hello", True)


def test_header_names_have_no_case_and_values_no_edges() -> None:
    reader, _ = fed(b"HTTP/1.1 429 \r\nRETRY-after: \t 7 \r\nContent-Length: 0\r\n\r\n")
    assert reader.headers["retry-after"] == "7"
    assert (reader.status, reader.body) == (429, b"")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
    ],
)
def test_a_connection_in_doubt_carries_no_second_request(head: bytes) -> None:
    reader, done = fed(head)
    assert done
    assert (reader.body, reader.reusable) == (b"ok", False)


def test_without_a_length_the_end_is_the_end_of_the_connection() -> None:
    reader, done = fed(b"HTTP/1.1 403 Forbidden\r\n\r\n<html>", b"</html>")
    assert not done
    assert reader.finish()
    assert (reader.body, reader.reusable) == (b"<html></html>", False)


def test_an_answer_that_was_cut_off_is_none() -> None:
    for cut in (COUNTED[:-1], CHUNKED[:-1], COUNTED[:20], b""):
        reader, done = fed(cut)
        assert not done
        assert not reader.finish()


def test_what_the_server_says_on_the_way_is_passed_over() -> None:
    reader, done = fed(b"HTTP/1.1 100 Continue\r\n\r\n" + COUNTED)
    assert done
    assert reader.status == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nfolded: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nspace : a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_not_plainly_an_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(NotHttpError):
        fed(answer)


@given(st.binary(max_size=300))
def test_nothing_but_refusal_comes_of_noise(noise: bytes) -> None:
    reader = Reader()
    try:
        done = reader.feed(b"HTTP/1.1 200 OK\r\n" + noise)
    except NotHttpError:
        return
    assert not done or reader.status >= 200
