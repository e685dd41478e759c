"""Passona's SMS campaign reports, loaded into a warehouse: a DuckDB file, a Postgres database, or a lake.

    campaigns -> plan (ledger) -> walk (paginator, pages, spool) -> rows (times, lists, row_ids)
              -> source (schema) -> load (database) -> dataset `passona`

One way, top to bottom of a load:

- `cli` exit codes, `interruption`; `verbs`, a file each; `options` that they share, `screen` what they show
- `logs` what is said on stderr; `ending` what others are told of a run's end: `metrics`, `on_failure`
- `load` one run: plan, walks, packages
- `client` HTTP over the `transport`, `pace` when a request goes  - `paginator`, `page_pool`, `pages` follow links.next,
  `decoding` reads their JSON
- `walk` one verified report, `spool` where it waits until then
- `mailings` what is asked for by mail; `csv_import` what comes of it: `csv_places` and `downloads` find the files,
  `csv_reader` spools them (`csv_form` what they are, `csv_text` their bytes, `csv_lines` which line is bad)
- `rows` what a row means: `times`, `lists`, `row_ids`; pure
- `source` dlt's resources, `schema` the tables, `key_columns` which column a new key has, `database` the open warehouse
  and dlt's pipeline
- `address` where the warehouse is, `path_syntax` what libraries read in its path; `connection` how all speak to it,
  `waiting` for whoever holds it; an engine each: `duckdb_file`, `postgres`, `lake`; `capable` what dlt's destinations
  share, `work_folder` one for each process
- `postgres_session` speaks to a server, `postgres_locks` say who may write, `postgres_budget` who may ask;
  `postgres_copy` and `postgres_destination` for dlt
- `lake` snapshots of reports: `lake_files` on a `store`, `lake_log` which of them count, `lake_contents` that in
  memory, `lake_views` for readers, `lake_tidying` what goes after its time; `lake_erasure` who goes at once, by
  `lake_rewriting`, and `lake_forgotten` who is kept out
- `upgrades` the form of a warehouse: earlier ones are brought forward, later ones refused
- `keeping` what is kept of people; `privacy` what becomes of their texts: `phones`, `tokens`, `shapes`, `agents`
- `register` what the warehouse knows of its privacy; `forgetting` `people`, by their `erasure`; `rekeying`,
  `retention`, `rewriting` of the file
- `status` how fresh it is and what is wrong, shown by `status_screen`
- `transform` the dbt project (`project`) on what is loaded
- `doctor` the assumptions about the API, held against an account, a judge each
- `report` one page of the marts' `figures`: `page`, its `page_sections` and `page_words`, report_page/
- `publish` a copy for readers at a `target`, checked; `marts` which are nobody's; `replacement` puts files in place
- `ledger` what is due, what was done; `campaigns` who exists
- `reports` the six reports as values; `errors` what can go wrong; `settings`, `configuration`; `quoting` for SQL
"""
