"""One file over HTTP: resumed after a break, given up where the server stalls, never longer than it may be.

A download in progress is a part file, and beside it a note about where it comes from. Both stay after a failure, so
that the next try can go on.
"""

import json
import ssl
import time
from contextlib import suppress
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tito.services.files import atomic_write

CHUNK = 1 << 16
ATTEMPTS = 20
ATTEMPTS_WITHOUT_PROGRESS = 3
SLOWEST = 1000  # bytes per second, over the time that a server may be silent
TRY_AGAIN = {408, 425, 429}  # HTTP statuses besides 5xx


class DownloadError(Exception):
    """What a server did, in words."""

    def __init__(self, reason, *, again=False):
        super().__init__(reason)
        self.again = again


def download(url, part, *, limit, timeout, say=lambda text: None, advance=lambda done, total: None):
    """Fetch `url` into the file `part`, and go on from what it holds. Returns whether an older part was continued.

    limit: the most bytes that are accepted. timeout: seconds of silence. say(text): called when something breaks and
    is tried again. advance(done, total): called for every block; total is None where the server does not say.
    Raises DownloadError.
    """
    if not url.startswith(("http://", "https://")):
        raise DownloadError("not an address that starts with http:// or https://")
    part.parent.mkdir(parents=True, exist_ok=True)
    best, idle, resumed = size_of(part), 0, False
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _attempt(url, part, limit, timeout, advance) or resumed
        except DownloadError as error:
            done = size_of(part)
            idle = 0 if done > best + SLOWEST * timeout else idle + 1
            best, resumed = max(best, done), resumed or done > 0
            if not error.again or idle >= ATTEMPTS_WITHOUT_PROGRESS or attempt == ATTEMPTS:
                raise
            say(f"{error}; trying again" + (f" from byte {done}" if done else ""))
            time.sleep(min(0.5 * 2**idle, timeout, 10))
    raise AssertionError("unreachable")


def size_of(path):
    """The bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def discard(part):
    """Remove a part and its note."""
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def _note_path(part):
    return part.with_name(f"{part.name}.json")


def _read_note(url, part):
    """What was noted about the part; None where it comes from another address or cannot be read."""
    try:
        note = json.loads(_note_path(part).read_text(encoding="utf-8"))
        return note if note["url"] == url else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _attempt(url, part, limit, timeout, advance):
    """One request. Returns whether it continued a part that was there."""
    note = _read_note(url, part)
    have = size_of(part) if note else 0
    headers = {"User-Agent": "tito", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if note.get("validator"):
            headers["If-Range"] = note["validator"]
    try:
        with urlopen(Request(url, headers=headers), timeout=timeout) as response:
            start, total = _where(response, have, part)
            if total is not None and total > limit:
                raise DownloadError(f"the server announces {total} bytes, and at most {limit} are expected")
            if start == 0:
                discard(part)
                atomic_write(_note_path(part), json.dumps({"url": url, "validator": _validator(response)}))
            _receive(response, part, start, total, limit, timeout, advance)
            return start > 0
    except HTTPError as error:
        if error.code == 416 and have:
            discard(part)
            raise DownloadError("the server has no such part of the file", again=True) from error
        again = error.code >= 500 or error.code in TRY_AGAIN
        raise DownloadError(f"the server answers {error.code} {error.reason}", again=again) from error
    except TimeoutError as error:
        raise DownloadError(f"nothing came for {timeout:g} seconds", again=True) from error
    except URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise DownloadError(f"no answer within {timeout:g} seconds", again=True) from error
        raise DownloadError(f"no connection ({error.reason})") from error
    except (ConnectionError, HTTPException, ssl.SSLError) as error:
        raise DownloadError(f"the connection broke ({str(error) or type(error).__name__})", again=True) from error
    except ValueError as error:
        raise DownloadError(f"not an address ({error})") from error


def _where(response, have, part):
    """(the byte at which the answer starts, the bytes of the whole file or None)."""
    length = response.headers.get("Content-Length")
    length = int(length) if length and length.isdecimal() else None
    if response.status != 206:
        return 0, length
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    if unit != "bytes" or span.partition("-")[0] != str(have):
        discard(part)
        raise DownloadError(f"the server was asked for byte {have} and sends {rest or 'something else'}", again=True)
    return have, int(total) if total.isdecimal() else have + length if length is not None else None


def _validator(response):
    """What tells this version of the file from another one; a weak ETag does not."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _receive(response, part, start, total, limit, timeout, advance):
    done, since, mark = start, time.monotonic(), start
    advance(done, total)
    with part.open("ab") as file:
        while block := response.read1(CHUNK):
            done += len(block)
            if done > limit:
                break
            file.write(block)
            advance(done, total)
            now = time.monotonic()
            if now - since > timeout:
                if done - mark < SLOWEST * (now - since):
                    raise DownloadError(f"only {done - mark} bytes came in {now - since:.0f} seconds", again=True)
                since, mark = now, done
    if done > limit:
        with suppress(OSError):
            discard(part)
        raise DownloadError(f"more than the {limit} bytes came that are expected at most")
    if total is not None and done < total:
        raise DownloadError(f"the connection broke off after {done} of {total} bytes", again=True)
