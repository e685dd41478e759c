"""What may be stored and shown about a person.

- `policy` the entry: applies a privacy mode to rows; `mode` compares the dataset's mode with the configured one
- `phones` reads every spelling of a number; `likely_phones` finds numbers in texts, `phone_search` in SQL and bytes
- `tokens` keyed tokens; `masks` a text's form without its content; `people` those to forget
- `messages` makes errors and external texts safe for a terminal or a log
"""

__all__ = ["likely_phones", "masks", "messages", "mode", "people", "phone_search", "phones", "policy", "tokens"]
