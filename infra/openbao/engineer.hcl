# Engineers work on datasets that are already published. Their token proves who they are; it opens nothing in the vault.
#
# The more specific path wins in a vault, even over a denial, and a denial wins over a permission of the same path. So every
# path that another role's policy opens is repeated here: an engineer who is given a second policy by mistake is denied still.
path "tokens/*" {
  capabilities = ["deny"]
}
path "tokens/keys/+" {
  capabilities = ["deny"]
}
path "tokens/keys/+/rotate" {
  capabilities = ["deny"]
}
path "tokens/export/hmac-key/+" {
  capabilities = ["deny"]
}
path "tokens/export/hmac-key/+/+" {
  capabilities = ["deny"]
}
path "wrapping/*" {
  capabilities = ["deny"]
}
path "wrapping/keys/+" {
  capabilities = ["deny"]
}
path "wrapping/datakey/plaintext/+" {
  capabilities = ["deny"]
}
path "wrapping/decrypt/+" {
  capabilities = ["deny"]
}
path "secret/*" {
  capabilities = ["deny"]
}
path "secret/data/sources/*" {
  capabilities = ["deny"]
}
path "secret/data/pipeline/*" {
  capabilities = ["deny"]
}
path "secret/data/reidentification/*" {
  capabilities = ["deny"]
}
path "sys/*" {
  capabilities = ["deny"]
}
