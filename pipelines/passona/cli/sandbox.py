"""`passona sandbox`."""

from pathlib import Path
from typing import Any

import click

from passona.cli import options
from passona.errors import ConfigurationError
from passona_sandbox import Switches, run


@options.verb(
    "passona sandbox --port 8080",
    "passona sandbox --live                     another account at each hour",
    "passona sandbox --rows 1000000 --per-page-limit 50",
    "passona sandbox --mail-folder mails",
    "passona sandbox --faults faults.json",
)
@click.option("--port", default=0, show_default="a free one", help="Port on 127.0.0.1.")
@click.option("--campaigns", default=5, show_default=True, help="Finished campaigns, in addition to the special ones.")
@click.option("--rows", default=10_000, show_default=True, help="Rows of all reports in total.")
@click.option("--seed", default=1, show_default=True, help="Seed of the made-up campaigns.")
@click.option("--hostile", is_flag=True, help="Make malformed values frequent, and worse.")
@click.option("--live", is_flag=True, help="Campaigns start, send, settle and leave as time goes by.")
@click.option("--per-page-limit", default=500, show_default=True, help="Largest page the server grants.")
@click.option("--ignore-per-page", is_flag=True, help="Serve 50 rows a page, whatever is requested.")
@click.option(
    "--links",
    type=click.Choice(["bare", "rooted", "absolute", "foreign"]),
    default="bare",
    show_default=True,
    help="How links in reports are written.",
)
@click.option(
    "--zone",
    type=click.Choice(["Europe/London", "UTC", "Europe/Paris"]),
    default="Europe/London",
    show_default=True,
    help="Zone of times without an offset.",
)
@click.option("--latency", default=0.0, show_default=True, help="Seconds before each answer.")
@click.option("--rate-limit", type=int, help="Requests a minute; further ones get a 429.")
@click.option(
    "--mail-folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the mails with links to reports that were requested by POST.",
)
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file of rules: which fault, where, how often.",
)
def sandbox(
    *,
    per_page_limit: int,
    ignore_per_page: bool,
    links: Any,
    latency: float,
    rate_limit: int | None,
    mail_folder: Path | None,
    **account: Any,
) -> None:
    """Run a local Passona with made-up campaigns.

    The token is sandbox. Prints the base URL when it is ready; Ctrl-C ends it.
    """
    switches = Switches(
        per_page_limit=per_page_limit,
        honour_per_page=not ignore_per_page,
        links=links,
        latency=latency,
        rate_limit=rate_limit,
        mail_folder=str(mail_folder or ""),
    )
    try:
        run(**account, switches=switches)
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"sandbox: {error}") from error
