# Compliance: may unwrap the data key of a mapping, for an approved re-identification, and keeps its own case notes.
# It holds no token keys and makes none.
path "wrapping/decrypt/+" {
  capabilities = ["update"]
}
path "secret/data/reidentification/*" {
  capabilities = ["create", "read", "update"]
}
