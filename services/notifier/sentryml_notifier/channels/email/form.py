"""A neutral message as an e-mail: plain text, and the same as HTML for those who show that.

Whatever comes from outside is text: it becomes neither a header nor markup. The HTML loads nothing from anywhere and
follows the reader's light or dark colours. An incident's mails hang together by a common ancestor, so that readers show
them as one conversation; a mail that is sent again has the same Message-ID, by which many servers drop it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape

from sentryml_common.text import cut, visible
from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.channels.markup import COLOURS, SIGNS, Markup, is_web
from sentryml_notifier.channels.plain_text import as_text, moment
from sentryml_notifier.domain.message import Fact, Message, Tone

SUBJECT_LENGTH = 200
WHY_THIS_MAIL = "SentryML sends this because a route of its notifier leads here. Answers are not read."

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ margin: 0; padding: 16px; background: #ffffff; color: #1d2939; font: 16px/1.5 system-ui, sans-serif }}
main {{ max-width: 640px; border-left: 4px solid {colour}; padding-left: 16px }}
h1 {{ font-size: 20px; margin: 0 0 8px }}
h2 {{ font-size: 16px; margin: 20px 0 4px }}
p, ul {{ margin: 0 0 8px }}
ul {{ padding-left: 20px }}
a {{ color: #175cd3; font-weight: bold }}
.preview {{ display: none; max-height: 0; overflow: hidden }}
.small {{ color: #667085; font-size: 14px }}
@media (prefers-color-scheme: dark) {{
body {{ background: #101828; color: #e4e7ec }}
a {{ color: #84caff }}
.small {{ color: #98a2b3 }}
}}
</style>
</head>
<body>
<div class="preview">{preview}</div>
<main>
<h1>{sign} {title}</h1>
<p>{lead}</p>
{notes}<p>{link}</p>
{facts}</main>
<p class="small">{why}</p>
</body>
</html>
"""


def email_of(outgoing: Outgoing, sender: str, recipients: Sequence[str], at: datetime) -> EmailMessage:
    """The e-mail; in its plain form as text alone."""
    message = outgoing.message
    domain = sender.rpartition("@")[2]
    conversation = f"<incident.{outgoing.subject_id}@{domain}>"
    mail = EmailMessage(SMTP)
    mail["Subject"] = subject_of(message)
    mail["From"] = Address("SentryML", addr_spec=sender)
    mail["To"] = tuple(Address(addr_spec=recipient) for recipient in recipients)
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{outgoing.message_id}@{domain}>"
    mail["In-Reply-To"] = conversation
    mail["References"] = conversation
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"  # what some servers go by, instead of the header before
    if message.tone is Tone.CRITICAL:
        mail["Importance"] = "high"
    mail.set_content(visible(text_of(message)), cte="quoted-printable")
    if not outgoing.plain:
        mail.add_alternative(visible(html_of(message)), subtype="html", cte="quoted-printable")
    return mail


def subject_of(message: Message) -> str:
    """The title in one line. What looks encoded would be decoded on its way, new lines and all: it is taken apart."""
    return cut(f"{SIGNS[message.tone]} {message.title}", SUBJECT_LENGTH).replace("=?", "= ?")


def text_of(message: Message) -> str:
    """The plain text: all of it, also for those who see no subject."""
    return f"{message.title}\n\n{as_text(message, pictures=True)}\n-- \n{WHY_THIS_MAIL}\n"


def html_of(message: Message) -> str:
    """The page; the line that is shown before a mail is opened says what the subject does not."""
    return PAGE.format(
        title=escape(message.title),
        preview=escape(message.summary.removeprefix(f"{message.title}. ")),
        colour=COLOURS[message.tone],
        sign=SIGNS[message.tone],
        lead=escape(message.lead),
        notes="".join(f"<p><em>{escape(note)}</em></p>\n" for note in message.notes),
        link=_link(message.link_label, message.link_url),
        facts="".join(map(_fact, message.facts)),
        why=WHY_THIS_MAIL,
    )


def _fact(fact: Fact) -> str:
    lines = list(map(HTML.line, fact.lines))
    if len(lines) == 1 or fact.picture:
        return f"<h2>{escape(fact.label)}</h2>\n<p>{'<br>'.join(lines)}</p>\n"
    return f"<h2>{escape(fact.label)}</h2>\n<ul>\n{''.join(f'<li>{line}</li>{chr(10)}' for line in lines)}</ul>\n"


def _link(text: str, address: str) -> str:
    label = escape(text)
    return f'<a href="{escape(address)}">{label}</a>' if is_web(address) else label


HTML = Markup(text=escape, link=_link, bars=lambda text: f"<code>{escape(text)}</code>", moment=moment)
