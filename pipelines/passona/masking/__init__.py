"""What may be stored and shown about a person. Pure, except for the tokens' key.

- `policy` the privacy modes applied to rows; `mode` the mode that a dataset was made with
- `phones` every spelling of a number; `likely_phones` numbers in texts, `phone_search` known numbers in SQL and bytes
- `tokens` keyed stand-ins, `masks` a text's form without its content, `people` who is to be forgotten
- `messages` errors and foreign texts, fit for a terminal or a log
"""

__all__ = [
    "likely_phones",
    "masks",
    "messages",
    "mode",
    "people",
    "phone_search",
    "phones",
    "policy",
    "tokens",
]
