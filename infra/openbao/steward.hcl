# Data stewards decide what columns are. Their token proves who they are; it opens nothing in the vault.
path "tokens/*" {
  capabilities = ["deny"]
}
path "wrapping/*" {
  capabilities = ["deny"]
}
path "secret/*" {
  capabilities = ["deny"]
}
