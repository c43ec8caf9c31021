"""Notices in words, and as SNS takes them. Pure."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from .episodes import Notice
from .policy import SEVERITIES

LISTED = 100
"""Devices that a digest lists; the others are counted, and stand in the history."""
MAX_NAME = 80  # characters of a device's name in a list
MAX_SUBJECT = 99  # SNS takes less than 100
MAX_ATTRIBUTE = 256
PAST = {"open": "began", "silent": "silent", "recovered": "recovered"}
COLOURS = {"info": ":large_blue_circle:", "warning": ":warning:", "critical": ":rotating_light:"}


def text(notice: Notice, field: str, when: str, unit: str) -> str:
    """One sentence about one notice; of an episode's beginning in the words of the reference architecture."""
    if notice.kind == "silent":
        since = datetime.fromtimestamp(notice.at / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        if notice.state == "recovered":
            return f"Readings again for device name {notice.device}"
        return f"No reading for {notice.limit} minutes for device name {notice.device} (seen at {since})"
    shown = f"{field} {notice.value}{unit}"
    if notice.kind == "change":
        way = {"below": "falling", "above": "rising"}[when]
        if notice.state == "recovered":
            return f"{shown} no longer {way} by more than {notice.limit} a minute for device name {notice.device}"
        return f"{shown} {way} by more than {notice.limit} a minute for device name {notice.device}"
    if notice.state == "recovered":
        return f"{shown} recovered from threshold for device name {notice.device}"
    return f"{shown} {'under' if when == 'below' else 'over'} threshold for device name {notice.device}"


def single(notice: Notice, field: str, when: str, unit: str) -> dict[str, Any]:
    """Arguments of SNS's Publish for one notice."""
    what = _line(text(notice, field, when, unit))
    head = {"open": "Attention", "silent": "Silent", "recovered": "Recovered"}[notice.state]
    return {
        "Subject": _subject(f"{head}:{notice.rule} {notice.severity} {notice.device}"),
        "Message": f"{what}\n\nrule {notice.rule}, {notice.severity}, limit {notice.limit}, episode {notice.episode}",
        "MessageAttributes": attributes(
            id=notice.id,
            episode=notice.episode,
            state=notice.state,
            severity=notice.severity,
            rule=notice.rule,
            device=notice.device,
            value=notice.value,
            time=notice.at,
            field=field,
        ),
    }


def digest(name: str, notices: Sequence[Notice], field: str, when: str, unit: str) -> dict[str, Any]:
    """The same for many: the worst first, LISTED of them by name."""
    ordered = sorted(notices, key=lambda n: (-SEVERITIES.index(n.severity), n.state, n.rule, n.device))
    counts = {state: sum(n.state == state for n in notices) for state in PAST}
    shown = ", ".join(f"{count:,} {PAST[state]}" for state, count in counts.items() if count)
    lines = [
        _line(f"{n.severity}: {text(n, field, when, unit)}".replace(n.device, n.device[:MAX_NAME]))
        for n in ordered[:LISTED]
    ]
    if len(notices) > LISTED:
        lines.append(f"... and {len(notices) - LISTED:,} more; the table of alerts has all, in its history")
    return {
        "Subject": _subject(f"Attention:{len(notices):,} alerts ({shown})"),
        "Message": "\n".join([f"{len(notices):,} alerts: {shown}", "", *lines]),
        "MessageAttributes": attributes(
            id=name,
            state="digest",
            severity=ordered[0].severity,
            count=len(notices),
            **{state: count for state, count in counts.items() if count},
        ),
    }


def chat(message: dict[str, Any]) -> dict[str, Any]:
    """The message in the schema of custom notifications of Amazon Q Developer (AWS Chatbot), for Slack or Teams."""
    given = {name: each["StringValue"] for name, each in message["MessageAttributes"].items()}
    title = f"{COLOURS[given['severity']]} {message['Subject']}"
    body = {
        "version": "1.0",
        "source": "custom",
        "id": given["id"],
        "content": {"textType": "client-markdown", "title": title, "description": message["Message"]},
        "metadata": {
            "threadId": given.get("episode", given["id"]),
            "summary": message["Subject"],
            "eventType": given["state"],
            "additionalContext": given,
        },
    }
    return message | {"Message": json.dumps(body)}


def digest_name(notices: Sequence[Notice]) -> str:
    """The same for the same notices."""
    return hashlib.sha256("\n".join(sorted(n.id for n in notices)).encode()).hexdigest()[:20]


def attributes(**values: object) -> dict[str, Any]:
    """The alert for programs: texts of 1..MAX_ATTRIBUTE characters. Other values are left out, so that an unusual value
    does not prevent the alert. At most ten: an SQS subscription with raw delivery drops a message that has more."""
    texts = {name: str(value) for name, value in values.items() if value is not None}
    return {
        name: {"DataType": "String", "StringValue": text}
        for name, text in texts.items()
        if 0 < len(text) <= MAX_ATTRIBUTE and text.isprintable()
    }


def _line(text: str) -> str:
    """One line, whatever a device is called."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _subject(text: str) -> str:
    """ASCII without line breaks, as SNS asks for."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:MAX_SUBJECT]
