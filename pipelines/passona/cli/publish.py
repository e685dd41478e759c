"""`passona publish`."""

from pathlib import Path
from typing import Any

import click

from passona.analytics.publish import Published, Unpublished, publish_warehouse
from passona.analytics.target import target
from passona.cli import options
from passona.cli.screen import plain, print_result, spinner, stdout_console
from passona.config.address import warehouse_address
from passona.config.configuration import load_privacy_settings
from passona.masking.messages import counted
from passona.masking.policy import CLEAR
from passona.monitoring import logs
from passona.monitoring.notifications import RunEnd
from passona.warehouse.policy_table import privacy_of_copy


@options.verb(
    "passona publish /srv/passona/readers.duckdb",
    "passona publish --marts-only figures.duckdb       no phone, no message in it",
    "passona publish --privacy pseudonymous analysts.duckdb",
    "passona publish --account brand_a brand_a.duckdb  one of several brands",
    "passona load --publish /srv/passona/readers.duckdb",
)
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@options.marts_only
@click.option(
    "--privacy",
    type=click.Choice(["pseudonymous", "minimal"]),
    help="Store what this mode stores about people, with sources.passona.privacy_key. Needs a clear warehouse.",
)
@click.option("--account", metavar="NAME", help="Copy only what this account's campaigns have, and its runs.")
@options.on_failure
@options.wait
@options.as_json
def publish(
    *,
    path: Path,
    marts_only: bool,
    privacy: str | None,
    account: str | None,
    on_failure: str | None,
    wait: float,
    as_json: bool,
) -> None:
    """Write a consistent copy for readers to PATH.

    The copy is verified against the ledger and replaces the old one in one step: open readers keep the old copy, and
    see the new one when they open PATH again. Only the owner can read a new copy; a replaced one keeps its file mode.

    --marts-only copies the sums of schema analytics, without any person. --privacy copies a clear warehouse as
    a load in that mode would have stored it: all rows, tokens for phones, without tables and columns of your own.
    --account copies one account's data, also without those: no other account is in any byte of the copy.
    """
    with RunEnd(None, on_failure):
        if marts_only and privacy:
            raise click.UsageError("--marts-only has no rows of persons: leave --privacy out")
        mode = privacy_of_copy(load_privacy_settings(), privacy) if privacy else CLEAR
        warehouse = warehouse_address()
        place = target(path, warehouse, personal=not marts_only)
        with spinner("copying and checking the warehouse"):
            published = publish_warehouse(
                warehouse, place, wait, logs.notify, marts_only=marts_only, privacy=mode, account=account
            )
        print_result(published_document(published), lambda: print_published(published), as_json=as_json)


def print_published(published: Published) -> None:
    how = published.privacy or ("marts alone" if published.marts_only else "copied")
    if published.account:
        how = f"account {published.account}, {how}"
    console = stdout_console()
    console.print(
        plain(
            f"{published.path}: published, {how}, {published.bytes / 1_000_000:.1f} MB, "
            f"{counted(published.reports, 'report')} agree with the ledger, {published.seconds:.1f} s"
        ),
        soft_wrap=True,
    )
    if published.left_out:
        what = "left out" if published.marts_only else "left out, because you made it"
        console.print(plain(f"{what}: {', '.join(published.left_out)}"), soft_wrap=True)


def published_document(published: Published | Unpublished) -> dict[str, Any]:
    if isinstance(published, Unpublished):
        return {"outcome": published.word, "exit_code": int(published.exit_code), "error": published.reason}
    return {
        "outcome": "ok",
        "exit_code": 0,
        "path": str(published.path),
        "bytes": published.bytes,
        "reports": published.reports,
        "seconds": round(published.seconds, 3),
        "left_out": published.left_out,
        "privacy": published.privacy,
    }
