"""The HTTP and WebSocket server: State Backed's wire contract over a runtime."""
