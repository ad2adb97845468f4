"""Opening one row of a mapping, for an approved re-identification and for nothing else."""

from __future__ import annotations

import pyspark.sql.functions as F
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardlake.model.errors import ContractBroken, VerificationFailed
from wardlake.ports.keys import Keys
from wardlake.tokens.forms import bare_token
from wardlake.tokens.mapping import Mappings

_NONCE = 12  # bytes in front of what aes_encrypt writes in GCM mode


def find_identifier(mappings: Mappings, keys: Keys, domain: str, token: str, *, key_version: int | None = None) -> str:
    """The identifier behind a token of any key version, in any of its forms.

    Decrypts in this process: the identifier enters no Spark job. Raises `ContractBroken` where the mapping holds no such
    token, or several identifiers for it (a number under several key versions: then `key_version` decides).
    """
    rows = mappings.read(domain).filter(F.col("token").isin(*bare_token(token)))
    if key_version is not None:
        rows = rows.filter(F.col("key_version") == key_version)
    found = rows.select("lookup", "value", "data_key").limit(2).collect()
    which = [f"{mappings.purpose}/{domain}"]
    if not found:
        raise ContractBroken("The mapping holds no such token.", which=which, next_step="check token, purpose and domain")
    if len(found) > 1:
        raise ContractBroken("The token stands for several identifiers.", which=which, next_step="name the key version")
    (row,) = found
    plain = keys.unwrap(mappings.wrapping_key, row["data_key"])
    sealed = bytes(row["value"])
    try:
        return AESGCM(plain).decrypt(sealed[:_NONCE], sealed[_NONCE:], bytes(row["lookup"])).decode()
    except InvalidTag:
        raise VerificationFailed("The mapping's row was changed.", which=which) from None
