"""The outside world as Protocols. Each has an embedded implementation, a real one, and one contract test for both."""
