# Engineers work on datasets that are already published. Their token proves who they are; it opens nothing in the vault,
# and the denials hold even if another policy is attached to them by mistake.
path "tokens/*" {
  capabilities = ["deny"]
}
path "wrapping/*" {
  capabilities = ["deny"]
}
path "secret/*" {
  capabilities = ["deny"]
}
path "sys/*" {
  capabilities = ["deny"]
}
