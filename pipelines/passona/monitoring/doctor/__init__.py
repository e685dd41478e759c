"""`passona doctor`: every assumption about the API that can be tested, tested against a real account.

    Settings -> examination (probe, sample) -> Sightings -> assumptions -> Findings -> table

- `examination` what is asked, some forty GETs at most; `probe` asks, `sample` chooses the campaigns
- `sightings` what came back, and how the loads would read it (`answers`, `readings`)
- `assumptions` the list, a judge each: `connection`, `paging`, `clocks` (by `zones`), `contents`, `messages`
- `findings` what a judge can say; `words` how values are shown without showing anybody's
- `table` what people and programs get to see

All but `examination` and `probe` is pure. Nothing is written anywhere, and the warehouse is not opened.
Which facts are assumed: what the vendor's guide does not document, and what its samples show once.
"""
