# The pipeline: reads and makes token keys, wraps and unwraps data keys, reads the credentials of its sources.
# It can neither delete a key nor change its settings, nor see a wrapping key.
path "tokens/keys/+" {
  capabilities       = ["read", "create", "update"]
  allowed_parameters = {
    "type"       = ["hmac"]
    "key_size"   = []
    "exportable" = [true]
  }
}
path "tokens/keys/+/rotate" {
  capabilities = ["update"]
}
path "tokens/export/hmac-key/+" {
  capabilities = ["read"]
}
path "tokens/export/hmac-key/+/+" {
  capabilities = ["read"]
}

path "wrapping/keys/+" {
  capabilities       = ["read", "create", "update"]
  allowed_parameters = {
    "type"       = ["aes256-gcm96"]
    "exportable" = [false]
  }
}
path "wrapping/datakey/plaintext/+" {
  capabilities = ["update"]
}
path "wrapping/decrypt/+" {
  capabilities = ["update"]
}

path "secret/data/sources/*" {
  capabilities = ["read"]
}
path "secret/data/pipeline/*" {
  capabilities = ["read"]
}
