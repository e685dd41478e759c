"""A local Passona: the six reports and the campaign list of a made-up account, over real HTTP on loopback.

    switches, faults        how the server behaves, and misbehaves on request
    makeup -> blueprint     which campaigns there are
      -> story -> campaign  what happened in them, and the rows that report it
      -> moment -> live     the same at an instant, of an account that changes with time
      -> account -> edits   all rows as they are now
      -> pages -> desk      one page, one answer
      -> mailroom -> desk   one .csv, one link, one mail
      -> wire -> server     bytes

It needs only the standard library and imports nothing of the product: both know the API from the guide.
"""

from passona_sandbox.account import Account
from passona_sandbox.journal import Record
from passona_sandbox.live import LiveAccount
from passona_sandbox.server import Sandbox, run
from passona_sandbox.switches import Switches

__all__ = ["Account", "LiveAccount", "Record", "Sandbox", "Switches", "run"]
