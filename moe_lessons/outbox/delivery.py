"""One delivery: the next entries go to the class's server, or into the learner's own file in a shared folder."""

import http.client
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

from moe_lessons.outbox.membership import Membership
from moe_lessons.outbox.place import class_dir
from moe_lessons.outbox.waiting import append_line, arrived, next_batch
from moe_lessons.records import acquire

SECONDS = 5.0  # for a connection and for an answer
SOONEST = 0.5  # seconds: whoever is asked to wait for none waits all the same, or one would send without a pause


class Busy(OSError):
    """The class asks to wait; `seconds` says how long."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the class asks to wait {seconds:g} seconds")
        self.seconds = seconds


class Answer(NamedTuple):
    """What a class said to some entries."""

    refused: dict[str, str]  # an entry's id and why
    name: str  # what its board calls this learner; empty where nobody said


class _Stays(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the code and the secret are for one address."""

    def redirect_request(self, *args: Any) -> None:
        return None


# No proxy: a class is in the same room, where a proxy for the wide world knows no one.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stays)


def deliver(member: Membership, patience: float = 0.0) -> int:
    """Send the next entries; how many went. OSError where they did not.

    Another kernel of this machine that is sending now is waited for `patience` seconds; it sends the same entries.
    """
    with (class_dir() / ".sending.lock").open("ab") as lock:
        try:
            acquire(lock.fileno(), patience)
        except OSError:
            raise Busy(1) from None
        batch = next_batch(member)
        if batch.entries:
            send = _into_folder if member.folder else post
            arrived(member, batch.end, send(member, batch.entries).refused)
        return len(batch.entries)


def post(member: Membership, entries: list[dict[str, Any]]) -> Answer:
    """Send entries to the server. OSError where it cannot be asked.

    Raises PermissionError where the code is not this class's.
    """
    request = urllib.request.Request(
        f"{member.address}/class/entries",
        data=json.dumps({"learner": member.secret, "entries": entries}, allow_nan=False).encode(),
        headers={"Authorization": f"token {member.code}", "Content-Type": "application/json"},
        method="POST",
    )
    try:
        with _OPENER.open(request, timeout=SECONDS) as answer:
            said = json.loads(answer.read(1_000_000))
        return Answer({str(key): _shown(why) for key, why in said["refused"].items()}, _shown(said["name"]))
    except urllib.error.HTTPError as error:
        if error.code == 403:
            raise PermissionError("the class does not know this code") from None
        if error.code == 400:  # no second try would go better
            return Answer({str(one.get("id", "")): "the class could not read it" for one in entries}, "")
        if error.code in (429, 503):
            asked = error.headers.get("Retry-After", "")
            seconds = float(asked) if asked.isdecimal() else 5.0
            raise Busy(min(60.0, max(SOONEST, seconds))) from None
        raise OSError(f"no class answers at {member.address} (HTTP {error.code})") from None
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        raise OSError(f"{member.address} cannot be reached ({getattr(error, 'reason', error)})") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise OSError(f"what answers at {member.address} is no class") from None


def _shown(text: Any) -> str:
    """What a class said, as a terminal may show it: whatever answers there need not be one."""
    return "".join(sign for sign in str(text)[:300] if sign.isprintable())


def _into_folder(member: Membership, entries: list[dict[str, Any]]) -> Answer:
    folder = Path(member.folder)
    if not folder.is_dir():
        raise OSError(f"the folder {folder} is not there")
    lines = [json.dumps(one, allow_nan=False) for one in entries]
    append_line(folder / f"{member.learner}.jsonl", "\n".join(lines).encode())
    return Answer({}, "")
