#!/bin/sh
# Give an unsealed OpenBao (or Vault) its mounts, policies and AppRoles. Safe to run again.
# Needs: bao on the PATH; BAO_ADDR and BAO_TOKEN of an operator. Makes no key: `wardlake` does, by an explicit command.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

mounted=$(bao secrets list -format=json)
enable() { # path, arguments...
    path=$1
    shift
    case "$mounted" in
    *"\"$path/\""*) ;;
    *) bao secrets enable -path="$path" "$@" ;;
    esac
}
enable tokens transit
enable wrapping transit
enable totp totp
enable secret -version=2 kv

methods=$(bao auth list -format=json)
case "$methods" in *'"approle/"'*) ;; *) bao auth enable approle ;; esac

for role in pipeline compliance steward engineer auditor; do
    bao policy write "wardlake-$role" "$here/$role.hcl"
    bao write "auth/approle/role/wardlake-$role" \
        token_policies="wardlake-$role,wardlake-person" token_ttl=20m token_max_ttl=4h \
        secret_id_ttl="${WARDLAKE_SECRET_ID_TTL:-720h}" token_type=service
done
bao policy write wardlake-person "$here/person.hcl"
