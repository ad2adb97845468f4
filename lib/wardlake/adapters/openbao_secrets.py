"""Secrets of others, a source's credentials for one, kept in the vault's second key-value engine."""

from __future__ import annotations

import json

from wardlake.adapters.openbao_session import OpenBaoSession
from wardlake.model.errors import KeysUnavailable


class OpenBaoSecrets:
    """Reads what the session's policy opens; never writes."""

    def __init__(self, session: OpenBaoSession) -> None:
        self._session = session

    def read(self, place: str) -> str:
        """The newest version at `MOUNT/PATH` as one JSON object; raises `KeysUnavailable` where there is none."""
        mount, _, path = place.partition("/")
        answer = self._session.call(lambda client: client.read(f"{mount}/data/{path}"), place)
        data = answer["data"]["data"] if answer else None
        if not data:
            raise KeysUnavailable(
                "The vault does not hold this secret.", which=[place], next_step="write it there, then run again"
            )
        return json.dumps(data)
