# Every person may check their own second factor, and nobody else's. The generator's key is readable by no one.
path "totp/code/{{identity.entity.id}}" {
  capabilities = ["update"]
}
