"""`passona doctor`: every assumption about the API that can be tested, tested against a real account.

    Settings -> examination (probe, sample) -> Sightings -> assumptions -> Findings -> table

- `examination` what is asked, some forty GETs at most; `_probe` asks, `_sample` chooses the campaigns
- `_sightings` what came back, and how the loads would read it (`_answers`, `_readings`)
- `assumptions` the list, a judge each: `_connection`, `_paging`, `_clocks` (by `_zones`), `_contents`, `_messages`
- `_findings` what a judge can say; `_words` how values are shown without showing anybody's
- `table` what people and programs get to see

All but `examination` and `_probe` is pure. Nothing is written anywhere, and the warehouse is not opened.
Which facts are assumed: what the vendor's guide does not document, and what its samples show once.
"""

__all__ = [
    "assumptions",
    "examination",
    "table",
]
