"""Reports by mail: POST, a mail, the .csv under its link."""

from __future__ import annotations

import csv
import email
import io
import re
from email.policy import default
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from passona_sandbox import Account, Sandbox, Switches
from passona_sandbox.reports import KEYS, REPORTS

ONE = "11111111-1111-4111-8111-111111111111"


def links(folder):
    mails = [email.message_from_bytes(file.read_bytes(), policy=default) for file in sorted(folder.glob("*.eml"))]
    return [re.search(r"http\S+", mail.get_content())[0] for mail in mails]


def test_each_post_drops_a_mail_with_a_link_to_the_rows_as_they_were(tmp_path, ask):
    account = Account.empty()
    account.put({"uuid": ONE}, {"sent": [{"Brand": 'a "b", c\nd', "SentOn": None, "RecipientCount": 7}]})
    with Sandbox(account, Switches(mail_folder=str(tmp_path / "mails"))) as box:
        assert [ask(box, f"reporting/{ONE}/{report}", "POST").status for report in REPORTS] == [202] * 6
        account.put({"uuid": ONE}, {})
        files = [urlopen(link, timeout=5).read().decode() for link in links(tmp_path / "mails")]
    rows = [list(csv.reader(io.StringIO(file, newline=""))) for file in files]
    assert [tuple(header) for header, *_ in rows] == list(KEYS.values())
    assert rows[REPORTS.index("sent")][1:] == [["", 'a "b", c\nd', "", "7", "", "", ""]]
    assert all(file.endswith("\r\n") for file in files)


def test_a_post_that_is_refused_makes_nothing_and_no_other_link_leads_anywhere(tmp_path, ask):
    with Sandbox(Account.empty(), Switches(mail_folder=str(tmp_path))) as box:
        assert ask(box, f"reporting/{ONE}/clicks", "POST").status == 404
        assert ask(box, f"reporting/{ONE}/clicks", "POST", token="wrong").status == 401
        with pytest.raises(HTTPError, match="404"):
            urlopen(box.base_url.replace("api/2.0/", "exports/0/clicks.csv"), timeout=5)
    assert list(tmp_path.iterdir()) == []
