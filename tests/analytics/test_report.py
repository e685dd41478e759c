"""`passona report`: one page of sums that asks nothing of anybody and names nobody."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import duckdb
import pytest
from markupsafe import escape

from passona.analytics._figures import MARTS, without_phones
from passona.analytics.html_report import duration, write_report
from passona.errors import ConfigurationError
from passona.reports.definitions import REPORTS
from picture import Chromium, chromium_path
from support.campaigns import ONE
from traces import spelled

pytestmark = pytest.mark.core

Run = Callable[..., "subprocess.CompletedProcess[str]"]
CAMPAIGNS = {
    *(f"Flash sale {n}" for n in (1, 2, 5)), "Survey 3", "Survey 4", "Still sending", "Not started", "No rows", "LinkTest",
}  # fmt: skip
HOSTILE = """</script><script>alert(1)</script><img src=x onerror="alert(2)">'&amp;"""


class Cells(HTMLParser):
    """The text of every row of every table, and what the page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._in_cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data


def read(page: Path) -> Cells:
    cells = Cells()
    cells.feed(page.read_text("utf-8"))
    return cells


@pytest.fixture(scope="module")
def report(demo_warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the demo's data."""
    page = tmp_path_factory.mktemp("report") / "report.html"
    write_report(demo_warehouse, page, None, 0, print)
    return page


@pytest.fixture
def hostile_marts(demo_warehouse: Path, tmp_path: Path) -> Path:
    """The same warehouse, but all names in it were written by somebody who wishes us ill."""
    path = tmp_path / "warehouse.duckdb"
    shutil.copy(demo_warehouse, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE analytics.campaigns SET campaign_name = ? || campaign_name", [HOSTILE])
        connection.execute("UPDATE analytics.links SET link_name = ?", [HOSTILE + " call +44 7700 900123"])
        connection.execute("UPDATE analytics.unsent_reasons SET reason = ?", [HOSTILE])
        connection.execute("UPDATE analytics.campaign_statuses SET status = ? || status", [HOSTILE])
    return path


def assign(warehouse: Path, names: str, account: str) -> None:
    """Move campaigns to an account, in the marts, too. `names`: a pattern."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("UPDATE passona.campaigns SET account = ? WHERE name LIKE ?", [account, names])
        for mart in MARTS:
            connection.execute(
                f"UPDATE analytics.{mart} AS mart SET account = campaigns.account FROM passona.campaigns AS campaigns "
                "WHERE campaigns.campaign_id = mart.campaign_id"
            )


@pytest.fixture
def two_accounts(demo_warehouse: Path, tmp_path: Path) -> Path:
    """The demo's data, where two of the nine campaigns are of the account brand_a."""
    path = tmp_path / "warehouse.duckdb"
    shutil.copy(demo_warehouse, path)
    assign(path, "Survey%", "brand_a")
    return path


def page_of(warehouse: Path, account: str | None = None, campaign: str | None = None) -> str:
    out = warehouse.with_name("out.html")
    write_report(warehouse, out, campaign, 0, print, account=account)
    return out.read_text("utf-8")


def sections(text: str) -> dict[str, str]:
    """The part of a page for each account, by its heading."""
    articles = re.findall(r"<article .*?</article>", text, re.DOTALL)
    return {re.findall(r'<h2 id="account-\d+">(.*?)</h2>', article)[0]: article for article in articles}


def rows_in(text: str) -> list[list[str]]:
    cells = Cells()
    cells.feed(text)
    return cells.rows


def funnel(text: str) -> list[str]:
    return [row[2] for row in rows_in(text) if row[0] in ("Targeted", "Sent", "Delivered", "Clicked")][:4]


def totals(warehouse: Path, where: str = "true") -> list[str]:
    """What the funnel of these campaigns shows."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        row = connection.execute(
            f"SELECT sum(targeted), sum(sent), sum(delivered), sum(human_clickers) FROM analytics.campaigns WHERE {where}"
        ).fetchall()[0]
    return [f"{int(total):,}" for total in row]


def test_the_tables_show_the_marts(report: Path, demo_warehouse: Path) -> None:
    shown = {row[0]: row for row in read(report).rows if len(row) == 11}
    with duckdb.connect(str(demo_warehouse), read_only=True) as connection:
        campaigns = connection.execute(
            "SELECT campaign_name, targeted, sent, unsent, delivered, pending, human_clickers FROM analytics.campaigns"
        ).fetchall()
    assert len(campaigns) == 9
    for name, *counts in campaigns:
        row = shown[name]
        assert [row[place] for place in (2, 3, 4, 5, 7, 8)] == [f"{count:,}" for count in counts]


def test_the_funnel_is_the_sum_of_all_campaigns(report: Path, demo_warehouse: Path) -> None:
    with duckdb.connect(str(demo_warehouse), read_only=True) as connection:
        totals = connection.execute(
            "SELECT sum(targeted), sum(sent), sum(delivered), sum(human_clickers) FROM analytics.campaigns"
        ).fetchall()[0]
    steps = [row[2] for row in read(report).rows if row[0] in ("Targeted", "Sent", "Delivered", "Clicked")]
    assert steps == [f"{int(total):,}" for total in totals]


def test_of_one_account_the_page_does_not_say_account(report: Path) -> None:
    text = report.read_text("utf-8")
    assert "account" not in text[: text.index("<script>")].lower()
    assert "<article" not in text


def test_several_accounts_have_a_section_each_below_the_sums_of_all(two_accounts: Path) -> None:
    text = page_of(two_accounts)
    assert "9 campaigns of 2 accounts · sent" in text
    by_account = sections(text)
    assert list(by_account) == ["brand_a", "default"]
    assert funnel(text) == totals(two_accounts)
    for account, section in by_account.items():
        assert funnel(section) == totals(two_accounts, f"account = '{account}'")
    named = {account: {row[0] for row in rows_in(section)} & CAMPAIGNS for account, section in by_account.items()}
    assert named == {"brand_a": {"Survey 3", "Survey 4"}, "default": CAMPAIGNS - {"Survey 3", "Survey 4"}}
    assert [row[:4] for row in rows_in(text) if row[0] in by_account] == [
        ["brand_a", "2", "1,532", "1,510"], ["default", "7", "5,487", "5,002"],
    ]  # fmt: skip
    states = {row[0]: row[1] for row in rows_in(text[text.index('id="states"') :])}
    assert (states["Survey 3"], states["Flash sale 1"]) == ("brand_a", "default")


def test_every_figure_of_an_account_is_that_of_its_own_page(two_accounts: Path) -> None:
    by_account = sections(page_of(two_accounts))
    for account, section in by_account.items():
        own = page_of(two_accounts, account)
        assert rows_in(section) == rows_in(own[: own.index('id="states"')])


def test_a_page_of_one_account_has_nothing_of_the_others(two_accounts: Path, passona: Run) -> None:
    ended = passona("report", "out.html", "--account", "brand_a")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "out.html: 2 campaigns\n", "")
    text = two_accounts.with_name("out.html").read_text("utf-8")
    assert "<h1>All campaigns of brand_a</h1>" in text
    assert funnel(text) == totals(two_accounts, "account = 'brand_a'")
    assert "Survey 4" in text
    assert not [name for name in CAMPAIGNS - {"Survey 3", "Survey 4"} if name in text]
    assert "default" not in re.findall(r"<main>.*</main>", text, re.DOTALL)[0]


def test_an_account_that_does_not_exist_is_refused_with_those_that_do(two_accounts: Path, passona: Run) -> None:
    ended = passona("report", "out.html", "--account", "brand_x\x1b[31m")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "passona: the marts know no account brand_x\N{REPLACEMENT CHARACTER}[31m, only these: brand_a, default; "
        "for another run passona load, then passona transform\n"
    )
    assert not two_accounts.with_name("out.html").exists()


def test_a_campaign_of_another_account_is_refused(two_accounts: Path) -> None:
    with duckdb.connect(str(two_accounts), read_only=True) as connection:
        uuid = connection.execute(
            "SELECT campaign_id FROM analytics.campaigns WHERE campaign_name = 'Survey 3'"
        ).fetchall()[0][0]
    with pytest.raises(ConfigurationError, match=f"know no campaign {uuid} of account default: "):
        page_of(two_accounts, "default", uuid)
    assert "<h1>Survey 3</h1>" in page_of(two_accounts, "brand_a", uuid)
    assert "<article" not in page_of(two_accounts, None, uuid)


def test_what_is_stale_is_counted_by_account(two_accounts: Path) -> None:
    with duckdb.connect(str(two_accounts)) as connection:
        connection.execute(
            "INSERT INTO passona.runs BY NAME SELECT 'a run' AS run_id, 'transform' AS verb, 'ok' AS outcome, "
            "now() - INTERVAL 1 hour AS started_at, '' AS _dlt_load_id"
        )
    assert "The tables of 2 campaigns changed" in page_of(two_accounts, "brand_a")
    assert "The tables of 9 campaigns changed" in page_of(two_accounts)


def test_a_name_of_an_account_stays_a_text(two_accounts: Path) -> None:
    assign(two_accounts, "Flash%", HOSTILE + " call +44 7700 900123")
    text = page_of(two_accounts)
    cells = read(two_accounts.with_name("out.html"))
    assert cells.tags.count("script") == 4
    assert "img" not in cells.tags
    assert "900123" not in text
    assert any(row[:2] == [HOSTILE + " call [number]", "3"] for row in cells.rows)
    assert funnel(sections(text)[escape(HOSTILE) + " call [number]"]) == totals(
        two_accounts, "campaign_name LIKE 'Flash%'"
    )


def test_no_phone_number_and_no_message_is_in_the_page(report: Path, demo_warehouse: Path) -> None:
    text = report.read_text("utf-8")
    text = text[: text.index("<script>")]
    with duckdb.connect(str(demo_warehouse), read_only=True) as connection:
        phones = connection.execute("SELECT DISTINCT phone FROM analytics.messages").fetchall()
        messages = connection.execute(
            "SELECT message_copy FROM passona.delivery UNION SELECT message FROM passona.sent"
        ).fetchall()
    assert len(phones) > 3000
    digits = re.sub(r"\D", " ", text)
    assert not [phone for (phone,) in phones if phone and (phone in text or phone.lstrip("+") in digits)]
    assert not [message for (message,) in messages if message and message in text]


@pytest.mark.parametrize(("built", "said"), [("+ INTERVAL 1 hour", False), ("- INTERVAL 1 hour", True)])
def test_figures_older_than_the_tables_are_said_to_be(
    built: str, said: bool, demo_warehouse: Path, tmp_path: Path
) -> None:
    path = tmp_path / "warehouse.duckdb"
    shutil.copy(demo_warehouse, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "INSERT INTO passona.runs BY NAME SELECT 'a run' AS run_id, 'transform' AS verb, 'ok' AS outcome, "
            f"now() {built} AS started_at, '' AS _dlt_load_id"
        )
    write_report(path, tmp_path / "out.html", None, 0, print)
    assert ("The tables of 9 campaigns changed" in (tmp_path / "out.html").read_text("utf-8")) is said


def test_texts_of_others_stay_texts(hostile_marts: Path, passona: Run, tmp_path: Path) -> None:
    ended = passona("report", "out.html", DESTINATION__WAREHOUSE__CREDENTIALS=str(hostile_marts))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "out.html: 9 campaigns\n", "")
    cells = read(tmp_path / "out.html")
    assert cells.tags.count("script") == 4
    assert "img" not in cells.tags
    assert any(row[0].startswith(HOSTILE) for row in cells.rows)
    assert "900123" not in (tmp_path / "out.html").read_text("utf-8")


def test_no_name_holds_what_a_terminal_or_a_reader_obeys(demo_warehouse: Path, passona: Run, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    shutil.copy(demo_warehouse, path)
    hostile = (
        "\x1b[31m \x9b31m \u202eabc \u2066 \x00\x7f \u2028 07700\u00a0900123 +44\u2009\u0667700900123 👩\u200d🚀 Café"
    )
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE analytics.campaigns SET campaign_name = ?", [hostile])
        connection.execute("UPDATE analytics.links SET link_name = ?", [hostile])
        connection.execute("UPDATE analytics.unsent_reasons SET reason = ?", [hostile])
        connection.execute("UPDATE analytics.campaign_statuses SET status = ?", [hostile])
    ended = passona("report", "out.html", DESTINATION__WAREHOUSE__CREDENTIALS=str(path))
    assert (ended.returncode, ended.stderr) == (0, "")
    text = (tmp_path / "out.html").read_text("utf-8")
    assert {c for c in text if not c.isprintable()} <= {"\n", "\u200d"} | vendored_controls()
    assert not spelled(text[: text.index("<script>")], "447700900123")
    assert "[number] [number] 👩\u200d🚀 Café" in text


def vendored_controls() -> set[str]:
    """What the libraries within the page hold themselves."""
    vendor = resources.files("passona.analytics") / "page_files" / "vendor"
    return {c for file in vendor.iterdir() for c in file.read_text("utf-8") if not c.isprintable()}


def test_the_page_refers_to_nothing_outside(report: Path) -> None:
    assert {address for address in read(report).addresses if not address.startswith("#")} == {"data:,"}


def test_one_campaign_has_a_page_of_its_own(demo_warehouse: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(demo_warehouse), read_only=True) as connection:
        (uuid,) = connection.execute(
            "SELECT campaign_id FROM analytics.campaigns WHERE campaign_name = 'Survey 3'"
        ).fetchall()[0]
    write_report(demo_warehouse, tmp_path / "one.html", uuid, 0, print)
    text = (tmp_path / "one.html").read_text("utf-8")
    assert "<h1>Survey 3</h1>" in text
    assert "Flash sale" not in text


@pytest.mark.parametrize(
    ("out", "campaign", "said"),
    [("out.html", ONE, "know no campaign"), ("no/such/out.html", None, "folder"), (".", None, "cannot be written")],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(
    out: str, campaign: str | None, said: str, demo_warehouse: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        write_report(demo_warehouse, tmp_path / out, campaign, 0, print)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_regular_file_is_not_replaced(demo_warehouse: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "out.html"
    os.mkfifo(pipe)
    with pytest.raises(ConfigurationError, match="cannot be written: it exists and is not a regular file"):
        write_report(demo_warehouse, pipe, None, 0, print)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_of_a_campaign_of_which_nothing_was_ever_loaded_there_is_no_page(
    passona: Run, demo_warehouse: Path, tmp_path: Path
) -> None:
    # Earlier versions kept six failed reports of a wrong uuid, and the marts a row of zeros.
    path = tmp_path / "warehouse.duckdb"
    shutil.copy(demo_warehouse, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE wrong AS SELECT * FROM analytics.campaigns WHERE campaign_name = 'No rows'")
        states = ", ".join(f"{report}_state = 'failed'" for report in REPORTS)
        connection.execute(
            f"UPDATE wrong SET campaign_id = ?, campaign_name = NULL, verified_at = NULL, {states}", [ONE]
        )
        connection.execute("INSERT INTO analytics.campaigns SELECT * FROM wrong")
    ended = passona("report", "--campaign", ONE, "out.html")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"passona: the marts know no campaign {ONE}: run passona load {ONE}, then passona transform\n"
    )
    assert not (tmp_path / "out.html").exists()


def test_without_a_warehouse_or_marts_the_error_says_what_to_run(passona: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "warehouse.duckdb", tmp_path / "out.html"
    with pytest.raises(ConfigurationError, match="passona load"):
        write_report(path, out, None, 0, print)
    duckdb.connect(str(path)).close()
    out.write_text("the page of yesterday")
    ended = passona("report", "out.html")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith("run passona transform\n")
    assert len(ended.stderr.splitlines()) == 1
    assert out.read_text() == "the page of yesterday"


def test_a_warehouse_that_is_written_is_waited_for(demo_warehouse: Path, passona: Run, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")):
        ended = passona("report", "out.html", "--wait", "0")
    assert ended.returncode == 6
    assert not (tmp_path / "out.html").exists()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("call +44 7700 900123 now", "call [number] now"),
        ("07700900123", "[number]"),
        ("(447700900123)", "([number])"),
        ("call 07700\u00a0900123", "call [number]"),
        ("call ٠٧٧٠٠ ٩٠٠١٢٣", "call [number]"),
        ("+1 212\u202f555\u202f0123", "[number]"),
        ("447,700,900,123", "[number]"),
        ("33 6 12 34 56 78", "[number]"),
        ("Sale 2025-11-28", "Sale 2025-11-28"),
        ("25.06.2020 14:30", "25.06.2020 14:30"),
        ("20251128", "20251128"),
        ("3 for 2, 1,000 points", "3 for 2, 1,000 points"),
    ],
)
def test_what_could_be_a_phone_number_is_left_out_of_names(text: str, left: str) -> None:
    assert without_phones(text) == left


def test_durations_are_read_at_a_glance() -> None:
    assert [duration(seconds) for seconds in (None, 42, 720, 12_240, 181_440)] == [
        "–", "42 s", "12 min", "3.4 h", "2.1 days",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium here: install the package chromium, or name it with CHROMIUM=...")
    with Chromium(path) as chromium:
        yield chromium


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_asks_for_nothing_and_has_no_error(report: Path, chromium: Chromium, width: int, dark: bool) -> None:
    seen = chromium.look(report, width=width, dark=dark)
    assert (seen.requests, seen.errors) == ([], [])
    assert seen.overflow <= 0, "the page is wider than the screen"
    assert seen.charts == 9


def test_without_javascript_the_tables_are_open(report: Path, chromium: Chromium) -> None:
    seen = chromium.look(report, javascript=False)
    assert seen.charts == 0
    assert "Flash sale 1" in seen.text
    assert "94.0%" in seen.text


def test_the_charts_of_each_account_are_drawn(two_accounts: Path, chromium: Chromium) -> None:
    assign(two_accounts, "Flash%", HOSTILE)
    page_of(two_accounts)
    seen = chromium.look(two_accounts.with_name("out.html"), width=390)
    assert (seen.requests, seen.errors) == ([], [])
    assert seen.overflow <= 0
    assert seen.charts == 1 + 3 * 9
    without = chromium.look(two_accounts.with_name("out.html"), javascript=False)
    assert without.charts == 0
    assert "1,532" in without.text


def test_hostile_names_run_no_script_in_a_browser(hostile_marts: Path, chromium: Chromium, tmp_path: Path) -> None:
    write_report(hostile_marts, tmp_path / "out.html", None, 0, print)
    seen = chromium.look(tmp_path / "out.html")
    assert (seen.requests, seen.errors, seen.charts) == ([], [], 9)
