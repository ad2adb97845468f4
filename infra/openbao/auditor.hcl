# Auditors read the audit archive, which is not in the vault. Their token proves who they are; it opens nothing here.
path "tokens/*" {
  capabilities = ["deny"]
}
path "wrapping/*" {
  capabilities = ["deny"]
}
path "secret/*" {
  capabilities = ["deny"]
}
